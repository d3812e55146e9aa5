"""Key signatures: from a ``K:`` field to the alteration of each letter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LETTERS = "CDEFGAB"
SEMITONES = (0, 2, 4, 5, 7, 9, 11)
FIFTHS_OF_LETTER = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
FIFTHS_OF_MODE = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "mix": -1,
    "dor": -2,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "phr": -4,
    "loc": -5,
    "lyd": 1,
}
"""By how many fifths the signature of a mode, by its first three letters, lies above that of
the major key with the same tonic."""
ALTERATION_TEXT = {2: "^^", 1: "^", 0: "=", -1: "_", -2: "__"}
MAJOR_KEYS = {
    fifths: "FCGDAEB"[(fifths + 1) % 7] + ("b" if fifths < -1 else "#" if fifths > 5 else "")
    for fifths in range(-7, 8)
}
"""Name of the major key with so many sharps (flats where negative)."""
_SHARPS = "FCGDAEB"
ALTERATION = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
_KEY_NAME = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)")
_TONIC = re.compile(r"([A-G])([#b]?)")
_MODE = re.compile(r"\s*(major|minor|m(?![a-z])|[A-Za-z]{3,12})", re.IGNORECASE)
_ACCIDENTAL = re.compile(r"(\^\^?|__?|=)([A-Ga-g])(?![A-Za-z])")

Alterations = tuple[int, int, int, int, int, int, int]
"""Semitones by which C, D, E, F, G, A, B are altered."""

PLAIN: Alterations = (0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Key:
    """A key signature.

    Parameters
    ----------
    name : str
        Tonic and mode as written, explicit accidentals behind: ``G``, ``D phr ^f``.
    alterations : tuple of int
    rest : str
        What follows in the field: clef, ``octave=``, ``transpose=`` ...
    given : bool
        False for a field without a key (``K:bass``): the key in force stays.
    """

    name: str
    alterations: Alterations
    rest: str = ""
    given: bool = True


def key_fifths(key: str) -> int:
    """Return the sharps (flats where negative) in the signature of a key such as ``Gm``.

    ``none`` and keys that can't be read count as C major; explicit accidentals are ignored.

    Examples
    --------
    >>> [key_fifths(key) for key in ("C", "Gm", "F#min", "D Dorian", "none")]
    [0, -2, 3, 0, 0]
    """
    match = _KEY_NAME.match(key)
    if not match or key.strip().lower().startswith(("none", "hp")):
        return 0
    letter, sign, mode = match.groups()
    mode = mode.lower()
    shift = FIFTHS_OF_MODE.get("m" if mode == "m" else mode[:3], 0)
    return FIFTHS_OF_LETTER[letter] + {"#": 7, "b": -7, "": 0}[sign] + shift


def transpose_key(key: str, fifths: int) -> str:
    """Return the key so many fifths further up the circle, its mode kept.

    Examples
    --------
    >>> transpose_key("Gm", 1), transpose_key("B", 1), transpose_key("none", 3)
    ('Dm', 'F#', 'none')
    """
    match = _KEY_NAME.match(key)
    if not match or key.strip().lower().startswith("none"):
        return key
    letter, sign, mode = match.groups()
    tonic = FIFTHS_OF_LETTER[letter] + {"#": 7, "b": -7, "": 0}[sign] + fifths
    octave, place = divmod(tonic + 1, 7)
    name = "FCGDAEB"[place] + ("#" * octave if octave >= 0 else "b" * -octave)
    return name + mode + key[match.end() :]


def signature(fifths: int) -> Alterations:
    """Return the alterations of a signature with so many sharps (flats where negative).

    Examples
    --------
    >>> signature(2)
    (1, 0, 0, 1, 0, 0, 0)
    """
    altered = dict.fromkeys(LETTERS, 0)
    for index in range(abs(fifths)):
        letter = _SHARPS[index % 7] if fifths > 0 else _SHARPS[6 - index % 7]
        altered[letter] += 1 if fifths > 0 else -1
    c, d, e, f, g, a, b = (altered[letter] for letter in LETTERS)
    return c, d, e, f, g, a, b


@lru_cache(maxsize=512)
def read_key(text: str) -> Key | None:
    """Read the content of a ``K:`` field.

    Returns
    -------
    Key or None
        None where it is neither a key nor a clef nor properties.

    Examples
    --------
    >>> read_key("G").alterations, read_key("D Mix").alterations
    ((0, 0, 0, 1, 0, 0, 0), (0, 0, 0, 1, 0, 0, 0))
    >>> read_key("C exp ^f _b").alterations, read_key("Am clef=bass").rest
    ((0, 0, 0, 1, 0, 0, -1), 'clef=bass')
    >>> read_key("bass").given, read_key("H")
    (False, None)
    """
    text = text.strip()
    if not text or text.lower() == "none" or text.lower().startswith("none "):
        return Key("none", PLAIN, text[4:].strip())
    if text.startswith(("HP", "Hp")):
        # Highland pipes: Hp sounds F sharp, C sharp, G natural; HP marks nothing but sounds so.
        return Key(text[:2], (1, 0, 0, 1, 0, 0, 0), text[2:].strip())
    tonic = _TONIC.match(text)
    # `K:Alto` and `K:Bass` are clefs, `K:C` is a key.
    first = re.split(r"[\s=]", text, maxsplit=1)[0]
    if tonic is None or first.lower().rstrip("+-0123456789") in CLEF_NAMES:
        return _explicit_only(text)
    fifths = FIFTHS_OF_LETTER[tonic[1]] + {"#": 7, "b": -7, "": 0}[tonic[2]]
    position, name = tonic.end(), tonic[0]
    mode = _MODE.match(text, position)
    explicit = False
    if mode is not None and not re.match(r"\s*=", text[mode.end() :]):
        word = mode[1].lower()
        short = "m" if word == "m" else word[:3]
        if short in FIFTHS_OF_MODE:
            fifths += FIFTHS_OF_MODE[short]
            position, name = mode.end(), text[: mode.end()]
        elif short == "exp":
            explicit = True
            position, name = mode.end(), text[: mode.end()]
        elif position == mode.start(1):
            return None  # letters glued to the tonic that are no mode: `K:Gxyz`
    altered = list(PLAIN if explicit else signature(fifths))
    rest = _apply_accidentals(text[position:], altered)
    written = [name, *(m[0] for m in _ACCIDENTAL.finditer(text, position))]
    return Key(" ".join(written), _seven(altered), rest)


def _explicit_only(text: str) -> Key | None:
    """Read a field without a tonic: accidentals alone, or a clef and properties."""
    altered = list(PLAIN)
    rest = _apply_accidentals(text, altered)
    marks = [m[0] for m in _ACCIDENTAL.finditer(text)]
    if marks:
        return Key(" ".join(marks), _seven(altered), rest)
    first = text.split()[0].lower()
    known = first.split("=")[0] if "=" in first else first.rstrip("+-^_0123456789")
    if known in CLEF_NAMES or "=" in first:
        return Key("", PLAIN, text, given=False)
    return None


def _apply_accidentals(text: str, altered: list[int]) -> str:
    """Write the explicit accidentals of `text` into `altered`; return the text without them."""

    def take(match: re.Match[str]) -> str:
        altered[LETTERS.index(match[2].upper())] = ALTERATION[match[1]]
        return ""

    if "^" not in text and "_" not in text and "=" not in text:
        return text.strip()
    return _ACCIDENTAL.sub(take, text).strip()


def _seven(altered: list[int]) -> Alterations:
    c, d, e, f, g, a, b = altered
    return c, d, e, f, g, a, b


CLEF_NAMES = frozenset(
    (
        *("treble", "bass", "alto", "tenor", "soprano", "mezzosoprano", "mezzo", "baritone"),
        *("subbass", "perc", "percussion", "none", "clef", "octave", "transpose", "middle"),
    )
)
"""First words of a ``K:`` field that are no key; octave marks are taken off before."""
