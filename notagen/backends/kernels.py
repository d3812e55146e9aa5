"""The compiled kernels, seen from Python: what there is, and how to call it.

``notagen/csrc`` is C, compiled when the package is installed, once for each instruction set;
the best one that the processor has is taken. Where there was no compiler `levels` is
empty, and the engine runs on PyTorch's own operators.
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
"""Numbers in a vector; the positions that a slot has room for are a multiple of it."""
MOST_ROWS = 256
"""Rows that a step takes at most: a part of its scratch memory is on the stack."""
_KINDS: dict[Precision, int] = {"fp32": 0, "bf16": 1, "int8": 2}
_BYTES: dict[Precision, int] = {"fp32": 4, "bf16": 2, "int8": 1}
_HUGE = 2**21


class Linear(ctypes.Structure):
    """A packed layer; the fields of ``Linear`` in csrc/kernels.h."""

    _fields_ = (
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("inputs", ctypes.c_int64),
        ("outputs", ctypes.c_int64),
        ("kind", ctypes.c_int64),
    )


class Block(ctypes.Structure):
    """One block of a stack; the fields of ``Block`` in csrc/kernels.h."""

    _fields_ = (
        ("gain_1", ctypes.c_void_p),
        ("bias_1", ctypes.c_void_p),
        ("qkv", Linear),
        ("mixed", Linear),
        ("gain_2", ctypes.c_void_p),
        ("bias_2", ctypes.c_void_p),
        ("inner", Linear),
        ("outer", Linear),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
    )


class Step(ctypes.Structure):
    """A step of a stack; the fields of ``Step`` in csrc/kernels.h."""

    _fields_ = (
        ("blocks", ctypes.POINTER(Block)),
        ("layers", ctypes.c_int64),
        ("hidden", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("half", ctypes.c_int64),
        ("rows", ctypes.c_int64),
        ("slots", ctypes.c_void_p),
        ("places", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("threads", ctypes.c_int64),
    )


_STEP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Step))
_HEAD = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.POINTER(Linear),
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


class Level(ctypes.Structure):
    """What one instruction set offers; the fields of ``Level`` in csrc/kernels.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("half", ctypes.c_int),
        ("step", _STEP),
        ("head", _HEAD),
        ("pack", _PACK),
    )


@cache
def levels() -> dict[str, Level]:
    """Return what this processor can run, best first; nothing where nothing was compiled."""
    found = importlib.util.find_spec("scoregate.notagen._kernels")
    if found is None or found.origin is None:
        return {}
    library = ctypes.CDLL(found.origin)
    library.notagen_level.restype = ctypes.POINTER(Level)
    library.notagen_level.argtypes = [ctypes.c_int]
    there = {}
    while level := library.notagen_level(len(there)):
        there[level.contents.name.decode()] = level.contents
    return there


class Packed:
    """A layer's weights in the kernels' layout, and the memory they lie in.

    Parameters
    ----------
    level : Level
    weight : Tensor, (inputs, outputs)
    bias : Tensor, (outputs,), or None
    precision : {'fp32', 'bf16', 'int8'}
    """

    def __init__(
        self, level: Level, weight: Tensor, bias: Tensor | None, precision: Precision
    ) -> None:
        inputs, outputs = weight.shape
        assert inputs % 64 == outputs % PANEL == 0, weight.shape
        weight = weight.contiguous()
        packed = _memory(weight.numel() * _BYTES[precision])
        self.bias = None if bias is None else bias.contiguous()
        self.kept = [packed, self.bias]
        scale = sums = None
        if precision == "int8":
            scale, sums = torch.empty(outputs), torch.empty(outputs, dtype=torch.int32)
            self.kept += [scale, sums]
        self.layer = Linear(
            packed.data_ptr(),
            self.bias.data_ptr() if self.bias is not None else None,
            scale.data_ptr() if scale is not None else None,
            sums.data_ptr() if sums is not None else None,
            inputs,
            outputs,
            _KINDS[precision],
        )
        level.pack(
            weight.data_ptr(),
            inputs,
            outputs,
            self.layer.kind,
            self.layer.weight,
            self.layer.scale,
            self.layer.sums,
        )


def _memory(size: int) -> Tensor:
    """Return bytes for weights: in huge pages where the system has them and they pay."""
    if size < _HUGE or os.name != "posix":
        return torch.empty(size, dtype=torch.uint8)
    try:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"out of memory: {size} bytes for weights") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # A system may know of them and have none: small pages are as good, and slower.
        with suppress(OSError):
            block.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(block, dtype=torch.uint8)
