"""Four-part chorales out of scores of every layout: four singers, spelt plainly and alike."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from scoregate.abc.keys import MAJOR_KEYS, Alterations, key_fifths, signature
from scoregate.convert.bar_events import ParsedBar, write_bar
from scoregate.convert.piece import Bar, ConversionError, Piece, bars_of

CHORALE_HEADS = {
    "1": 'treble nm="Soprano"',
    "2": 'treble nm="Alto"',
    "3": 'bass nm="Tenor"',
    "4": 'bass nm="Bass"',
}
"""The ``V:`` fields of a chorale."""
_SINGERS = {
    "s": "1",
    "soprano": "1",
    "soprano 1": "1",
    "discantus": "1",
    "a": "2",
    "alto": "2",
    "altus": "2",
    "t": "3",
    "tenor": "3",
    "b": "4",
    "bass": "4",
    "bassus": "4",
}
_BEAT = Fraction(2)
"""Units of a beat, by which notes are grouped."""


def as_chorale(piece: Piece) -> Piece:
    """Reduce a score to its four singers, spelt plainly and alike.

    Soprano, alto, tenor and bass are found by name, or are the four voices of a score
    that has just four. Words, slurs and ornaments go; fermatas and ties stay. Notes stand
    at sounding pitch (a ``treble-8`` tenor goes to the bass clef), one group a beat.

    Raises
    ------
    ConversionError
        Without four singers, with a change of key or metre, or with layers or chords.
    """
    singers = _singers(piece)
    parsed = dict(zip(piece.voices, bars_of(piece), strict=True))
    if _changes(piece, "M") - {piece.fields["M"].strip()}:
        raise ConversionError("changes its metre")
    key, fifths = _only_key(piece)
    voices: dict[str, list[Bar]] = {}
    for singer in "1234":
        source = singers[singer]
        octaves = -1 if "treble-8" in piece.heads[source] else 0
        voices[singer] = [
            Bar(_plain(read, octaves, signature(fifths)), bar.right)
            for bar, read in zip(piece.voices[source], parsed[source], strict=True)
        ]
    for index in range(len(voices["1"])):
        # The soprano's barline holds for all: editions differ in how they close one.
        for singer in "234":
            voices[singer][index].right = voices["1"][index].right
    for singer in "1234":
        voices[singer][-1].right = "|]"
    fields = {
        "%%score": "[ 1 2 3 4 ]", "L": "1/8", "Q": "1/4=80",
        "M": {"C": "4/4", "C|": "2/2"}.get(piece.fields["M"], piece.fields["M"]), "K": key,
    }  # fmt: skip
    return Piece(piece.name, fields, dict(CHORALE_HEADS), voices, list(piece.notes))


def _singers(piece: Piece) -> dict[str, str]:
    """Return the score's voice for each of the singers 1 to 4."""
    named: dict[str, str] = {}
    for voice, head in piece.heads.items():
        match = re.search(r'nm="([^"]*)"', head)
        singer = _SINGERS.get(re.sub(r"[.:]", "", match[1]).strip().lower()) if match else None
        if singer and singer not in named:
            named[singer] = voice
    if len(named) == 4:
        return named
    if len(piece.voices) != 4:
        raise ConversionError(f"{len(piece.voices)} voices, and no four named singers")
    return dict(zip("1234", piece.voices, strict=True))


def _changes(piece: Piece, letter: str) -> set[str]:
    """Return the contents of all inline fields with this letter."""
    field = re.compile(rf"\[{letter}:([^\]]*)")
    return {
        value.strip()
        for bars in piece.voices.values()
        for bar in bars
        for value in field.findall(bar.text)
    }


def _only_key(piece: Piece) -> tuple[str, int]:
    """Return the name and the signature of the only key of a piece."""
    fifths = key_fifths(piece.fields["K"])
    later = {key_fifths(key) for key in _changes(piece, "K")}
    if not later - {fifths}:
        return piece.fields["K"].split()[0], fifths
    first = [bars[0].text for bars in piece.voices.values()]
    opening = {key_fifths(key) for text in first for key in re.findall(r"\[K:([^\]]*)\]", text)}
    if later != opening or len(later) != 1:
        raise ConversionError("changes its key")
    # A signature that the first bar contradicts at once: the bar's is the true one.
    fifths = later.pop()
    return MAJOR_KEYS[max(-7, min(7, fifths))], fifths


def _plain(bar: ParsedBar, octaves: int, alters: Alterations) -> str:
    """Return a bar of one singer, spelt anew."""
    if bar.layered or any(len(event.pitches) > 1 for event in bar.events):
        raise ConversionError("a singer has layers or chords")
    if not bar.events:
        raise ConversionError("an empty bar")
    if any(event.duration.denominator > 4 or event.duration <= 0 for event in bar.events):
        raise ConversionError("a rhythm finer than 1/32 or a tuplet")
    moved = [
        replace(event, pitches=tuple((step + 7 * octaves, alter) for step, alter in event.pitches))
        for event in bar.events
    ]
    return write_bar(moved, alters, _BEAT)
