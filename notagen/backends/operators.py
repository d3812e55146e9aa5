"""The backend for a CPU on PyTorch's operators, where no kernels were compiled.

Attention with one query is a weighted sum of rows, and so is the product of a query with
transposed keys. PyTorch's embedding bag computes such sums at the speed of the memory, for all
slots at once; its attention and its matrix products with one query don't. Keys therefore lie in
pages of 64 positions, (slot, head, page, 64 channels, 64 positions), and values as (slot, head,
position, 64 channels).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.cpu import (
    CHAR_BASE,
    PATCH_BASE,
    PROJECTIONS,
    CpuBackend,
    torch_threads,
)
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.operator_linear import OperatorLinear, pack_linear
from scoregate.notagen.model.network import NORM_EPSILON
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, ModelShape
from scoregate.notagen.text.patches import Patch

PAGE = 64
"""Positions in a page of keys."""


@dataclass(slots=True)
class _Layer:
    """A transformer layer's norms (gain and bias) and linear layers."""

    norm_1: tuple[Tensor, Tensor]
    norm_2: tuple[Tensor, Tensor]
    qkv: OperatorLinear
    attention_out: OperatorLinear
    feedforward_in: OperatorLinear
    feedforward_out: OperatorLinear


@dataclass(slots=True)
class _Group:
    """Rows of a batch that attend to the same number of key pages.

    ``table_rows`` are rows of the key and value tables: a page has 64 of them. The bags say where
    each sum begins among them, and ``mask`` is -inf at positions that hold nothing yet.
    """

    rows: Tensor
    table_rows: Tensor
    key_bags: Tensor
    value_bags: Tensor
    mask: Tensor  # (rows, 1, positions)
    pages: int


class OperatorBackend(CpuBackend):
    """NotaGen on a CPU by PyTorch's operators.

    Parameters
    ----------
    shape, tensors, precision
        See :class:`scoregate.notagen.backends.cpu.CpuBackend`.
    threads : int
        Of PyTorch; texts depend on them.
    """

    def __init__(
        self,
        shape: ModelShape,
        tensors: Iterable[tuple[str, Tensor]],
        precision: Precision,
        threads: int = 1,
    ) -> None:
        # In fp32 two rows give the same bits as any number of them, and one row does not. In the
        # lower precisions rows depend on each other or on their number anyway.
        self.min_rows = 2 if precision == "fp32" else 1
        self.cache_dtype = torch.float32 if precision == "fp32" else torch.float16
        self.threads = threads
        super().__init__(shape, tensors, precision)
        self.output = pack_linear(self.char_table.t(), None, "fp32")
        self.patch_layers = self._layers(PATCH_BASE, shape.patch_layers)
        self.char_layers = self._layers(CHAR_BASE, shape.char_layers)
        self._char_caches: list[Tensor] = []
        self._rows = np.arange(0)

    def threads_in_use(self) -> AbstractContextManager[None]:
        """See :class:`.backend.Backend`."""
        return torch_threads(self.threads)

    def pack(self, weight: Tensor, bias: Tensor) -> OperatorLinear:
        """See :class:`CpuBackend`."""
        return pack_linear(weight, bias, self.precision)

    def _layers(self, base: str, count: int) -> list[_Layer]:
        return [
            _Layer(
                self.norm(f"{base}.h.{i}.ln_1"),
                self.norm(f"{base}.h.{i}.ln_2"),
                **{f: self.packed[f"{base}.h.{i}.{name}"] for f, name in PROJECTIONS.items()},
            )
            for i in range(count)
        ]

    def open(self, slots: int) -> None:
        """See :class:`CpuBackend`."""
        heads, layers = self.shape.heads, self.shape.patch_layers
        self.capacity = -(-self.shape.length // PAGE) * PAGE
        size = (slots * heads * self.capacity, HEAD_SIZE)
        self.keys = [torch.zeros(size, dtype=self.cache_dtype) for _ in range(layers)]
        self.values = [torch.zeros(size, dtype=self.cache_dtype) for _ in range(layers)]
        rows = max(slots, self.min_rows)
        self.char_cache = torch.zeros(self.shape.char_layers, rows, 2, heads, PATCH_SIZE, HEAD_SIZE)
        self.hidden = torch.zeros(rows, self.shape.hidden)
        self.slots = slots

    def prefill(self, slot: int, start: int, patches: Sequence[Patch]) -> None:
        """See :class:`.backend.Backend`."""
        heads, hidden = self.shape.heads, self.shape.hidden
        count, end = len(patches), start + len(patches)
        positions = torch.arange(start, end)
        x = self._embed(patches, positions)
        pages = -(-end // PAGE)
        # Every patch attends to itself and those before it.
        mask = torch.arange(end)[None, :] <= positions[:, None]
        own = slice(slot * heads * self.capacity, (slot + 1) * heads * self.capacity)
        for layer, keys, values in zip(self.patch_layers, self.keys, self.values, strict=True):
            query, key, value = self._project(layer, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            k = keys[own].view(heads, -1, HEAD_SIZE, PAGE)
            v = values[own].view(heads, self.capacity, HEAD_SIZE)
            k[:, positions // PAGE, :, positions % PAGE] = key[:count].to(self.cache_dtype)
            v[:, start:end] = value[:count].transpose(0, 1).to(self.cache_dtype)
            cached = k[:, :pages].transpose(2, 3).reshape(heads, -1, HEAD_SIZE)[:, :end]
            attended = F.scaled_dot_product_attention(
                query[:count].transpose(0, 1)[None],
                cached[None].float(),
                v[None, :, :end].float(),
                attn_mask=mask,
                scale=1.0,
            )
            attended = attended[0].transpose(0, 1).reshape(count, hidden)
            x = self._feed_forward(layer, self._pad(attended), x)
        self.hidden[slot] = F.layer_norm(x[count - 1], (hidden,), *self.patch_norm, NORM_EPSILON)

    def decode(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> None:
        """See :class:`.backend.Backend`."""
        heads, hidden = self.shape.heads, self.shape.hidden
        rows = len(slots)
        at, which = torch.tensor(positions), torch.tensor(slots)
        x = self._embed(patches, at)
        groups = self._groups(slots, positions)
        # Where each row's new value and its new key lie in the tables of a layer.
        head_base = (which[:, None] * heads + torch.arange(heads)) * self.capacity
        value_rows = (head_base + at[:, None]).view(-1)
        key_rows = (head_base + (at // PAGE * PAGE)[:, None])[..., None] + torch.arange(HEAD_SIZE)
        key_cells = (key_rows * PAGE + (at % PAGE)[:, None, None]).view(-1)
        for layer, keys, values in zip(self.patch_layers, self.keys, self.values, strict=True):
            query, key, value = self._project(layer, x)[:rows].split(hidden, dim=1)
            keys.view(-1)[key_cells] = key.reshape(-1).to(self.cache_dtype)
            values[value_rows] = value.reshape(-1, HEAD_SIZE).to(self.cache_dtype)
            attended = self._attend(query, keys, values, groups)
            x = self._feed_forward(layer, self._pad(attended), x)
        x = F.layer_norm(x, (hidden,), *self.patch_norm, NORM_EPSILON)
        self.hidden[which] = x[:rows]

    def begin_patch(self, slots: Sequence[int]) -> Tensor:
        """See :class:`CpuBackend`."""
        self._rows = np.arange(len(slots))
        self._char_caches = list(self.char_cache[:, : max(len(slots), self.min_rows)])
        return self.hidden[torch.tensor(slots)]

    def decode_characters(self, rows: np.ndarray, position: int, x: Tensor) -> Tensor:
        """See :class:`CpuBackend`."""
        if len(rows) < len(self._rows):
            remaining = torch.from_numpy(np.searchsorted(self._rows, rows))
            if len(remaining) < self.min_rows:
                remaining = remaining.expand(self.min_rows)
            self._char_caches = [cache[remaining] for cache in self._char_caches]
            self._rows = rows
        x = self._pad(x)
        for layer, cache in zip(self.char_layers, self._char_caches, strict=True):
            qkv = self._project(layer, x).view(len(x), 3, self.shape.heads, HEAD_SIZE)
            cache[:, :, :, position] = qkv[:, 1:]
            keys, values = cache[:, :, :, : position + 1].unbind(1)
            attended = F.scaled_dot_product_attention(
                qkv[:, 0].unsqueeze(2), keys, values, scale=1.0
            )
            x = self._feed_forward(layer, attended.reshape(-1, self.shape.hidden), x)
        return x[: len(rows)]

    def logits(self, x: Tensor) -> Tensor:
        """See :class:`CpuBackend`."""
        normed = F.layer_norm(x, (self.shape.hidden,), *self.char_norm, NORM_EPSILON)
        return self.output(self._pad(normed))[: len(x)]

    def _pad(self, x: Tensor) -> Tensor:
        """Repeat a single row where a layer's result depends on there being more than one."""
        return x if len(x) >= self.min_rows else x.expand(self.min_rows, -1).contiguous()

    def _embed(self, patches: Sequence[Patch], positions: Tensor) -> Tensor:
        """Return embedded patches with their positions: (at least ``min_rows``, hidden)."""
        columns = torch.tensor(patches) + self.token_offsets
        x = F.embedding_bag(columns, self.patch_table, mode="sum")
        return self._pad(x + self.patch_positions[positions])

    def _project(self, layer: _Layer, x: Tensor) -> Tensor:
        """Return queries, keys and values side by side: (rows, 3 * hidden)."""
        return layer.qkv(F.layer_norm(x, (self.shape.hidden,), *layer.norm_1, NORM_EPSILON))

    def _feed_forward(self, layer: _Layer, attended: Tensor, x: Tensor) -> Tensor:
        """Go from a layer's attention to its output: output projection, feed-forward."""
        x = layer.attention_out.add(attended, x)
        normed = F.layer_norm(x, (self.shape.hidden,), *layer.norm_2, NORM_EPSILON)
        return layer.feedforward_out.add(layer.feedforward_in.gelu(normed), x)

    def _groups(self, slots: Sequence[int], positions: Sequence[int]) -> list[_Group]:
        """Group a batch's rows by the number of key pages that they attend to."""
        heads = self.shape.heads
        by_pages: dict[int, list[int]] = {}
        for row, position in enumerate(positions):
            by_pages.setdefault(position // PAGE + 1, []).append(row)
        groups = []
        for pages, rows in by_pages.items():
            span = pages * PAGE
            which = torch.tensor([slots[row] for row in rows])
            base = (which[:, None] * heads + torch.arange(heads)) * self.capacity
            table_rows = (base.view(-1, 1) + torch.arange(span)).view(-1).int()
            last = torch.tensor([positions[row] for row in rows])
            mask = torch.zeros(len(rows), 1, span)
            mask.masked_fill_(torch.arange(span) > last[:, None, None], -torch.inf)
            groups.append(
                _Group(
                    torch.tensor(rows),
                    table_rows,
                    torch.arange(0, len(table_rows), PAGE, dtype=torch.int32),
                    torch.arange(0, len(table_rows), span, dtype=torch.int32),
                    mask,
                    pages,
                )
            )
        return groups

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, groups: list[_Group]) -> Tensor:
        """Return each row's attention over its own positions: (rows, hidden)."""
        heads = self.shape.heads
        attended = torch.empty_like(query, memory_format=torch.contiguous_format)
        for group in groups:
            count = len(group.rows)
            factors = query[group.rows].view(-1, 1, HEAD_SIZE).expand(-1, group.pages, -1)
            factors = factors.reshape(-1).to(self.cache_dtype)
            scores = _weighted_sums(keys, group.table_rows, group.key_bags, factors)
            scores = scores.view(count, heads, -1) + group.mask
            weights = torch.softmax(scores, dim=-1).view(-1).to(self.cache_dtype)
            sums = _weighted_sums(values, group.table_rows, group.value_bags, weights)
            attended[group.rows] = sums.view(count, -1).float()
        return attended


def _weighted_sums(table: Tensor, rows: Tensor, bags: Tensor, weights: Tensor) -> Tensor:
    """Return weighted sums of a table's rows, one for each bag of them."""
    found = torch.ops.aten._embedding_bag_forward_only(table, rows, bags, False, 0, False, weights)
    return found[0]
