"""A piece on its way along the production line, and batches of pieces.

One :class:`Piece` is made when a text has been generated, and each step fills in its part:

===========  ===========================================================================
step         fills in
===========  ===========================================================================
generate     ``style``, ``round``, ``generation``, ``origin``
read         ``score``
gates        ``outcomes``, one of each gate
judge        ``status``, ``reasons``, ``findings``, ``thresholds``, ``title``, ``summary``
render       ``files``, ``notes``; ``score`` is dropped
archive      nothing; ``files`` and ``outcomes`` are dropped
===========  ===========================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from scoregate.abc.score import Score
from scoregate.findings import Finding, Outcome, Status
from scoregate.generator import Generation

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class Piece:
    """One piece, from the generated text to the files that are archived.

    Attributes
    ----------
    style : str
        Style that was asked for.
    round : int
        Round of the run that generated it, counted from 1.
    generation : Generation
        The text as the model wrote it, the finished text, the seed, and how it ended.
    origin : mapping
        What shaped all pieces of the round, JSON-ready: generator, weights, sampling, limits.
        One mapping that the pieces of a round share.
    index : int
        Place of its seed among those of the round, counted from 0.
    score : Score or None
        The finished text as read; None before it is read and after it is rendered.
    outcomes : dict of str to Outcome
        By name of the gate.
    status : Status or None
        None before the verdict.
    reasons : list of str
        Why the piece did not pass, in a few words each; empty for one that did.
    findings : list of Finding
        Of all gates: critical ones first, then by position. Lines and columns are those of
        the text as the model wrote it.
    thresholds : dict
        The thresholds it was judged by, JSON-ready.
    title : str
        Title in the header of the text; usually empty.
    summary : dict
        ``bars``, ``voices``, ``key``, ``metre`` and ``tempo``.
    files : dict of str to bytes
        Rendered files by their names in the archive.
    notes : list of str
        What could not be rendered, and why.
    """

    style: str
    round: int
    generation: Generation
    origin: Mapping[str, Any] = field(default_factory=dict)
    index: int = 0
    score: Score | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    status: Status | None = None
    reasons: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    thresholds: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The finished text: what the gates judge, what is rendered, and what is archived."""
        return self.generation.text

    @property
    def raw(self) -> str:
        """The text as the model wrote it."""
        return self.generation.raw

    @property
    def seed(self) -> int:
        """The seed that the piece was generated with."""
        return self.generation.seed

    @property
    def id(self) -> str:
        """The id of the piece in the archive: see :func:`piece_id`."""
        return piece_id(self.text)

    @property
    def passed(self) -> bool:
        """Whether the status is ``Status.PASSED``."""
        return self.status is Status.PASSED

    @property
    def measures(self) -> dict[str, float]:
        """Measures of all gates, by name."""
        return {
            name: value
            for outcome in self.outcomes.values()
            for name, value in outcome.measures.items()
        }

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything that shaped the piece, JSON-ready."""
        return {**self.origin, "round": self.round, **self.generation.as_dict()}


def piece_id(text: str) -> str:
    """Return the id of a finished ABC text: the SHA-256 of its bytes in UTF-8."""
    # UTF-8 can't hold lone surrogates: the archive writes them as escapes.
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


class Batch(Sequence[Item]):
    """A sequence that Prefect passes on without walking through it.

    Prefect looks for futures inside every list and dataclass that it is handed, field by
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
