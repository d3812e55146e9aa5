"""What generating gives back: the pieces, and the news on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scoregate.errors import GenerationError

Ended = Literal["finished", "length", "time", "stopped", "failed"]
"""``finished``: the model ended the piece. ``length``: ``max_patches`` or 102,400 characters
were reached. ``time``: ``max_seconds`` were over. ``stopped``: a person stopped the run.
``failed``: the whole context was filled without one line of music, or the model's numbers were
not finite any more; ``notes`` say which."""


class NotFiniteError(GenerationError):
    """Some rows' logits are NaN or infinite: their pieces can't go on.

    Parameters
    ----------
    rows : sequence of int
        Which of the rows of the step.
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


@dataclass(frozen=True, slots=True)
class Generation:
    """One written piece.

    Parameters
    ----------
    raw : str
        As the model wrote it: prompt lines first, ``[r:i/j]`` markers kept.
    text : str
        Finished ABC: markers and prompt lines gone, resting voices filled in, ``X:1``.
    ended : {'finished', 'length', 'time', 'stopped', 'failed'}
    seed : int
    patches : int
        Patches drawn, the thrown away ones included.
    bars : int
        Lines of the body; a line is one bar of all voices.
    redrawn_lines : int
        How often a line was refused and drawn again.
    kept_lines : int
        Refused lines that were kept all the same, the tries being used up.
    cuts : int
        How often the context was full and its older half left out.
    seconds : float
        From the piece's first patch to its last, beside the other pieces of its batch.
    notes : tuple of str
        Remarks for the person who asked: a transliterated prompt ...
    """

    raw: str
    text: str
    ended: Ended
    seed: int
    patches: int
    bars: int
    redrawn_lines: int
    kept_lines: int
    cuts: int
    seconds: float
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the texts, JSON-ready."""
        return {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("raw", "text")
        } | {"notes": list(self.notes)}


@dataclass(slots=True)
class Progress:
    """How far a call of ``generate`` has come.

    Parameters
    ----------
    done, total : int
        Pieces finished and asked for.
    bars, patches : int
        Written so far in all pieces.
    seconds : float
        Since the call.
    left : float or None
        Estimate of the seconds to come, from the counters that the pieces carry; None until
        some piece has begun its body.
    pieces : dict of int to tuple of int
        For each piece being written: its bars, and its bars in all or 0 if not known yet.
    """

    done: int
    total: int
    bars: int
    patches: int
    seconds: float
    left: float | None = None
    pieces: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        text = f"{self.bars} bars, {self.patches} patches"
        if self.left is None:
            return text
        return f"{text}, about {_duration(self.left)} left"


def _duration(seconds: float) -> str:
    """Return a duration in two units at most: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
