"""From a piece as a model writes it to finished ABC, the text that everything else works on.

The gates, abc2midi, the renderers and the archive all take the text that :func:`finish`
returns, so that what is archived is what was judged. A model writes prompt lines, a marker
``[r:i/j]`` before each line of the body, and no ``X:``, and it leaves out voices that only
rest. Finished ABC has ``X:1`` and every voice in every line, and neither prompt nor markers.

Finishing changes the form and repairs nothing: what is wrong in the text stays wrong in the
finished text. What only the original text shows, such as a marker out of order, is returned as
findings. Text that is finished already stays as it is, so finishing twice changes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from scoregate.abc.body import RowNote
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import FIELD_LINE, Header, block_opened, read_header, split_comment
from scoregate.abc.lexer import STREAM_MARK, VOICE_MARK
from scoregate.abc.reader import (
    RefusedError,
    Tune,
    end_of_tune,
    is_prompted,
    no_abc,
    open_text,
    read,
    read_tune,
    split_lines,
)
from scoregate.abc.score import Score
from scoregate.abc.whole_tune_checks import Mark, check_marks, remark_on_silent_voice
from scoregate.abc.writing import rest_text
from scoregate.findings import Finding

_MARKERS = re.compile(rf"(?:{STREAM_MARK.pattern})+")
_DECLARED = re.compile(r"^V:\s*(\S+)", re.MULTILINE)
_LEFT_BARLINE = re.compile(
    r"(?:\s|\[[A-Za-z]:[^\]\[]*+\])*+(\[\|\]?|\.?:*+\|++\]?:*+|::++)", re.ASCII
)
_CHANGES = re.compile(r"\[(?![Vr]:)[A-Za-z]:|\[V:\s*+[^\]\s]*+\s|\"|%")
"""What may change the voices or lengths of later lines: a field, or a quotation around one."""

Segments = tuple[tuple[int, int], ...]
"""For each stretch of a changed line: its first column in the finished line, and in the source
line, both from 1; 0 for a stretch that was added."""


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
        encoding. Positions are those of the source.
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
        original = self._placed.get(finding)
        if original is not None:
            return original
        if not self.changed or finding.line is None:
            return finding
        position = self.source_position(finding.line, finding.column or 1)
        if position is None:
            return replace(finding, line=None, column=None)
        line, column = position
        return replace(finding, line=line, column=None if finding.column is None else column)

    @property
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
        for its line ends. Text that the reader refuses stays as it is, too.
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
        _, lines = open_text(text, remarks)
    except RefusedError:
        return _unchanged(text if isinstance(text, str) else text.decode("latin-1"))
    head = read_header(lines, FindingCollector())
    if not whole and lines[-1] and len(lines) > head.body:
        lines[-1] = ""
    stop = end_of_tune(lines, head)
    marks, rows = _markers(lines, head.body, stop)
    if no_abc(lines, head) or not (marks or is_prompted(head)):
        findings = tuple(remarks.close())
        return Finished("\n".join(lines), tuple(range(1, len(lines) + 1)), {}, findings)
    writer = _Writer(lines, head, stop)
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


class _Writer:
    """Writes the finished text of a stream, line by line.

    Attributes
    ----------
    out : list of str
        The finished lines.
    numbers : list of int
        For each of them its source line; 0 for an added one.
    segments : dict of int to tuple
        As in :class:`Finished`.
    silent : list of str
        Declared voices that no line names.
    """

    def __init__(self, lines: list[str], head: Header, stop: int) -> None:
        self.lines, self.head, self.stop = lines, head, stop
        self.out: list[str] = []
        self.numbers: list[int] = []
        self.segments: dict[int, Segments] = {}
        self.silent: list[str] = []
        self.notes: dict[int, RowNote] = {}
        self.voices: list[str] = []
        self.leaders: set[str] = set()

    def write(self) -> set[int]:
        """Write all lines; return the numbers of those that held a marker and no music."""
        self._note_rows()
        empty: set[int] = set()
        self._header()
        for number, line in enumerate(self.lines[self.head.body :], self.head.body + 1):
            mark = _MARKERS.match(line) if line.startswith("[r:") else None
            begin = mark.end() if mark is not None else 0
            if mark is not None and number <= self.stop and not line[begin:].strip():
                empty.add(number)
                continue
            note = self.notes.get(number)
            absent = self._absent(note) if note is not None else []
            if note is not None and absent:
                line, segments = self._completed(line, begin, note, absent)
            else:
                line, segments = line[begin:], ((1, begin + 1),)
            self._put(line, number)
            if segments != ((1, 1),):
                self.segments[len(self.out)] = segments
        if self.out and self.out[-1]:
            self._put("", 0)
        return empty

    def _put(self, line: str, number: int) -> None:
        self.out.append(line)
        self.numbers.append(number)

    def _header(self) -> None:
        """Write the header with ``X:1``, without prompt lines and comments."""
        if not self.head.has_reference:
            self._put("X:1", 0)
        for number, line in enumerate(self.lines[: self.head.body], 1):
            if line.startswith("%") and not line.startswith("%%"):
                continue
            if not line.strip() and not self.head.has_reference:
                continue  # behind X:1 a blank line would end the tune
            self._put(line, number)

    def _note_rows(self) -> None:
        """Read the lines whose lengths are needed: those that lack a voice."""
        begin = self.head.body
        named = {*self.head.voices, *self.head.places}
        present = [
            {mark[1] for mark in VOICE_MARK.finditer(split_comment(line))}
            for line in self.lines[begin : self.stop]
        ]
        every = named.union(*present)
        if all(len(found) == len(every) for found in present if found):
            return
        lines = list(self.lines)
        if every == self.head.voices.keys():
            for index, found in enumerate(present, begin):
                whole = len(found) == len(every) and lines[index].startswith("[r:")
                if whole and not _CHANGES.search(lines[index]):
                    lines[index] = "%"  # A whole line without a field changes no other line.
        try:
            tune = read_tune(lines, FindingCollector(), note_rows=True)
        except RefusedError:
            return  # The gates refuse the finished text as well.
        if tune.interleaved:
            self._take(tune)
            occurring: set[str] = set().union(*present)
            self.silent = [v for v in self.voices if occurring and v not in occurring]

    def _take(self, tune: Tune) -> None:
        body = tune.body
        self.notes = {note.line: note for note in body.row_notes or ()}
        self.voices = [*self.head.voices, *(v for v in body.voices if v not in self.head.voices)]
        # A line may not name a voice that has no V: field where others have one.
        known = self.head.voices or body.voices
        self.voices = [v for v in self.voices if v in known and v not in body.undeclared]
        heads: dict[int, str] = {}
        for name, place in self.head.places.items():
            heads.setdefault(place.staff, name)
        # A voice that %%score doesn't name has a staff of its own.
        self.leaders = {*heads.values(), *(v for v in self.voices if v not in self.head.places)}

    def _absent(self, note: RowNote) -> list[str]:
        """Return the voices to fill in; none for a line in which no voice is named."""
        if not note.marks or not note.shapes:
            return []
        return [voice for voice in self.voices if voice not in note.shapes]

    def _completed(
        self, line: str, begin: int, note: RowNote, absent: list[str]
    ) -> tuple[str, Segments]:
        """Return a line with rests for the voices that it leaves out, in the header's order.

        The rests are as long as the other voices are, and end on the same barlines.
        """
        end = len(split_comment(line).rstrip().removesuffix("\\"))
        cells: dict[str, list[tuple[int, int]]] = {}
        starts = [mark.start() for mark in note.marks]
        for mark, stop in zip(note.marks, [*starts[1:], end], strict=True):
            cells.setdefault(mark[1], []).append((mark.start(), stop))
        model, shape = _usual(note)
        first = cells[model][0]
        music = line[line.index("]", first[0]) + 1 : first[1]]
        left = _LEFT_BARLINE.match(music)
        parts: list[tuple[int, str]] = [(begin, line[begin : starts[0]])]
        for voice in dict.fromkeys((*self.voices, *cells)):
            if voice in cells:
                parts += [(a, line[a:b]) for a, b in cells[voice]]
            elif voice in absent:
                unit = note.units.get(voice, note.unit)
                letter = "z" if voice in self.leaders else "x"
                rest = _rests(letter, shape, unit, left[1] if left else "")
                parts.append((-1, f"[V:{voice}]{rest}"))
        parts.append((end, line[end:]))
        segments, column = [], 1
        for start, text in parts:
            if text:
                segments.append((column, start + 1))
                column += len(text)
        return "".join(text for _, text in parts), tuple(segments)


def _usual(note: RowNote) -> tuple[str, tuple[tuple[Fraction, str], ...]]:
    """Return what most voices of a row have: the first such voice, its lengths and barlines."""
    lengths = {
        name: sum((length for length, _ in shape), Fraction(0))
        for name, shape in note.shapes.items()
    }
    length = Counter(lengths.values()).most_common(1)[0][0]
    shapes = {name: shape for name, shape in note.shapes.items() if lengths[name] == length}
    usual = Counter(shapes.values()).most_common(1)[0][0]
    return next((name, shape) for name, shape in shapes.items() if shape == usual)


def _rests(letter: str, shape: tuple[tuple[Fraction, str], ...], unit: Fraction, left: str) -> str:
    """Return rests with the lengths and barlines of a row's other voices."""
    if not any(length for length, _ in shape):
        return "".join(right for _, right in shape)
    return left + "".join(
        (rest_text(letter, length / unit) if length else "") + right for length, right in shape
    )
