"""Faults in the text of a piece, for ``benchmarks/mutants.py``: lengths, voices, barlines, signs.

Each function takes a good piece and a random generator, and returns a :class:`Mutant`, or None
where the fault can't be put into that piece.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from scoregate.abc.reader import read
from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.validators.analysis.parts import assign

_LENGTH = re.compile(r"(\d*)(/*\d*)(-?)$")
_PLAIN_CHORD = re.compile(r"\[(?:[_=^]{0,2}[A-Ga-g][,']*[\d/]*-?)+\][\d/]*-?")


@dataclass(slots=True)
class Mutant:
    """A piece with one fault.

    Parameters
    ----------
    text : str
    voice, bar : str or None, int or None
        Where the fault was put; None where it is in all voices, or in the whole piece.
    ambiguous : str
        Why it is still valid music; ``""`` where it isn't.
    """

    text: str
    voice: str | None = None
    bar: int | None = None
    ambiguous: str = ""


@dataclass(slots=True)
class Piece:
    """A good piece: its text, its lines and what was read of it."""

    text: str
    score: Score
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = self.text.rstrip("\n").split("\n")

    def with_line(self, line: int, new: str) -> str:
        """Return the text with one line (from 1) exchanged."""
        return "\n".join([*self.lines[: line - 1], new, *self.lines[line:]]) + "\n"

    def replace(self, event: Event, new: str) -> str:
        """Return the text with an event's token exchanged."""
        line = self.lines[event.line - 1]
        at = event.column - 1
        return self.with_line(event.line, line[:at] + new + line[at + len(event.text) :])


Spot = tuple[Voice, Bar, Event]


def spots(piece: Piece, *, rests: bool = False) -> list[Spot]:
    """Return all main notes (and rests) with their voices and bars."""
    return [
        (voice, bar, event)
        for voice in piece.score.voices
        for bar in voice.bars
        for event in bar.events
        if not event.grace and (event.pitches or (rests and event.text[:1] in "zx"))
    ]


def letter_dropped(piece: Piece, rng: random.Random) -> Mutant | None:
    """Drop a pitch letter."""
    voice, bar, event = rng.choice(spots(piece))
    letters = [m.start() for m in re.finditer("[A-Ga-g]", event.text)]
    at = rng.choice(letters)
    new = event.text[:at] + event.text[at + 1 :]
    still = "a chord with a note less" if _PLAIN_CHORD.fullmatch(new) else ""
    text = piece.replace(event, new)
    before = piece.lines[event.line - 1][event.column - 2]
    if before == "(" and new[:1].isdigit():
        # A slur and the length that is left may make a tuplet that fills the bar as well.
        index = piece.score.voices.index(voice)
        if read(text).voices[index].bars[bar.number - 1].duration == bar.duration:
            still = "a slur that reads as a duplet of the same length"
    return Mutant(text, voice.id, bar.number, still)


def _other_length(event: Event, rng: random.Random) -> str:
    match = _LENGTH.search(event.text)
    assert match is not None
    old = match[1] + match[2]
    choices = [new for new in ("", "2", "3", "4", "/", "3/2", "//") if new != old]
    return event.text[: match.start()] + rng.choice(choices) + match[3]


def duration_one(piece: Piece, rng: random.Random) -> Mutant | None:
    """Change a duration in one voice."""
    voice, bar, event = rng.choice(spots(piece, rests=True))
    return Mutant(piece.replace(event, _other_length(event, rng)), voice.id, bar.number)


def duration_all(piece: Piece, rng: random.Random) -> Mutant | None:
    """Make a bar longer or shorter by one unit in all voices alike."""
    score = piece.score
    index = rng.randrange(score.bar_count)
    longer = rng.random() < 0.5
    line = piece.lines[score.voices[0].bars[index].line - 1]
    edits: list[tuple[int, int, str]] = []
    for voice in score.voices:
        ends = [
            (event, match)
            for event in voice.bars[index].events
            if not event.grace
            and (match := re.search(r"([2-8])(-?)$", event.text))
            and not event.overlay
        ]
        if not ends:
            return None
        event, match = ends[-1]
        new = str(int(match[1]) + (1 if longer else -1)) + match[2]
        start = event.column - 1 + match.start()
        edits.append((start, start + len(match[0]), new))
    for start, stop, new in sorted(edits, reverse=True):
        line = line[:start] + new + line[stop:]
    bars = [voice.bars[index] for voice in score.voices]
    length = bars[0].duration + (score.unit if longer else -score.unit)
    return Mutant(
        piece.with_line(bars[0].line, line),
        None,
        bars[0].number,
        _still_a_bar(score, index, length),
    )


def _still_a_bar(score: Score, index: int, length: Fraction) -> str:
    """Say why a bar of this length would be good music; ``""`` where it wouldn't."""
    bars = score.voices[0].bars
    bar = bars[index]
    if bar.metre is None:
        return "free metre"
    if length == bar.metre:
        return "now a full bar"
    if length > bar.metre:
        return ""
    if index in (0, len(bars) - 1):
        return "a short first or last bar"
    if bar.right != "|" or bar.left not in ("", "|"):
        return "a short bar beside a special barline"
    if any(bars[i].duration + length == bar.metre for i in (index - 1, index + 1)):
        return "it completes its neighbour"
    return ""


def voice_left_out(piece: Piece, rng: random.Random) -> Mutant | None:
    """Leave a voice out of a line of finished text."""
    voice = rng.choice(piece.score.voices)
    bar = rng.choice(voice.bars)
    line = piece.lines[bar.line - 1]
    new = re.sub(rf"\[V:{re.escape(voice.id)}\](?:(?!\[V:).)*", "", line, count=1)
    return Mutant(piece.with_line(bar.line, new), voice.id, bar.number)


def barline_left_out(piece: Piece, rng: random.Random) -> Mutant | None:
    """Leave out the barline of one voice."""
    voice = rng.choice(piece.score.voices)
    bar = rng.choice(voice.bars)
    line = piece.lines[bar.line - 1]
    new = re.sub(
        rf"(\[V:{re.escape(voice.id)}\](?:(?!\[V:).)*?)[|:\]]*[|:]+\]?[12]?(?=\[V:|$)",
        r"\1",
        line,
        count=1,
    )
    return Mutant(piece.with_line(bar.line, new), voice.id, bar.number)


def _cells(piece: Piece) -> list[tuple[Voice, Bar, int, str]]:
    """Return every cell: voice, bar, where it begins in its line, its text."""
    found = []
    for number, line in enumerate(piece.lines, 1):
        for match in re.finditer(r"\[V:([^\]\s]+)[^\]]*\]((?:(?!\[V:).)*)", line):
            voice = next(v for v in piece.score.voices if v.id == match[1])
            bar = next((b for b in voice.bars if b.line == number), None)
            if bar is not None:
                found.append((voice, bar, match.start(2), match[2]))
    return found


def _remove_one(piece: Piece, rng: random.Random, pattern: str) -> Mutant | None:
    """Remove one character that `pattern` (its first group) matches."""
    places = [
        (voice, bar, start + match.start(1))
        for voice, bar, start, cell in _cells(piece)
        for match in re.finditer(pattern, cell)
    ]
    if not places:
        return None
    voice, bar, at = rng.choice(places)
    line = piece.lines[bar.line - 1]
    return Mutant(piece.with_line(bar.line, line[:at] + line[at + 1 :]), voice.id, bar.number)


def chord_unclosed(piece: Piece, rng: random.Random) -> Mutant | None:
    """Remove a bracket of a chord."""
    if rng.random() < 0.5:
        return _remove_one(piece, rng, r"(\[)(?=[_=^]*[A-Ga-g][^:])")
    return _remove_one(piece, rng, r"(?<=[A-Ga-g,'\d])(\])")


def quote_unclosed(piece: Piece, rng: random.Random) -> Mutant | None:
    """Remove a quotation mark."""
    return _remove_one(piece, rng, '(")')


def decoration_unclosed(piece: Piece, rng: random.Random) -> Mutant | None:
    """Remove an exclamation mark."""
    return _remove_one(piece, rng, "(!)")


def grace_unclosed(piece: Piece, rng: random.Random) -> Mutant | None:
    """Remove a brace of grace notes."""
    return _remove_one(piece, rng, r"([{}])")


def tuplet_wrong(piece: Piece, rng: random.Random) -> Mutant | None:
    """Exchange a tuplet's number, or leave the tuplet's mark out."""
    places = [
        (voice, bar, start + match.start(), match[0])
        for voice, bar, start, cell in _cells(piece)
        for match in re.finditer(r"\(\d(?::\d)*", cell)
    ]
    if not places:
        return None
    voice, bar, at, old = rng.choice(places)
    new = rng.choice([mark for mark in ("(2", "(5", "(4", "") if mark != old])
    line = piece.lines[bar.line - 1]
    text = piece.with_line(bar.line, line[:at] + new + line[at + len(old) :])
    return Mutant(text, voice.id, bar.number)


def tie_into_nothing(piece: Piece, rng: random.Random) -> Mutant | None:
    """Tie a note to a rest or to another pitch."""
    places: list[Spot] = []
    for voice in piece.score.voices:
        flat = [(bar, event) for bar in voice.bars for event in bar.events if not event.grace]
        for (bar, event), (after, following) in pairwise(flat):
            if not event.pitches or event.tied_to or event.overlay or following.overlay:
                continue
            if following.tied_to or set(event.pitches) & set(following.pitches):
                continue
            if after is not bar and (":" in bar.right or bar.right[-1:].isdigit() or after.ending):
                continue
            places.append((voice, bar, event))
    if not places:
        return None
    voice, bar, event = rng.choice(places)
    text = piece.replace(event, event.text + "-")
    still = "the pitch goes on in another voice of the instrument"
    return Mutant(text, voice.id, bar.number, still if _goes_on(piece, voice, bar, event) else "")


def _goes_on(piece: Piece, voice: Voice, bar: Bar, event: Event) -> bool:
    """Whether a note of an event begins at its end in another voice of its staff or brace."""
    number, time = bar.number, event.onset + event.duration
    if time == bar.duration:
        number, time = number + 1, time - time
    return any(
        other.staff == voice.staff or (other.brace is not None and other.brace == voice.brace)
        for other in piece.score.voices
        for beside in other.bars[number - 1 : number]
        for note in beside.events
        if other is not voice
        and note.onset == time
        and set(event.pitches) & (set(note.pitches) - set(note.tied_pitches))
    )


def _moved(piece: Piece, rng: random.Random, octaves: int) -> Mutant | None:
    voice, bar, event = rng.choice(spots(piece))
    if octaves > 0:
        new = re.sub(r"([A-Ga-g])([,']*)", lambda m: m[1] + m[2] + "'" * octaves, event.text)
    else:
        new = re.sub(r"([A-Ga-g])([,']*)", lambda m: m[1] + m[2] + "," * -octaves, event.text)
    part = assign(piece.score)[piece.score.voices.index(voice)]
    moved = [pitch + 12 * octaves for pitch in event.pitches]
    if part is None:
        still = "an instrument without known limits"
    elif all(part.low <= pitch <= part.high for pitch in moved):
        still = "within the instrument's range"
    else:
        still = ""
    return Mutant(piece.replace(event, new), voice.id, bar.number, still)


def out_of_range(piece: Piece, rng: random.Random) -> Mutant | None:
    """Move a note by three octaves."""
    return _moved(piece, rng, rng.choice([3, -3]))


def octave_slip(piece: Piece, rng: random.Random) -> Mutant | None:
    """Move a note by one octave."""
    return _moved(piece, rng, rng.choice([1, -1]))


def metre_changed(piece: Piece, rng: random.Random) -> Mutant | None:
    """Change the header's metre, and not the bars."""
    old = next(line for line in piece.lines if line.startswith("M:"))
    new = rng.choice([m for m in ("4/4", "3/4", "2/4", "6/8", "5/4") if m != old[2:].strip()])
    bar = Fraction(new)
    now = piece.score.voices[0].bars[0].metre
    still = "as long as before" if bar == now else ""
    return Mutant(piece.text.replace(old, "M:" + new, 1), None, None, still)


def looped(piece: Piece, rng: random.Random) -> Mutant | None:
    """Loop 1, 2, 4 or 8 bars over more than a third of the piece, with small mutations."""
    score = piece.score
    rows = [bar.line for bar in score.voices[0].bars]
    period = rng.choice([1, 2, 4, 8])
    times = max(4, -(-len(rows) // (2 * period)))
    if len(rows) < period + 8:
        return None
    sounding = [
        index
        for index in range(1, len(rows) - period)
        if all(
            any(event.pitches for voice in score.voices for event in voice.bars[i].events)
            for i in range(index, index + period)
        )
    ]
    if not sounding:
        return None
    start = rng.choice(sounding)
    block = [piece.lines[line - 1] for line in rows[start : start + period]]
    body: list[str] = []
    for _ in range(times):
        for line in block:
            letters = [m.start() for m in re.finditer(r"(?<=[ \])])[A-G](?=[\d ])", line)]
            if letters and rng.random() < 0.2:
                at = rng.choice(letters)
                line = line[:at] + rng.choice("CDEFGAB") + line[at + 1 :]
            body.append(line)
    head, tail = piece.lines[: rows[start] - 1], piece.lines[rows[start + period] - 1 :]
    return Mutant("\n".join([*head, *body, *tail]) + "\n")


def truncated(piece: Piece, rng: random.Random) -> Mutant | None:
    """Break the text off somewhere in its body."""
    first = len("\n".join(piece.lines[: piece.score.voices[0].bars[0].line]))
    cut = rng.randrange(first, len(piece.text) - 4)
    text = piece.text[:cut]
    still = ""
    if text.endswith("\n") or piece.text[cut] == "\n":
        still = "whole lines of all voices, only the final barline missing (a warning)"
    if re.search(r"(\|\]|\|\||:\|)\n?$", text):
        still = "a whole shorter piece"
    return Mutant(text, None, None, still)


def nul_bytes(piece: Piece, rng: random.Random) -> Mutant | None:
    """Put a NUL byte into the music."""
    voice, bar, start, cell = rng.choice(_cells(piece))
    at = start + rng.randrange(len(cell))
    line = piece.lines[bar.line - 1]
    return Mutant(piece.with_line(bar.line, line[:at] + "\0" + line[at:]), voice.id, bar.number)


def blank_line(piece: Piece, rng: random.Random) -> Mutant | None:
    """Put a blank line into the tune."""
    bars = piece.score.voices[0].bars
    bar = rng.choice(bars[1:])
    lines = [*piece.lines[: bar.line - 1], "", *piece.lines[bar.line - 1 :]]
    return Mutant("\n".join(lines) + "\n", None, bar.number)


def voice_undeclared(piece: Piece, rng: random.Random) -> Mutant | None:
    """Rename a voice in one line to one that the header doesn't know."""
    voice = rng.choice(piece.score.voices)
    bar = rng.choice(voice.bars)
    line = piece.lines[bar.line - 1]
    new = line.replace(f"[V:{voice.id}]", "[V:77]", 1)
    return Mutant(piece.with_line(bar.line, new), "77", bar.number)


FAULTS: dict[str, tuple[Callable[[Piece, random.Random], Mutant | None], tuple[str, ...]]] = {
    name: (function, gates)
    for gates, functions in (
        (
            ("syntax", "bars"),
            (
                letter_dropped, duration_one, duration_all, voice_left_out, barline_left_out,
                chord_unclosed, quote_unclosed, decoration_unclosed, grace_unclosed, tuplet_wrong,
                tie_into_nothing, metre_changed, truncated, nul_bytes, blank_line,
                voice_undeclared,
            ),
        ),
        (("ranges",), (out_of_range, octave_slip)),
        (("repetition",), (looped,)),
    )
    for function in functions
    for name in [function.__name__.replace("_", " ")]
}  # fmt: skip
"""Every class of faults, with the gates that are to find it."""
