"""How many notes at once the player or singer of a part can sound.

A singer and a wind player sound one note. The strings of a violin, viola or violoncello sound
four at most. A part for several players may hold more: its name says so by a number
(``2 Flauti``, ``Ob. 1 2``) or by a plural (``Oboi``, ``Hörner``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from scoregate.abc.score import Voice
from scoregate.validators.analysis.instruments import Instrument, resolve

STRINGS = 4
"""Strings, and so notes at once, of the violins."""
_BOWED = frozenset(("violin", "viola", "violoncello", "viola d'amore"))
_WIND = ("woodwind", "brass")
_SINGERS = frozenset(
    ("soprano", "mezzo-soprano", "alto", "tenor", "baritone", "bass voice", "voice")
)
_ONE = frozenset(
    # One string, because many quoted words are hard to read.
    "flute flauto flote piccolo flautino ottavino traverso oboe hautbois hoboe clarinet "  # noqa: SIM905
    "clarinetto klarinette clarinette clarionet bassoon fagotto fagott basson contrabassoon "
    "contrafagotto kontrafagott horn corno waldhorn cor trumpet tromba trompete trompette "
    "cornet cornetto zink trombone posaune tuba recorder blockflote saxophone saxophon sax "
    "euphonium ophicleide".split()
)
_SEVERAL = re.compile(
    r"\b(?:[2-9]|1\D{1,4}2|3\D{1,4}4|a\s*2|i[\s.,/&+-]+ii|iii[\s.,/&+-]+iv|due|zwei|two|deux)\b"
)
_CHOIR = re.compile(
    r"\b(?:chor|chorus|choir|coro|cori|choeur|tutti|all|satb|women|men|frauen|manner)\b"
)


@lru_cache(maxsize=4096)
def _words(name: str) -> str:
    text = unicodedata.normalize("NFKD", name.lower().replace("\\n", " "))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def one_wind_player(voice: Voice, part: Instrument | None) -> bool:
    """Return whether a part is for one player of a wind instrument.

    False where the name is an abbreviation (``Fl.``), because orchestral scores write two
    players on one staff under it.
    """
    if part is None or part.family not in _WIND or len(resolve(voice.instrument)) > 1:
        return False
    name = _words(voice.instrument)
    return _SEVERAL.search(name) is None and any(
        word in _ONE for word in re.findall(r"[a-z]+", name)
    )


def one_singer(voice: Voice, part: Instrument | None) -> bool:
    """Return whether a part is called like one singer; a part of a choir that divides is too."""
    if part is None or part.key not in _SINGERS:
        return False
    name = _words(voice.instrument)
    # Of two voices called "Women" one is the soprano; a single one is the whole choir.
    whole_choir = part.key == "voice" and _CHOIR.search(name) is not None
    return _SEVERAL.search(name) is None and not whole_choir


def most_notes_of_strings(part: Instrument | None) -> int | None:
    """Return how many notes at once a bowed instrument can sound; None for other parts."""
    return STRINGS if part is not None and part.key in _BOWED else None
