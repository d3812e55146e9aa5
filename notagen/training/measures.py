"""What raw generations are measured by: bars, metre, harmony, ending, copies.

Works on text as the model wrote it, faulty or not: nothing is repaired, a line that can't
be read counts as wrong. Resting voices may be left out of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction

from scoregate.abc.keys import key_fifths, signature
from scoregate.convert.bar_events import Event, midi_pitch, write_bar
from scoregate.evaluation.lines import Line, read_lines
from scoregate.theory import (
    MINOR_MAJOR_SEVENTH,
    SEVENTHS,
    TRIADS,
    parts_of_chords,
    pitch_class_set,
)

_CHORDS = parts_of_chords((*TRIADS.values(), *SEVENTHS.values(), MINOR_MAJOR_SEVENTH))
_CONSONANT = parts_of_chords((TRIADS["major"], TRIADS["minor"]))


@dataclass(slots=True)
class PieceMeasures:
    """Figures of one piece.

    Parameters
    ----------
    lines : int
        Bars of the piece.
    equal : float
        Share of lines in which all voices written have the same length and a barline.
    metre : float
        Share of lines that are equal and as long as the metre, or shorter with a reason:
        first or last, beside a barline other than ``|``, or completing a neighbour.
    harmony : float or None
        Share of beats whose sounding pitch classes lie within a triad or a seventh chord.
    final_triad : bool
        The last notes lie within a major or minor triad.
    copied : int
        Longest run of first-voice bars found in the training pieces, in any key.
    ended : bool
        Closes with ``|]`` in its last line and with four voices declared.
    """

    lines: int
    equal: float
    metre: float
    harmony: float | None
    final_triad: bool
    copied: int
    ended: bool

    def as_dict(self) -> dict:
        """JSON-ready."""
        return asdict(self)


def sounding(line: Line, at: Fraction) -> list[int]:
    """MIDI pitches of all voices at a time of the line."""
    return [
        midi_pitch(p)
        for events in line.voices.values()
        for e in events
        if e.onset <= at < e.onset + e.duration
        for p in e.pitches
    ]


def is_equal(line: Line) -> bool:
    """All voices written are of the same length and closed by a barline."""
    return bool(line.lengths) and line.closed and len(set(line.lengths.values())) == 1


def harmony_fit(lines: list[Line], beat: Fraction) -> tuple[int, int]:
    """Beats that fit a chord, and beats with at least three notes sounding."""
    fitting = counted = 0
    for line in lines:
        longest = max(line.lengths.values(), default=Fraction(0))
        at = Fraction(0)
        while at < longest:
            notes = sounding(line, at)
            if len(notes) >= 3:
                counted += 1
                fitting += bool(_CHORDS[pitch_class_set(notes)])
            at += beat
    return fitting, counted


def soprano_bars(lines: list[Line]) -> list[list[tuple[int, Fraction]]]:
    """First-voice bars as (pitch, duration), rests left out as pitch -1."""
    return [
        [
            (midi_pitch(e.pitches[0]) if e.pitches else -1, e.duration)
            for e in line.voices.get(1, [])
        ]
        for line in lines
    ]


def _mark(bars: list[list[tuple[int, Fraction]]]) -> tuple:
    """Bars relative to their first pitch."""
    first = next((p for bar in bars for p, _ in bar if p >= 0), 0)
    return tuple(tuple((p - first if p >= 0 else None, d) for p, d in bar) for bar in bars)


class CopyIndex:
    """Runs of first-voice bars of the training pieces, up to transposition."""

    def __init__(self, texts: Iterable[str], longest: int = 12) -> None:
        self.longest = longest
        self.runs: set[int] = set()
        for text in texts:
            bars = soprano_bars(read_lines(text)[0])
            for size in range(1, longest + 1):
                for i in range(len(bars) - size + 1):
                    self.runs.add(hash(_mark(bars[i : i + size])))

    def longest_run(self, lines: list[Line]) -> int:
        """Bars of the longest run that a training piece has too."""
        bars = soprano_bars(lines)
        best = 0
        for size in range(1, self.longest + 1):
            if not any(
                hash(_mark(bars[i : i + size])) in self.runs for i in range(len(bars) - size + 1)
            ):
                break
            best = size
        return best


def measure(text: str, copies: CopyIndex | None = None) -> PieceMeasures:
    """All figures of one piece."""
    lines, full, beat = read_lines(text)
    if not lines:
        return PieceMeasures(0, 0.0, 0.0, None, False, 0, False)
    equal = [is_equal(line) for line in lines]
    longest = [max(line.lengths.values(), default=Fraction(0)) for line in lines]
    right = 0
    for i, line in enumerate(lines):
        if not equal[i] or longest[i] > full:
            continue
        neighbours = [longest[j] for j in (i - 1, i + 1) if 0 <= j < len(lines)]
        special = line.barline != "|" or (i > 0 and lines[i - 1].barline != "|")
        excused = i in (0, len(lines) - 1) or special
        completed = any(longest[i] + n == full for n in neighbours)
        right += longest[i] == full or excused or completed
    fitting, counted = harmony_fit(lines, beat)
    last = lines[-1]
    end = longest[-1]
    ending: list[int] = []
    # A closing rest is passed over: the last notes that sound are meant.
    for quarter in range(int(end * 4), 0, -1):
        ending = sounding(last, Fraction(quarter, 4) - Fraction(1, 8))
        if ending:
            break
    classes = pitch_class_set(ending)
    triad = classes.bit_count() >= 2 and bool(_CONSONANT[classes])
    return PieceMeasures(
        len(lines), sum(equal) / len(lines), right / len(lines),
        fitting / counted if counted else None, triad,
        copies.longest_run(lines) if copies else 0, last.barline.endswith("|]"),
    )  # fmt: skip


def shifted(text: str, beats: int = 3) -> str:
    """Return a piece whose voices are moved against each other: what harmony chance gives.

    Voice v begins ``beats * v`` quarters later than the first, bar lines kept; used for
    the harmony figure alone.
    """
    lines, full, beat = read_lines(text)
    key = re.search(r"^K:(.*)$", text, re.M)
    alters = signature(key_fifths(key[1]) if key else 0)
    out = []
    total = sum((max(line.lengths.values()) for line in lines), Fraction(0))
    length = full
    for number, voice in enumerate(sorted({v for line in lines for v in line.voices})):
        events = [e for line in lines for e in line.voices.get(voice, [])]
        grid: list[tuple[tuple[int, int], ...]] = []
        for e in events:
            grid += [e.pitches] * max(1, int(e.duration * 2))
        move = int(number * beats * beat * 2) % max(len(grid), 1)
        grid = grid[move:] + grid[:move]
        cells = []
        per = int(length * 2)
        for i in range(0, int(total * 2) // per * per, per):
            cells.append([Event(Fraction(0), Fraction(1, 2), p, 0, 0) for p in grid[i : i + per]])
        out.append((voice, [write_bar(c, alters) for c in cells]))
    header = "".join(
        line + "\n" for line in text.splitlines() if not line.startswith(("[V:", "[r:"))
    )
    rows = []
    for i in range(min(len(cells) for _, cells in out)):
        rows.append("".join(f"[V:{v}]{cells[i]}|" for v, cells in out))
    return header + "\n".join(rows) + "\n"


def summary(pieces: list[PieceMeasures]) -> dict[str, float]:
    """Means over pieces (bars pooled), and the median of the copied run."""
    bars = sum(p.lines for p in pieces) or 1
    fits = [p.harmony for p in pieces if p.harmony is not None]
    copied = sorted(p.copied for p in pieces)
    return {
        "pieces": len(pieces),
        "bars": bars / max(len(pieces), 1),
        "equal bars": sum(p.equal * p.lines for p in pieces) / bars,
        "bars = metre": sum(p.metre * p.lines for p in pieces) / bars,
        "harmony fit": sum(fits) / max(len(fits), 1),
        "final triad": sum(p.final_triad for p in pieces) / max(len(pieces), 1),
        "copied run, median": copied[len(copied) // 2] if copied else 0,
        "ended": sum(p.ended for p in pieces) / max(len(pieces), 1),
    }
