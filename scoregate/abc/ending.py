"""How a text ends: the stream's counters, the last barline, endings and repeats."""

from __future__ import annotations

import re

from scoregate.abc.body import Body
from scoregate.abc.remarks import Remarks
from scoregate.abc.score import Score

_GROUPS = re.compile(r"^(?:%%|I:)\s*(?:score|staves)\b", re.MULTILINE)


def check_ending(score: Score, body: Body, remarks: Remarks) -> None:
    """Remark on a stream that breaks off and on a tune without a final barline."""
    if not score.text.strip():
        return
    if not any(event.pitches for v in score.voices for bar in v.bars for event in bar.events):
        line = body.row_lines[0] if body.row_lines else body.first_line
        remarks.add("no-music", "there is not one note", line=line, column=1)
        return
    if body.marks:
        _check_marks(body, remarks)
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


def check_silent(score: Score, remarks: Remarks) -> None:
    """Remark on voices that the header declares and no line of music names.

    To be asked before the voices that a line leaves out are filled in. A model's stream
    may leave a voice out to its end.
    """
    if not any(voice.bars for voice in score.voices):
        return
    for voice in score.voices:
        if not voice.bars:
            remarks.add(
                "voice-silent",
                "declared, but no line of music names it",
                "warning" if score.stream else "critical",
                voice.id,
                None,
                voice.line or _groups_line(score.text),
                1,
            )


def check_sense(score: Score, remarks: Remarks) -> None:
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


def _groups_line(text: str) -> int:
    """Return the number of the line that puts the voices into staves; 1 where there is none."""
    match = _GROUPS.search(text)
    return text.count("\n", 0, match.start()) + 1 if match else 1


def _check_marks(body: Body, remarks: Remarks) -> None:
    """Hold the ``[r:i/j]`` markers to their order: i counts up from 0, j down to 0."""
    marks = body.marks
    total = marks[0][0] + marks[0][1]
    for position, (index, left, line) in enumerate(marks):
        expected = position if position == 0 else marks[position - 1][0] + 1
        if index != expected:
            remarks.add(
                "stream-order",
                "the line's marker is out of order",
                "critical",
                None,
                body.row_lines.index(line) + 1 if line in body.row_lines else None,
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
            len(body.row_lines),
            line,
            1,
            found=f"[r:{index}/{left}]",
            expected=f"[r:{index}/0]",
        )
