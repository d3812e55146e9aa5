"""A converted score: the text of every bar of every voice, and interleaved ABC of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from scoregate.abc.keys import key_fifths, signature
from scoregate.convert.bar_events import ParsedBar, parse_bar

_KEY_CHANGE = re.compile(r"\[K:([^\]]*)\]")


class ConversionError(Exception):
    """Why a score can't be used, as a short reason; callers report it and show no traceback."""


@dataclass(slots=True)
class Bar:
    """One bar of one voice.

    Attributes
    ----------
    text : str
        Its music, without barlines.
    right : str
        The barline behind it.
    """

    text: str
    right: str = "|"


@dataclass(slots=True)
class Piece:
    """A converted score.

    Attributes
    ----------
    name : str
        Of its source.
    fields : dict of str to str
        ``%%score``, ``L``, ``Q``, ``M``, ``K``.
    heads : dict of str to str
        Voice id to what stands behind it in the header: ``treble nm="Soprano"``.
    voices : dict of str to list of Bar
        All of the same length, a whole score's bars in order.
    notes : list of str
        What was left out or changed.
    """

    name: str
    fields: dict[str, str]
    heads: dict[str, str]
    voices: dict[str, list[Bar]]
    notes: list[str] = field(default_factory=list)

    @property
    def bar_count(self) -> int:
        """Number of bars of every voice."""
        return len(next(iter(self.voices.values()), []))


def bars_of(piece: Piece) -> list[list[ParsedBar]]:
    """Return every voice's bars as events, keys and ties followed.

    Returns
    -------
    list of list of ParsedBar
        Voices, each a list of its bars; durations in ``L:`` units.
    """
    out = []
    for bars in piece.voices.values():
        fifths = key_fifths(piece.fields["K"])
        tied: dict[int, int] = {}
        parsed = []
        for bar in bars:
            for change in _KEY_CHANGE.findall(bar.text):
                fifths = key_fifths(change)
            parsed.append(parse_bar(bar.text, signature(fifths), tied))
        out.append(parsed)
    return out


def aligned(piece: Piece) -> Piece:
    """Return the piece, once all voices are known to hold the same bars.

    Raises
    ------
    ConversionError
        Voices differ in their number of bars or in the length of one.
    """
    counts = {v: len(b) for v, b in piece.voices.items()}
    if len(set(counts.values())) != 1:
        raise ConversionError(f"voices differ in their number of bars: {counts}")
    for number, row in enumerate(zip(*bars_of(piece), strict=True), 1):
        lengths = {b.duration for b in row}
        if len(lengths) != 1:
            shown = ", ".join(str(b.duration) for b in row)
            raise ConversionError(f"bar {number}: voices of unequal length ({shown} of L:)")
    return piece


def piece_text(piece: Piece) -> str:
    """Return the piece as interleaved ABC without ``X:``, one bar of all voices a line."""
    lines = []
    if piece.fields.get("%%score"):
        lines.append(f"%%score {piece.fields['%%score']}")
    lines += [f"{name}:{piece.fields[name]}" for name in "LQMK" if piece.fields.get(name)]
    lines += [f"V:{voice} {head}".rstrip() for voice, head in piece.heads.items()]
    for row in zip(*piece.voices.values(), strict=True):
        lines.append(
            "".join(f"[V:{v}]{b.text}{b.right}" for v, b in zip(piece.voices, row, strict=True))
        )
    return "\n".join(lines) + "\n"
