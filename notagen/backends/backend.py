"""The interface between the engine and what computes: prefill, decode, sample, KV caches.

A backend holds the weights and, while pieces are generated, a number of *slots*. A slot holds one
piece: the keys and values of its patches (the KV cache), and the patch level's output for its
newest patch. The engine says which patches a slot has to hold; the backend knows no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import numpy as np

from scoregate.errors import GenerationError
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.sounding import Listener
from scoregate.notagen.text.patches import Patch
from scoregate.sampling import Sampling


class NotFiniteError(GenerationError):
    """Some rows' logits are NaN or infinite: their pieces can't go on.

    Parameters
    ----------
    rows : sequence of int
        Which rows of the batch.
    """

    def __init__(self, rows: Sequence[int]) -> None:
        super().__init__(
            "The model gave logits that are not finite.",
            "The weights are damaged or their numbers too large: see `scoregate weights check`, "
            "and take precision='fp32' if it was another.",
        )
        self.rows = list(rows)

    def __reduce__(self) -> tuple:
        return (type(self), (self.rows,))


@runtime_checkable
class Backend(Protocol):
    """The arithmetic of NotaGen on one device.

    Attributes
    ----------
    shape : ModelShape
    kernels : str
        What computes: the instruction set of compiled kernels, or ``none`` for PyTorch's
        operators.
    slots : int
        How many slots are open.
    """

    shape: ModelShape
    kernels: str
    slots: int

    def open(self, slots: int) -> None:
        """Allocate caches for a number of slots; what older slots held is dropped.

        Raises
        ------
        MemoryError, RuntimeError
            Memory ran out: see :func:`scoregate.notagen.backends.device.is_out_of_memory`.
        """
        ...

    def close(self) -> None:
        """Free the caches; no slot is open then."""
        ...

    def threads_in_use(self) -> AbstractContextManager[None]:
        """Set the number of CPU threads while the context is open."""
        ...

    def prefill(self, slot: int, start: int, patches: Sequence[Patch]) -> None:
        """Process several patches of one slot at once.

        Parameters
        ----------
        slot : int
        start : int
            Position of the first patch; what the slot held from there on is overwritten.
        patches : sequence of tuple of int
            16 tokens each.
        """
        ...

    def decode(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> None:
        """Process one patch of each slot: the ordinary step of the patch level.

        Parameters
        ----------
        slots, positions : sequence of int
        patches : sequence of tuple of int
            16 tokens each.
        """
        ...

    def sample(
        self,
        slots: Sequence[int],
        starts: Sequence[Patch],
        uniforms: Sequence[np.ndarray],
        sampling: Sampling,
        listeners: Sequence[Listener] = (),
    ) -> np.ndarray:
        """Sample the next patch of each slot, token by token at the character level.

        Parameters
        ----------
        slots : sequence of int
        starts : sequence of tuple of int
            The tokens that each patch is forced to begin with, 0 to 15.
        uniforms : sequence of ndarray
            For each slot 16 - len(start) random numbers in [0, 1).
        sampling : Sampling
        listeners : sequence of Listener
            One for each slot where the shape has ``sounding``: at the end of the text before the
            patch. They hear the tokens as they are sampled.

        Returns
        -------
        ndarray, (slots, 16), int64
            Tokens behind a patch's first END are undefined.

        Raises
        ------
        NotFiniteError
            The model gave NaN or infinite logits for some rows.
        """
        ...
