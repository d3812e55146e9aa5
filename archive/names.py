"""Names of pieces that a person can say: ``Chorale in E minor, 12 bars``.

A name is made from the style, the key and the number of bars alone. It is not unique; the
id of the piece stands beside it wherever that matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KINDS = {
    "choral": "Choral piece",
    "keyboard": "Keyboard piece",
    "chamber": "Chamber piece",
    "orchestral": "Orchestral piece",
    "orchestra": "Orchestral piece",
    "vocal-orchestral": "Piece for voices and orchestra",
    "art song": "Song",
    "artsong": "Song",
}
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
_MODES = {
    "": "major",
    "maj": "major",
    "ion": "Ionian",
    "m": "minor",
    "min": "minor",
    "aeo": "Aeolian",
    "dor": "Dorian",
    "phr": "Phrygian",
    "lyd": "Lydian",
    "mix": "Mixolydian",
    "loc": "Locrian",
}
_ACCIDENTALS = {"": "", "#": " sharp", "b": " flat"}


def piece_name(style: str | None, key: object = None, bars: object = None) -> str:
    """Return the name of a piece.

    Parameters
    ----------
    style : str or None
        ``Baroque/Bach, Johann Sebastian/Choral``; None where it is unknown.
    key : str or None
        As ABC writes it: ``Em``, ``Bb``, ``Ador``. Anything else is left out of the name.
    bars : int or None
        Number of bars; left out of the name where it is unknown.

    Examples
    --------
    >>> piece_name("Baroque/Bach, Johann Sebastian/Choral", "Em", 12)
    'Chorale in E minor, 12 bars'
    >>> piece_name("Romantic/Brahms, Johannes/Art Song", "Bb", 40)
    'Song in B flat major, 40 bars'
    >>> piece_name(None, "none", 1)
    'Piece, 1 bar'
    """
    name = _kind(style)
    if said := spoken_key(key):
        name += f" in {said}"
    if isinstance(bars, int) and not isinstance(bars, bool) and bars > 0:
        name += f", {bars} bar{'' if bars == 1 else 's'}"
    return name


def name_of_summary(style: str | None, summary: Mapping[str, Any]) -> str:
    """Return the name of a piece from its style and the ``summary`` of its report."""
    return piece_name(style, summary.get("key"), summary.get("bars"))


def spoken_key(key: object) -> str:
    """Return a key in words, or ``""`` for anything that is no key.

    Examples
    --------
    >>> spoken_key("D#m"), spoken_key("Ador"), spoken_key("C"), spoken_key("HP")
    ('D sharp minor', 'A Dorian', 'C major', '')
    """
    match = _KEY.match(key.strip()) if isinstance(key, str) else None
    if match is None:
        return ""
    mode = _MODES.get("m" if match[3] == "m" else match[3].lower()[:3])
    return f"{match[1]}{_ACCIDENTALS[match[2]]} {mode}" if mode else ""


def _kind(style: str | None) -> str:
    parts = (style or "").split("/")
    if len(parts) != 3:
        return "Piece"
    _, composer, instrumentation = (part.strip() for part in parts)
    if instrumentation.lower() == "choral" and composer.startswith("Bach"):
        return "Chorale"
    return _KINDS.get(instrumentation.lower(), "Piece")
