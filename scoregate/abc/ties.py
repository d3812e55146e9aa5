"""Ties that are open: pitches held until the note that continues them."""

from __future__ import annotations

from scoregate.abc.score import Event


class Tie:
    """Where a tie (or the ties of one chord) begins.

    Attributes
    ----------
    event : Event
        The note or chord that is tied.
    number : int
        Number of its bar.
    met : bool
        Whether a note has continued it.
    """

    __slots__ = ("event", "met", "number")

    def __init__(self, event: Event, number: int) -> None:
        self.event = event
        self.number = number
        self.met = False


Ties = dict[int, tuple[int, Tie]]
"""Sounding pitch that is held -> its staff step, and where its tie begins."""


def copy_ties(ties: Ties) -> Ties:
    """Return a copy of ties; a note that meets the copy leaves the original unmet."""
    new: dict[int, Tie] = {}
    copied: Ties = {}
    for pitch, (step, tie) in ties.items():
        twin = new.get(id(tie))
        if twin is None:
            twin = new[id(tie)] = Tie(tie.event, tie.number)
            twin.met = tie.met
        copied[pitch] = (step, twin)
    return copied
