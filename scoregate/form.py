"""The form of a piece as one line of its header: phrases, cadences, and which phrases return.

A model that writes this line before the music has a plan to keep to, and a caller can force one:

    %form/1 A8V:h B8I A8V:h C10I

Each word is a phrase. Its letter is its melody: a letter that was there before says that the melody
returns. The number is the time in quarters from the beginning of the piece, or from the note that
ends the phrase before, to the note that ends this one (in a chorale, the note with the fermata).
Then the root of the chord that the phrase ends on, as a degree of the major scale on the tonic, in
capitals for a major triad and small letters for a minor one, ``?`` for no triad; and the kind of
cadence, ``:h`` half, ``:p`` plagal, ``:o`` other, nothing for an authentic one.

The line stands behind the prompt. Every other program, NotaGen's own code included, reads it as a
comment.
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

_MARK = "%form/"
_LINE = re.compile(rf"^{_MARK}(\d{{1,6}})[ \t]+(.*)$", re.M)
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
    def line(self) -> str:
        """The line of the header, with its newline."""
        return f"{_MARK}{VERSION} {self}\n"

    def first_of(self, number: int) -> int | None:
        """Return the number of the first phrase with the same melody, if it is an earlier one."""
        letter = self.phrases[number].melody
        first = next(i for i, phrase in enumerate(self.phrases) if phrase.melody == letter)
        return first if first < number else None


def parse_form(words: str) -> Form:
    """Read a form as a person writes it, with or without the mark of its line.

    Raises
    ------
    RequestError
        A word that is no phrase, none at all or too many, or a form of another version.
    """
    match = _LINE.match(words.strip())
    if match and int(match[1]) != VERSION:
        raise RequestError(
            f"The form is one of version {int(match[1])}; this is version {VERSION}.", _EXAMPLE
        )
    found = []
    for word in (match[2] if match else words).split():
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
    return Form(tuple(found))


def form_in(text: str) -> Form | None:
    """Return the form that a text's header gives; None without one that can be read.

    A model may have written it: a line of another version or with a fault counts as none.
    """
    match = _LINE.search(text)
    if match is None or int(match[1]) != VERSION:
        return None
    try:
        return parse_form(match[0])
    except RequestError:
        return None


def is_form_line(line: str) -> bool:
    """Whether a line of a header is a form, of whatever version."""
    return line.startswith(_MARK)
