"""Interleaved text: every voice gets exactly one bar for every line."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from scoregate.abc.body import Body
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.score import Bar, Event, Score, Voice


def complete(score: Score, body: Body, remarks: FindingCollector) -> None:
    """Join the bars of one cell, and fill in the voices that a line leaves out.

    In text as the model writes it a voice that rests is left out; in finished text that
    is a fault. Either way the voice gets an implied rest as long as the line's other bars,
    so that bar n of every voice is line n.
    """
    rows = len(body.row_lines)
    by_row: list[dict[str, Bar]] = [{} for _ in range(rows)]
    for voice in score.voices:
        if len({bar.number for bar in voice.bars}) != len(voice.bars):
            voice.bars = _join(voice.bars)
        for bar in voice.bars:
            by_row[bar.number - 1][voice.id] = bar
    if all(len(voice.bars) == rows for voice in score.voices):
        score.bar_count = rows
        return
    missing: dict[int, list[str]] = {}
    for voice in score.voices:
        if len(voice.bars) == rows:
            continue
        full: list[Bar] = []
        left = ""
        for index, row in enumerate(by_row):
            bar = row.get(voice.id)
            if bar is None:
                bar = _resting(voice, index + 1, body.row_lines[index], row, left, score.stream)
                missing.setdefault(index, []).append(voice.id)
            left = bar.right
            full.append(bar)
        voice.bars = full
    score.bar_count = rows
    if not score.stream:
        _report(missing, body, remarks)


def _report(missing: dict[int, list[str]], body: Body, remarks: FindingCollector) -> None:
    """Remark on every voice that a line of finished text lacks."""
    declared = {voice for voices in body.row_voices for voice in voices}
    never = [name for name in body.voices if name not in declared]
    for index, names in sorted(missing.items()):
        for name in names:
            if name not in never and name not in body.undeclared:
                remarks.add(
                    "voice-missing",
                    "the voice is missing from its line",
                    "critical",
                    name,
                    index + 1,
                    body.row_lines[index],
                    1,
                )


def _join(bars: list[Bar]) -> list[Bar]:
    """Make one bar of those that a line brings for one voice."""
    joined: list[Bar] = []
    for bar in bars:
        if not joined or joined[-1].number != bar.number:
            joined.append(bar)
            continue
        first = joined[-1]
        for event in bar.events:
            event.onset += first.duration
        first.events.extend(bar.events)
        first.inner = (*first.inner, first.right)
        first.right = bar.right
        first.duration += bar.duration
    return joined


def _resting(
    voice: Voice, number: int, line: int, row: dict[str, Bar], left: str, visible: bool
) -> Bar:
    """Return a rest as long as most bars of the row, under the same metre and barline."""
    durations = Counter(bar.duration for bar in row.values())
    duration = durations.most_common(1)[0][0] if durations else Fraction(0)
    model = next((bar for bar in row.values() if bar.duration == duration), None)
    key = voice.bars[-1].key if voice.bars else ""
    rest = Event(Fraction(0), duration, (), line, 1, visible=visible, text="z")
    return Bar(
        number,
        duration,
        model.metre if model else None,
        model.metre_text if model else "",
        [rest],
        left,
        model.right if model else "",
        line,
        1,
        key,
        True,
    )
