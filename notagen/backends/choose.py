"""Which model computes on this CPU: the compiled kernels, or PyTorch's operators."""

from __future__ import annotations

import os
from collections.abc import Iterable

from torch import Tensor

from scoregate.errors import RequestError
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.compiled import NativeModel
from scoregate.notagen.backends.cpu import CachedModel
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.operators import OperatorModel
from scoregate.notagen.model.shape import ModelShape

VARIABLE = "SCOREGATE_KERNELS"
"""Environment variable that chooses: ``avx512``, ``avx2``, ``portable``, or ``none`` for
PyTorch's operators; unset, the best that is there."""


def arithmetic() -> str:
    """Return what computes on this CPU: a kernel level's name, or ``none``.

    Raises
    ------
    RequestError
        The variable asks for something that is not here.
    """
    there = [*kernels.levels(), "none"]
    asked = os.environ.get(VARIABLE) or there[0]
    if asked not in there:
        raise RequestError(
            f"{VARIABLE}={asked} can't be: this machine has {', '.join(there)}.",
            "Unset it, or take one of these.",
        )
    return asked


def cpu_model(
    shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], precision: Precision
) -> CachedModel:
    """Return the fastest model that this machine can run: see :class:`CachedModel`."""
    name = arithmetic()
    if name == "none":
        return OperatorModel(shape, tensors, precision)
    return NativeModel(kernels.levels()[name], shape, tensors, precision)
