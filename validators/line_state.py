"""What must be known of a text to judge its next line.

A :class:`LineState` is the reader's state after a text, with what the rules of
:mod:`scoregate.validators.line_rules` count. States are cached by their text, so that a judge
reads only the new line; :func:`follow` returns the state after it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from typing import Any

from scoregate.abc.body import Body, TooMuchError
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import read_header
from scoregate.abc.reader import read
from scoregate.abc.score import Bar
from scoregate.abc.source_text import split_lines
from scoregate.validators.analysis.instruments import table
from scoregate.validators.analysis.parts import WIDEST, assign
from scoregate.validators.analysis.players import most_notes_of_strings, one_wind_player
from scoregate.validators.analysis.sounding import SLICES
from scoregate.validators.gates.marks import passes_of
from scoregate.validators.gates.parts import ORCHESTRA
from scoregate.validators.verdict.thresholds import for_style

CACHED = 512
"""Texts whose state is cached: several lines of each piece of a batch, because generation may go
back some lines."""

_states: OrderedDict[str, LineState] = OrderedDict()

Row = tuple[tuple[str, Bar], ...]
"""The bars of one line, each with the id of its voice."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a header says about every line.

    Attributes
    ----------
    style : str
        ``Period/Composer/Instrumentation``, of the prompt lines.
    key : str
        As written.
    voices : tuple of str
        In the order of the score.
    ranges : dict of str to (int, int)
        Lowest and highest pitch of each voice with pitches.
    chords : dict of str to int
        Most notes at once of a voice for a bowed instrument.
    winds : frozenset of str
        Voices for one wind player, in a score that is no orchestra's.
    loop : float
        Share of the lines from which the gate ``repetition`` rejects a loop.
    """

    style: str
    key: str
    voices: tuple[str, ...]
    ranges: dict[str, tuple[int, int]]
    chords: dict[str, int]
    winds: frozenset[str]
    loop: float


class LineState:
    """What must be known of a text so far.

    Attributes
    ----------
    head : Head
    body : Body
        The reader's state after the text.
    remarks : FindingCollector
        The reader's findings on the last line.
    found : int
        How many there were, those that were only counted included.
    line : str
        The last line, as written.
    row : Row
        Its bars.
    rows : tuple of Row
        The bars of all lines that sound.
    rhythms : tuple of int
        For each of them, the sixteenths of the line in which notes begin, as bits.
    right : str
        Barline at the end of the last line.
    lacking : Fraction or None
        What the last line lacks of a full bar; None where it is full or longer.
    excused : bool
        Whether the last line may be of any length up to the metre's: it is the first or the last
        one, stands beside a special barline, or is the pickup of a new metre.
    short : Fraction or None
        What the last line lacks of a full bar, where only the next line can excuse it.
    counter : (int, int) or None
        The last line's index and the lines that are left, by its counter.
    total : int or None
        Lines of the whole piece by its first counter; None without counters.
    lengths : dict of (Fraction, Fraction) to int
        How many lines have a metre and a length.
    pickups : frozenset of Fraction
        Lengths of the lines that begin the piece or a section.
    endings : dict of str to (bool, frozenset of int)
        For each voice, whether a first ending waits for the second one, and the passes that
        endings have named since.
    open_repeat : bool
        Whether a repeat has begun that has not ended.
    triads : dict of str to int
        Chords of three notes and more of each voice for one wind player.
    notes : list or None
        The notes of the last line as a judge of counterpoint sees them from the next one, where
        it has made them.
    """

    __slots__ = (
        "body",
        "counter",
        "endings",
        "excused",
        "found",
        "head",
        "lacking",
        "lengths",
        "line",
        "notes",
        "open_repeat",
        "pickups",
        "remarks",
        "rhythms",
        "right",
        "row",
        "rows",
        "short",
        "total",
        "triads",
    )

    def __init__(self, head: Head, body: Body, remarks: FindingCollector) -> None:
        self.head, self.body, self.remarks = head, body, remarks
        self.found = 0
        self.line = ""
        self.row: Row = ()
        self.rows: tuple[Row, ...] = ()
        self.rhythms: tuple[int, ...] = ()
        self.right = ""
        self.lacking: Fraction | None = None
        self.excused = True
        self.short: Fraction | None = None
        self.counter: tuple[int, int] | None = None
        self.total: int | None = None
        self.lengths: dict[tuple[Fraction, Fraction], int] = {}
        self.pickups: frozenset[Fraction] = frozenset()
        self.endings: dict[str, tuple[bool, frozenset[int]]] = {}
        self.open_repeat = False
        self.triads: dict[str, int] = {}
        self.notes: list[Any] | None = None

    def copy(self) -> LineState:
        """Return a state that goes on from here by itself."""
        remarks = FindingCollector()
        new = LineState.__new__(LineState)
        for name, value in zip(LineState.__slots__, _values(self), strict=True):
            setattr(new, name, value)
        new.body, new.remarks = self.body.copy(remarks), remarks
        new.notes = None
        return new


_values = attrgetter(*LineState.__slots__)


def state_after(text: str) -> LineState:
    """Return the state after a text, from the cache or read from its beginning."""
    state = _states.get(text)
    if state is not None:
        _states.move_to_end(text)
        return state
    lines = split_lines(text)
    remarks = FindingCollector()
    head = read_header(lines, remarks)
    body = Body(head, remarks, interleaved=True)
    state = LineState(_head("\n".join(lines[: head.body])), body, remarks)
    for line in lines[head.body :]:
        if line.strip():
            try:
                state = follow(state, line)
            except TooMuchError:
                break
    remember(text, state)
    return state


def remember(text: str, state: LineState) -> None:
    """Cache the state after a text."""
    _states[text] = state
    while len(_states) > CACHED:
        _states.popitem(last=False)


def follow(before: LineState, line: str) -> LineState:
    """Return the state after one more line of the body.

    Its ``row`` is empty where the line holds no bar, and that of `before` where the line is a
    comment or a field on a line of its own.

    Raises
    ------
    TooMuchError
        The text exceeds a bound of the reader.
    """
    after = read_row(before, line)
    if after.row and after.row is not before.row:
        _take_length(before, after)
        _take_signs(before, after)
        _take_notes(before, after)
    return after


def read_row(before: LineState, line: str) -> LineState:
    """Return the state after a line of which only the bars and the counter are taken.

    Raises
    ------
    TooMuchError
        The text exceeds a bound of the reader.
    """
    after = before.copy()
    body, rows, marks = after.body, after.body.row, len(after.body.marks)
    # The number of the line stands only in findings, which no judge reports.
    body.line(line, 1)
    after.found = after.remarks.count
    if body.row == rows:
        return after
    row = tuple((voice.id, bar) for voice in body.voices.values() for bar in voice.bars)
    present = {name for name, _ in row}
    for voice in body.voices.values():
        voice.bars.clear()
        if voice.ties and voice.id not in present:
            voice.ties.clear()
    after.row, after.line = row, line
    if len(body.marks) > marks:
        index, left, _ = body.marks[-1]
        after.counter = index, left
        if after.total is None:
            after.total = index + left + 1
    return after


def _take_length(before: LineState, after: LineState) -> None:
    """Note how long the last line is, and why it may be short."""
    name, first = after.row[0]
    length, metre, left = first.duration, first.metre, left_of(before, name, first)
    after.lacking = metre - length if metre is not None and length < metre else None
    last = after.counter is not None and after.counter[1] == 0
    special = not {before.right, left, first.right} <= {"", "|"} or bool(first.ending)
    pickup = (
        metre is not None
        and bool(before.row)
        and before.row[0][1].metre != metre
        and 2 * length <= metre
    )
    after.excused = after.lacking is None or after.body.row == 1 or last or special or pickup
    completes = before.short is not None and length == before.short
    after.short = None if after.excused or completes else after.lacking
    if metre is not None:
        key = metre, length
        after.lengths = {**before.lengths, key: before.lengths.get(key, 0) + 1}
    if after.body.row == 1 or left not in ("", "|"):
        after.pickups = before.pickups | {length}


def _take_signs(before: LineState, after: LineState) -> None:
    """Note the barlines, repeats and endings of the last line."""
    after.right = after.row[0][1].right
    for sign in repeat_signs(before, after):
        if sign.startswith(":"):
            after.open_repeat = False
        if sign.endswith(":"):
            after.open_repeat = True
    for name, bar in after.row:
        passes = frozenset(passes_of(bar.ending)) if bar.ending else frozenset()
        if passes:
            _, named = before.endings.get(name, (False, frozenset()))
            ending = (True, passes) if 1 in passes else (False, named | passes)
            after.endings = {**after.endings, name: ending}


def left_of(before: LineState, name: str, bar: Bar) -> str:
    """Return the barline before a voice's bar in the line behind a text.

    The reader has that of the voice's own last bar, which may lie lines back.
    """
    voice = before.body.voices.get(name)
    return before.right if voice is None or bar.left == voice.left else bar.left


def repeat_signs(before: LineState, after: LineState) -> list[str]:
    """Return the barlines of a line, each barline once."""
    name, bar = after.row[0]
    left = left_of(before, name, bar)
    return [*(() if left == before.right else (left,)), *bar.inner, bar.right]


def _take_notes(before: LineState, after: LineState) -> None:
    """Note the rhythm of the last line, and the chords of wind players."""
    length = max(bar.duration for _, bar in after.row)
    scale, whole = SLICES * length.denominator, length.numerator
    rhythm, sounds = 0, False
    for name, bar in after.row:
        for event in bar.events:
            if not event.pitches or event.grace:
                continue
            sounds = True
            if len(event.tied_pitches) < len(event.pitches) and whole:
                onset = event.onset
                place = scale * onset.numerator // (whole * onset.denominator)
                rhythm |= 1 << min(place, SLICES - 1)
            if len(event.pitches) > 2 and name in after.head.winds:
                after.triads = {**after.triads, name: after.triads.get(name, 0) + 1}
    if sounds:
        after.rows = (*before.rows, after.row)
        after.rhythms = (*before.rhythms, rhythm)


def _head(text: str) -> Head:
    """Read what the header says about ranges and players."""
    score = read(text + "\n")
    style = "/".join(score.prompt)
    parts = assign(score, style)
    ranges, chords, winds = {}, {}, set()
    orchestra = len({voice.staff for voice in score.voices}) >= ORCHESTRA
    for voice, named in zip(score.voices, parts, strict=True):
        part = named
        if part is None:
            part = table()["piano"] if voice.brace is not None else WIDEST
        if part.pitched:
            ranges[voice.id] = part.low, part.high
        most = most_notes_of_strings(named)
        if most is not None:
            chords[voice.id] = most
        if not orchestra and one_wind_player(voice, named):
            winds.add(voice.id)
    bound = for_style(style).measures.get("repetition.loop_share")
    loop = bound.critical if bound is not None and bound.critical is not None else 2.0
    order = tuple(voice.id for voice in score.voices)
    return Head(style, score.key, order, ranges, chords, frozenset(winds), loop)
