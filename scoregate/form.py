"""The form of a piece as lines of its header: phrases, cadences, and which phrases return.

A model that writes these lines before the music has a plan to keep to, and a caller can force one:

    %form/1 4 1
    %A8V:h
    %B8I
    %A8V:h
    %C10I

The first line has the version, the number of phrases, and how many of them return: a model decides
that before it writes the first. Each of the other lines is a phrase. Its
letter is its melody: a letter that was there before says that the melody returns. The number is the
time in quarters from the beginning of the piece, or from the note that ends the phrase before, to
the note that ends this one (in a chorale, the note with the fermata). Then the root of the chord
that the phrase ends on, as a degree of the major scale on the tonic, in capitals for a major triad
and small letters for a minor one, ``?`` for no triad; and the kind of cadence, ``:h`` half, ``:p``
plagal, ``:o`` other, nothing for an authentic one.

The lines stand at the end of the header, where key and metre are known. Every other program,
NotaGen's own code included, reads them as comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoregate.errors import RequestError

VERSION = 1
MOST_PHRASES = 26
KINDS = {"": "authentic", "h": "half", "p": "plagal", "o": "other"}
"""Kinds of cadence, as :mod:`scoregate.evaluation.form` names them, by their letter."""
DEGREES = ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII")
"""Degrees by semitones above the tonic."""
STEPS_OF_DEGREES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)
"""Of each degree: diatonic steps from the tonic to its root."""

_MARK = "%form/"
_LINES = re.compile(rf"^{_MARK}(?P<version>\d{{1,6}})(?: .*)?\n(?P<phrases>(?:%(?!%).*\n)*)", re.M)
_CHORDS: dict[str, tuple[int | None, bool]] = {"?": (None, True)}
_CHORDS |= {name: (at, True) for at, name in enumerate(DEGREES)}
_CHORDS |= {name.lower(): (at, False) for at, name in enumerate(DEGREES)}
_NAMES = {chord: name for name, chord in _CHORDS.items()}
_PHRASE = re.compile(
    r"(?P<melody>[A-Z])(?P<quarters>\d{1,2}(?:\.5)?)(?P<chord>\?|[b#]?[IVX]+|[b#]?[ivx]+)"
    r"(?::(?P<kind>[hpo]))?"
)
_LETTERS = {kind: letter for letter, kind in KINDS.items()}
_EXAMPLE = "Phrases look like 'A8V:h B8I A8V:h C10I': see docs/model.md#form."


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase of a form.

    Attributes
    ----------
    melody : str
        A capital letter; the same one for the same melody.
    quarters : float
        From the end of the phrase before to the note that ends this one, to a half.
    degree : int or None
        Semitones from the tonic to the root of the last chord; None where that is no triad.
    major : bool
        Whether the last chord is major; True without a triad.
    kind : str
        Of the cadence: a value of :data:`KINDS`.
    """

    melody: str
    quarters: float
    degree: int | None
    major: bool = True
    kind: str = "authentic"

    def __str__(self) -> str:
        letter = _LETTERS[self.kind]
        chord = _NAMES[self.degree, self.major]
        return f"{self.melody}{self.quarters:g}{chord}" + (f":{letter}" if letter else "")


@dataclass(frozen=True, slots=True)
class Form:
    """The phrases of a piece, one or more."""

    phrases: tuple[Phrase, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.phrases))

    @property
    def lines(self) -> str:
        """The lines of the header, each with its newline."""
        phrases = "".join(f"%{phrase}\n" for phrase in self.phrases)
        return f"{_MARK}{VERSION} {len(self.phrases)} {self.returns}\n{phrases}"

    @property
    def returns(self) -> int:
        """How many phrases have the melody of an earlier one."""
        return len(self.phrases) - len({phrase.melody for phrase in self.phrases})

    def first_of(self, number: int) -> int | None:
        """Return the number of the first phrase with the same melody, if it is an earlier one."""
        letter = self.phrases[number].melody
        first = next(i for i, phrase in enumerate(self.phrases) if phrase.melody == letter)
        return first if first < number else None


def parse_form(text: str) -> Form:
    """Read a form as a person writes it, ``A8V:h B8I``, or as a header has it.

    Raises
    ------
    RequestError
        A word that is no phrase, none at all or too many, other numbers than the first line says,
        or a form of another version.
    """
    first, _, rest = text.strip().partition("\n")
    said = None
    if first.startswith(_MARK):
        version, *said = first.removeprefix(_MARK).split() or [""]
        if version != str(VERSION):
            raise RequestError(
                f"The form is one of version {version:.20}; this is version {VERSION}.", _EXAMPLE
            )
        text = rest
    words = text.replace("%", " ").split()
    found = []
    for word in words:
        phrase = _PHRASE.fullmatch(word)
        if phrase is None or phrase["chord"] not in _CHORDS or not float(phrase["quarters"]):
            raise RequestError(f"The form has {word!r:.40}, which is no phrase.", _EXAMPLE)
        kind = KINDS[phrase["kind"] or ""]
        chord = _CHORDS[phrase["chord"]]
        found.append(Phrase(phrase["melody"], float(phrase["quarters"]), *chord, kind))
    if not 1 <= len(found) <= MOST_PHRASES:
        raise RequestError(
            f"The form has {len(found)} phrases; 1 to {MOST_PHRASES} are possible.", _EXAMPLE
        )
    form = Form(tuple(found))
    if said and [str(len(found)), str(form.returns)][: len(said)] != said:
        raise RequestError(
            f"The form's first line says {' '.join(said):.20}, and it has {len(found)} phrases, of "
            f"which {form.returns} return.",
            _EXAMPLE,
        )
    return form


def form_in(text: str) -> Form | None:
    """Return the form that a text's header gives; None without one that can be read.

    A model may have written it: lines of another version or with a fault count as none. The
    phrases are taken as they are, whatever the first line said of them.
    """
    match = _LINES.search(text)
    if match is None or int(match["version"]) != VERSION:
        return None
    try:
        return parse_form(match["phrases"])
    except RequestError:
        return None


def is_form(line: str) -> bool:
    """Whether a form begins with this line, of whatever version."""
    return line.startswith(_MARK)


def without_form(text: str) -> str:
    """Return a text without the lines of a form."""
    return _LINES.sub("", text)
