"""The backend for a CPU on compiled kernels: a pass through a whole stack is one call.

The rows of a pass are positions of slots in any mixture: the newest patch of every piece, or many
patches of one. Each row's result is the same whatever the other rows are.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.cpu import (
    CHAR_BASE,
    PATCH_BASE,
    PROJECTIONS,
    CpuBackend,
    torch_threads,
)
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.kernels import LANES, MAX_ROWS, PackedLinear
from scoregate.notagen.backends.threads import ThreadChooser
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.text.patches import Patch

Layers = ctypes.Array[kernels.Layer]


class CompiledBackend(CpuBackend):
    """NotaGen on a CPU by the compiled kernels.

    Parameters
    ----------
    kernel_set : KernelSet
        See :mod:`scoregate.notagen.backends.kernels`.
    shape, tensors, precision
        See :class:`scoregate.notagen.backends.cpu.CpuBackend`. In the lower precisions the patch
        level's keys and values are fp16 where the processor converts them.

    Attributes
    ----------
    threads : int
        Of the kernels.
    """

    def __init__(
        self,
        kernel_set: kernels.KernelSet,
        shape: ModelShape,
        tensors: Iterable[tuple[str, Tensor]],
        precision: Precision,
    ) -> None:
        self.kernel_set, self.kernels = kernel_set, kernel_set.name.decode()
        self.fp16_cache = bool(precision != "fp32" and kernel_set.fp16_cache)
        super().__init__(shape, tensors, precision)
        self.output = PackedLinear(kernel_set, self.char_table.t(), None, "fp32")
        self._patch_layers = self._layers(PATCH_BASE, shape.patch_layers)
        self._char_layers = self._layers(CHAR_BASE, shape.char_layers)
        self.threads = 1
        self._chooser: ThreadChooser | None = None

    def set_threads(self, count: int, adapt: bool) -> None:
        """Set the number of the kernels' threads; texts stay the same.

        Parameters
        ----------
        count : int
        adapt : bool
            Use at most ``count`` threads, as many as pay at the moment.
        """
        self.threads = count
        self._chooser = ThreadChooser(count) if adapt and count > 1 else None

    def threads_in_use(self) -> AbstractContextManager[None]:
        """See :class:`.backend.Backend`."""
        # The kernels have threads of their own. PyTorch's are set to one, so that idle ones do
        # not take processor time while they wait for work.
        return torch_threads(1)

    def pack(self, weight: Tensor, bias: Tensor) -> PackedLinear:
        """See :class:`CpuBackend`."""
        return PackedLinear(self.kernel_set, weight, bias, self.precision)

    def _layers(self, base: str, count: int) -> Layers:
        layers = (kernels.Layer * count)()
        for i, layer in enumerate(layers):
            for number in (1, 2):
                gain, bias = self.norm(f"{base}.h.{i}.ln_{number}")
                setattr(layer, f"gain_{number}", gain.data_ptr())
                setattr(layer, f"bias_{number}", bias.data_ptr())
            for field, name in PROJECTIONS.items():
                setattr(layer, field, self.packed[f"{base}.h.{i}.{name}"].struct)
        return layers

    def open(self, slots: int) -> None:
        """See :class:`CpuBackend`."""
        self.close()
        self.capacity = -(-self.shape.length // LANES) * LANES
        dtype = torch.float16 if self.fp16_cache else torch.float32
        self.keys, self.values = self._caches(self._patch_layers, slots, self.capacity, dtype)
        # The character level has 16 positions: nothing is gained from smaller numbers there.
        self._char_cache = self._caches(self._char_layers, slots, PATCH_SIZE, torch.float32)
        self.hidden = torch.zeros(slots, self.shape.hidden)
        self.slots = slots

    def _caches(
        self, layers: Layers, slots: int, capacity: int, dtype: torch.dtype
    ) -> tuple[list[Tensor], list[Tensor]]:
        size = slots * self.shape.heads * capacity * HEAD_SIZE
        keys = [torch.empty(size, dtype=dtype) for _ in layers]
        values = [torch.empty(size, dtype=dtype) for _ in layers]
        for layer, key, value in zip(layers, keys, values, strict=True):
            layer.keys, layer.values = key.data_ptr(), value.data_ptr()
        return keys, values

    def prefill(self, slot: int, start: int, patches: Sequence[Patch]) -> None:
        """See :class:`.backend.Backend`."""
        positions = range(start, start + len(patches))
        self.hidden[slot] = self._patch_level([slot] * len(patches), positions, patches)[-1]

    def decode(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> None:
        """See :class:`.backend.Backend`."""
        self.hidden[list(slots)] = self._patch_level(slots, positions, patches)

    def _patch_level(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> Tensor:
        """Return the patch level's output for each patch: (patches, hidden)."""
        at = np.array(positions)
        columns = torch.tensor(patches) + self.token_offsets
        x = F.embedding_bag(columns, self.patch_table, mode="sum")
        x += self.patch_positions[torch.from_numpy(at)]
        self._forward(self._patch_layers, x, np.array(slots), at)
        return self._final_norm(x, self.patch_norm, None)

    def _forward(self, layers: Layers, x: Tensor, slots: np.ndarray, positions: np.ndarray) -> None:
        """Compute a stack's layers for some rows, in place."""
        at_patches = layers is self._patch_layers
        threads = self._chooser.count if self._chooser else self.threads
        for start in range(0, len(x), MAX_ROWS):
            part = slice(start, start + MAX_ROWS)
            batch = kernels.Batch(
                layers, len(layers), self.shape.hidden,
                self.capacity if at_patches else PATCH_SIZE, self.fp16_cache and at_patches,
                len(x[part]), slots[part].ctypes.data, positions[part].ctypes.data,
                x[part].data_ptr(), threads,
            )  # fmt: skip
            self._check(self.kernel_set.forward(ctypes.byref(batch)))

    def _final_norm(self, x: Tensor, norm: tuple[Tensor, Tensor], logits: Tensor | None) -> Tensor:
        """Return rows after the final norm; fill ``logits`` from the output layer if given."""
        normed, (gain, bias) = torch.empty_like(x), norm
        for start in range(0, len(x), MAX_ROWS):
            part = slice(start, start + MAX_ROWS)
            self._check(
                self.kernel_set.output(
                    x[part].data_ptr(), len(x[part]), gain.data_ptr(), bias.data_ptr(),
                    ctypes.byref(self.output.struct), normed[part].data_ptr(),
                    None if logits is None else logits[part].data_ptr(),
                )
            )  # fmt: skip
        return normed

    @staticmethod
    def _check(done: int) -> None:
        if not done:
            raise MemoryError("out of memory in the kernels")

    def begin_patch(self, slots: Sequence[int]) -> Tensor:
        """See :class:`CpuBackend`."""
        if self._chooser:
            self._chooser.next_patch()
        return self.hidden[torch.tensor(slots)]

    def decode_characters(self, rows: np.ndarray, position: int, x: Tensor) -> Tensor:
        """See :class:`CpuBackend`."""
        began = time.perf_counter()
        self._forward(self._char_layers, x, rows, np.full(len(rows), position))
        if self._chooser:
            self._chooser.add(time.perf_counter() - began)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """See :class:`CpuBackend`."""
        logits = torch.empty(len(x), VOCABULARY)
        self._final_norm(x, self.char_norm, logits)
        return logits
