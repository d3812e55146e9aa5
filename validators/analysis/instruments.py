r"""Names of instruments and voices, and the range that each can play or sing.

Names are those that publishers print: ``2 Clarinetti in B``, ``Violino I.``,
``Singstimme\nVoice``, ``Corni in Es``, ``Flauto e Oboe``, ``Pno.``. They are put into lower
case, without accents, numbers, keys and epithets, and looked up in ``instruments.toml``. For
names that are not there music21's own resolver is asked, which is imported only then. The
table gives the source of each range.
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from dataclasses import dataclass, replace
from importlib import resources

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True, slots=True)
class Instrument:
    """An entry of the table. Pitches are sounding pitches, as MIDI numbers.

    Attributes
    ----------
    key : str
        Name in the table: ``violin``.
    family : str
        ``woodwind``, ``brass``, ``percussion``, ``strings``, ``keyboard``, ``voice``,
        ``folk``.
    low, high : int
        Lowest and highest pitch that a trained player or singer can produce.
    comfort_low, comfort_high : int
        Range in which parts are usually written.
    octave : int
        Semitones from written to sounding pitch where scores often leave them unsaid.
    hands : bool
        Whether one player plays it with two hands.
    pitched : bool
        False for percussion without pitch.
    """

    key: str
    family: str
    low: int = 0
    high: int = 127
    comfort_low: int = 0
    comfort_high: int = 127
    octave: int = 0
    hands: bool = False
    pitched: bool = True


Alternatives = tuple[Instrument, ...]
"""What one name can mean: any one of these."""


def midi_number(name: str) -> int:
    """Return the MIDI number of a pitch such as ``C4``, ``F#3``, ``Bb1`` (C4 = 60).

    Raises
    ------
    ValueError
        The name is not such a pitch.
    """
    match = re.fullmatch(r"([A-G])(#|b)?(-?\d)", name)
    if match is None:
        raise ValueError(f"{name!r} is no pitch name such as C4, F#3 or Bb1")
    step, accidental, octave = match.groups()
    shift = {"#": 1, "b": -1, None: 0}[accidental]
    return 12 * (int(octave) + 1) + _STEPS[step] + shift


def pitch_name(number: int) -> str:
    """Return a MIDI number as a pitch name: 61 is ``C#4``."""
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    return f"{names[number % 12]}{number // 12 - 1}"


@functools.cache
def table() -> dict[str, Instrument]:
    """Return every entry of the table by its key."""
    return {key: _entry(key, row) for key, row in _rows().items()}


@functools.cache
def _rows() -> dict[str, dict]:
    text = resources.files(__package__ or "").joinpath("instruments.toml").read_text("utf-8")
    return tomllib.loads(text)


def _entry(key: str, row: dict) -> Instrument:
    if not row.get("pitched", True):
        return Instrument(key, row["family"], pitched=False)
    low, high = (midi_number(name) for name in row["professional"])
    comfort_low, comfort_high = (midi_number(name) for name in row["comfortable"])
    return Instrument(
        key,
        row["family"],
        low,
        high,
        comfort_low,
        comfort_high,
        row.get("octave", 0),
        row.get("hands", False),
    )


@functools.cache
def _by_name() -> dict[str, Alternatives]:
    names: dict[str, list[Instrument]] = {}
    for key, row in _rows().items():
        for name in [_fold(key), *row["names"]]:
            entries = names.setdefault(name, [])
            if table()[key] not in entries:
                entries.append(table()[key])
    return {name: tuple(entries) for name, entries in names.items()}


@functools.cache
def _by_class() -> dict[str, Instrument]:
    return {name: table()[key] for key, row in _rows().items() for name in row.get("music21", ())}


_LETTERS = str.maketrans({"ß": "ss", "œ": "oe", "æ": "ae", "ø": "o", "’": "'", "♭": "b", "♯": "#"})
_KEY = (  # "in Es", "en si b", "in B basso", "in D.A."
    r"\b(?:in|en|a)\s+(?:[a-h](?:es|is|s|b|#)?|ut|do|re|mi|fa|sol|la|si)"
    r"(?:\s*(?:b|#|flat|sharp|bemolle|bemol|diese|diesis|basso|alto|hoch|tief|moll|dur))*"
    r"(?:\s*(?:e|ed|et|und|u|and|,)?\s*(?:[a-h](?:es|is|s|b|#)?|ut|do|re|mi|fa|sol|la|si)"
    r"(?:\s+(?:b|#|flat|sharp|bemolle|bemol|basso|alto))*)*\s*$"
)
_KEY_AT_END = re.compile(_KEY)
_KEY_IN_FRONT = re.compile(r"^(?:[a-g]\s*(?:b|#|flat|sharp|es|is|s)?|es|as)\s+(?=\w{4})")
_EPITHETS = frozenset(
    # One string, because a hundred quoted words are hard to read.
    "primo prima secondo seconda terzo terza quarto quarta first second third fourth erste "  # noqa: SIM905
    "erster erstes zweite zweiter zweites dritte dritter vierte premier premiere premiers "
    "premieres deuxieme seconde troisieme obligato obbligato obligat concertato concertante "
    "concertino ripieno principale principal solo soli div divisi unis tutti sordino sordini "
    "con senza muted der die das den des le la les l il lo gli the of du de del della u und e "
    "ed et and or oder ou mit with grosse grosser hohe hoher hohes tiefe tiefer high low upper "
    "lower part stimme staff system gross a2 a3 a4 zu 1mo 2do 1er 1re 2e 2me 2te 1te 3te nr no "
    "num nos mezzo ordinario arco pizz pizzicato natural naturale".split()
)
_COUNTER = re.compile(r"\d+(?:st|nd|rd|th|o|a|e)?|i{1,3}|iv|vi{1,3}|ix|xi{0,3}")
_ATTACHED = re.compile(r"(?<=[a-z])\d+$")
_JOINERS = re.compile(r"\s*(?:[/+&,;\n|]|\b(?:und|and|ed|et|oder|or|ou|e|u|o)\b)\s*")


def _fold(name: str) -> str:
    """Return a name in lower case, without accents, full stops, hyphens and brackets."""
    text = unicodedata.normalize("NFKD", name.translate(_LETTERS).lower().translate(_LETTERS))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = text.replace("\\n", "\n")
    text = re.sub(r"[^\w\s'#/+&,;|]|_", " ", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def _strip(name: str) -> str:
    """Remove the key, numbers and epithets."""
    name = _KEY_AT_END.sub("", name).strip()
    words = [word for word in name.split() if not _COUNTER.fullmatch(word)]
    words = [_ATTACHED.sub("", word) if word not in _EPITHETS else word for word in words]
    plain = [word for word in words if word not in _EPITHETS]
    return " ".join(plain or words)


def _look_up(phrase: str) -> Alternatives:
    names = _by_name()
    for form in (phrase, _strip(phrase), _strip(_KEY_IN_FRONT.sub("", phrase))):
        if form in names:
            return names[form]
    return ()


def _longest_within(phrase: str) -> Alternatives:
    """Return the longest run of words in a name that the table has an entry for."""
    words = _strip(phrase).split()
    for length in range(len(words) - 1, 0, -1):
        runs = (" ".join(words[i : i + length]) for i in range(len(words) - length + 1))
        found = [entry for run in runs if len(run) > 2 for entry in _by_name().get(run, ())]
        if found:
            return tuple(dict.fromkeys(found))
    return ()


@functools.lru_cache(maxsize=4096)
def resolve(name: str) -> tuple[Alternatives, ...]:
    """Return the instruments that the name of a part stands for.

    Parameters
    ----------
    name : str
        As in ``nm=``.

    Returns
    -------
    tuple of tuple of Instrument
        One item for each instrument that shares the part (``Flauto e Oboe`` has two);
        each item holds what that word can mean (``Basso``: a voice or the bass part).
        Empty when the name is unknown.
    """
    folded = _fold(name[:200])
    if not folded:
        return ()
    whole = _look_up(folded)
    if whole:
        return (whole,)
    parts = [part for part in _JOINERS.split(folded) if part and _strip(part)]
    found = [_look_up(part) or _longest_within(part) for part in parts]
    if any(found):
        return tuple(dict.fromkeys(item for item in found if item))
    guess = _ask_music21(name.replace("\\n", " "))
    return ((guess,),) if guess is not None else ()


def _ask_music21(name: str) -> Instrument | None:
    """Ask music21 for a name that the table does not have."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from music21 import instrument
        from music21.exceptions21 import Music21Exception

        try:
            answer = instrument.fromString(name)
        except (Music21Exception, ValueError, KeyError, IndexError, AttributeError, TypeError):
            return None  # it does not know the name, or fails over it
    class_name = type(answer).__name__
    known = _by_class().get(class_name)
    if known is not None:
        return known
    low, high = answer.lowestNote, getattr(answer, "highestNote", None)
    if low is None:
        return None
    shift = int(answer.transposition.semitones) if answer.transposition is not None else 0
    bottom = int(low.midi) + shift
    top = int(high.midi) + shift if high is not None else 108
    return Instrument(class_name.lower(), "folk", bottom, top, bottom, top)


def union(instruments: tuple[Instrument, ...]) -> Instrument:
    """Return the widest limits of several instruments, as one entry."""
    if len(instruments) == 1:
        return instruments[0]
    pitched = [entry for entry in instruments if entry.pitched] or list(instruments)
    return replace(
        pitched[0],
        key=" or ".join(dict.fromkeys(entry.key for entry in instruments)),
        low=min(entry.low for entry in pitched),
        high=max(entry.high for entry in pitched),
        comfort_low=min(entry.comfort_low for entry in pitched),
        comfort_high=max(entry.comfort_high for entry in pitched),
        octave=min((entry.octave for entry in pitched), key=lambda octave: -abs(octave)),
        hands=all(entry.hands for entry in pitched),
        pitched=all(entry.pitched for entry in instruments),
    )
