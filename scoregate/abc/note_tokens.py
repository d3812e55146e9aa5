"""Notes and chords as written: token -> duration, staff steps, accidentals, ties.

The meaning of a token depends only on its text and on the unit length, so each is read once and
looked up afterwards.

Examples
--------
>>> from scoregate.abc.lengths import WHOLE
>>> tokens = tokens_of(WHOLE // 4)
>>> note = tokens.note("^c'3/2-")
>>> note.natural, note.alter, note.step, note.tie, note.ticks == WHOLE * 3 // 8
(84, 1, 14, True, True)
>>> tokens.note("C/3"), tokens.rest("z0")
(None, None)
>>> chord = tokens.chord("[C2E]3")
>>> chord.ticks == WHOLE * 6 // 4, [note.natural for note in chord.notes]
(True, [60, 64])
"""

from __future__ import annotations

from typing import NamedTuple

from scoregate.abc.keys import ALTERATION, SEMITONES
from scoregate.abc.lengths import MAX_DIGITS, Ticks, read_length, scale
from scoregate.abc.lexer import CHORD_PARTS, NOTE_PARTS

MAX_OCTAVE_MARKS = 9
"""More than any pitch needs."""

_ALTERATION = {**ALTERATION, "": None, None: None}


class Note(NamedTuple):
    """A note as written.

    ``step`` counts diatonic steps (C = 0, c = 7), ``letter`` is 0 for C to 6 for B,
    ``natural`` is the MIDI pitch without alteration, ``alter`` None without accidental.
    """

    ticks: Ticks
    step: int
    letter: int
    alter: int | None
    natural: int
    tie: bool


class Chord(NamedTuple):
    """A chord as written: its duration is that of its first note times the length behind."""

    ticks: Ticks
    notes: tuple[Note, ...]
    tie: bool


class Tokens:
    """The notes, chords and rests of one unit length, by their text.

    ``None`` stands for a token whose length or octave can't be taken.
    """

    __slots__ = ("chords", "notes", "rests", "unit")

    def __init__(self, unit: Ticks) -> None:
        self.unit = unit
        self.notes: dict[str, Note | None] = {}
        self.chords: dict[str, Chord | None] = {}
        self.rests: dict[str, Ticks | None] = {}

    def note(self, token: str) -> Note | None:
        """Return the note of `token`, working it out the first time."""
        if len(self.notes) > 20_000:
            self.notes.clear()
        value = self.notes[token] = _note(token, self.unit)
        return value

    def chord(self, token: str) -> Chord | None:
        """Return the chord of `token` (notes only inside)."""
        if len(self.chords) > 20_000:
            self.chords.clear()
        value = self.chords[token] = _chord(token, self.unit)
        return value

    def rest(self, token: str) -> Ticks | None:
        """Return the duration of ``z...``, ``x...``."""
        if len(self.rests) > 20_000:
            self.rests.clear()
        length = read_length(token[1:])
        if length is None and token[0] == "x":
            length = _any_length(token[1:])
        value = self.rests[token] = None if length is None else scale(self.unit, *length)
        return value


_tables: dict[Ticks, Tokens] = {}


def tokens_of(unit: Ticks) -> Tokens:
    """Return the table of one unit length."""
    table = _tables.get(unit)
    if table is None:
        if len(_tables) > 64:
            _tables.clear()
        table = _tables[unit] = Tokens(unit)
    return table


def _any_length(text: str) -> tuple[int, int] | None:
    """Return a length that no note has, such as ``14/3``: an invisible rest is only space."""
    number, slash, below = text.partition("/")
    if not slash or not below.isdigit() or len(number) > MAX_DIGITS or len(below) > MAX_DIGITS:
        return None
    length = (int(number) if number else 1, int(below))
    return length if all(length) else None


def _note(token: str, unit: Ticks) -> Note | None:
    match = NOTE_PARTS.fullmatch(token)
    if match is None:
        return None
    return _from_match(match, unit)


def _from_match(match, unit: Ticks) -> Note | None:
    accidental, name, marks, length, tie = match.groups()
    fraction = read_length(length)
    if fraction is None or len(marks) > MAX_OCTAVE_MARKS:
        return None
    upper = name.upper()
    letter = "CDEFGAB".index(upper)
    octave = (0 if name is upper or name == upper else 1) + marks.count("'") - marks.count(",")
    return Note(
        scale(unit, *fraction),
        7 * octave + letter,
        letter,
        _ALTERATION[accidental],
        60 + 12 * octave + SEMITONES[letter],
        bool(tie),
    )


def _chord(token: str, unit: Ticks) -> Chord | None:
    match = CHORD_PARTS.fullmatch(token)
    if match is None:
        return None
    inside, length, tie = match.groups()
    notes = tuple(_from_match(m, unit) for m in NOTE_PARTS.finditer(inside))
    return chord_of(notes, length, bool(tie))


def chord_of(notes: tuple[Note | None, ...], length: str, tie: bool) -> Chord | None:
    """Put a chord together; None where a note or the length can't be taken."""
    fraction = read_length(length)
    whole = tuple(note for note in notes if note is not None)
    if fraction is None or not whole or len(whole) != len(notes):
        return None
    return Chord(scale(whole[0].ticks, *fraction), whole, tie)
