"""Events: a pitch, a chord or a rest with a duration, and how music21's streams become events.

A score of one part is read as it stands. A score of several parts is first made into one stream
of chords (music21's ``chordify``), so that an event holds whatever sounds from one change to the
next. Grace notes have no duration and are left out. Ties are merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from music21 import stream

SLOWEST = Fraction(32)
"""Longest event in quarter notes: eight whole notes; longer ones are cut to it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A note, a chord or a rest.

    Attributes
    ----------
    pitches : tuple of int
        MIDI numbers (60 is C4) from the lowest up; empty for a rest.
    duration : Fraction
        In quarter notes, above 0.
    """

    pitches: tuple[int, ...]
    duration: Fraction

    def __str__(self) -> str:
        """Return the event as a word of the vocabulary: ``60.64:1/2``, ``r:1``."""
        return f"{'.'.join(map(str, self.pitches)) or 'r'}:{self.duration}"

    @classmethod
    def parse(cls, word: str) -> Event:
        """Read a word of the vocabulary; the inverse of ``str``.

        >>> Event.parse("60.64:1/2")
        Event(pitches=(60, 64), duration=Fraction(1, 2))
        """
        pitches, _, duration = word.partition(":")
        numbers = () if pitches == "r" else tuple(int(part) for part in pitches.split("."))
        return cls(numbers, Fraction(duration))


@dataclass(frozen=True, slots=True)
class Piece:
    """A score as one stream of events.

    Attributes
    ----------
    name : str
    events : tuple of Event
    metre : str
        The first time signature: ``6/8``.
    pickup : Fraction
        Quarter notes before the first full bar; 0 where the piece begins with one.
    """

    name: str
    events: tuple[Event, ...]
    metre: str
    pickup: Fraction = Fraction(0)


class UnusableError(ValueError):
    """A score has no note, or its bars can't be counted off by one metre."""


def bar_length(metre: str) -> Fraction:
    """Return the length of a bar in quarter notes.

    >>> bar_length("6/8")
    Fraction(3, 1)
    """
    beats, _, unit = metre.partition("/")
    return Fraction(int(beats) * 4, int(unit))


def read_stream(score: stream.Stream, name: str) -> Piece:
    """Return a parsed score as a piece.

    Parameters
    ----------
    score : music21.stream.Stream
        As ``music21.converter.parse`` returns it.
    name : str
        For messages and for the split.

    Raises
    ------
    UnusableError
        There is no note in it, its metre changes, or its bars don't follow the metre.
    """
    parts = list(getattr(score, "parts", ()))
    if len(parts) > 1:
        part: Any = score.chordify(removeRedundantPitches=True)
    else:
        part = parts[0] if parts else score
    metres = [found.ratioString for found in part.recurse().getElementsByClass("TimeSignature")]
    metre = metres[0] if metres else "4/4"
    if len(set(metres)) > 1:
        raise UnusableError(f"its metre changes ({', '.join(dict.fromkeys(metres))})")
    pickup = _pickup(part, bar_length(metre))
    flat = part.stripTies(inPlace=False).flatten()
    events: list[Event] = []
    for element in flat.notesAndRests:
        duration = Fraction(element.quarterLength).limit_denominator(48)
        if duration <= 0:
            continue
        if element.isRest:
            pitches: tuple[int, ...] = ()
        elif hasattr(element, "pitches"):
            pitches = tuple(sorted({int(pitch.midi) for pitch in element.pitches}))
        else:
            continue
        events.append(Event(pitches, min(duration, SLOWEST)))
    while events and not events[-1].pitches:
        events.pop()
    if not any(event.pitches for event in events):
        raise UnusableError("it has no notes")
    return Piece(name, tuple(_merge_rests(events)), metre, pickup)


def _pickup(part: Any, bar: Fraction) -> Fraction:
    """Return the length of a first bar that is shorter than the metre, else 0.

    Raises
    ------
    UnusableError
        A full bar begins where, counted from the start, no bar begins: barlines counted off by
        the metre would stand at other places than the score's.
    """
    lengths = [
        Fraction(measure.duration.quarterLength).limit_denominator(48)
        for measure in part.recurse().getElementsByClass("Measure")
    ]
    lengths = [length for length in lengths if length > 0]
    pickup = lengths[0] if lengths and lengths[0] < bar else Fraction(0)
    position = Fraction(0)
    for number, length in enumerate(lengths[1:] if pickup else lengths, start=1):
        if length > bar or (length == bar and position % bar):
            raise UnusableError(f"bar {number} does not follow the metre")
        position += length
    return pickup


def _merge_rests(events: Sequence[Event]) -> list[Event]:
    """Join rests that follow one another."""
    merged: list[Event] = []
    for event in events:
        if merged and not event.pitches and not merged[-1].pitches:
            joined = min(merged[-1].duration + event.duration, SLOWEST)
            merged[-1] = Event((), joined)
        else:
            merged.append(event)
    return merged
