"""Header fields other than the key: metre, unit, tempo, voice properties, clefs, groups."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from scoregate.abc.lengths import WHOLE, Ticks, scale

_QUOTED = re.compile(r'"([^"]*+)"')
_FRACTION = re.compile(r"(\d{1,4})\s*/\s*(\d{1,4})")
_PROPERTY = re.compile(r'([A-Za-z]+)\s*=\s*("[^"]*+"?|[^\s"]++)|("[^"]*+"?)|([^\s=]++)')
_CLEF = re.compile(
    r"(treble|bass|alto|tenor|soprano|mezzosoprano|mezzo|baritone|perc|percussion|none|subbass"
    r"|[GFCP])([1-5]?)((?:[+\-^_]?\d{1,2})?)",
    re.IGNORECASE,
)

SLOWEST, FASTEST = 5.0, 1000.0
"""Range of usual tempi, in quarter notes a minute."""


@dataclass(frozen=True, slots=True)
class Metre:
    """A time signature: its text, a full bar in ticks (None for free) and whether compound."""

    text: str
    ticks: Ticks | None
    compound: bool = False


@lru_cache(maxsize=512)
def read_metre(text: str) -> Metre | None:
    """Read the content of an ``M:`` field; None where it is no time signature.

    Examples
    --------
    >>> [read_metre(text).ticks == WHOLE for text in ("4/4", "C", "C|", "2/4+2/4", "(2+2)/4")]
    [True, True, True, True, True]
    >>> read_metre("6/8").compound, read_metre("none").ticks, read_metre("4/0")
    (True, None, None)
    """
    text = text.strip()
    if text in ("none", "None", ""):
        return Metre(text or "none", None)
    if text == "C":
        return Metre(text, WHOLE)
    if text in ("C|", "c|"):
        return Metre(text, WHOLE)
    if text == "C|/2":
        return None
    # 3/4, 2+3/8, (2+3)/8, 2/4+3/8; a length behind `=` is left out.
    body = text.partition("=")[0].replace("(", " ").replace(")", " ").replace(" ", "")
    if not re.fullmatch(r"[\d+/|]{3,40}", body):
        return None
    total: Ticks = 0
    beats: list[str] = []
    top, bottom = 0, 0
    for part in body.split("+"):
        number, slash, below = part.partition("/")
        if not number.isdigit() or len(number) > 3:
            return None
        beats.append(number)
        if slash:
            if not below.isdigit() or len(below) > 3 or int(below) == 0:
                return None
            top = sum(int(beat) for beat in beats)
            bottom = int(below)
            total += scale(WHOLE, top, bottom)
            beats = []
    if beats or not total:
        return None
    compound = "+" not in body and bottom >= 8 and top > 3 and top % 3 == 0
    return Metre(text, total, compound)


@lru_cache(maxsize=512)
def read_unit(text: str) -> Ticks | None:
    """Read the content of an ``L:`` field, in ticks; None where it is no length.

    Examples
    --------
    >>> read_unit("1/8") == WHOLE // 8, read_unit("1") == WHOLE, read_unit("1/3")
    (True, True, None)
    """
    text = text.strip()
    if text == "1":
        return WHOLE
    match = _FRACTION.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        return None
    if int(match[2]) & (int(match[2]) - 1):
        return None  # no note has such a value
    return scale(WHOLE, int(match[1]), int(match[2]))


@lru_cache(maxsize=512)
def read_tempo(text: str) -> float | None:
    """Return quarter notes a minute of a ``Q:`` field; None where it states none.

    Examples
    --------
    >>> read_tempo("1/4=100"), read_tempo('"Allegro" 3/8=60'), read_tempo("120"), read_tempo('"A"')
    (100.0, 90.0, 120.0, None)
    """
    plain = _QUOTED.sub(" ", text).strip()
    if not plain:
        return None
    beat, equals, value = plain.partition("=")
    if not equals:
        beat, value = "1/4", beat
    number = re.match(r"\s*(\d{1,4}(?:\.\d{1,4})?)", value)
    if number is None:
        return None
    # `Q:1/4 1/8=40` adds its beats up.
    parts = [Fraction(int(a), int(b)) for a, b in _FRACTION.findall(beat) if int(b)]
    length = sum(parts, Fraction(0))
    if not length:
        return None
    tempo = float(number[1]) * float(length * 4)
    return tempo if 0 < tempo < 10_000 else None


@lru_cache(maxsize=512)
def tempo_fault(text: str) -> str:
    """Return what is wrong with a ``Q:`` field, for a remark; ``""`` where nothing is."""
    if not _QUOTED.sub(" ", text).strip():
        return ""
    tempo = read_tempo(text)
    if tempo is None and not re.search(r"=\s*\d|^\s*\d+\s*$", text):
        return unreadable("Q", text)
    if tempo is None or not SLOWEST <= tempo <= FASTEST:
        able = f"{SLOWEST:g} to {FASTEST:g} quarter notes a minute"
        return f"'{text[:30]}' is no tempo that can be played; {able} are"
    return ""


_NO = {
    "K": "no key",
    "M": "no time signature",
    "L": "no unit length; 1, 1/2, 1/4, 1/8, 1/16 and so on are",
    "Q": 'no tempo; 1/4=100 is, or words in quotation marks: "Allegro"',
}


def unreadable(letter: str, text: str) -> str:
    """Return the message on the content of a field ``K:``, ``M:``, ``L:`` or ``Q:``."""
    return f"'{text[:30]}' is {_NO[letter]}"


@dataclass(slots=True)
class Properties:
    """Properties in a ``V:`` or ``K:`` field, behind id or key.

    Parameters
    ----------
    clef : str or None
        As written, with its octave mark.
    clef_shift, octave_shift, transpose : int or None
        Semitones; None where the field is silent.
    names : dict of str to str
        ``name`` and ``short_name``.
    unknown : list of str
        Words that no rule takes.
    unusable : list of str
        Octaves and transpositions that are no number, or larger than any instrument's.
    """

    clef: str | None = None
    clef_shift: int | None = None
    octave_shift: int | None = None
    transpose: int | None = None
    names: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)


_NAMES = {"nm": "name", "name": "name", "snm": "short_name", "sname": "short_name"}
_NAMES["subname"] = "short_name"
_SILENT = frozenset(
    (
        *("middle", "m", "stafflines", "staffscale", "stem", "stems", "gstem", "dyn", "lyrics"),
        *("program", "up", "down", "merge", "style", "cue", "gchord", "scale", "space", "map"),
        *("bracket", "brace", "score", "perc"),
    )
)
"""Properties that change the picture only."""


def clef_shift(text: str) -> int | None:
    """Return the semitones from written to sounding of a clef; None where it is no clef.

    Only signed octave marks shift (``treble-8``): ``treble8``, ``treble^8`` and
    ``treble_8`` are drawn with an 8 and sound as written, as abc2midi has it.

    Examples
    --------
    >>> clef_shift("treble-8"), clef_shift("bass"), clef_shift("treble_8"), clef_shift("piano")
    (-12, 0, 0, None)
    """
    match = _CLEF.fullmatch(text)
    if match is None:
        return None
    octave = match[3]
    if not octave or octave[0] not in "+-" or octave[1:] not in ("8", "15", "22"):
        return 0
    octaves = {"8": 1, "15": 2, "22": 3}[octave[1:]]
    return 12 * octaves if octave[0] == "+" else -12 * octaves


@lru_cache(maxsize=1024)
def read_properties(text: str) -> Properties:
    """Read clef, ``octave=``, ``transpose=``, ``nm=`` ... of a field's rest.

    Examples
    --------
    >>> got = read_properties('bass octave=-1 transpose=-2 nm="Horn in F"')
    >>> got.clef, got.octave_shift, got.transpose, got.names
    ('bass', -12, -2, {'name': 'Horn in F'})
    >>> read_properties("octave=12 wood").unusable, read_properties("octave=12 wood").unknown
    (['octave=12'], ['wood'])
    """
    got = Properties()
    for match in _PROPERTY.finditer(text):
        name, value, quoted, word = match[1], match[2], match[3], match[4]
        if quoted is not None:
            continue
        if word is not None:
            shift = clef_shift(word)
            if shift is not None and len(word) > 1:
                got.clef, got.clef_shift = word, shift
            elif word.lower() not in _SILENT:
                got.unknown.append(word)
            continue
        value = value.strip('"')
        lower = name.lower()
        if lower in _NAMES:
            got.names[_NAMES[lower]] = value
        elif lower in ("clef", "cl"):
            shift = clef_shift(value)
            if shift is None:
                got.unknown.append(value)
            else:
                got.clef, got.clef_shift = value, shift
        elif lower in ("octave", "oct"):
            octave = _signed(value)
            if octave is None or abs(octave) > 6:
                got.unusable.append(match[0])
            else:
                got.octave_shift = 12 * octave
        elif lower in ("transpose", "t"):
            semitones = _signed(value)
            if semitones is None or abs(semitones) > 72:
                got.unusable.append(match[0])
            else:
                got.transpose = semitones
        elif lower not in _SILENT:
            got.unknown.append(match[0])
    return got


def _signed(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d{1,3}", text) else None


@dataclass(slots=True)
class Place:
    """Where ``%%score`` puts a voice: staff from 0, brace or None, first of its staff."""

    staff: int
    brace: int | None


_GROUP = re.compile(r"[()\[\]{}|*]|[^\s()\[\]{}|*]+")
_CLOSES = {")": "(", "]": "[", "}": "{"}


def read_groups(text: str) -> tuple[dict[str, Place], str]:
    """Read ``%%score`` or ``%%staves``.

    Returns
    -------
    places : dict of str to Place
        By voice id, in the order of the score.
    fault : str
        What is wrong with the brackets; ``""`` where nothing is.

    Examples
    --------
    >>> places, fault = read_groups("{ ( 1 2 ) 3 } 4")
    >>> {voice: (place.staff, place.brace) for voice, place in places.items()}, fault
    ({'1': (0, 0), '2': (0, 0), '3': (1, 0), '4': (2, None)}, '')
    >>> read_groups("{ ( 1 2 ) 3")[1]
    "'{' is never closed"
    """
    places: dict[str, Place] = {}
    staff, braces = -1, 0
    brace: int | None = None
    opened: list[str] = []
    fault = ""
    in_staff = False
    for token in _GROUP.findall(text[:20_000]):
        if token in "([{":
            opened.append(token)
            if token == "(":
                staff += 1
                in_staff = True
            elif token == "{":
                brace = braces
                braces += 1
        elif token in ")]}":
            if not opened or opened.pop() != _CLOSES[token]:
                fault = fault or f"'{token}' closes nothing"
            if token == ")":
                in_staff = False
            elif token == "}":
                brace = None
        elif token in "|*":
            continue
        else:
            if not in_staff:
                staff += 1
            if token in places:
                fault = fault or f"voice {token} stands in it twice"
            places.setdefault(token, Place(staff, brace))
    if opened and not fault:
        fault = f"'{opened[-1]}' is never closed"
    return places, fault
