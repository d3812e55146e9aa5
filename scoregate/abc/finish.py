"""From a piece as the model writes it to finished ABC, for abc2midi and for engraving.

Strips the ``[r:i/j]`` markers and the prompt, writes ``X:1`` and fills in the voices that a
line leaves out with rests as long as the line. A finished piece stays as it is. The map of
lines leads every remark of another tool back to the text as it was handed in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from scoregate.abc.fields import read_unit
from scoregate.abc.lengths import wholes
from scoregate.abc.lexer import STREAM_MARK, VOICE_MARK
from scoregate.abc.reader import split_lines
from scoregate.abc.score import Bar, Score

_UNIT_FIELD = re.compile(r"\[L:([^\]\[]*+)\]")
_LEADING_BAR = re.compile(r"\s*(\[\||[|:]+\]?)")


@dataclass(frozen=True, slots=True)
class Finished:
    """Finished ABC.

    Parameters
    ----------
    text : str
    lines : tuple of int
        For every line of ``text``, in order, the line (from 1) of the source that it was
        made from; 0 for a line that was added.
    """

    text: str
    lines: tuple[int, ...]

    def source_line(self, line: int) -> int | None:
        """Return the source's line for a line (from 1) of the finished text, if it has one."""
        if 1 <= line <= len(self.lines):
            return self.lines[line - 1] or None
        return None


def finish(score: Score) -> Finished:
    """Return the finished text of a score.

    Parameters
    ----------
    score : Score
        As :func:`scoregate.abc.reader.read` made it.
    """
    source = split_lines(score.text)
    if not score.stream:
        return Finished("\n".join(source), tuple(range(1, len(source) + 1)))
    rows = _rows(score) if score.interleaved else {}
    first = min(rows, default=len(source) + 1)
    has_reference = any(line.startswith("X:") for line in source[: first - 1])
    lines, numbers = ([], []) if has_reference else (["X:1"], [0])
    units = {voice.id: score.unit for voice in score.voices}
    for number, line in enumerate(source, 1):
        if number < first and line.startswith("%") and not line.startswith("%%"):
            continue
        if line.startswith("[r:"):
            line = STREAM_MARK.sub("", line, count=1)
        if number in rows:
            line = _complete(line, rows[number], units)
        lines.append(line)
        numbers.append(number)
    return Finished("\n".join(lines), tuple(numbers))


def _rows(score: Score) -> dict[int, list[tuple[str, Bar, bool]]]:
    """Return, by source line, the bars of a line: voice, bar, whether it heads its staff."""
    heads: dict[int, str] = {}
    for voice in sorted(score.voices, key=lambda voice: voice.staff):
        heads.setdefault(voice.staff, voice.id)
    rows: dict[int, list[tuple[str, Bar, bool]]] = {}
    for voice in score.voices:
        for bar in voice.bars:
            rows.setdefault(bar.line, []).append((voice.id, bar, heads[voice.staff] == voice.id))
    return rows


def _complete(line: str, row: list[tuple[str, Bar, bool]], units: dict[str, Fraction]) -> str:
    """Add the voices that `line` leaves out, in the header's order."""
    if not any(bar.implied for _, bar, _ in row) and "[L:" not in line:
        return line
    marks = list(VOICE_MARK.finditer(line))
    cells: dict[str, str] = {}
    for index, mark in enumerate(marks):
        stop = marks[index + 1].start() if index + 1 < len(marks) else len(line)
        cells[mark[1]] = cells.get(mark[1], "") + line[mark.start() : stop].rstrip()
    start = marks[0].start() if marks else 0
    for voice, cell in (("", line[:start]), *cells.items()):
        for match in _UNIT_FIELD.finditer(cell):
            unit = read_unit(match[1])
            for name in (voice,) if voice else tuple(units):
                if unit is not None:
                    units[name] = wholes[unit]
    model = next(iter(cells.values()), "")
    head = _LEADING_BAR.match(model[model.find("]") + 1 :])
    written: list[str] = [line[:start]]
    for voice, bar, leads in row:
        if not bar.implied:
            written.append(cells.pop(voice, ""))
        elif bar.duration:
            rest = "z" if leads else "x"
            length = show_length(bar.duration / units.get(voice, Fraction(1, 8)))
            written.append(f"[V:{voice}]{head[1] if head else ''}{rest}{length}{bar.right}")
    written.extend(cells.values())
    return "".join(written)


def show_length(units: Fraction) -> str:
    """Return a length in unit notes as ABC writes it: ``""``, ``3``, ``/2``, ``3/2``."""
    if units.denominator == 1:
        return "" if units == 1 else str(units.numerator)
    top = "" if units.numerator == 1 else str(units.numerator)
    return f"{top}/{units.denominator}"
