"""What the backends for a CPU share: packing of weights, and sampling of a patch.

Slots have different lengths, and each attends to its own positions only. There is no mask over
other pieces, so a piece's bits don't depend on the pieces beside it.

The arithmetic is in :mod:`scoregate.notagen.backends.compiled`, by compiled kernels, and in
:mod:`scoregate.notagen.backends.operators`, by PyTorch's operators, where there are none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.backend import NotFiniteError
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sounding import SILENT, Listener
from scoregate.notagen.text.patches import END, PAD, Patch
from scoregate.sampling import Sampling
from scoregate.token_sampling import sample_tokens

PATCH_BASE = "patch_level_decoder.base"
CHAR_BASE = "char_level_decoder.base.transformer"
SOUNDING = "char_level_decoder.sounding"
PROJECTIONS = {
    "qkv": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "feedforward_in": "mlp.c_fc",
    "feedforward_out": "mlp.c_proj",
}
"""The linear layers of a transformer layer: their names here and in the released weights."""


class CpuBackend(ABC):
    """NotaGen on a CPU; a :class:`scoregate.notagen.backends.backend.Backend`.

    Parameters
    ----------
    shape : ModelShape
    tensors : iterable of (str, Tensor)
        fp32, by the released keys. Each is packed and dropped before the next one is taken.
    precision : {'fp32', 'bf16', 'int8'}
        Of the linear layers. Norms, sums and the output layer are fp32 always.

    Attributes
    ----------
    packed : dict of str to object
        The packed linear layers, by the released keys without ``.weight``.
    patch_table : Tensor, (2048, hidden)
        A row for each position in a patch and each token.
    patch_positions, char_positions : Tensor, (positions, hidden)
        Position embeddings; the patch level's have the bias of the patch embedding added.
    char_table : Tensor, (128, hidden)
        Token embedding of the character level, tied to the output layer.
    sounding_table, sounding_out, sounding_bias : Tensor
        Of :class:`scoregate.notagen.model.network.SoundingInput`; (classes, width),
        (hidden, width) and (hidden,). Only where the shape has it.
    keys, values : list of Tensor
        The patch level's KV cache, one tensor for each layer.
    hidden : Tensor, (slots, hidden)
        The patch level's output for each slot's newest patch.
    """

    kernels = "none"

    def __init__(
        self, shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], precision: Precision
    ) -> None:
        self.shape = shape
        self.precision: Precision = precision
        self.packed: dict[str, Any] = {}
        plain = self._plain = self._pack_all(tensors)
        self.patch_table = plain["patch_level_decoder.patch_embedding.weight"]
        self.patch_positions = (
            plain[f"{PATCH_BASE}.wpe.weight"] + plain["patch_level_decoder.patch_embedding.bias"]
        )
        self.char_table = plain[f"{CHAR_BASE}.wte.weight"]
        self.char_positions = plain[f"{CHAR_BASE}.wpe.weight"]
        self.patch_norm = self.norm(f"{PATCH_BASE}.ln_f")
        self.char_norm = self.norm(f"{CHAR_BASE}.ln_f")
        if shape.sounding:
            self.sounding_table = plain[f"{SOUNDING}.table.weight"]
            self.sounding_out = plain[f"{SOUNDING}.out.weight"].t().contiguous()
            self.sounding_bias = plain[f"{SOUNDING}.out.bias"]
        self.token_offsets = torch.arange(PATCH_SIZE) * VOCABULARY
        self.slots = 0
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.hidden = torch.empty(0)

    def _pack_all(self, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """Pack the linear layers as they come; return the other tensors."""
        plain: dict[str, Tensor] = {}
        waiting: dict[str, Tensor] = {}
        for name, tensor in tensors:
            stem, _, kind = name.rpartition(".")
            if stem.endswith(tuple(PROJECTIONS.values())):
                waiting[name] = tensor
                weight, bias = waiting.get(f"{stem}.weight"), waiting.get(f"{stem}.bias")
                if weight is not None and bias is not None:
                    del waiting[f"{stem}.weight"], waiting[f"{stem}.bias"]
                    if stem.endswith(PROJECTIONS["qkv"]):
                        # The attention scale, 1/8, is a power of two: multiplying the query's
                        # part by it is exact.
                        weight[:, : self.shape.hidden] /= HEAD_SIZE**0.5
                        bias[: self.shape.hidden] /= HEAD_SIZE**0.5
                    self.packed[stem] = self.pack(weight, bias)
                    del weight, bias
            elif stem == "patch_level_decoder.patch_embedding" and kind == "weight":
                plain[name] = tensor.t().contiguous()
            else:
                plain[name] = tensor.contiguous()
            del tensor
        return plain

    def norm(self, name: str) -> tuple[Tensor, Tensor]:
        """Return gain and bias of a layer norm."""
        return self._plain[f"{name}.weight"], self._plain[f"{name}.bias"]

    @abstractmethod
    def pack(self, weight: Tensor, bias: Tensor) -> Any:
        """Pack a linear layer with a weight of (inputs, outputs)."""

    @abstractmethod
    def threads_in_use(self) -> AbstractContextManager[None]:
        """See :class:`.backend.Backend`."""

    @abstractmethod
    def open(self, slots: int) -> None:
        """See :class:`.backend.Backend`.

        The system provides the memory as the pieces grow: at most
        8 * layers * hidden * length bytes a slot in fp32.
        """

    def close(self) -> None:
        """Free the caches; no slot is open then."""
        self.keys, self.values, self.slots = [], [], 0

    @abstractmethod
    def prefill(self, slot: int, start: int, patches: Sequence[Patch]) -> None:
        """See :class:`.backend.Backend`."""

    @abstractmethod
    def decode(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> None:
        """See :class:`.backend.Backend`."""

    @abstractmethod
    def begin_patch(self, slots: Sequence[int]) -> Tensor:
        """Reset the character level's cache for some slots.

        Returns
        -------
        Tensor, (rows, hidden)
            The patch level's output of each slot: the character level's first input.
        """

    @abstractmethod
    def decode_characters(self, rows: np.ndarray, position: int, x: Tensor) -> Tensor:
        """Process one position of the character level.

        Parameters
        ----------
        rows : ndarray of int64
            Some of the rows that ``begin_patch`` began, in order. A row that was left out once
            does not come back.
        position : int
            0 to 15.
        x : Tensor, (rows, hidden)
            May be overwritten.

        Returns
        -------
        Tensor, (rows, hidden)
            Before the final norm.
        """

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Apply the final norm and the output layer: (rows, hidden) to (rows, 128)."""

    def sample(
        self,
        slots: Sequence[int],
        starts: Sequence[Patch],
        uniforms: Sequence[np.ndarray],
        sampling: Sampling,
        listeners: Sequence[Listener] = (),
    ) -> np.ndarray:
        """See :class:`.backend.Backend`."""
        tokens, forced, numbers = sampling_inputs(len(slots), range(len(slots)), starts, uniforms)
        active = np.arange(len(slots))  # rows that are still computed
        ended = np.zeros(len(slots), dtype=bool)  # which of the active rows have sampled END
        x = self.begin_patch(slots)
        for position in range(PATCH_SIZE):
            x = x + self.char_positions[position]
            if listeners:
                x += self.sounding([listeners[row] for row in active.tolist()])
            x = self.decode_characters(active, position, x)
            free = ~forced[active, position]
            if free.any():
                logits = self.logits(x)
                finite = np.isfinite(logits.numpy()).all(axis=1)
                if not finite.all():
                    raise NotFiniteError(active[~finite].tolist())
                probabilities = torch.softmax(logits, dim=-1).numpy()
                sampled = active[free]
                tokens[sampled, position] = sample_tokens(
                    probabilities[free], numbers[sampled, position], sampling
                )
                ended |= free & (tokens[active, position] == END)
                if ended.all():
                    break
                if ended.sum() * 4 >= len(active):
                    # Rows that have ended cost as much as the others: drop them.
                    active, ended = active[~ended], np.zeros(int((~ended).sum()), dtype=bool)
            for row in active.tolist() if listeners else ():
                listeners[row].hear(int(tokens[row, position]))
            x = self.char_table[torch.from_numpy(tokens[active, position])]
        return tokens

    def sounding(self, listeners: Sequence[Listener]) -> Tensor:
        """Return what the character level is told: (rows, hidden), fp32.

        A row's bits do not depend on how many there are: sums and GELU go row by row whatever the
        number, and the layer behind them is applied to one row at a time.
        """
        classes = np.array([listener.features for listener in listeners], dtype=np.int64)
        rows = np.flatnonzero(classes[:, 0] != SILENT)
        found = torch.zeros(len(listeners), self.shape.hidden)
        if len(rows):
            told = F.embedding_bag(torch.from_numpy(classes[rows]), self.sounding_table, mode="sum")
            told = F.gelu(told, approximate="tanh")
            for row, one in zip(rows.tolist(), told, strict=True):
                torch.addmv(self.sounding_bias, self.sounding_out, one, out=found[row])
        return found


def sampling_inputs(
    rows: int, targets: Iterable[int], starts: Sequence[Patch], uniforms: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay forced tokens and random numbers out as arrays.

    Parameters
    ----------
    rows : int
        Rows of the arrays.
    targets : iterable of int
        The row of each start.
    starts, uniforms
        See :meth:`.backend.Backend.sample`.

    Returns
    -------
    tokens : ndarray, (rows, 16), int64
        The starts, padded.
    forced : ndarray, (rows, 16), bool
        Where a token belongs to a start.
    numbers : ndarray, (rows, 16), float64
        The random number for each other token.
    """
    tokens = np.full((rows, PATCH_SIZE), PAD, dtype=np.int64)
    forced = np.zeros((rows, PATCH_SIZE), dtype=bool)
    numbers = np.zeros((rows, PATCH_SIZE))
    for row, start, drawn in zip(targets, starts, uniforms, strict=True):
        tokens[row, : len(start)] = start
        forced[row, : len(start)] = True
        numbers[row, len(start) :] = drawn
    return tokens, forced, numbers


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set PyTorch's number of threads for a while; the setting is the whole process's."""
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
