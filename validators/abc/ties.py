"""Ties in the air: pitches held on until the note that takes them up."""

from __future__ import annotations

from validators.score import Event


class Tie:
    """Where a tie (or the ties of one chord) begins, and whether it has led anywhere."""

    __slots__ = ("event", "met", "number")

    def __init__(self, event: Event, number: int) -> None:
        self.event = event
        self.number = number
        self.met = False


Ties = dict[int, tuple[int, Tie]]
"""Sounding pitch that is held -> its staff step, and where its tie begins."""
