"""Where to compute, how precisely, and with how many threads."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from scoregate.cores import cores
from scoregate.errors import RequestError
from scoregate.notagen.model.shape import ModelShape
from scoregate.sampling import whole_number

Precision = Literal["fp32", "bf16", "fp16", "int8"]

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "cpu": ("fp32", "bf16", "int8"),
    "cuda": ("fp32", "bf16", "fp16"),
    "mps": ("fp32", "fp16"),
}
MOST_THREADS = 8
"""As many as are taken unasked."""
_THREADS_ALLOWED = 1024  # OpenMP ends the whole process where it can't make as many as asked
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of glibc's malloc.h


def choose_device(name: str) -> str:
    """Return the device that a name means.

    Parameters
    ----------
    name : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    RequestError
        Unknown, or not on this machine.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return "cuda" if there["cuda"] else "cpu"
    kind, colon, number = str(name).partition(":")
    numbered = kind == "cuda" and number.isdecimal() and number.isascii()
    if kind not in there or (colon and not numbered):
        raise RequestError(f"There is no device {name!r}.", "Take auto, cpu, cuda, cuda:1 or mps.")
    if not there[kind]:
        raise RequestError(
            f"This machine, or this build of PyTorch, has no {kind}.", "Take 'auto' or 'cpu'."
        )
    if colon and int(number[:6]) >= torch.cuda.device_count():
        raise RequestError(
            f"There is no device {name!r}: this machine has {torch.cuda.device_count()} of them.",
            "They are counted from 0: cuda:0 is the first.",
        )
    return name


def choose_precision(name: str, device: str) -> Precision:
    """Return the precision that a name means on a device.

    Raises
    ------
    RequestError
    """
    kind = device.partition(":")[0]
    if name == "auto":
        return "bf16" if kind == "cuda" else "fp32"
    for precision in PRECISIONS[kind]:
        if precision == name:
            return precision
    raise RequestError(
        f"The precision {name!r} is not for the device {device!r}.",
        f"Take one of: {', '.join(PRECISIONS[kind])}.",
    )


def choose_threads(threads: int | None, shape: ModelShape) -> int:
    """Return how many CPU threads to use.

    Small layers are read in microseconds, less than it takes to wake another thread.

    Raises
    ------
    RequestError
        No whole number from 1 to 1024.
    """
    if threads is not None:
        # More than there are cores only wait for each other.
        return min(whole_number("threads", threads, 1, _THREADS_ALLOWED), cores())
    if shape.hidden < 512:
        return 1
    return min(cores(), MOST_THREADS)


@contextmanager
def blocks_given_back() -> Iterator[None]:
    """Have glibc give every freed block above 1 MiB back to the system for a while.

    Left alone it learns from the first freed weights to keep such blocks in its heap, where
    the packed layers that stay scatter between them: loading then holds 1.4 times the
    weights in place of once. Other C libraries don't, and have no such switch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        yield
        return
    mallopt(_MMAP_THRESHOLD, 2**20)
    try:
        yield
    finally:
        # Where glibc's own rule would have arrived: small tensors stay quick to allocate.
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the CPU or a device."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in text or "out of memory" in text
    )
