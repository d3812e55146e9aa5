"""Transliteration to ASCII, the only characters that the models know."""

from __future__ import annotations

import re
import unicodedata

_SPELT_OUT = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l",
    "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i",
    "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "−": "-", "…": "...", "♯": "#", "♭": "b", "♮": "=",
    "\t": " ", "\ufeff": "",
}  # fmt: skip
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def to_ascii(text: str) -> str:
    r"""Transliterate a text the way NotaGen's training data was.

    Accents are dropped ("Dvořák" becomes "Dvorak"), some letters are spelt out, and what has
    no counterpart is left out. ASCII text comes back as it is, control codes aside. Every kind
    of line end becomes ``\n``.
    """
    spelt = "".join(_SPELT_OUT.get(char, char) for char in _LINE_ENDS.sub("\n", text))
    plain = unicodedata.normalize("NFKD", spelt)
    return "".join(
        char for char in plain if char == "\n" or (char.isascii() and char.isprintable())
    )
