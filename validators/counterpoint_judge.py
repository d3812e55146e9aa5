"""A judge of lines that generation may ask, by the rules of four-part writing.

It reads a finished line of the body together with the one before it, and refuses it for a
parallel, a forbidden leap, a seventh that does not resolve, or a doubled leading tone. Each rule
has a strength: the probability with which a line that breaks it is refused. Bach's chorales break
some of the rules now and then, so a strength below 1 accepts a part of such lines. The decision
depends on the text alone: the same seed gives the same piece.

Only lines of choral styles are judged in this way: see :func:`line_judge`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.validators.analysis.counterpoint import moments, parallels
from scoregate.validators.line_judge import accept_line

AcceptLine = Callable[[str, str], bool]
_Beat = dict[int, int]  # the index of the note that each sounding voice has
CHORAL = "Choral"
LINE_TRIES = 24
"""Tries at a line that this judge should be given.

With 8, parallels stay in 3.7 of 100 chord changes of the embedded model; with 24 in none of ten
pieces, at the same cost.
"""

# Third and seventh above the root: dominant, minor, major, half-diminished, diminished.
_SEVENTHS = ((4, 10), (3, 10), (4, 11), (3, 9))
_AUGMENTED = frozenset(((1, 3), (2, 5), (3, 6), (4, 8), (5, 10)))
_NOTE = re.compile(r"(?:\^\^|\^|__|_|=)?([A-Ga-g])([,']*)")
_MAJOR = {name: (i * 7) % 12 for i, name in enumerate("FCGDAEB", -1)}
_KEY = re.compile(r"\s*([A-G])([#b]?)\s*(m(?!aj|ix)|min|aeo)?", re.I)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of counterpoint.

    Attributes
    ----------
    name : str
    strength : float
        Probability, 0 to 1, with which a line that breaks the rule is refused.
    reason : str
        Why the strength has this value.
    """

    name: str
    strength: float
    reason: str


CHORAL_RULES = (
    Rule("parallels", 1.0, "Bach's chorales have .1 parallel fifths in 100 chord changes"),
    Rule("leaps", 1.0, "sevenths and augmented intervals are .1 % of his intervals"),
    Rule("sevenths", 0.7, "8 % of his sevenths stay unresolved, of the model's about a quarter"),
    Rule("leading tones", 0.8, "1 % of his leading tones are doubled, of the model's 9 %"),
)


@dataclass(frozen=True, slots=True)
class CounterpointJudge:
    """Judges lines by the rules of the gates and, beyond them, by those of counterpoint.

    Attributes
    ----------
    rules : sequence of Rule
    """

    rules: Sequence[Rule] = CHORAL_RULES

    def __call__(self, text_so_far: str, line: str) -> bool:
        """Tell whether a finished line may stay; see :func:`accept_line` for the parameters."""
        if not accept_line(text_so_far, line):
            return False
        broken = faults(text_so_far, line)
        return not any(
            rule.name in broken and _chance(rule.name, text_so_far, line) < rule.strength
            for rule in self.rules
        )


def line_judge(style: str, counterpoint: bool = True) -> AcceptLine:
    """Return the judge of lines for a style.

    Parameters
    ----------
    style : str
        ``Period/Composer/Instrumentation``.
    counterpoint : bool
        Whether a choral style is held to the rules of counterpoint too.
    """
    if counterpoint and style.rsplit("/", 1)[-1].strip() == CHORAL:
        return CounterpointJudge()
    return accept_line


def _chance(rule: str, text_so_far: str, line: str) -> float:
    """Return a number in [0, 1) that follows from the rule and the text alone."""
    digest = hashlib.blake2b(f"{rule}\n{text_so_far}\n{line}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def faults(text_so_far: str, line: str) -> set[str]:
    """Return the names of the rules that a line breaks.

    Parameters
    ----------
    text_so_far : str
        Everything before the line.
    line : str
        One line of the body: a bar of all voices. Its first notes are judged together with the
        last ones of the line before.
    """
    every = text_so_far.splitlines()
    head = [x for x in every if not x.startswith(("[V:", "[r:", "%"))]
    before = [x for x in every[-1:] if x.startswith(("[V:", "[r:"))]
    lines = ["X:1", *head, *before, line]
    score = read("\n".join(lines) + "\n")
    if len(score.voices) < 2:
        return set()
    last = len(before)  # index of the bar that is judged
    voices = [_notes(score, voice, lines) for voice in range(len(score.voices))]
    beats = _beats(voices)
    broken = set()
    if any(clash.bar == last for clash in parallels(moments(score))):
        broken.add("parallels")
    if any(_bad_leap(voice, last) for voice in voices):
        broken.add("leaps")
    if _lost_seventh(voices, beats, last):
        broken.add("sevenths")
    if _doubled_leading_tone(voices, beats, last, score.key):
        broken.add("leading tones")
    return broken


@dataclass(frozen=True, slots=True)
class _Note:
    """A note of the two bars; times in whole notes from the beginning of the first."""

    bar: int
    onset: Fraction
    end: Fraction
    pitch: int
    step: int
    fermata: bool


def _notes(score: Score, voice: int, lines: list[str]) -> list[_Note]:
    """Return the notes of a voice; a chord or an unreadable name stands for a rest."""
    starts = [Fraction(0), max(v.bars[0].duration for v in score.voices if v.bars)]
    found = []
    for bar in score.voices[voice].bars:
        for event in bar.events:
            name = _NOTE.search(event.text)
            if event.grace or event.overlay or len(event.pitches) != 1 or name is None:
                continue
            onset = starts[min(bar.number - 1, 1)] + event.onset
            fermata = lines[event.line - 1][: event.column - 1].endswith("!fermata!")
            found.append(
                _Note(bar.number - 1, onset, onset + event.duration, event.pitches[0],
                      _step(name), fermata)
            )  # fmt: skip
    return found


def _step(name: re.Match[str]) -> int:
    letter, octave = name[1], name[2]
    step = "CDEFGAB".index(letter.upper()) + (7 if letter.islower() else 0)
    return step + 7 * (octave.count("'") - octave.count(","))


def _bad_leap(voice: list[_Note], last: int) -> bool:
    """Whether a voice moves by a seventh, beyond an octave, or by an augmented interval.

    The interval counts where its second note lies in the judged bar. Rests and fermatas end a
    phrase: what follows them may lie anywhere.
    """
    for a, b in pairwise(voice):
        if b.bar == last and a.end == b.onset and not a.fermata:
            steps, size = abs(b.step - a.step), abs(b.pitch - a.pitch)
            if size in (10, 11) or size > 12 or (steps, size) in _AUGMENTED:
                return True
    return False


def _beats(voices: list[list[_Note]]) -> list[_Beat]:
    """Return each quarter of the two bars with the index of the note that each voice sounds."""
    end = max((v[-1].end for v in voices if v), default=Fraction(0))
    found = []
    for quarter in range(int(end * 4) + 1):
        at = Fraction(quarter, 4)
        found.append(
            {
                row: i
                for row, voice in enumerate(voices)
                for i, note in enumerate(voice)
                if note.onset <= at < note.end
            }
        )
    return found


def seventh_of(classes: set[int]) -> int | None:
    """Return the seventh of a seventh chord as a pitch class; None for any other sound.

    The fifth may be missing, except in a diminished seventh, which would be a triad without it.
    """
    for root in classes:
        shape = {(x - root) % 12 for x in classes} - {0}
        for third, seventh in _SEVENTHS:
            rest = shape - {third, seventh}
            fifths = {6, 7} if third == 3 else {7, 8}
            whole = seventh != 9 or rest == {6}
            if {third, seventh} <= shape and rest <= fifths and whole:
                return (root + seventh) % 12
    return None


def _lost_seventh(voices: list[list[_Note]], beats: list[_Beat], last: int) -> bool:
    """Whether a seventh on the beat whose next pitches lie in the judged bar does not resolve.

    It resolves where one of its voice's next two pitches lies one or two semitones lower (the
    first may be an ornament). Where only one is known, or a phrase ends, it is not judged.
    """
    for sounding in beats:
        seventh = seventh_of({voices[row][i].pitch % 12 for row, i in sounding.items()})
        if seventh is None:
            continue
        for row, i in sounding.items():
            note = voices[row][i]
            if note.pitch % 12 != seventh or note.fermata:
                continue
            following = []
            for later in voices[row][i + 1 :]:
                if later.pitch != (following[-1] if following else note).pitch:
                    following.append(later)
            following = following[:2]
            if (
                len(following) == 2
                and following[-1].bar == last
                and not any(note.pitch - f.pitch in (1, 2) for f in following)
            ):
                return True
    return False


def _doubled_leading_tone(
    voices: list[list[_Note]], beats: list[_Beat], last: int, key: str
) -> bool:
    """Whether two voices have the leading tone of the key in a dominant chord on a beat."""
    match = _KEY.match(key)
    if match is None:
        return False
    tonic = _MAJOR[match[1].upper()] + {"#": 1, "b": -1, "": 0}[match[2]]
    leading, dominant = (tonic + 11) % 12, {(tonic + x) % 12 for x in (7, 11, 2, 5)}
    for sounding in beats:
        notes = [voices[row][i] for row, i in sounding.items()]
        if not any(note.bar == last for note in notes):
            continue
        classes = [note.pitch % 12 for note in notes]
        if classes.count(leading) > 1 and len(set(classes)) > 2 and set(classes) <= dominant:
            return True
    return False
