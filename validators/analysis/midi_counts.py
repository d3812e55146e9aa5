"""The notes and the length of each track of a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from scoregate.compiled import loops
from scoregate.errors import GateError


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a MIDI file.

    Attributes
    ----------
    notes : int
        Note-on events with a velocity above 0.
    ticks : int
        Length of the track.
    onsets : tuple of Fraction
        When its notes begin, in whole notes from the beginning, ascending; one for each note.
        Empty unless asked for.
    """

    notes: int
    ticks: int
    onsets: tuple[Fraction, ...] = ()


def tracks(midi: bytes, onsets: bool = False) -> list[Track]:
    """Count the notes of each track.

    Parameters
    ----------
    midi : bytes
    onsets : bool
        Whether to note when each note begins.

    Raises
    ------
    GateError
        When the bytes are not a complete MIDI file.
    """
    try:
        if midi[:4] != b"MThd":
            raise IndexError
        count, place = int.from_bytes(midi[10:12], "big"), 14
        whole = 4 * int.from_bytes(midi[12:14], "big") if onsets else 0
        result = []
        for _ in range(count):
            if midi[place : place + 4] != b"MTrk":
                raise IndexError
            end = place + 8 + int.from_bytes(midi[place + 4 : place + 8], "big")
            if end > len(midi):
                raise IndexError
            counted = None if onsets or loops is None else loops.count_notes(midi, place + 8, end)
            result.append(Track(*counted) if counted else _track(midi, place + 8, end, whole))
            place = end
    except IndexError:
        raise GateError("abc2midi wrote a MIDI file that breaks off.") from None
    return result


def _track(midi: bytes, place: int, end: int, whole: int) -> Track:
    """Read a track; `whole` is the ticks of a whole note, or 0 for no onsets."""
    ticks = notes = status = 0
    onsets: list[Fraction] = []
    while place < end:
        delta, place = _number(midi, place)
        ticks += delta
        if midi[place] >= 0x80:
            status = midi[place]
            place += 1
        if status >= 0xF0:  # a meta event has its type before the length
            length, place = _number(midi, place + (status == 0xFF))
            place += length
        elif 0xC0 <= status < 0xE0:
            place += 1
        else:
            if status & 0xF0 == 0x90 and midi[place + 1]:
                notes += 1
                if whole:
                    onsets.append(Fraction(ticks, whole))
            place += 2
    return Track(notes, ticks, tuple(onsets))


def _number(midi: bytes, place: int) -> tuple[int, int]:
    value = midi[place] & 0x7F
    while midi[place] & 0x80:
        place += 1
        value = value << 7 | midi[place] & 0x7F
    return value, place + 1
