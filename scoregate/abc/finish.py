"""From a piece as a model writes it to finished ABC, the text that everything else works on.

The gates, abc2midi, the renderers and the archive all take the text that :func:`finish`
returns, so that what is archived is what was judged. A model writes prompt lines, a marker
``[r:i/j]`` before each line of the body, and no ``X:``, and it leaves out voices that only
rest. Finished ABC has ``X:1`` and every voice in every line, and neither prompt nor markers.

Lines of layout and playback (:mod:`scoregate.abc.layout`) are left out of every text.

Finishing changes the form and repairs nothing: what is wrong in the text stays wrong in the
finished text. What only the original text shows, such as a marker out of order, is returned as
findings. Text that is finished already stays as it is, so finishing twice changes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property

from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import FIELD_LINE, block_opened, read_header
from scoregate.abc.layout import may_have_layout, without_layout
from scoregate.abc.lexer import STREAM_MARK, VOICE_MARK
from scoregate.abc.reader import end_of_tune, is_prompted, no_abc, read
from scoregate.abc.score import Score
from scoregate.abc.source_text import RefusedError, open_text, split_lines
from scoregate.abc.stream_writer import Segments, StreamWriter
from scoregate.abc.whole_tune_checks import Mark, check_marks, remark_on_silent_voice
from scoregate.findings import Finding

_DECLARED = re.compile(r"^V:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Finished:
    r"""Finished ABC, and how it relates to the text that was handed in.

    Attributes
    ----------
    text : str
        The finished text, with ``\n`` as its line ends.
    lines : tuple of int
        For every line of ``text``, the line (from 1) of the source that it was made from;
        0 for a line that was added.
    segments : dict of int to tuple
        For each changed line of ``text``, by its number: which columns come from where.
    source_findings : tuple of Finding
        What only the source shows: the order of the markers, voices that never occur, the
        encoding, lines of layout. Positions are those of the source.
    prompt : tuple of str
        The prompt lines that were taken out, without ``%``.
    rows : int or None
        Lines of music of a text with markers, each of which is one bar; None without markers.
    """

    text: str
    lines: tuple[int, ...]
    segments: dict[int, Segments]
    source_findings: tuple[Finding, ...] = ()
    prompt: tuple[str, ...] = ()
    rows: int | None = None

    def score(self) -> Score:
        """Read the finished text.

        The findings begin with the source's, at their positions in the finished text.
        """
        score = read(self.text)
        score.prompt = self.prompt or score.prompt
        findings = list(self._placed)
        if self.rows is not None and not score.interleaved and _other_bars(score, self.rows):
            findings.append(
                Finding(
                    "syntax",
                    "syntax.stream-bars",
                    "critical",
                    "lines of the stream hold several bars of a voice; each must hold one",
                )
            )
        score.findings = findings + score.findings
        return score

    def source_position(self, line: int, column: int) -> tuple[int, int] | None:
        """Return line and column of the source for those of the finished text, all from 1.

        A column within something that was added becomes column 1. None for an added line.
        """
        source = self.lines[line - 1] if 1 <= line <= len(self.lines) else 0
        if not source:
            return None
        segments = self.segments.get(line)
        if segments is None:
            return source, column
        begin, origin = segments[max(bisect_right(segments, (column, 1 << 60)) - 1, 0)]
        return source, origin + max(column - begin, 0) if origin else 1

    def in_source(self, finding: Finding) -> Finding:
        """Return a finding on the finished text with its position in the source."""
        if self.source_findings and (original := self._placed.get(finding)) is not None:
            return original
        if not self.changed or finding.line is None:
            return finding
        position = self.source_position(finding.line, finding.column or 1)
        if position is None:
            return finding.at(None, None)
        line, column = position
        return finding.at(line, None if finding.column is None else column)

    @cached_property
    def changed(self) -> bool:
        """Whether any position differs from that in the source."""
        return bool(self.segments) or self.lines != tuple(range(1, len(self.lines) + 1))

    @cached_property
    def _placed(self) -> dict[Finding, Finding]:
        """The source's findings with their positions in the finished text -> themselves."""
        if not self.changed:
            return {finding: finding for finding in self.source_findings}
        numbers = {source: number for number, source in enumerate(self.lines, 1) if source}
        placed = {}
        for finding in self.source_findings:
            line = numbers.get(finding.line or 0)
            placed[replace(finding, line=line, column=None if line is None else 1)] = finding
        return placed


def finish(text: str | bytes, *, whole: bool = True) -> Finished:
    r"""Return the finished text of a piece.

    Parameters
    ----------
    text : str or bytes
        A piece as a model writes it, or finished ABC of any kind, which stays as it is but
        for its line ends and for lines of layout. Text that the reader refuses stays as it
        is, too.
    whole : bool
        False where generation was stopped: a last line of the body without a line end is
        incomplete, and left out.

    Examples
    --------
    >>> raw = "%Baroque\n%Bach\n%Choral\nL:1/8\nK:C\nV:1\nV:2\n[r:0/0][V:1]C8|]\n"
    >>> print(finish(raw).text)
    X:1
    L:1/8
    K:C
    V:1
    V:2
    [V:1]C8|][V:2]z8|]
    <BLANKLINE>
    >>> finish(finish(raw).text).text == finish(raw).text
    True
    """
    remarks = FindingCollector()
    try:
        opened, lines = open_text(text, remarks)
    except RefusedError:
        return _unchanged(text if isinstance(text, str) else text.decode("latin-1"))
    if not may_have_layout(opened):
        return _finished(lines, remarks, whole)
    lines, numbers = without_layout(lines, remarks)
    return _in_source(_finished(lines, FindingCollector(), whole), numbers, remarks)


def _finished(lines: list[str], remarks: FindingCollector, whole: bool) -> Finished:
    """Finish a text without layout; `remarks` may hold what was found before."""
    head = read_header(lines, FindingCollector())
    if not whole and lines and lines[-1] and len(lines) > head.body:
        lines[-1] = ""
    stop = end_of_tune(lines, head)
    marks, rows = _markers(lines, head.body, stop)
    if no_abc(lines, head) or not (marks or is_prompted(head)):
        findings = tuple(remarks.close())
        return Finished("\n".join(lines), tuple(range(1, len(lines) + 1)), {}, findings)
    writer = StreamWriter(lines, head, stop)
    empty = writer.write()
    if marks:
        number_of = {line: row for row, line in enumerate(rows, 1) if line not in empty}
        check_marks(marks, number_of, remarks)
        _remark_on_empty(empty, rows, remarks)
    for name in writer.silent:
        remark_on_silent_voice(name, head, lines, "warning", remarks)
    return Finished(
        "\n".join(writer.out),
        tuple(writer.numbers),
        writer.segments,
        tuple(remarks.close()),
        head.prompt,
        len(rows) - len(empty) if marks else None,
    )


def _in_source(finished: Finished, numbers: list[int], remarks: FindingCollector) -> Finished:
    """Return what was made of some lines of a source as made of the whole source.

    Parameters
    ----------
    finished : Finished
        Made of the lines with these numbers.
    numbers : list of int
        Of the lines of the source, from 1.
    remarks : FindingCollector
        What was found in the source itself.
    """
    found = (
        finding if finding.line is None else replace(finding, line=numbers[finding.line - 1])
        for finding in finished.source_findings
    )
    return replace(
        finished,
        lines=tuple(numbers[line - 1] if line else 0 for line in finished.lines),
        source_findings=(*remarks.close(), *found),
    )


def undeclared_voices(raw: str) -> list[str]:
    """Return the voices that bars are written for and that no ``V:`` field declares.

    Happens where a header was forced that the model would not have written.
    """
    return sorted({mark[1] for mark in VOICE_MARK.finditer(raw)} - set(_DECLARED.findall(raw)))


def _unchanged(text: str) -> Finished:
    return Finished(text, tuple(range(1, len(split_lines(text)) + 1)), {})


def _other_bars(score: Score, rows: int) -> bool:
    return any(len(voice.bars) != rows for voice in score.voices)


def _markers(lines: list[str], begin: int, stop: int) -> tuple[list[Mark], list[int]]:
    """Return the stream's markers, and the numbers of the lines of music."""
    marks: list[Mark] = []
    rows: list[int] = []
    block = ""
    for number, line in enumerate(lines[begin:stop], begin + 1):
        if block:
            block = "" if line.startswith("%%end" + block) else block
        elif line.startswith("%"):
            block = block_opened(line)
        elif (line[1:2] == ":" or line[0] == "+") and FIELD_LINE.match(line):
            continue
        else:
            rows.append(number)
            mark = STREAM_MARK.match(line)
            if mark is not None:
                marks.append((int(mark[1]), int(mark[2]), number))
    return marks, rows


def _remark_on_empty(empty: set[int], rows: list[int], remarks: FindingCollector) -> None:
    """Remark on lines that hold a marker and no music; they are left out."""
    for number in sorted(empty):
        remarks.add(
            "stream-empty",
            "the line holds no music",
            "warning" if number == rows[-1] else "critical",
            line=number,
            column=1,
        )
