"""The model for a CPU: keys and values of both levels kept, many pieces side by side.

A *slot* holds one piece: its keys and values, its length and the patch level's last output.
Slots are of different lengths, and each is attended to over its own length only, so there is
no mask over other pieces and a piece's bits don't depend on its neighbours.

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

from notagen.device import Precision
from notagen.linear import Linear, pack
from notagen.model import NORM_EPSILON
from notagen.patches import END, PAD, Patch
from notagen.sampling import Sampling, draw
from notagen.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.errors import GenerationError

BLOCK = 64
"""Positions in a block of keys."""
_PATCH = "patch_level_decoder.base"
_CHAR = "char_level_decoder.base.transformer"


@dataclass(slots=True)
class Block:
    """One block's layers, ready to run; the query's part carries the attention's scale."""

    norm_1: tuple[Tensor, Tensor]
    qkv: Linear
    mixed: Linear
    norm_2: tuple[Tensor, Tensor]
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


class CachedModel:
    """NotaGen on a CPU, with caches.

    Parameters
    ----------
    shape : ModelShape
    tensors : iterable of (str, Tensor)
        fp32, by the released keys, each taken once and let go.
    precision : {'fp32', 'bf16', 'int8'}
        Of the linear layers; in the lower ones keys and values are kept in fp16. Norms,
        sums and the output layer are fp32 always.
    """

    def __init__(
        self, shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], precision: Precision
    ) -> None:
        self.shape = shape
        self.precision: Precision = precision
        # In the lower precisions rows depend on each other or on their number anyway.
        self.least = 2 if precision == "fp32" else 1
        self.kept = torch.float32 if precision == "fp32" else torch.float16
        plain: dict[str, Tensor] = {}
        packed: dict[str, Linear] = {}
        waiting: dict[str, Tensor] = {}
        for name, tensor in tensors:
            stem, _, kind = name.rpartition(".")
            if stem.endswith(("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")):
                waiting[name] = tensor
                weight, bias = waiting.get(f"{stem}.weight"), waiting.get(f"{stem}.bias")
                if weight is not None and bias is not None:
                    del waiting[f"{stem}.weight"], waiting[f"{stem}.bias"]
                    packed[stem] = self._pack(stem, weight, bias)
                    del weight, bias
            elif stem == "patch_level_decoder.patch_embedding" and kind == "weight":
                plain[name] = tensor.t().contiguous()
            else:
                plain[name] = tensor
            del tensor
        self.patch_table = plain["patch_level_decoder.patch_embedding.weight"]
        self.patch_bias = plain["patch_level_decoder.patch_embedding.bias"]
        self.patch_places = plain[f"{_PATCH}.wpe.weight"] + self.patch_bias
        self.char_table = plain[f"{_CHAR}.wte.weight"]
        self.char_places = plain[f"{_CHAR}.wpe.weight"]
        self.head = pack(self.char_table.t(), None, "fp32")
        self.patch_blocks = self._blocks(_PATCH, shape.patch_layers, plain, packed)
        self.char_blocks = self._blocks(_CHAR, shape.char_layers, plain, packed)
        self.patch_norm = _norm(plain, f"{_PATCH}.ln_f")
        self.char_norm = _norm(plain, f"{_CHAR}.ln_f")
        self._code_places = torch.arange(PATCH_SIZE) * VOCABULARY
        self.slots = 0

    def _pack(self, stem: str, weight: Tensor, bias: Tensor) -> Linear:
        if stem.endswith("attn.c_attn"):
            # The scale of the scores, 1/8, is a power of two: folding it in is exact.
            weight[:, : self.shape.hidden] /= HEAD_SIZE**0.5
            bias[: self.shape.hidden] /= HEAD_SIZE**0.5
        return pack(weight, bias, self.precision)

    @staticmethod
    def _blocks(
        base: str, layers: int, plain: dict[str, Tensor], packed: dict[str, Linear]
    ) -> list[Block]:
        return [
            Block(
                _norm(plain, f"{base}.h.{i}.ln_1"),
                packed[f"{base}.h.{i}.attn.c_attn"],
                packed[f"{base}.h.{i}.attn.c_proj"],
                _norm(plain, f"{base}.h.{i}.ln_2"),
                packed[f"{base}.h.{i}.mlp.c_fc"],
                packed[f"{base}.h.{i}.mlp.c_proj"],
            )
            for i in range(layers)
        ]

    def open(self, slots: int) -> None:
        """Make room for a number of pieces; what was kept before is forgotten.

        Memory is claimed by the system as the pieces grow: at most
        8 * layers * hidden * length bytes a slot in fp32.
        """
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

    def close(self) -> None:
        """Give the pieces' memory back."""
        self.keys, self.values, self.slots = [], [], 0

    def read(self, slot: int, first: int, patches: Sequence[Patch]) -> None:
        """Have a slot read several patches, from position ``first`` on.

        What the slot held from there on is forgotten.
        """
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
        """Have each slot read one patch at its position: the batch's ordinary step."""
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

    def write(
        self,
        slots: Sequence[int],
        starts: Sequence[Patch],
        uniforms: Sequence[np.ndarray],
        sampling: Sampling,
    ) -> np.ndarray:
        """Draw the next patch of each slot.

        Parameters
        ----------
        slots : sequence of int
        starts : sequence of tuple of int
            The codes that each patch begins with.
        uniforms : sequence of ndarray
            For each slot 16 - len(start) random numbers.
        sampling : Sampling

        Returns
        -------
        ndarray, (slots, 16), int64
            What stands behind a patch's first END is not to be used.

        Raises
        ------
        GenerationError
            The model gave NaN or infinite logits.
        """
        rows, hidden, heads = len(slots), self.shape.hidden, self.shape.heads
        codes = np.full((rows, PATCH_SIZE), PAD, dtype=np.int64)
        forced = np.zeros((rows, PATCH_SIZE), dtype=bool)
        numbers = np.zeros((rows, PATCH_SIZE))
        for row, (start, drawn) in enumerate(zip(starts, uniforms, strict=True)):
            codes[row, : len(start)] = start
            forced[row, : len(start)] = True
            numbers[row, len(start) :] = drawn
        live = np.arange(rows)  # rows that are still computed ...
        over = np.zeros(rows, dtype=bool)  # ... and which of them have met their END
        caches = list(self.char_cache[:, : max(rows, self.least)])
        x = self._enough(self.encoded[torch.tensor(slots)])
        for at in range(PATCH_SIZE):
            x = x + self.char_places[at]
            for block, cache in zip(self.char_blocks, caches, strict=True):
                qkv = self._project(block, x).view(len(x), 3, heads, HEAD_SIZE)
                cache[:, :, :, at] = qkv[:, 1:]
                keys, values = cache[:, :, :, : at + 1].unbind(1)
                mixed = F.scaled_dot_product_attention(
                    qkv[:, 0].unsqueeze(2), keys, values, scale=1.0
                )
                x = self._finish(block, mixed.reshape(-1, hidden), x)
            free = ~forced[live, at]
            if free.any():
                x = F.layer_norm(x, (hidden,), *self.char_norm, NORM_EPSILON)
                logits = self.head(x)[: len(live)]
                if not np.isfinite(logits.numpy()).all():
                    raise GenerationError(
                        "The model gave logits that are not finite.",
                        "The weights are damaged, or the precision is too low for them: "
                        "`scoregate weights check`, or precision='fp32'.",
                    )
                probabilities = torch.softmax(logits, dim=-1).numpy()
                drawing = live[free]
                codes[drawing, at] = draw(probabilities[free], numbers[drawing, at], sampling)
                over |= free & (codes[live, at] == END)
                if over.all():
                    break
                if over.sum() * 4 >= len(live):
                    # Rows that are done cost as much as the others: leave them out.
                    places = torch.from_numpy(np.flatnonzero(~over))
                    live, over = live[~over], np.zeros(len(places), dtype=bool)
                    if len(places) < self.least:
                        places = places.expand(self.least)
                    caches = [cache[places] for cache in caches]
            x = self._enough(self.char_table[torch.from_numpy(codes[live, at])])
        return codes

    def _enough(self, x: Tensor) -> Tensor:
        """Double a single row where a layer's result depends on there being more than one."""
        return x if len(x) >= self.least else x.expand(self.least, -1).contiguous()

    def _embed(self, patches: Sequence[Patch], places: Tensor) -> Tensor:
        """Return patches with their positions: (at least ``least`` rows, hidden)."""
        columns = torch.tensor(patches) + self._code_places
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


def _norm(plain: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return plain[f"{name}.weight"], plain[f"{name}.bias"]
