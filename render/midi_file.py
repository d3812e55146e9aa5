"""Writing a Standard MIDI File, format 1, with channels shared by instrument.

symusic gives each track its own channel and starts again at the first after the fifteenth, so
that the later tracks of a large orchestra change the instruments of the first ones. Here each
track has a channel of its own while there are enough. Beyond that, tracks of the same program
share a channel, and where there are more than fifteen programs, a program shares the channel of
the most similar one. The notes are the same in every case.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

CHANNELS = tuple(channel for channel in range(16) if channel != 9)
"""All but the one that General MIDI keeps for drums."""


@dataclass(slots=True)
class Note:
    """A note.

    Attributes
    ----------
    start, end : int
        In ticks.
    pitch, velocity : int
        From 0 to 127.
    """

    start: int
    end: int
    pitch: int
    velocity: int


@dataclass(slots=True)
class Track:
    """One track.

    Attributes
    ----------
    name : str
    program : int
        General MIDI program, from 0 to 127.
    notes : list of Note
    """

    name: str
    program: int
    notes: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class Conductor:
    """What applies to all tracks; times are in ticks.

    Attributes
    ----------
    title : str
    tempos : list of (int, float)
        Time and quarter notes a minute.
    metres : list of (int, int, int)
        Time, beats, beat unit (a power of two).
    keys : list of (int, int, bool)
        Time, sharps (negative: flats), minor.
    """

    title: str = ""
    tempos: list[tuple[int, float]] = field(default_factory=list)
    metres: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, bool]] = field(default_factory=list)


def midi_bytes(conductor: Conductor, tracks: Sequence[Track], ticks_per_quarter: int) -> bytes:
    """Return the bytes of the file; the same music gives the same bytes.

    Parameters
    ----------
    conductor : Conductor
    tracks : sequence of Track
    ticks_per_quarter : int
    """
    chunks = [_conductor_chunk(conductor)]
    for track, (channel, program) in zip(tracks, assign_channels(tracks), strict=True):
        chunks.append(_track_chunk(track, channel, program))
    header = struct.pack(">4sIHHH", b"MThd", 6, 1, len(chunks), ticks_per_quarter)
    return header + b"".join(chunks)


def assign_channels(tracks: Sequence[Track]) -> list[tuple[int, int]]:
    """Return (channel, program) for each track."""
    if len(tracks) <= len(CHANNELS):
        return [(CHANNELS[i], track.program) for i, track in enumerate(tracks)]
    notes = Counter[int]()
    for track in tracks:
        notes[track.program] += len(track.notes) + 1
    kept = {program for program, _ in notes.most_common(len(CHANNELS))}
    sound = {
        program: program
        if program in kept
        else min(kept, key=lambda other: _distance(program, other))
        for program in notes
    }
    channel = {program: CHANNELS[i] for i, program in enumerate(sorted(kept))}
    return [(channel[sound[track.program]], sound[track.program]) for track in tracks]


def _distance(program: int, other: int) -> tuple[int, int]:
    # General MIDI counts its families in eights.
    return abs(program // 8 - other // 8), abs(program - other)


def _conductor_chunk(conductor: Conductor) -> bytes:
    events: list[tuple[int, int, bytes]] = []
    if conductor.title:
        events.append((0, 0, _meta(0x03, _text(conductor.title))))
    for time, beats, unit in conductor.metres:
        power = max(unit.bit_length() - 1, 0)
        content = bytes([min(beats, 255), power, 24, 8])
        events.append((time, 1, _meta(0x58, content)))
    for time, sharps, minor in conductor.keys:
        events.append((time, 2, _meta(0x59, struct.pack("bB", sharps, minor))))
    for time, tempo in conductor.tempos:
        microseconds = min(max(round(60_000_000 / tempo), 1), 0xFFFFFF)
        events.append((time, 3, _meta(0x51, microseconds.to_bytes(3, "big"))))
    return _chunk(sorted(events))


def _track_chunk(track: Track, channel: int, program: int) -> bytes:
    events = [
        (0, 0, _meta(0x03, _text(track.name))),
        (0, 1, bytes([0xC0 | channel, program])),
    ]
    for note in track.notes:
        # Ends come before beginnings, so that a repeated note sounds again.
        events.append((note.start, 3, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((max(note.end, note.start + 1), 2, bytes([0x80 | channel, note.pitch, 64])))
    return _chunk(sorted(events))


def _chunk(events: list[tuple[int, int, bytes]]) -> bytes:
    content = bytearray()
    now = 0
    for time, _, event in events:
        content += _variable(time - now) + event
        now = time
    content += b"\x00\xff\x2f\x00"
    return struct.pack(">4sI", b"MTrk", len(content)) + bytes(content)


def _meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(content)) + content


def _text(text: str) -> bytes:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.encode("utf-8", "replace")[:200]


def _variable(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | (value & 0x7F))
    return bytes(reversed(digits))
