"""One-voice tunes out of tunebooks: the notes as they stand, without ornaments and words."""

from __future__ import annotations

import re

from scoregate.convert.piece import Bar, ConversionError, Piece, bars_of

TUNE_HEADS = {"1": 'treble nm="Violin"'}
"""The ``V:`` field of a tune."""

_QUOTED = re.compile(r'"[^"]*"')
_ORNAMENTS = re.compile(r"![^!\n]*!|\+[^+\n]*\+|\{[^}]*\}|[~.HJLMOPRSTuv](?=[\[(^_=A-Ga-gz])|`|\\")
# A slur, unless it is the parenthesis of a tuplet.
_SLUR = re.compile(r"\((?![2-9])|\)")
_PLAIN = re.compile(r"(?:\[\d|\([2-9](?::\d?){0,2}|[A-Ga-gz^_=,'0-9/<>\- ])*")
_MODES = {"maj": "", "min": "m", "mix": "mix", "dor": "dor", "phr": "phr", "lyd": "lyd", "aeo": "m"}
_LONG_MODE = re.compile(r"(?i)(?<=[A-G#b])\s*(maj|min|mix|dor|phr|lyd|aeo)[a-z]*\b")
_FIELD = re.compile(r"\[[A-Za-z]:[^\]]*\]")


def as_tune(piece: Piece) -> Piece:
    """Reduce a score of one voice to its notes, barlines and endings.

    Chord symbols, ornaments, grace notes, slurs and words go; broken rhythms and tuplets stay as
    they are written.

    Raises
    ------
    ConversionError
        With several voices, with chords, with a change of key or metre, or without a metre.
    """
    if len(piece.voices) != 1:
        raise ConversionError("has several voices")
    if piece.fields.get("M", "none").strip() == "none":
        raise ConversionError("has no metre")
    (bars,) = piece.voices.values()
    plain = []
    for number, bar in enumerate(bars, 1):
        if _FIELD.search(bar.text):
            raise ConversionError(f"bar {number}: a field in the middle")
        # Chord symbols and fingerings may stand between a bowing mark and its note.
        text = _ORNAMENTS.sub("", _QUOTED.sub("", bar.text))
        text = " ".join(_SLUR.sub("", text).split())
        if _PLAIN.fullmatch(text) is None:
            raise ConversionError(f"bar {number}: more than single notes ({text[:20]})")
        plain.append(Bar(text, bar.right))
    fields = {name: piece.fields[name].split("%")[0].strip() for name in "LMK"}
    fields["K"] = _LONG_MODE.sub(lambda found: _MODES[found[1].lower()], fields["K"])
    tune = Piece(piece.name, fields, dict(TUNE_HEADS), {"1": plain})
    if not any(event.pitches for bar in bars_of(tune)[0] for event in bar.events):
        raise ConversionError("has no notes")
    return tune
