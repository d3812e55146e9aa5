"""Linear layers on PyTorch's operators for a CPU: packed once, read once for each call.

With a handful of rows a layer's cost is the reading of its weights. oneDNN's packed form reads
them at the speed of the memory, where the plain one manages half of it. Its result for a row does
not depend on how many rows there are, as long as there are two: callers pad a single row, which
costs nothing, and get the same bits alone and in any batch.

What oneDNN and the quantised layers can do depends on the processor, so that there are two forms
for bf16 and two ranges of int8: see :func:`pack_linear`.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.device import Precision

PACKED_ROWS = 16
"""The number of rows that packing prepares for; others work as well."""


class OperatorLinear(Protocol):
    """A linear layer; all of its methods take and give fp32 rows."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x @ weight + bias``: (rows, inputs) to (rows, outputs)."""
        ...

    def gelu(self, x: Tensor) -> Tensor:
        """Return the same through the tanh form of GELU."""
        ...

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the same plus ``other``, (rows, outputs)."""
        ...


class PlainLinear:
    """PyTorch's own layer, for builds without oneDNN."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight.t().contiguous(), bias

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return F.gelu(self(x), approximate="tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return self(x) + other


class StoredBf16Linear(PlainLinear):
    """Weights stored in bf16 and converted to fp32 at each call, for processors without bf16.

    It has half of fp32's memory and is slower than fp32.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__(weight.to(torch.bfloat16), bias)

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return F.linear(x, self.weight.float(), self.bias)


class PackedLinear:
    """oneDNN's packed layer in fp32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), PACKED_ROWS)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")

    def gelu(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, self.bias, "add")


class PackedBf16Linear:
    """oneDNN's packed layer with weights and inputs in bf16, sums in fp32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        packed = weight.t().to(torch.bfloat16).contiguous()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(packed, PACKED_ROWS)
        self.bias = None if bias is None else bias.to(torch.bfloat16)

    def _run(self, x: Tensor, after: str, kind: str) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(
            x.to(torch.bfloat16), self.weight, self.bias, after, [], kind
        )

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return self._run(x, "none", "").float()

    def gelu(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return self._run(x, "gelu", "tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return torch.add(other, self._run(x, "none", ""))


class Int8Linear:
    """Weights in int8 with a scale for each output; inputs are quantised at each call.

    One scale serves all rows of the input, so a row's result depends a little on the rows beside
    it. Inputs have 8 bits where the processor sums products of 8 bits exactly, and 7 otherwise.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.packed = _quantise(weight.t().contiguous(), bias)
        self.reduce_range = not sums_of_8_bits_are_exact()

    def __call__(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return torch.ops.quantized.linear_dynamic(x, self.packed, self.reduce_range)

    def gelu(self, x: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return F.gelu(self(x), approximate="tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        """See :class:`OperatorLinear`."""
        return self(x).add_(other)


def _quantise(rows: Tensor, bias: Tensor | None) -> Any:
    """Pack a weight of (outputs, inputs) in int8, symmetric around 0."""
    scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
    zero = torch.zeros(len(scale), dtype=torch.long)
    with warnings.catch_warnings():
        # Deprecated in a later torch; the pinned one has nothing as fast in its place.
        warnings.simplefilter("ignore", UserWarning)
        quantised = torch.quantize_per_channel(rows, scale.double(), zero, 0, torch.qint8)
    return torch.ops.quantized.linear_prepack(quantised, bias)


@cache
def sums_of_8_bits_are_exact() -> bool:
    """Whether quantised layers sum products of 8-bit inputs without overflow.

    Processors without integer dot products (VNNI) add two such products in 16 bits, where
    2 * 255 * 127 does not fit and is cut off at 32,767. Tried out on two inputs of the largest
    value, because what PyTorch does depends on the processor, its build and its settings.
    """
    largest = torch.ones(1, 64)
    found = torch.ops.quantized.linear_dynamic(largest, _quantise(largest, None), False)
    return bool(torch.isclose(found, torch.tensor(64.0), rtol=1e-3))


def bf16_is_supported() -> bool:
    """Whether oneDNN has bf16 on this processor."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def pack_linear(weight: Tensor, bias: Tensor | None, precision: Precision) -> OperatorLinear:
    """Pack a linear layer in the form that this processor supports.

    Parameters
    ----------
    weight : Tensor, (inputs, outputs)
    bias : Tensor, (outputs,), or None
    precision : {'fp32', 'bf16', 'int8'}
    """
    if precision == "int8":
        return Int8Linear(weight, bias)
    onednn = torch.backends.mkldnn.is_available()
    if precision == "bf16":
        packed = onednn and bf16_is_supported()
        return PackedBf16Linear(weight, bias) if packed else StoredBf16Linear(weight, bias)
    return PackedLinear(weight, bias) if onednn else PlainLinear(weight, bias)
