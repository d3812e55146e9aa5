"""Linear layers for the engine on a CPU: packed once, read once per step.

With a handful of rows a layer's cost is the reading of its weights. oneDNN's packed form
reads them at the speed of the memory, where the plain one manages half of it. Its result for
a row does not depend on how many rows there are, as long as there are two: callers pad a
single row, which costs nothing, and get the same bits alone and in any batch.
"""

from __future__ import annotations

import warnings
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.device import Precision

ROWS = 16
"""The number of rows that packing prepares for; others work as well."""


class Linear(Protocol):
    """A layer of ``inputs`` to ``outputs``; all of its methods take and give fp32 rows."""

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
    """PyTorch's own layer, for builds without oneDNN and for other devices."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight.t().contiguous(), bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(F.linear(x, self.weight, self.bias), approximate="tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias) + other


class PackedLinear:
    """oneDNN's packed layer in fp32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), ROWS)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")

    def gelu(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, self.bias, "add")


class HalfLinear:
    """oneDNN's packed layer with weights and inputs in bfloat16, sums in fp32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        packed = weight.t().to(torch.bfloat16).contiguous()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(packed, ROWS)
        self.bias = None if bias is None else bias.to(torch.bfloat16)

    def _run(self, x: Tensor, after: str, kind: str) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(
            x.to(torch.bfloat16), self.weight, self.bias, after, [], kind
        )

    def __call__(self, x: Tensor) -> Tensor:
        return self._run(x, "none", "").float()

    def gelu(self, x: Tensor) -> Tensor:
        return self._run(x, "gelu", "tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        return torch.add(other, self._run(x, "none", ""))


class ByteLinear:
    """Weights in int8 with a scale per output; inputs quantised as they come.

    One scale serves all rows of the input, so a row's result depends a little on the rows
    beside it.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        rows = weight.t().contiguous()
        scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
        zero = torch.zeros(len(scale), dtype=torch.long)
        with warnings.catch_warnings():
            # Announced to go in a later torch; the pinned one has nothing as fast in its place.
            warnings.simplefilter("ignore", UserWarning)
            packed = torch.quantize_per_channel(rows, scale.double(), zero, 0, torch.qint8)
        self.packed = torch.ops.quantized.linear_prepack(packed, bias)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(x, self.packed, False)

    def gelu(self, x: Tensor) -> Tensor:
        return F.gelu(self(x), approximate="tanh")

    def add(self, x: Tensor, other: Tensor) -> Tensor:
        return self(x).add_(other)


def pack(weight: Tensor, bias: Tensor | None, precision: Precision) -> Linear:
    """Make a layer from a weight of (inputs, outputs)."""
    if precision == "int8":
        return ByteLinear(weight, bias)
    if not torch.backends.mkldnn.is_available():
        return PlainLinear(weight, bias)
    return PackedLinear(weight, bias) if precision == "fp32" else HalfLinear(weight, bias)
