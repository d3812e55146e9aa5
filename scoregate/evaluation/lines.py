"""Body lines of interleaved ABC as the model writes them, faulty or not.

Nothing is repaired: a voice is read as far as it goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from scoregate.abc.keys import LETTERS, SEMITONES, key_fifths, signature
from scoregate.abc.lexer import split_barline
from scoregate.convert.bar_events import Event, parse_bar

_BODY = re.compile(r"^(?:\[r:[^\]]*\])?(?=\[V:)")
_CELL = re.compile(r"\[V:(\d+)\](.*?)(?=\[V:|$)")
_TONIC = re.compile(r"\s*([A-G])([#b]?)", re.I)
_MINOR = re.compile(r"\s*[A-G][#b]?\s*(?:m(?!aj|ix)|min|aeo)", re.I)


@dataclass(slots=True)
class Line:
    """A body line as read: each voice's events and length, in ``L:`` units."""

    voices: dict[int, list[Event]]
    lengths: dict[int, Fraction]
    barline: str
    closed: bool


def read_lines(text: str) -> tuple[list[Line], Fraction, Fraction]:
    """Body lines, the length of a full bar and of a quarter, in ``L:`` units."""
    key = re.search(r"^K:(.*)$", text, re.M)
    alters = signature(key_fifths(key[1]) if key else 0)
    unit = re.search(r"^L:\s*(\d+)/(\d+)", text, re.M)
    length = Fraction(int(unit[1]), int(unit[2])) if unit and int(unit[2]) else Fraction(1, 8)
    metre = re.search(r"^M:\s*(\d+)/(\d+)", text, re.M)
    full = Fraction(int(metre[1]), int(metre[2])) if metre and int(metre[2]) else Fraction(1)
    lines = []
    tied: dict[int, dict[int, int]] = {}
    for raw in text.splitlines():
        start = _BODY.match(raw)
        if not start:
            continue
        voices: dict[int, list[Event]] = {}
        lengths: dict[int, Fraction] = {}
        barline, closed = "", True
        for cell in _CELL.finditer(raw[start.end() :]):
            voice = int(cell[1])
            music, barline = split_barline(cell[2])
            bar = parse_bar(music, alters, tied.setdefault(voice, {}))
            closed = closed and bool(barline) and voice not in voices
            voices[voice], lengths[voice] = bar.events, bar.duration
        lines.append(Line(voices, lengths, barline, closed))
    return lines, full / length, Fraction(1, 4) / length


@lru_cache(maxsize=256)
def tonic_of(key: str) -> int | None:
    """Return the pitch class of a key's tonic; None for a key without a letter.

    Examples
    --------
    >>> tonic_of("Bb"), tonic_of("F#m"), tonic_of("none")
    (10, 6, None)
    """
    match = _TONIC.match(key)
    if match is None:
        return None
    sign = {"#": 1, "b": -1, "": 0}[match[2]]
    return (SEMITONES[LETTERS.index(match[1].upper())] + sign) % 12


def leading_tone(key: str) -> int:
    """Pitch class of the leading tone of an ABC key such as ``Gm``."""
    tonic = key_fifths(key) * 7 % 12
    return (tonic + (8 if _MINOR.match(key) else 11)) % 12
