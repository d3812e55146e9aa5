"""Judge a line of a piece while it is generated.

`accept_line` judges a line of the stream (``[r:i/j][V:1]...|[V:2]...|``) by the rules of the
gates ``syntax`` and ``bars``, as far as one line and the text before it can tell. A line
that it accepts can still fail the gates in the finished piece; one that it refuses would
have failed them. The generators do not know this module: the flow hands them the function.
"""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction

from scoregate.abc.body import Body, TooMuchError
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import read_header
from scoregate.abc.lexer import STREAM_MARK
from scoregate.abc.score import Bar
from scoregate.abc.source_text import split_lines

_CACHED = 128
"""Texts whose state is cached, more than a batch has pieces."""

_states: OrderedDict[str, _State] = OrderedDict()


class _State:
    """What must be known of the text so far to judge its next line.

    Attributes
    ----------
    body : Body
        The reader's state after the text.
    remarks : FindingCollector
        The reader's findings.
    right : str
        Barline at the end of the last line.
    short : Fraction or None
        What the last line lacks of a full bar, where only the next line can excuse it.
    """

    __slots__ = ("body", "remarks", "right", "short")

    def __init__(self, body: Body, remarks: FindingCollector) -> None:
        self.body = body
        self.remarks = remarks
        self.right = ""
        self.short: Fraction | None = None


def accept_line(text_so_far: str, line: str) -> bool:
    """Judge a finished line of the body.

    Parameters
    ----------
    text_so_far : str
        Everything before the line: prompt, header and earlier lines of the body.
    line : str
        One line, with or without its line end.

    Returns
    -------
    bool
        False where the line has a fault of syntax (also a tie of the line before that leads
        to no note), where its voices differ in length or barline, where it is longer than
        the metre, or shorter without an excuse. A bar may be short at the beginning and the
        end, beside a special barline, and by whole beats where the next line completes it.

    Notes
    -----
    The state after the last lines that were accepted is cached, so only the new line has
    to be read: well under a millisecond for four voices.
    """
    text_so_far = text_so_far if text_so_far.endswith("\n") else text_so_far + "\n"
    line = line.rstrip("\n")
    state = _states.get(text_so_far)
    if state is None:
        state = _read(text_so_far)
    else:
        _states.move_to_end(text_so_far)
    after = _copy(state)
    try:
        accepted = _judge(state, after, line)
    except TooMuchError:
        return False
    if accepted:
        _remember(text_so_far + line + "\n", after)
    return accepted


def _remember(text: str, state: _State) -> None:
    _states[text] = state
    while len(_states) > _CACHED:
        _states.popitem(last=False)


def _read(text: str) -> _State:
    """Read a text from its beginning, without judging it."""
    lines = split_lines(text)
    remarks = FindingCollector()
    head = read_header(lines, remarks)
    state = _State(Body(head, remarks, interleaved=True), remarks)
    for number, line in enumerate(lines[head.body :], head.body + 1):
        if line.strip():
            try:
                _judge(state, state, line, number)
            except TooMuchError:
                break
    _remember(text, state)
    return state


def _copy(state: _State) -> _State:
    remarks = FindingCollector()
    copied = _State(state.body.copy(remarks), remarks)
    copied.right, copied.short = state.right, state.short
    return copied


def _judge(before: _State, after: _State, line: str, number: int = 1) -> bool:
    """Read a line into the state `after`; return whether it may follow `before`."""
    body = after.body
    tied = {voice.id for voice in body.voices.values() if voice.ties}
    count = after.remarks.count
    marks = len(body.marks)
    rows = body.row
    body.line(line, number)
    cells = [(voice, voice.bars.copy()) for voice in body.voices.values() if voice.bars]
    for voice, _ in cells:
        voice.bars.clear()
    if body.row == rows:
        return True  # a comment, or a field on a line of its own
    bad = any(f.severity == "critical" for f in after.remarks.findings) or (
        after.remarks.count - count > 40
    )
    after.remarks.findings.clear()
    bars = [bars[0] for _, bars in cells]
    present = {voice.id for voice, _ in cells}
    absent = [body.voices[name] for name in tied - present]
    for voice in absent:
        voice.ties.clear()
    pair = body.marks[-2:]
    if len(body.marks) > marks and len(pair) == 2 and pair[1][0] != pair[0][0] + 1:
        bad = True
    if bad or absent or any(len(bars) != 1 for _, bars in cells):
        _follow(after, bars, None)
        return False
    return _fits(before, after, bars, line)


def _fits(before: _State, after: _State, bars: list[Bar], line: str) -> bool:
    """Return whether the bars of a line agree and are as long as they may be."""
    if not bars:
        return False
    first = bars[0]
    length, metre, right = first.duration, first.metre, first.right
    alike = all(
        bar.duration == length and bar.metre == metre and bar.right == right for bar in bars
    )
    missing = before.short  # what the line before lacks
    left, row = before.right, after.body.row
    lacking = metre - length if metre is not None and length < metre else None
    mark = STREAM_MARK.match(line)
    last = mark is not None and mark[2] == "0"
    special = right not in ("", "|") or left not in ("", "|") or bool(first.ending)
    special = special or first.left not in ("", "|")
    if last and any(voice.ties for voice in after.body.voices.values()):
        return False
    excused = lacking is None or row == 1 or last or special
    completes = missing is not None and length == missing
    _follow(after, bars, None if excused or completes else lacking)
    if not alike or not right or (metre is not None and length > metre):
        return False
    if missing is not None and not completes and right in ("", "|"):
        # The line before was short, and only this one could complete it.
        return False
    if excused or completes:
        return True
    beat = Fraction(1, metre.denominator) if metre is not None else Fraction(1, 4)
    beat = min(beat, Fraction(1, 4))
    return lacking is not None and (lacking / beat).denominator == 1 and missing is None


def _follow(after: _State, bars: list[Bar], short: Fraction | None) -> None:
    after.right = bars[0].right if bars else ""
    after.short = short
