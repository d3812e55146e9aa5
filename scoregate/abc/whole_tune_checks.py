"""How a text ends: the stream's counters, the last barline, endings and repeats."""

from __future__ import annotations

import re

from scoregate.abc.body import Body
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import Header
from scoregate.abc.score import Score
from scoregate.findings import Severity

Mark = tuple[int, int, int]
"""A stream's marker: index of the line, lines left, number of the line in the text."""

_GROUPS = re.compile(r"(?:%%|I:)\s*(?:score|staves)\b")


def check_ending(score: Score, body: Body, remarks: FindingCollector) -> None:
    """Remark on a stream that breaks off and on a tune without a final barline."""
    if not score.text.strip():
        return
    if not any(event.pitches for v in score.voices for bar in v.bars for event in bar.events):
        line = body.row_lines[0] if body.row_lines else body.first_line
        remarks.add("no-music", "there is not one note", line=line, column=1)
        return
    if body.marks:
        rows = {line: row for row, line in enumerate(body.row_lines, 1)}
        check_marks(body.marks, rows, remarks)
    last = [voice.bars[-1] for voice in score.voices if voice.bars]
    if last and not any(bar.right not in ("", "|") for bar in last):
        bar = max(last, key=lambda bar: bar.number)
        remarks.add(
            "final-barline",
            "the piece ends without a final barline",
            "warning",
            None,
            bar.number,
            bar.line,
            bar.column,
            found=bar.right or "none",
            expected="|]",
        )


def check_silent(score: Score, head: Header, lines: list[str], remarks: FindingCollector) -> None:
    """Remark on voices that the header declares and no line of music names.

    To be asked before the voices that a line leaves out are filled in. A model's stream
    may leave a voice out to its end.
    """
    if not any(voice.bars for voice in score.voices):
        return
    severity = "warning" if score.stream else "critical"
    for voice in score.voices:
        if not voice.bars:
            remark_on_silent_voice(voice.id, head, lines, severity, remarks)


def remark_on_silent_voice(
    name: str, head: Header, lines: list[str], severity: Severity, remarks: FindingCollector
) -> None:
    """Remark on a voice that no line of music names."""
    declared = head.voices.get(name)
    remarks.add(
        "voice-silent",
        "declared, but no line of music names it",
        severity,
        name,
        None,
        declared.line if declared else _groups_line(lines),
        1,
    )


def check_sense(score: Score, remarks: FindingCollector) -> None:
    """Remark on a text in which so much means nothing that it can't be music."""
    strange = remarks.seen("letter-unknown", "warning") + remarks.seen("character", "critical")
    if strange < 5 or remarks.seen("not-music", "critical"):
        return
    notes = sum(bool(e.pitches) for v in score.voices for bar in v.bars for e in bar.events)
    if 10 * strange > notes:
        first = next(
            f for f in remarks.findings if f.code.endswith(("letter-unknown", "character"))
        )
        remarks.add(
            "not-music",
            f"this is not music: {strange} letters or characters mean nothing among {notes} notes",
            "critical",
            first.voice,
            first.bar,
            first.line,
            first.column,
            str(strange),
        )


def _groups_line(lines: list[str]) -> int:
    """Return the number of the line that puts the voices into staves; 1 where there is none."""
    return next((n for n, line in enumerate(lines, 1) if _GROUPS.match(line)), 1)


def check_marks(marks: list[Mark], rows: dict[int, int], remarks: FindingCollector) -> None:
    """Hold the ``[r:i/j]`` markers to their order: i counts up from 0, j down to 0.

    Parameters
    ----------
    marks : list of tuple of int
        Index of the line, lines left, and number of the line in the text.
    rows : dict of int to int
        Number of the bar of each line of music, by the line's number.
    remarks : FindingCollector
    """
    total = marks[0][0] + marks[0][1]
    for position, (index, left, line) in enumerate(marks):
        expected = position if position == 0 else marks[position - 1][0] + 1
        if index != expected:
            remarks.add(
                "stream-order",
                "the line's marker is out of order",
                "critical",
                None,
                rows.get(line),
                line,
                1,
                found=f"[r:{index}/{left}]",
                expected=f"[r:{expected}/...]",
            )
        elif index + left != total:
            remarks.add(
                "stream-count",
                "the marker counts the lines left wrongly",
                "warning",
                line=line,
                column=1,
                found=f"[r:{index}/{left}]",
                expected=f"[r:{index}/{total - index}]",
            )
            total = index + left
    index, left, line = marks[-1]
    if left:
        remarks.add(
            "stream-truncated",
            f"the stream breaks off: {left} {'line is' if left == 1 else 'lines are'} missing",
            "critical",
            None,
            max(rows.values(), default=None),
            line,
            1,
            found=f"[r:{index}/{left}]",
            expected=f"[r:{index}/0]",
        )
