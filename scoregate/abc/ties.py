"""Ties in the air: pitches held on until the note that takes them up."""

from __future__ import annotations

from scoregate.abc.score import Event


class Tie:
    """Where a tie (or the ties of one chord) begins, and whether it has led anywhere."""

    __slots__ = ("event", "met", "number")

    def __init__(self, event: Event, number: int) -> None:
        self.event = event
        self.number = number
        self.met = False


Ties = dict[int, tuple[int, Tie]]
"""Sounding pitch that is held -> its staff step, and where its tie begins."""


def copy_ties(ties: Ties) -> Ties:
    """Return ties of their own: what meets the copy doesn't touch the original."""
    new: dict[int, Tie] = {}
    copied: Ties = {}
    for pitch, (step, tie) in ties.items():
        twin = new.get(id(tie))
        if twin is None:
            twin = new[id(tie)] = Tie(tie.event, tie.number)
            twin.met = tie.met
        copied[pitch] = (step, twin)
    return copied
