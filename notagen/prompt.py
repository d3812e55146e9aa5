"""Text as NotaGen can read it: ASCII, one line a thing."""

from __future__ import annotations

import unicodedata

from notagen.patches import END
from notagen.shape import VOCABULARY

_SPELT_OUT = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l",
    "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i",
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "−": "-", "…": "...", "♯": "#", "♭": "b", "♮": "=",
    "\r": "", "\t": " ", "\ufeff": "",
}  # fmt: skip


def to_ascii(text: str) -> str:
    """Transliterate a text the way NotaGen's training data was.

    Accents are dropped ("Dvořák" becomes "Dvorak"), some letters are spelt out, and what has
    no counterpart is left out. ASCII text comes back as it is, control codes aside.
    """
    spelt = "".join(_SPELT_OUT.get(char, char) for char in text)
    plain = unicodedata.normalize("NFKD", spelt)
    return "".join(
        char
        for char in plain
        if char == "\n" or (END < ord(char) < VOCABULARY and char.isprintable())
    )
