"""The model for a CPU: keys and values of both levels kept, many pieces side by side.

A *slot* holds one piece: its keys and values, its length and the patch level's last output.
Slots are of different lengths, and each is attended to over its own length only, so there is
no mask over other pieces and a piece's bits don't depend on its neighbours.

What every such model does is here; the arithmetic is in
:mod:`scoregate.notagen.backends.compiled`, by compiled
kernels, and in :mod:`scoregate.notagen.backends.operators`, by PyTorch's operators, for where
there are none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoregate.notagen.backends.backend import NotFiniteError
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sampling import draw
from scoregate.notagen.text.patches import END, PAD, Patch
from scoregate.sampling import Sampling

PATCH_BASE = "patch_level_decoder.base"
CHAR_BASE = "char_level_decoder.base.transformer"
LAYERS = {
    "qkv": "attn.c_attn",
    "mixed": "attn.c_proj",
    "inner": "mlp.c_fc",
    "outer": "mlp.c_proj",
}
"""A block's layers by their names here and in the released weights."""


class CachedModel(ABC):
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

    kernels = "none"
    """What computes: the instruction set of compiled kernels, or ``none``."""

    def __init__(
        self, shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], precision: Precision
    ) -> None:
        self.shape = shape
        self.precision: Precision = precision
        self.packed: dict[str, Any] = {}
        plain: dict[str, Tensor] = {}
        waiting: dict[str, Tensor] = {}
        for name, tensor in tensors:
            stem, _, kind = name.rpartition(".")
            if stem.endswith(tuple(LAYERS.values())):
                waiting[name] = tensor
                weight, bias = waiting.get(f"{stem}.weight"), waiting.get(f"{stem}.bias")
                if weight is not None and bias is not None:
                    del waiting[f"{stem}.weight"], waiting[f"{stem}.bias"]
                    if stem.endswith(LAYERS["qkv"]):
                        # The scale of the scores, 1/8, is a power of two: folding it into
                        # the query's part is exact.
                        weight[:, : shape.hidden] /= HEAD_SIZE**0.5
                        bias[: shape.hidden] /= HEAD_SIZE**0.5
                    self.packed[stem] = self.pack(weight, bias)
                    del weight, bias
            elif stem == "patch_level_decoder.patch_embedding" and kind == "weight":
                plain[name] = tensor.t().contiguous()
            else:
                plain[name] = tensor.contiguous()
            del tensor
        self._plain = plain
        self.patch_table = plain["patch_level_decoder.patch_embedding.weight"]
        self.patch_places = (
            plain[f"{PATCH_BASE}.wpe.weight"] + plain["patch_level_decoder.patch_embedding.bias"]
        )
        self.char_table = plain[f"{CHAR_BASE}.wte.weight"]
        self.char_places = plain[f"{CHAR_BASE}.wpe.weight"]
        self.patch_norm = self.norm(f"{PATCH_BASE}.ln_f")
        self.char_norm = self.norm(f"{CHAR_BASE}.ln_f")
        self.code_places = torch.arange(PATCH_SIZE) * VOCABULARY
        self.slots = 0
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Return a norm's gain and bias."""
        return self._plain[f"{name}.weight"], self._plain[f"{name}.bias"]

    @abstractmethod
    def pack(self, weight: Tensor, bias: Tensor) -> Any:
        """Make a layer from a weight of (inputs, outputs), to be found in ``packed``."""

    @abstractmethod
    def open(self, slots: int) -> None:
        """Make room for a number of pieces; what was kept before is forgotten.

        Memory is claimed by the system as the pieces grow: at most
        8 * layers * hidden * length bytes a slot in fp32.
        """

    def close(self) -> None:
        """Give the pieces' memory back."""
        self.keys, self.values, self.slots = [], [], 0

    @abstractmethod
    def read(self, slot: int, first: int, patches: Sequence[Patch]) -> None:
        """Have a slot read several patches, from position ``first`` on.

        What the slot held from there on is forgotten.
        """

    @abstractmethod
    def step(self, slots: Sequence[int], places: Sequence[int], patches: Sequence[Patch]) -> None:
        """Have each slot read one patch at its position: the batch's ordinary step."""

    @abstractmethod
    def begin_patches(self, slots: Sequence[int]) -> Tensor:
        """Return what the patch level said last of each slot: (rows, hidden)."""

    @abstractmethod
    def read_characters(self, rows: np.ndarray, at: int, x: Tensor) -> Tensor:
        """Have rows read their character at a position of the patch: (rows, hidden) each way.

        ``rows`` are some of those that ``begin_patches`` began, in order; a row that has been
        left out doesn't come back.
        """

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Return the output layer's: (rows, hidden) to (rows, 128)."""

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
        NotFiniteError
            The model gave NaN or infinite logits for some rows.
        """
        rows = len(slots)
        codes = np.full((rows, PATCH_SIZE), PAD, dtype=np.int64)
        forced = np.zeros((rows, PATCH_SIZE), dtype=bool)
        numbers = np.zeros((rows, PATCH_SIZE))
        for row, (start, drawn) in enumerate(zip(starts, uniforms, strict=True)):
            codes[row, : len(start)] = start
            forced[row, : len(start)] = True
            numbers[row, len(start) :] = drawn
        live = np.arange(rows)  # rows that are still computed ...
        over = np.zeros(rows, dtype=bool)  # ... and which of them have met their END
        x = self.begin_patches(slots)
        for at in range(PATCH_SIZE):
            x = self.read_characters(live, at, x + self.char_places[at])
            free = ~forced[live, at]
            if free.any():
                logits = self.logits(x)
                finite = np.isfinite(logits.numpy()).all(axis=1)
                if not finite.all():
                    raise NotFiniteError(live[~finite].tolist())
                probabilities = torch.softmax(logits, dim=-1).numpy()
                drawing = live[free]
                codes[drawing, at] = draw(probabilities[free], numbers[drawing, at], sampling)
                over |= free & (codes[live, at] == END)
                if over.all():
                    break
                if over.sum() * 4 >= len(live):
                    # Rows that are done cost as much as the others: leave them out.
                    live, over = live[~over], np.zeros(int((~over).sum()), dtype=bool)
            x = self.char_table[torch.from_numpy(codes[live, at])]
        return codes
