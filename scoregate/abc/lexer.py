r"""Tokens of ABC music: one regular expression, linear in the text.

Every quantifier is possessive or bounded and every alternative begins differently or
ends at a character that it can't contain, so no text makes it slow. What no rule takes is
an ``error`` of one character: the reader names it and goes on behind it.

Examples
--------
>>> [(match.lastgroup, match[0]) for match in MUSIC.finditer("^c'2- [CE]/|z4")]
[('note', "^c'2-"), ('space', ' '), ('chord', '[CE]/'), ('bar', '|'), ('rest', 'z4')]
>>> def kinds(text):
...     return " ".join(m.lastgroup for m in MUSIC.finditer(text) if m.lastgroup != "space")
>>> kinds('!p! "Am" (3 ( > . {d} [K:D]'), kinds("[1 Z2 y - & |: :: [C!p!]")
('decoration text tuplet slur broken ornament grace field',
 'ending multirest spacer tie overlay bar bar mixed')
>>> [match.lastgroup for match in MUSIC.finditer("2@[")]
['error', 'error', 'error']
>>> VOICE_MARK.match("[V:2 clef=bass]").groups(), STREAM_MARK.match("[r:3/12]").groups()
(('2', ' clef=bass'), ('3', '12'))
"""

from __future__ import annotations

import re

_LENGTH = r"\d*+(?:/++\d*+)?"
_NOTE = rf"(?:\^\^?|__?|=)?[A-Ga-g][,']*+{_LENGTH}(?:\.?-)?"

MUSIC = re.compile(
    rf"""
    (?P<space>[\ \t`$]++)
  | (?P<note>{_NOTE})
  | (?P<rest>[zx]{_LENGTH})
  | (?P<bar>(?:\[\|\]?|\.?:*+\|++\]?|::++):*+(?:[1-9]\d?(?:[,-]\d\d?){{0,9}})?)
  | (?P<chord>\[(?>(?:\^\^?|__?|=)?[A-Ga-g][,']*+{_LENGTH}(?:\.?-)?)++\]{_LENGTH}(?:\.?-)?)
  | (?P<decoration>![^!\s|"\[\]]{{1,40}}!)
  | (?P<text>"[^"]*+")
  | (?P<overlay>\(&|&\)?)
  | (?P<tuplet>\(\d++(?::\d*+){{0,2}})
  | (?P<slur>[()])
  | (?P<broken>[<>]++)
  | (?P<ornament>[.~H-Wh-w])
  | (?P<grace>\{{/?[^{{}}|]*+\}})
  | (?P<field>\[[A-Za-z]:[^\]\[]*+\])
  | (?P<mixed>\[(?!\|)[^\[\]|]*+\]{_LENGTH}(?:\.?-)?)
  | (?P<ending>\[(?:[1-9]\d?(?:[,-]\d\d?){{0,9}}|"[^"]*+"))
  | (?P<multirest>[ZX]\d*+)
  | (?P<spacer>y{_LENGTH})
  | (?P<tie>-)
  | (?P<oldchord>\+(?!f+\+)(?>(?:\^\^?|__?|=)?[A-Ga-g][,']*+{_LENGTH}-?){{2,9}}+\+{_LENGTH}-?)
  | (?P<plus>\+[A-Za-z0-9<>().]{{1,40}}\+)
  | (?P<microtone>[\^_]\d*+/?\d*+[A-Ga-g][,']*+{_LENGTH}(?:\.?-)?)
  | (?P<error>[\d/]++|[^\x20-\x7e]++|.)
    """,
    re.VERBOSE | re.DOTALL,
)

NOTE_PARTS = re.compile(rf"(\^\^?|__?|=)?([A-Ga-g])([,']*+)({_LENGTH})((?:\.?-)?)")
"""Accidental, letter, octave marks, length and tie of a note."""

CHORD_PARTS = re.compile(rf"\[(.*)\]({_LENGTH})((?:\.?-)?)", re.DOTALL)
"""Inside, length and tie of a chord."""

VOICE_MARK = re.compile(r"\[V:\s*+([^\]\[\s]*+)([^\]\[]*+)\]")
"""An inline ``[V:id ...]``: the id and what follows it."""

STREAM_MARK = re.compile(r"\[r:\s*+(\d{1,9})\s*+/\s*+(\d{1,9})\s*+\]")
"""NotaGen's ``[r:i/j]``: index of the line, lines left."""

ERROR_SPAN = {
    # How far the rest of a broken construct reaches: what belongs to it isn't read as music.
    '"': re.compile(r'"[^|]*+'),
    "!": re.compile(r"![A-Za-z<>().]*+"),
    "{": re.compile(r"\{/?"),
}

_BARLINE_AT_END = re.compile(r"(?:(?:\[\|\]?|\.?:*\|++\]?:*|::++)\s*)++$")


def split_barline(cell: str) -> tuple[str, str]:
    """Split one voice's bar into its music and the barline at its end.

    Examples
    --------
    >>> split_barline("C4 D4|"), split_barline("[C,E,]|"), split_barline("[CE]|]")
    (('C4 D4', '|'), ('[C,E,]', '|'), ('[CE]', '|]'))
    >>> split_barline("C8:|"), split_barline("[CE]"), split_barline("|]")
    (('C8', ':|'), ('[CE]', ''), ('', '|]'))
    """
    match = _BARLINE_AT_END.search(cell)
    return (cell[: match.start()], match[0].strip()) if match else (cell, "")
