"""Tunes of many hands, spelt alike: one unit length, one way of beaming, ties that are ties.

The collections were typed by different people. The same bar stands in them as ``c/2A/2 G2``,
``cAG4`` or ``c/A/G2``, and a hyphen is often a slur. To a model these are different things to be
learnt; here they become one.
"""

from __future__ import annotations

import re
from fractions import Fraction

from scoregate.abc.keys import key_fifths, signature
from scoregate.abc.lengths import length_in_units
from scoregate.abc.lexer import split_barline
from scoregate.abc.writing import length_text
from scoregate.convert.bar_events import Event, midi_pitch, parse_bar
from scoregate.evaluation.lines import tonic_of

UNIT = Fraction(1, 8)
"""Unit length of every tune."""
METRES = {"C": "4/4", "C|": "2/2"}
"""Signs of metres, as fractions."""
_FIELD = re.compile(r"^([LMK]):\s*(.*)$", re.M)
_MUSIC = re.compile(r"^\[V:1\](.*)$", re.M)
_NAME_AND_LENGTH = re.compile(r"([\^_=]*[A-Ga-gz][,']*)([\d/]*)")


def spelt_alike(text: str) -> str:
    r"""Return a tune with the unit 1/8, the metre as a fraction, and its notes grouped by beats.

    Ties to another pitch are left out: they were slurs. The notes stay as they are.

    Parameters
    ----------
    text : str
        Of one voice, from :func:`scoregate.convert.tune.as_tune`; one bar a line.

    Examples
    --------
    >>> print(spelt_alike("L:1/16\nM:2/4\nK:D\nV:1\n[V:1]f-g a3b|\n[V:1]g4 (3f2e2d2|\n"))
    L:1/8
    M:2/4
    K:D
    V:1
    [V:1]f/g/a3/2b/|
    [V:1]g2 (3fed|
    <BLANKLINE>
    """
    fields = {found[1]: found[2].strip() for found in _FIELD.finditer(text)}
    metre = METRES.get(fields["M"], fields["M"])
    factor = Fraction(fields["L"]) / UNIT
    alters = signature(key_fifths(fields["K"]))
    rows = [split_barline(found[1]) for found in _MUSIC.finditer(text)]
    coming: dict[int, int] = {}
    parsed = [parse_bar(music, alters, coming).events for music, _ in rows]
    events = [event for bar in parsed for event in bar]
    for event, following in zip(events, [*events[1:], None], strict=True):
        event.tie = event.tie and following is not None and following.pitches == event.pitches
    beat = beat_of(metre)
    body = iter(
        f"[V:1]{_spelt(music, bar, factor, beat)}{barline}"
        for (music, barline), bar in zip(rows, parsed, strict=True)
    )
    fields |= {"L": str(UNIT), "M": metre}
    text = _FIELD.sub(lambda found: f"{found[1]}:{fields[found[1]]}", text)
    return _MUSIC.sub(lambda _: next(body), text)


def beat_of(metre: str) -> Fraction:
    """Return the length of a group of notes in eighths.

    Examples
    --------
    >>> [int(beat_of(metre)) for metre in ("6/8", "3/8", "4/4", "2/2", "2/4", "3/4", "3/2", "6/4")]
    [3, 3, 4, 4, 2, 2, 4, 6]
    """
    top, _, bottom = metre.partition("/")
    count, unit = int(top), Fraction(8, int(bottom))
    if count % 3 == 0 and (count > 3 or unit < 2):
        return 3 * unit
    return 2 * unit if metre == "4/4" else unit


def _spelt(music: str, bar: list[Event], factor: Fraction, beat: Fraction) -> str:
    """Return one bar without its barline, spelt anew.

    Parameters
    ----------
    music : str
    bar : list of Event
        Of this text, ties to other pitches taken away.
    factor : Fraction
        Units of the new length in one of the old.
    beat : Fraction
        Length of a group in new units.
    """
    out: list[str] = []
    at = 0
    tuplet_until = 0  # index of the first event behind the current tuplet
    for index, event in enumerate(bar):
        between = music[at : event.start].replace(" ", "")
        behind, opens, mark = between.partition("(")
        signs = behind.replace("-", "")
        if out and not signs and index >= tuplet_until and event.onset * factor % beat == 0:
            signs = " "
        if opens:
            tuplet_until = index + int(mark[0])
        found = _NAME_AND_LENGTH.match(music, event.start)
        assert found is not None
        length = length_text(length_in_units(found[2]) * factor, short=True)
        out.append(f"{signs}{opens}{mark}{found[1]}{length}{'-' if event.tie else ''}")
        at = found.end()
    rest = music[at:].replace("-", "").strip()
    return "".join(out) + rest


def ends_on_tonic(text: str) -> bool:
    """Whether the last note of a tune is the tonic of its key field."""
    found = re.search(r"^K:(.*)$", text, re.M)
    key = found[1] if found else "none"
    alters = signature(key_fifths(key))
    for found in reversed(list(_MUSIC.finditer(text))):
        notes = [e for e in parse_bar(split_barline(found[1])[0], alters).events if e.pitches]
        if notes:
            return midi_pitch(notes[-1].pitches[-1]) % 12 == tonic_of(key)
    return False
