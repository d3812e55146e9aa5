"""The model for a CPU on compiled kernels: a whole stack is one call.

Rows of a step are positions of slots in any mixture: the newest patch of every piece, or many
patches of one. Each row's result is the same whatever the others are.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.cpu import CHAR_BASE, LAYERS, PATCH_BASE, CachedModel
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.kernels import LANES, MOST_ROWS, Packed
from scoregate.notagen.backends.threads import ThreadChooser
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.text.patches import Patch


class NativeModel(CachedModel):
    """NotaGen on a CPU by the compiled kernels.

    Parameters
    ----------
    level : Level
        See :mod:`scoregate.notagen.backends.kernels`.
    shape, tensors, precision
        See :class:`scoregate.notagen.backends.cpu.CachedModel`. In the lower precisions keys and
        values are
        kept in fp16 where the processor converts them.

    Attributes
    ----------
    threads : int
        Of the kernels; set PyTorch's own to one, so that its idle threads do not spin.
    """

    def __init__(
        self,
        level: kernels.Level,
        shape: ModelShape,
        tensors: Iterable[tuple[str, Tensor]],
        precision: Precision,
    ) -> None:
        self.level, self.kernels = level, level.name.decode()
        self.half = bool(precision != "fp32" and level.half)
        super().__init__(shape, tensors, precision)
        self.head = Packed(level, self.char_table.t(), None, "fp32")
        self._patch_blocks = self._blocks(PATCH_BASE, shape.patch_layers)
        self._char_blocks = self._blocks(CHAR_BASE, shape.char_layers)
        self.threads = 1
        self._chooser: ThreadChooser | None = None

    def adapt_threads(self, most: int) -> None:
        """Use as many threads as pay at the moment, at most so many; texts stay the same."""
        self._chooser = ThreadChooser(most) if most > 1 else None

    def pack(self, weight: Tensor, bias: Tensor) -> Packed:
        return Packed(self.level, weight, bias, self.precision)

    def _blocks(self, base: str, layers: int) -> ctypes.Array[kernels.Block]:
        blocks = (kernels.Block * layers)()
        for i, block in enumerate(blocks):
            for number in (1, 2):
                gain, bias = self.norm(f"{base}.h.{i}.ln_{number}")
                setattr(block, f"gain_{number}", gain.data_ptr())
                setattr(block, f"bias_{number}", bias.data_ptr())
            for field, name in LAYERS.items():
                setattr(block, field, self.packed[f"{base}.h.{i}.{name}"].layer)
        return blocks

    def open(self, slots: int) -> None:
        self.close()
        self.capacity = -(-self.shape.length // LANES) * LANES
        kept = torch.float16 if self.half else torch.float32
        self.keys, self.values = self._caches(self._patch_blocks, slots, self.capacity, kept)
        # A patch's characters are few: nothing to gain from smaller numbers.
        self._char_caches = self._caches(self._char_blocks, slots, PATCH_SIZE, torch.float32)
        self.encoded = torch.zeros(slots, self.shape.hidden)
        self.slots = slots

    def _caches(
        self, blocks: ctypes.Array[kernels.Block], slots: int, capacity: int, kept: torch.dtype
    ) -> tuple[list[Tensor], list[Tensor]]:
        size = slots * self.shape.heads * capacity * HEAD_SIZE
        keys = [torch.empty(size, dtype=kept) for _ in blocks]
        values = [torch.empty(size, dtype=kept) for _ in blocks]
        for block, key, value in zip(blocks, keys, values, strict=True):
            block.keys, block.values = key.data_ptr(), value.data_ptr()
        return keys, values

    def read(self, slot: int, first: int, patches: Sequence[Patch]) -> None:
        places = range(first, first + len(patches))
        self.encoded[slot] = self._read_patches([slot] * len(patches), places, patches)[-1]

    def step(self, slots: Sequence[int], places: Sequence[int], patches: Sequence[Patch]) -> None:
        self.encoded[list(slots)] = self._read_patches(slots, places, patches)

    def _read_patches(
        self, slots: Sequence[int], places: Sequence[int], patches: Sequence[Patch]
    ) -> Tensor:
        """Return the patch level's output for each patch: (patches, hidden)."""
        at = np.array(places)
        columns = torch.tensor(patches) + self.code_places
        x = F.embedding_bag(columns, self.patch_table, mode="sum")
        x += self.patch_places[torch.from_numpy(at)]
        self._run(self._patch_blocks, x, np.array(slots), at, self.capacity, self.half)
        return self._finish(x, self.patch_norm, None)

    def _run(
        self,
        blocks: ctypes.Array[kernels.Block],
        x: Tensor,
        slots: np.ndarray,
        places: np.ndarray,
        capacity: int,
        half: bool,
    ) -> None:
        """Take rows through a stack, in place."""
        threads = self._chooser.count if self._chooser else self.threads
        for start in range(0, len(x), MOST_ROWS):
            part = slice(start, start + MOST_ROWS)
            step = kernels.Step(
                blocks, len(blocks), self.shape.hidden, capacity, half, len(x[part]),
                slots[part].ctypes.data, places[part].ctypes.data, x[part].data_ptr(), threads,
            )  # fmt: skip
            self._check(self.level.step(ctypes.byref(step)))

    def _finish(self, x: Tensor, norm: tuple[Tensor, Tensor], logits: Tensor | None) -> Tensor:
        """Return rows through the final norm, and put the output layer's into ``logits``."""
        normed, (gain, bias) = torch.empty_like(x), norm
        for start in range(0, len(x), MOST_ROWS):
            part = slice(start, start + MOST_ROWS)
            self._check(
                self.level.head(
                    x[part].data_ptr(), len(x[part]), gain.data_ptr(), bias.data_ptr(),
                    ctypes.byref(self.head.layer), normed[part].data_ptr(),
                    None if logits is None else logits[part].data_ptr(),
                )
            )  # fmt: skip
        return normed

    @staticmethod
    def _check(done: int) -> None:
        if not done:
            raise MemoryError("out of memory in a step of the model")

    def begin_patches(self, slots: Sequence[int]) -> Tensor:
        if self._chooser:
            self._chooser.next_patch()
        return self.encoded[torch.tensor(slots)]

    def read_characters(self, rows: np.ndarray, at: int, x: Tensor) -> Tensor:
        began = time.perf_counter()
        self._run(self._char_blocks, x, rows, np.full(len(rows), at), PATCH_SIZE, False)
        if self._chooser:
            self._chooser.note(time.perf_counter() - began)
        return x

    def logits(self, x: Tensor) -> Tensor:
        logits = torch.empty(len(x), VOCABULARY)
        self._finish(x, self.char_norm, logits)
        return logits
