"""The number of notes and the length of each track of a MIDI file."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    notes: int
    ticks: int


def tracks(midi: bytes) -> list[Track]:
    """Count the notes of each track.

    Raises
    ------
    GateError
        When the bytes are not a complete MIDI file.
    """
    try:
        if midi[:4] != b"MThd":
            raise IndexError
        count, place = int.from_bytes(midi[10:12], "big"), 14
        result = []
        for _ in range(count):
            if midi[place : place + 4] != b"MTrk":
                raise IndexError
            end = place + 8 + int.from_bytes(midi[place + 4 : place + 8], "big")
            if end > len(midi):
                raise IndexError
            result.append(_track(midi, place + 8, end))
            place = end
    except IndexError:
        raise GateError("abc2midi wrote a MIDI file that breaks off.") from None
    return result


def _track(midi: bytes, place: int, end: int) -> Track:
    ticks = notes = status = 0
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
            place += 2
    return Track(notes, ticks)


def _number(midi: bytes, place: int) -> tuple[int, int]:
    value = midi[place] & 0x7F
    while midi[place] & 0x80:
        place += 1
        value = value << 7 | midi[place] & 0x7F
    return value, place + 1
