"""How long a bar of ABC is, in units of L:.

Knows what NotaGen writes: notes, rests, chords, tuplets, broken rhythm, grace notes,
decorations, annotations, inline fields and voice overlays. It judges nothing: what it can't
read has no length.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TOKEN = re.compile(
    r"""
    (?P<quoted>"[^"]*"|![^!\s]*!|\+[^+\s]*\+)
  | (?P<grace>\{[^}]{0,400}\})
  | (?P<field>\[[A-Za-z]:[^\]]{0,400}\])
  | (?P<tuplet>\((?P<p>\d)(?::(?P<q>\d{0,3}))?(?::(?P<r>\d{0,3}))?)
  | (?P<chord>\[(?P<inside>[^\]]{0,400})\](?P<chordlength>\d*/*\d*))
  | (?P<note>[\^=_]*[A-Ga-gzx][,']*(?P<length>\d*/*\d*))
  | (?P<broken><{1,9}|>{1,9})
  | (?P<overlay>&)
    """,
    re.VERBOSE,
)
_INNER = re.compile(r"[\^=_]*[A-Ga-gzx][,']*(?P<length>\d*/*\d*)")
_LENGTH = re.compile(r"(\d*)(/*)(\d*)")
_MOST_DIGITS = 9
_TUPLET_TIME = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}


def read_length(text: str) -> Fraction:
    """Return what a length behind a note means: ``3/2``, ``/``, ``//``, ``2`` or nothing.

    Numbers of more than nine digits, which a model caught in a loop writes, are nothing.
    """
    match = _LENGTH.match(text)
    assert match is not None
    top, slashes, bottom = match.groups()
    if max(len(part) for part in match.groups()) > _MOST_DIGITS:
        return Fraction(0)
    over = Fraction(int(top) if top else 1)
    if bottom and int(bottom):
        return over / int(bottom)
    return over / 2 ** len(slashes)


def bar_length(text: str) -> Fraction:
    """Return the length of a voice's music between two barlines, in units of L:.

    Of several overlaid voices (``&``) the first one counts. A tuplet in a compound metre
    whose time is not written out counts as in a simple one.
    """
    total, note = Fraction(0), Fraction(0)
    scale, left = Fraction(1), 0  # of the running tuplet
    pending = Fraction(1)  # what broken rhythm makes of the next note
    for match in _TOKEN.finditer(text):
        if match["overlay"]:
            break
        if match["tuplet"]:
            p = int(match["p"])
            q = int(match["q"] or 0) or _TUPLET_TIME.get(p, p)
            scale, left = Fraction(q, p or 1), int(match["r"] or 0) or p
        elif match["broken"]:
            marks = match["broken"]
            shorter = Fraction(1, 2 ** len(marks))
            first, pending = (2 - shorter, shorter) if marks[0] == ">" else (shorter, 2 - shorter)
            total += note * (first - 1)
        elif match["note"] or match["chord"]:
            if match["note"]:
                note = read_length(match["length"])
            else:
                inner = _INNER.search(match["inside"])
                note = read_length(inner["length"]) if inner else Fraction(0)
                note *= read_length(match["chordlength"])
            note *= pending
            pending = Fraction(1)
            if left:
                note *= scale
                left -= 1
            total += note
    return total


def show_length(length: Fraction) -> str:
    """Return a length as ABC writes it behind a note."""
    if length.denominator == 1:
        return "" if length == 1 else str(length.numerator)
    return f"{'' if length.numerator == 1 else length.numerator}/{length.denominator}"
