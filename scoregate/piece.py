"""A draft: a piece as the model wrote it, with everything that shaped it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Draft:
    """One generated piece on its way to the gates.

    Parameters
    ----------
    raw : str
        As the model wrote it, prompt lines and ``[r:i/j]`` markers included.
    text : str
        Finished ABC: markers stripped, resting voices completed, ``X:1``.
    ended : str
        ``finished``, ``length``, ``time``, ``stopped`` or ``failed``: why the engine stopped.
    style : str
    seed, round : int
    provenance : dict
        JSON-ready: weights, sampling, seed, engine, device, precision, redrawn lines.
    """

    raw: str
    text: str
    ended: str
    style: str
    seed: int
    round: int
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Twelve hex digits that name this draft within a run."""
        return hashlib.sha256(f"{self.seed}\n{self.raw}".encode()).hexdigest()[:12]


class Batch(Sequence[Item]):
    """A sequence that Prefect passes on without walking through it.

    Prefect looks for futures inside every list and dataclass it is handed, field by
    field. A batch of scores holds tens of thousands of events, and none is a future.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Batch[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Batch[Item]:
        if isinstance(index, slice):
            return Batch(self._items[index])
        return self._items[index]

    def __repr__(self) -> str:
        return f"Batch of {len(self)}"
