"""Which backend computes: an accelerator's, the compiled kernels, or PyTorch's operators."""

from __future__ import annotations

import os
from collections.abc import Iterable

from torch import Tensor

from scoregate.errors import RequestError
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.accelerator import AcceleratorBackend
from scoregate.notagen.backends.backend import Backend
from scoregate.notagen.backends.compiled import CompiledBackend
from scoregate.notagen.backends.cpu import CpuBackend
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.operators import OperatorBackend
from scoregate.notagen.model.shape import ModelShape

KERNELS_VARIABLE = "SCOREGATE_KERNELS"
"""Environment variable that chooses the kernels on a CPU: ``avx512``, ``avx2``, ``portable``, or
``none`` for PyTorch's operators. Unset, the best that the processor supports."""

Tensors = Iterable[tuple[str, Tensor]]


def selected_kernels() -> str:
    """Return the name of the kernels that a CPU backend uses now, or ``none``.

    Raises
    ------
    RequestError
        The environment variable names kernels that are not available.
    """
    available = [*kernels.kernel_sets(), "none"]
    asked = os.environ.get(KERNELS_VARIABLE) or available[0]
    if asked not in available:
        raise RequestError(
            f"{KERNELS_VARIABLE}={asked} is not available: this machine has "
            f"{', '.join(available)}.",
            "Unset it, or take one of these.",
        )
    return asked


def cpu_backend(
    shape: ModelShape,
    tensors: Tensors,
    precision: Precision,
    threads: int = 1,
    adapt: bool = False,
) -> CpuBackend:
    """Load weights into the fastest backend for this CPU.

    Parameters
    ----------
    shape : ModelShape
    tensors : iterable of (str, Tensor)
        fp32, by the released keys.
    precision : {'fp32', 'bf16', 'int8'}
    threads : int
        Most threads to use.
    adapt : bool
        Whether the compiled kernels use as many of them as pay at the moment.
    """
    name = selected_kernels()
    if name == "none":
        return OperatorBackend(shape, tensors, precision, threads)
    backend = CompiledBackend(kernels.kernel_sets()[name], shape, tensors, precision)
    backend.set_threads(threads, adapt)
    return backend


def make_backend(
    shape: ModelShape,
    tensors: Tensors,
    device: str,
    precision: Precision,
    threads: int,
    adapt: bool,
) -> Backend:
    """Load weights into the backend for a device.

    Parameters
    ----------
    shape, tensors, precision, threads, adapt
        See :func:`cpu_backend`; ``fp16`` in place of ``int8`` on other devices.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    """
    if device == "cpu":
        return cpu_backend(shape, tensors, precision, threads, adapt)
    return AcceleratorBackend(shape, tensors, device, precision, threads)
