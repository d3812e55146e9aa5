"""Writing the finished text of a stream: markers and prompt go, resting voices come back."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from scoregate.abc.body import RowNote
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.header import Header, split_comment
from scoregate.abc.lexer import STREAM_MARK, VOICE_MARK
from scoregate.abc.reader import Tune, read_tune
from scoregate.abc.source_text import RefusedError
from scoregate.abc.writing import rest_text

_MARKERS = re.compile(rf"(?:{STREAM_MARK.pattern})+")
_LEFT_BARLINE = re.compile(
    r"(?:\s|\[[A-Za-z]:[^\]\[]*+\])*+(\[\|\]?|\.?:*+\|++\]?:*+|::++)", re.ASCII
)
_CHANGES = re.compile(r"\[(?![Vr]:)[A-Za-z]:|\[V:\s*+[^\]\s]*+\s|\"|%")
"""What may change the voices or lengths of later lines: a field, or a quotation around one."""

Segments = tuple[tuple[int, int], ...]
"""For each stretch of a changed line: its first column in the finished line, and in the source
line, both from 1; 0 for a stretch that was added."""


class StreamWriter:
    """Writes the finished text of a stream, line by line.

    Attributes
    ----------
    out : list of str
        The finished lines.
    numbers : list of int
        For each of them its source line; 0 for an added one.
    segments : dict of int to tuple
        As in :class:`scoregate.abc.finish.Finished`.
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
