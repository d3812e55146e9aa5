r"""The text that abc2midi is given: the finished piece, without what it can't take or plays out.

abc2midi is asked whether it reads the same notes. Much of ABC that says nothing about notes
stops it or makes it play something else, and that is no fault of the piece:

- Repeat signs and endings go, because a repeated bar would count twice among the notes; so do
  trills and rolls, which it writes out, chord symbols, from which it makes an accompaniment,
  dotted ties and other marks of one letter that it takes for notes.
- Fields that hold words (``P:``, ``N:``, ``S:``, ``w:`` and their like) become comments, and so
  does a line that is left without music: an empty line would end the tune.
- ``C'`` and ``c,`` are written as ``c`` and ``C``, ``[C2E]`` as ``[CE]2``. Properties of a key
  or a voice that concern the picture only (``stafflines=``) go, the accidentals of a key are put
  apart from its mode (``Dm^c``), and a key without a tonic (``K:clef=alto``) gets ``C``.
- A tie that the reader has judged and that abc2midi could not follow goes: one into a repeat,
  one of which not every note goes on, one that goes on in another voice.

Marks are replaced by as many spaces wherever they can be, so that columns stay right.

Examples
--------
>>> from scoregate.abc.reader import read
>>> print(prepared(read("X:1\nL:1/8\nM:4/4\nK:C\nP:Trio\n|:\"Am\"[C2E]C'2HyD4-:|F8|]\n")).text)
X:1
L:1/8
M:4/4
K:C
%
|     [CE]2c2  D4  |F8|]
<BLANKLINE>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from scoregate.abc.header import FIELD_LINE
from scoregate.abc.lengths import length_in_units
from scoregate.abc.score import Event, Score
from scoregate.abc.writing import length_text

_CHANNELS = 14
"""Voices above which each is given a channel of its own, as far as there are any."""

_SILENT_FIELDS = frozenset("ABCDFGHNOPRSTUWZrsw+")
"""Fields that hold words or signs; R: among them, because abc2midi swings a hornpipe."""
_ANNOTATIONS = frozenset('"' + place for place in "^_<>@")
_WRITTEN_OUT = re.compile(r"trill|mordent|pralltriller|turn|roll")
_MARKED = re.compile(
    r"(?P<field>\[[A-Za-z]:[^\]\[]*\])"
    r"|(?P<volta>\[\"[^\"]*\"(?![^\[\]|]*\]))"  # the beginning of an ending, and of no chord
    r"|(?P<decoration>![^!\s|\"\[\]]{1,40}!)"
    r"|(?P<tuplet>\(\d+:[\d:]*)"
    r"|(?P<octave>[A-G],*'[,']*|[a-g]'*,[,']*)"
    r"|\"[^\"]*\""  # chord symbols, which it plays
    # Repeats and endings.
    r"|^\s*:(?![|:])|:+(?=\|)|(?<=\|):+|::+|\[(?=\d)[\d,-]+|(?<=[|:])\d[\d,-]*|\[\|\]"
    r"|(?P<plus>\+(?!f+\+)(?:[\^_=]*[A-Ga-g][,']*[\d/]*-?){2,9}\+)"
    r"|\.|y[\d/]*|!(?=\s|$)|(?<=\})\s*\{[^{}|]*\}"  # staccato, spacers, line ends
    r"|x\d*/(?!\d?[248]\b|16|32|64)\d+"  # invisible rests of a length that no note has
    r"|(?P<user>[h-tw](?=\s*[\[_=^A-Ga-g({!~.H-Wuv\"|:yzx]))"
    # Decorations of one character: trills among them, and some that it takes for notes.
    r"|[H-Wuv~](?=\s*[\[_=^A-Ga-g({!~.H-Wh-w\"|:y])"
)
_BLANK_FIELDS = frozenset("ABCDFGHINOPRSTUWZrsw")
_PROPERTY = re.compile(
    r"\s+(?!(?:clef|octave|oct|transpose|middle|m|t)\s*=)[A-Za-z]+\s*=\s*(?:\"[^\"]*\"?|[^\s\"]+)"
)
_GLUED = re.compile(r"(K:\s*[A-G][#b]?\s*[A-Za-z]*)(?=[\^_=][A-Ga-g])")
"""A key with accidentals behind its mode and no space between them: ``Dm^c``."""
_WITHOUT_TONIC = re.compile(r"K:\s*(?=[\^_=]|clef\s*=|(?:treble|bass|alto|tenor)\b)")
"""A key of accidentals or of a clef alone, which abc2midi does not take for the first one."""
_INSIDE = re.compile(r"([_=^]*[A-Ga-g][,']*)(\d*/*\d*)(\.?-?)")
_USERS = re.compile(r"^U:\s*([^\s=])", re.MULTILINE)
_SPACES = re.compile(r"[^\S\n ]")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The text for abc2midi.

    Attributes
    ----------
    text : str
    added : list of int
        Numbers of the lines that were inserted, ascending.
    untied : int
        Notes that go on over a tie which was left out, so that abc2midi strikes them again.
    """

    text: str
    added: list[int]
    untied: int


def prepared(score: Score) -> Prepared:
    """Return the text of a score as abc2midi is given it."""
    edits, untied = _edits(score)
    lines: list[str] = []
    added: list[int] = []
    users = set(_USERS.findall(score.text))
    crowded, channel, body = len(score.voices) > _CHANNELS, 0, False
    for number, line in enumerate(score.text.split("\n"), 1):
        if number in edits:
            for start, end, new in reversed(edits[number]):
                line = line[:start] + new + line[end:]
        voice = line.startswith("V:")
        if line[:1] == "%":
            pass
        elif line[1:2] == ":" and (match := FIELD_LINE.match(line)) is not None:
            body = body or match[1] == "K"
            line = _field_line(match[1], line)
        elif body and line:
            line = _MARKED.sub(lambda match: _unmark(match, users), line)
            if "\xa0" in line or not line.isascii():
                line = _SPACES.sub(" ", line)
            if line.isspace():
                line = "%"
        lines.append(line)
        if crowded and voice:
            channel = channel % 16 + 1
            channel += channel == 10  # the drums
            lines.append(f"%%MIDI channel {channel}")
            added.append(len(lines))
    return Prepared("\n".join(lines), added, untied)


def _field_line(letter: str, line: str) -> str:
    """Return a line that is a field as abc2midi takes it."""
    if letter in _SILENT_FIELDS:
        return "%"
    if letter == "V":
        line = line.partition("%")[0].rstrip().replace("\t", " ")
    if letter in "KV" and "=" in line:
        line = _PROPERTY.sub("", line)
    if letter == "K":
        line = _GLUED.sub(r"\1 ", line)
        if _WITHOUT_TONIC.match(line):
            line = f"K:C {line[2:].lstrip()}"
    return line


def _unmark(match: re.Match[str], users: set[str]) -> str:
    """Replace a mark by spaces, unless it is one that abc2midi takes and does not play.

    Parameters
    ----------
    match : re.Match
    users : set of str
        Letters that ``U:`` gives a meaning.
    """
    token = match[0]
    kind = match.lastgroup
    if kind is None or kind == "volta":
        return token if token[:2] in _ANNOTATIONS else " " * len(token)
    if kind == "tuplet":
        return token
    if kind == "user":
        return " " if token in users else token
    if kind == "plus":
        return f"[{token[1:-1]}]"
    if kind == "octave":
        octave = token.count("'") - token.count(",") + token[0].islower()
        letter = token[0].upper()
        return letter.lower() + "'" * (octave - 1) if octave > 0 else letter + "," * -octave
    if kind == "field":
        if token[1] == "K":
            return _GLUED.sub(r"\1 ", token)
        return " " * len(token) if token[1] in _BLANK_FIELDS else token
    return " " * len(token) if _WRITTEN_OUT.search(token) else token


Edits = dict[int, list[tuple[int, int, str]]]
"""By line: from where to where, both from 0, is replaced by what; ascending."""


def _edits(score: Score) -> tuple[Edits, int]:
    """Return the places at which ties and the lengths within chords are rewritten."""
    edits: Edits = {}
    untied = 0
    for voice in score.voices:
        pending: dict[int, _Pending] = {}
        for bar in voice.bars:
            for event in bar.events:
                if event.grace:
                    continue
                before = pending.pop(event.overlay, None) if pending else None
                if before is not None:
                    untied += before.meet(event, score, edits)
                if event.tied_to:
                    held = before.held if before is not None else set()
                    pending[event.overlay] = _Pending(event, held)
                if event.text[:1] == "[" and (new := _even(event.text)) is not None:
                    start = event.column - 1
                    edits.setdefault(event.line, []).append((start, start + len(event.text), new))
        for before in pending.values():
            _untie(before.event, score, edits)
    for line in edits.values():
        line.sort()
    return edits, untied


def _goes_on(before: Event, event: Event) -> bool:
    """Return whether every note of an event that is tied goes on in the next one."""
    tied = event.tied_pitches
    if len(before.pitches) == 1:
        return before.pitches[0] in tied
    marks = before.text.count("-")
    if marks == 1 and before.text.endswith("-"):
        return set(before.pitches) <= set(tied)
    return marks <= len(tied)


@dataclass(slots=True)
class _Pending:
    """A tied event whose successor has not been met.

    Attributes
    ----------
    event : Event
    held : set of int
        Pitches of earlier events whose ties were taken out and are still to be met.
    """

    event: Event
    held: set[int]

    def meet(self, event: Event, score: Score, edits: Edits) -> int:
        """Take out the ties that abc2midi can't follow; return how many notes it strikes again."""
        tied = set(event.tied_pitches)
        again = len(self.held & tied)
        self.held -= tied
        if not _goes_on(self.event, event):
            _untie(self.event, score, edits)
            own = set(self.event.pitches)
            again += len(own & tied)
            # Where the next event is tied itself, the note may be met behind it.
            self.held |= own - tied
        if not event.tied_to:
            self.held = set()
        return again


def _untie(before: Event, score: Score, edits: Edits) -> None:
    """Take the ties of an event out of the text."""
    start = before.column - 1
    marks = [start + at for at, letter in enumerate(before.text) if letter == "-"]
    if not marks:  # behind a space
        line = _lines(score)[before.line - 1]
        at = line.find("-", start + len(before.text))
        marks = [at] if at >= 0 else []
    edits.setdefault(before.line, []).extend((at, at + 1, " ") for at in marks)


def _lines(score: Score) -> list[str]:
    known = score.derived.get("text lines")
    if known is None:
        known = score.derived["text lines"] = score.text.split("\n")
    return known


@lru_cache(maxsize=4096)
def _even(chord: str) -> str | None:
    """Return a chord whose notes differ in length with one length behind it; else None.

    Examples
    --------
    >>> _even("[C2E]"), _even("[C2E2-]/"), _even("[C2E-]3/2")
    ('[CE]2', None, '[CE-]3')
    """
    inside, _, behind = chord[1:].partition("]")
    notes = _INSIDE.findall(inside)
    if len({length_in_units(length) for _, length, _ in notes}) < 2:
        return None
    outer = behind.rstrip("-").rstrip(".")
    length = length_in_units(notes[0][1]) * length_in_units(outer)
    written = "".join(name + tie for name, _, tie in notes)
    return f"[{written}]{length_text(length)}{behind[len(outer) :]}"
