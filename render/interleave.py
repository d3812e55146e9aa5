"""The text of a faulty piece as interleaved ABC: one line per bar, one bar of every voice in it.

abc2xml reads voice after voice and counts barlines. A missing barline in bar 3 shifts every bar
behind it, and the marks at the failing bars would stand beside them. In interleaved text, as
NotaGen writes it, a line is one bar of all voices whatever is wrong inside it. Here every line is
written anew with exactly one bar per voice: segments of the same voice are joined, a missing bar
becomes a rest, barlines inside a bar are removed, and a bar that abc2midi could not read is
written from the notes that the reader found in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from scoregate.abc.score import Bar, Score
from scoregate.abc.source_text import split_lines
from scoregate.abc.writing import rest_text

_VOICE = re.compile(r"\[V:\s*([^\]\s]*)[^\]]*\]")
_PROTECTED = re.compile(r'("[^"]*"|![^!\s]*!|\[[A-Za-z]:[^\]]*\])')
_BARLINE = re.compile(r"\[\|\]?|:*\|+(?:\](?!\w))?:*(?:\[?[0-9](?:[,\-][0-9])*)?|::+")
_TOKEN = re.compile(r"[\[\]A-Ga-gzx^_=,'0-9/\-]{1,60}")


def interleaved_text(score: Score, findings: Iterable[Any] = ()) -> str:
    """Return the text of a piece with one bar of every voice in each line.

    Parameters
    ----------
    score : Score
    findings : iterable of Finding
        Bars with a critical finding of the syntax gate are written from their notes.

    Returns
    -------
    str
        ``""`` where the text is not interleaved or has no bar.
    """
    voices = [voice for voice in score.voices if voice.declared] or score.voices
    if not score.interleaved or not score.bar_count:
        return ""
    suspect = {
        (finding.voice, finding.bar)
        for finding in findings
        if finding.gate == "syntax" and finding.severity == "critical"
    }
    source = split_lines(score.text)
    rows = []
    for index in range(score.bar_count):
        row = [(v.id, v.bars[index] if index < len(v.bars) else None) for v in voices]
        rows.append(_row(row, source, score.unit, suspect))
    body = {bar.line for voice in score.voices for bar in voice.bars}
    head = source[: min(body) - 1]
    if not any(line.startswith("X:") for line in head):
        head.insert(0, "X:1")
    return "\n".join([*head, *rows]) + "\n"


def _row(
    row: list[tuple[str, Bar | None]],
    source: list[str],
    unit: Fraction,
    suspect: set[tuple[str | None, int | None]],
) -> str:
    present = [bar for _, bar in row if bar is not None]
    endings = Counter(bar.right for bar in present if bar.right)
    right = endings.most_common(1)[0][0] if endings else "|"
    length = max((bar.duration for bar in present), default=Fraction(1))
    segments = []
    for voice, bar in row:
        if bar is None or bar.implied:
            music = rest_text("x", length / unit)
        elif {(voice, bar.number), (None, bar.number)} & suspect:
            music = _from_notes(bar)
        else:
            music = _as_written(source[bar.line - 1], voice) or _from_notes(bar)
        ending = f"[{bar.ending} " if bar is not None and bar.ending else ""
        opening = "|:" if bar is not None and bar.left == "|:" and bar.number == 1 else ""
        segments.append(f"[V:{voice}]{opening}{ending}{music} {right}")
    return "".join(segments)


def _as_written(line: str, voice: str) -> str:
    parts = _VOICE.split(line)
    own = [music for name, music in zip(parts[1::2], parts[2::2], strict=True) if name == voice]
    pieces = _PROTECTED.split(" ".join(own))
    pieces[::2] = [_BARLINE.sub(" ", piece) for piece in pieces[::2]]
    return "".join(pieces).strip()


def _from_notes(bar: Bar) -> str:
    tokens = [
        event.text
        for event in bar.events
        if not event.grace and event.overlay == 0 and _is_complete(event.text)
    ]
    return " ".join(tokens) or "x"


def _is_complete(token: str) -> bool:
    return bool(_TOKEN.fullmatch(token)) and token.count("[") == token.count("]")
