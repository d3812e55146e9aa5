"""Ties: pitches held until the note that continues them, in the same voice or in another.

Where two voices share a staff, or two staves belong to one instrument, engravers tie a note of
one voice to the same note in the other. Whether they do can be told only when every voice has
been read, so :func:`settle_ties` looks again at the ties that no note of their own voice has
continued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.score import Event, Voice


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


DANGLING = "tie-dangling"


def remark_on_tie(voice: str, tie: Tie, remarks: FindingCollector) -> None:
    """Remark on a tie that no note has continued."""
    remarks.add(
        DANGLING,
        "the tie leads to no note of the same pitch",
        "critical",
        voice,
        tie.number,
        tie.event.line,
        tie.event.column,
        tie.event.text[:30],
    )


def settle_ties(
    voices: Sequence[Voice], loose: Mapping[str, Sequence[Tie]], remarks: FindingCollector
) -> None:
    """Turn the remark on a tie that goes on in another voice of its instrument into a warning.

    Parameters
    ----------
    voices : sequence of Voice
        With their staves and braces.
    loose : mapping of str to sequence of Tie
        By voice, the ties that no note of the voice has continued.
    remarks : FindingCollector
        With a critical remark on each of them.
    """
    if not any(loose.values()):
        return
    sounding = _Sounding(voices)
    elsewhere = [
        (voice.id, tie)
        for voice in voices
        for tie in loose.get(voice.id, ())
        if sounding.goes_on(voice, tie)
    ]
    if not elsewhere:
        return
    met = {id(tie) for _, tie in elsewhere}
    remarks.withdraw(DANGLING, "critical")
    for voice in voices:
        for tie in loose.get(voice.id, ()):
            if id(tie) not in met:
                remark_on_tie(voice.id, tie, remarks)
    for name, tie in elsewhere:
        remarks.add(
            "tie-elsewhere",
            "the tied note goes on in another voice of the instrument, not in its own",
            "warning",
            name,
            tie.number,
            tie.event.line,
            tie.event.column,
            tie.event.text[:30],
        )


class _Sounding:
    """What sounds at a time in the voices of each instrument."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self.voices = voices
        self.bars = {voice.id: {bar.number: bar for bar in voice.bars} for voice in voices}

    def goes_on(self, voice: Voice, tie: Tie) -> bool:
        """Return whether a note of a tie begins behind it in another voice of the instrument.

        A note that another voice holds already, or ties over itself, is that voice's own.
        """
        bar = self.bars[voice.id].get(tie.number)
        if bar is None:
            return False
        number, time = tie.number, tie.event.onset + tie.event.duration
        if time >= bar.duration:
            number, time = number + 1, time - bar.duration
        pitches = set(tie.event.pitches)
        return any(
            self._begins(other, number, time, pitches, tie.event)
            for other in self.voices
            if other is voice or _same_instrument(voice, other)
        )

    def _begins(
        self, voice: Voice, number: int, time: Fraction, pitches: set[int], origin: Event
    ) -> bool:
        bar = self.bars[voice.id].get(number)
        return bar is not None and any(
            event.onset == time
            and not event.grace
            and event is not origin
            and not pitches.isdisjoint(set(event.pitches) - set(event.tied_pitches))
            for event in bar.events
        )


def _same_instrument(one: Voice, other: Voice) -> bool:
    return one.staff == other.staff or (one.brace is not None and one.brace == other.brace)
