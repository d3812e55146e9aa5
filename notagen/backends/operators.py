"""The model for a CPU on PyTorch's own operators, for where no kernels were compiled.

Attention with one query is a weighted sum of rows, and so is the product of a query with
keys that lie transposed. PyTorch's embedding bag does such sums at the speed of the memory,
for all slots at once, which its attention and matrix products with one query don't. Keys
therefore lie in blocks of 64 positions, (slot, head, block, 64 channels, 64 positions), and
values as (slot, head, position, 64 channels).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.cpu import CHAR_BASE, LAYERS, PATCH_BASE, CachedModel
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.linear import Linear, pack
from scoregate.notagen.model.network import NORM_EPSILON
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, ModelShape
from scoregate.notagen.text.patches import Patch

BLOCK = 64
"""Positions in a block of keys."""


@dataclass(slots=True)
class Block:
    """One block's layers, ready to run."""

    norm_1: tuple[Tensor, Tensor]
    norm_2: tuple[Tensor, Tensor]
    qkv: Linear
    mixed: Linear
    inner: Linear
    outer: Linear


@dataclass(slots=True)
class _Group:
    """Rows of a step whose slots have the same number of key blocks."""

    rows: Tensor
    places: Tensor  # of each block's channels, and of each position's values
    key_bags: Tensor
    value_bags: Tensor
    beyond: Tensor  # (rows, 1, positions): -inf where nothing has been written
    blocks: int


class OperatorModel(CachedModel):
    """NotaGen on a CPU by PyTorch's operators: see :class:`.notagen.backends.cpu.CachedModel`."""

    def __init__(
        self, shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], precision: Precision
    ) -> None:
        # In the lower precisions rows depend on each other or on their number anyway.
        self.least = 2 if precision == "fp32" else 1
        self.kept = torch.float32 if precision == "fp32" else torch.float16
        super().__init__(shape, tensors, precision)
        self.head = pack(self.char_table.t(), None, "fp32")
        self.patch_blocks = self._blocks(PATCH_BASE, shape.patch_layers)
        self.char_blocks = self._blocks(CHAR_BASE, shape.char_layers)
        self._caches: list[Tensor] = []
        self._rows = np.arange(0)

    def pack(self, weight: Tensor, bias: Tensor) -> Linear:
        return pack(weight, bias, self.precision)

    def _blocks(self, base: str, layers: int) -> list[Block]:
        return [
            Block(
                self.norm(f"{base}.h.{i}.ln_1"),
                self.norm(f"{base}.h.{i}.ln_2"),
                **{field: self.packed[f"{base}.h.{i}.{name}"] for field, name in LAYERS.items()},
            )
            for i in range(layers)
        ]

    def open(self, slots: int) -> None:
        heads, layers = self.shape.heads, self.shape.patch_layers
        self.capacity = -(-self.shape.length // BLOCK) * BLOCK
        size = (slots * heads * self.capacity, HEAD_SIZE)
        self.keys = [torch.zeros(size, dtype=self.kept) for _ in range(layers)]
        self.values = [torch.zeros(size, dtype=self.kept) for _ in range(layers)]
        rows = max(slots, self.least)
        chars = (self.shape.char_layers, rows, 2, heads, PATCH_SIZE, HEAD_SIZE)
        self.char_cache = torch.zeros(chars)
        self.encoded = torch.zeros(rows, self.shape.hidden)
        self.slots = slots

    def read(self, slot: int, first: int, patches: Sequence[Patch]) -> None:
        heads, hidden = self.shape.heads, self.shape.hidden
        count, end = len(patches), first + len(patches)
        places = torch.arange(first, end)
        x = self._embed(patches, places)
        blocks = -(-end // BLOCK)
        # Every patch sees itself and those before it.
        mask = torch.arange(end)[None, :] <= places[:, None]
        for block, keys, values in zip(self.patch_blocks, self.keys, self.values, strict=True):
            query, key, value = self._project(block, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            mine = slice(slot * heads * self.capacity, (slot + 1) * heads * self.capacity)
            k = keys[mine].view(heads, -1, HEAD_SIZE, BLOCK)
            v = values[mine].view(heads, self.capacity, HEAD_SIZE)
            k[:, places // BLOCK, :, places % BLOCK] = key[:count].to(self.kept)
            v[:, first:end] = value[:count].transpose(0, 1).to(self.kept)
            seen = k[:, :blocks].transpose(2, 3).reshape(heads, -1, HEAD_SIZE)[:, :end]
            mixed = F.scaled_dot_product_attention(
                query[:count].transpose(0, 1)[None],
                seen[None].float(),
                v[None, :, :end].float(),
                attn_mask=mask,
                scale=1.0,
            )
            mixed = mixed[0].transpose(0, 1).reshape(count, hidden)
            x = self._finish(block, self._enough(mixed), x)
        self.encoded[slot] = F.layer_norm(x[count - 1], (hidden,), *self.patch_norm, NORM_EPSILON)

    def step(self, slots: Sequence[int], places: Sequence[int], patches: Sequence[Patch]) -> None:
        heads, hidden = self.shape.heads, self.shape.hidden
        rows = len(slots)
        at, which = torch.tensor(places), torch.tensor(slots)
        x = self._embed(patches, at)
        groups = self._groups(slots, places)
        head_base = (which[:, None] * heads + torch.arange(heads)) * self.capacity
        value_rows = (head_base + at[:, None]).view(-1)
        key_rows = (head_base + (at // BLOCK * BLOCK)[:, None])[..., None] + torch.arange(HEAD_SIZE)
        key_cells = (key_rows * BLOCK + (at % BLOCK)[:, None, None]).view(-1)
        for block, keys, values in zip(self.patch_blocks, self.keys, self.values, strict=True):
            qkv = self._project(block, x)[:rows]
            query, key, value = qkv.split(hidden, dim=1)
            keys.view(-1)[key_cells] = key.reshape(-1).to(self.kept)
            values[value_rows] = value.reshape(-1, HEAD_SIZE).to(self.kept)
            x = self._finish(block, self._enough(self._attend(query, keys, values, groups)), x)
        x = F.layer_norm(x, (hidden,), *self.patch_norm, NORM_EPSILON)
        self.encoded[which] = x[:rows]

    def begin_patches(self, slots: Sequence[int]) -> Tensor:
        self._rows = np.arange(len(slots))
        self._caches = list(self.char_cache[:, : max(len(slots), self.least)])
        return self.encoded[torch.tensor(slots)]

    def read_characters(self, rows: np.ndarray, at: int, x: Tensor) -> Tensor:
        if len(rows) < len(self._rows):
            places = torch.from_numpy(np.searchsorted(self._rows, rows))
            if len(places) < self.least:
                places = places.expand(self.least)
            self._caches, self._rows = [cache[places] for cache in self._caches], rows
        x = self._enough(x)
        for block, cache in zip(self.char_blocks, self._caches, strict=True):
            qkv = self._project(block, x).view(len(x), 3, self.shape.heads, HEAD_SIZE)
            cache[:, :, :, at] = qkv[:, 1:]
            keys, values = cache[:, :, :, : at + 1].unbind(1)
            mixed = F.scaled_dot_product_attention(qkv[:, 0].unsqueeze(2), keys, values, scale=1.0)
            x = self._finish(block, mixed.reshape(-1, self.shape.hidden), x)
        return x[: len(rows)]

    def logits(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x, (self.shape.hidden,), *self.char_norm, NORM_EPSILON)
        return self.head(self._enough(normed))[: len(x)]

    def _enough(self, x: Tensor) -> Tensor:
        """Double a single row where a layer's result depends on there being more than one."""
        return x if len(x) >= self.least else x.expand(self.least, -1).contiguous()

    def _embed(self, patches: Sequence[Patch], places: Tensor) -> Tensor:
        """Return patches with their positions: (at least ``least`` rows, hidden)."""
        columns = torch.tensor(patches) + self.code_places
        x = F.embedding_bag(columns, self.patch_table, mode="sum") + self.patch_places[places]
        return self._enough(x)

    def _project(self, block: Block, x: Tensor) -> Tensor:
        """Return queries, keys and values side by side: (rows, 3 * hidden)."""
        normed = F.layer_norm(x, (self.shape.hidden,), *block.norm_1, NORM_EPSILON)
        return block.qkv(normed)

    def _finish(self, block: Block, mixed: Tensor, x: Tensor) -> Tensor:
        """Go from a block's attention to its output."""
        x = block.mixed.add(mixed, x)
        normed = F.layer_norm(x, (self.shape.hidden,), *block.norm_2, NORM_EPSILON)
        return block.outer.add(block.inner.gelu(normed), x)

    def _groups(self, slots: Sequence[int], places: Sequence[int]) -> list[_Group]:
        """Sort a step's rows by how many blocks of keys they attend to."""
        heads = self.shape.heads
        by_blocks: dict[int, list[int]] = {}
        for row, place in enumerate(places):
            by_blocks.setdefault(place // BLOCK + 1, []).append(row)
        groups = []
        for blocks, rows in by_blocks.items():
            span = blocks * BLOCK
            which = torch.tensor([slots[row] for row in rows])
            base = (which[:, None] * heads + torch.arange(heads)) * self.capacity
            cells = (base.view(-1, 1) + torch.arange(span)).view(-1).int()
            last = torch.tensor([places[row] for row in rows])
            beyond = torch.zeros(len(rows), 1, span)
            beyond.masked_fill_(torch.arange(span) > last[:, None, None], -torch.inf)
            groups.append(
                _Group(
                    torch.tensor(rows),
                    cells,
                    torch.arange(0, len(cells), BLOCK, dtype=torch.int32),
                    torch.arange(0, len(cells), span, dtype=torch.int32),
                    beyond,
                    blocks,
                )
            )
        return groups

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, groups: list[_Group]) -> Tensor:
        """Mix each row's values: (rows, hidden)."""
        heads = self.shape.heads
        mixed = torch.empty_like(query, memory_format=torch.contiguous_format)
        for group in groups:
            count = len(group.rows)
            spread = query[group.rows].view(-1, 1, HEAD_SIZE).expand(-1, group.blocks, -1)
            scores = _sums(keys, group.places, group.key_bags, spread.reshape(-1).to(self.kept))
            scores = scores.view(count, heads, -1) + group.beyond
            weights = torch.softmax(scores, dim=-1).view(-1).to(self.kept)
            sums = _sums(values, group.places, group.value_bags, weights)
            mixed[group.rows] = sums.view(count, -1).float()
        return mixed


def _sums(table: Tensor, places: Tensor, bags: Tensor, weights: Tensor) -> Tensor:
    """Return weighted sums of a table's rows, one for each bag of places."""
    found = torch.ops.aten._embedding_bag_forward_only(
        table, places, bags, False, 0, False, weights
    )
    return found[0]
