"""Choice of device, precision and number of threads; memory of the C library."""

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
MAX_DEFAULT_THREADS = 8
"""Most threads where the user names no number."""
_MAX_THREADS = 1024  # OpenMP ends the whole process where it can't start as many as asked
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
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return "cuda" if available["cuda"] else "cpu"
    kind, colon, number = str(name).partition(":")
    numbered = kind == "cuda" and number.isdecimal() and number.isascii()
    if kind not in available or (colon and not numbered):
        raise RequestError(f"There is no device {name!r}.", "Take auto, cpu, cuda, cuda:1 or mps.")
    if not available[kind]:
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

    Parameters
    ----------
    threads : int or None
        What the user asked for; None for one thread where the model's width is below 512, and
        as many as there are cores, at most 8, otherwise: the layers of small models are computed
        in microseconds, less than it takes to wake another thread.
    shape : ModelShape

    Raises
    ------
    RequestError
        Not a whole number from 1 to 1024.
    """
    if threads is not None:
        # More threads than cores would only wait for each other.
        return min(whole_number("threads", threads, 1, _MAX_THREADS), cores())
    if shape.hidden < 512:
        return 1
    return min(cores(), MAX_DEFAULT_THREADS)


@contextmanager
def freed_blocks_returned() -> Iterator[None]:
    """Have glibc return every freed block above 1 MiB to the system for a while.

    By default glibc raises this limit when the first weights are freed and keeps such blocks in
    its heap. The packed layers that stay are then scattered between them, and loading takes 1.4
    times the memory of the weights. Other C libraries neither do that nor have the setting.
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
        # The limit that glibc would have reached by itself: small tensors stay quick to allocate.
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the CPU or a device."""
    text = str(error).lower()
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        "can't allocate memory" in text or "out of memory" in text
    )
