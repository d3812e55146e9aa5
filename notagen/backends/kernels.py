"""The compiled kernels as seen from Python: which there are, and how they are called.

``notagen/csrc`` is C, compiled when the package is installed, once for each instruction set. The
best set that the processor supports is used. Where there was no compiler, :func:`kernel_sets` is
empty, and the engine runs on PyTorch's operators.
"""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
from contextlib import suppress
from functools import cache

import torch
from torch import Tensor

from scoregate.notagen.backends.device import Precision

PANEL = 32
"""Outputs that lie side by side in packed weights; widths are multiples of it."""
LANES = 16
"""Numbers in a vector; the capacity of a slot is a multiple of it."""
MAX_ROWS = 256
"""Most rows of one call: a part of the kernels' scratch memory is on the stack."""
_KINDS: dict[Precision, int] = {"fp32": 0, "bf16": 1, "int8": 2}
_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2, "int8": 1}
_HUGE_PAGE = 2**21


class LinearStruct(ctypes.Structure):
    """A packed linear layer; the fields of ``Linear`` in csrc/kernels.h."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("kind", ctypes.c_int64),
    )


class Layer(ctypes.Structure):
    """A transformer layer and its KV cache; the fields of ``Layer`` in csrc/kernels.h."""

    _fields_ = (
        ("gain_1", ctypes.c_void_p),
        ("bias_1", ctypes.c_void_p),
        ("qkv", LinearStruct),
        ("attention_out", LinearStruct),
        ("gain_2", ctypes.c_void_p),
        ("bias_2", ctypes.c_void_p),
        ("feedforward_in", LinearStruct),
        ("feedforward_out", LinearStruct),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
    )


class Batch(ctypes.Structure):
    """Rows to take through a stack of layers; the fields of ``Batch`` in csrc/kernels.h."""

    _fields_ = (
        ("layers", ctypes.POINTER(Layer)),
        ("layer_count", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("fp16_cache", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("slots", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
    )


_FORWARD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Batch))
_OUTPUT = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.POINTER(LinearStruct),
    ctypes.c_void_p,
    ctypes.c_void_p,
)
_PACK = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
)


class KernelSet(ctypes.Structure):
    """The kernels for one instruction set; the fields of ``KernelSet`` in csrc/kernels.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("fp16_cache", ctypes.c_int),
        ("forward", _FORWARD),
        ("output", _OUTPUT),
        ("pack", _PACK),
    )


@cache
def kernel_sets() -> dict[str, KernelSet]:
    """Return the kernels that this processor can run, best first, by instruction set.

    Empty where nothing was compiled.
    """
    found = importlib.util.find_spec("scoregate.notagen._kernels")
    if found is None or found.origin is None:
        return {}
    library = ctypes.CDLL(found.origin)
    library.notagen_kernel_set.restype = ctypes.POINTER(KernelSet)
    library.notagen_kernel_set.argtypes = [ctypes.c_int]
    supported: dict[str, KernelSet] = {}
    while kernels := library.notagen_kernel_set(len(supported)):
        supported[kernels.contents.name.decode()] = kernels.contents
    return supported


class PackedLinear:
    """A linear layer in the kernels' layout, with the memory that it lies in.

    Parameters
    ----------
    kernel_set : KernelSet
    weight : Tensor, (inputs, outputs)
    bias : Tensor, (outputs,), or None
    precision : {'fp32', 'bf16', 'int8'}

    Attributes
    ----------
    struct : LinearStruct
        What the kernels take; valid as long as this object is alive.
    """

    def __init__(
        self, kernel_set: KernelSet, weight: Tensor, bias: Tensor | None, precision: Precision
    ) -> None:
        inputs, outputs = weight.shape
        assert inputs % 64 == outputs % PANEL == 0, weight.shape
        weight = weight.contiguous()
        packed = _allocate(weight.numel() * _BYTES[precision])
        bias = None if bias is None else bias.contiguous()
        self._memory = [packed, bias]
        scale = sums = None
        if precision == "int8":
            scale, sums = torch.empty(outputs), torch.empty(outputs, dtype=torch.int32)
            self._memory += [scale, sums]
        self.struct = LinearStruct(
            packed.data_ptr(),
            bias.data_ptr() if bias is not None else None,
            scale.data_ptr() if scale is not None else None,
            sums.data_ptr() if sums is not None else None,
            inputs,
            outputs,
            _KINDS[precision],
        )
        kernel_set.pack(
            weight.data_ptr(),
            inputs,
            outputs,
            self.struct.kind,
            self.struct.weight,
            self.struct.scale,
            self.struct.sums,
        )


def _allocate(size: int) -> Tensor:
    """Return bytes for weights: in huge pages where the system has them and they pay."""
    if size < _HUGE_PAGE or os.name != "posix":
        return torch.empty(size, dtype=torch.uint8)
    try:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"out of memory: {size} bytes for weights") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # A system may know huge pages and have none; ordinary pages work as well, only slower.
        with suppress(OSError):
            block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=torch.uint8)
