"""Pieces sampled for a measurement: judged by the gates and measured, as many sets as there are.

A set is what one generator wrote with one setting, or real pieces. Every set goes through the
same gates and the same measures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.findings import Status
from scoregate.lstm.events import Piece
from scoregate.lstm.study.likeness import CopyIndex, Step, similarity, transition_distance
from scoregate.validators.analysis.sounding import notes
from scoregate.validators.examination import examine
from scoregate.validators.gates.measures import transition_matrix

MEASURES = {
    "pitch_entropy": "measures.pitch_entropy",
    "groove": "measures.groove_consistency",
    "key_clarity": "measures.key_clarity",
    "scale": "measures.scale_consistency",
    "recurrence": "repetition.recurrence",
    "loop_share": "repetition.loop_share",
    "bars": "bars.count",
    "notes": "measures.notes",
}
"""Name here, and the gate's measure."""
_RESAMPLINGS = 200


@dataclass(slots=True)
class Reference:
    """The corpus that sets are compared with.

    Attributes
    ----------
    copies : CopyIndex
    transitions : ndarray of int64, (12, 12)
    """

    copies: CopyIndex
    transitions: NDArray[np.int64]


def reference_of(scores: Sequence[Score]) -> Reference:
    """Return what sets are compared with, from the scores of a corpus."""
    counts = np.zeros((12, 12), dtype=np.int64)
    for score in scores:
        counts += transition_matrix(score)
    return Reference(CopyIndex([melody_of(score) for score in scores]), counts)


def reference_of_events(pieces: Sequence[Piece]) -> Reference:
    """Return the same from streams of events, without writing them as scores first."""
    counts = np.zeros((12, 12), dtype=np.int64)
    melodies = []
    for piece in pieces:
        tops = [(event.pitches[-1], event.duration) for event in piece.events if event.pitches]
        pitches = np.array([pitch for pitch, _ in tops])
        np.add.at(counts, (pitches[:-1] % 12, pitches[1:] % 12), 1)
        melodies.append(_steps(pitches.tolist(), [float(d) / 4 for _, d in tops]))
    return Reference(CopyIndex(melodies), counts)


def melody_of(score: Score) -> list[Step]:
    """Return the melody of a score: the highest notes of its first voice.

    A step is the interval to the note before and the duration; tied notes count once.
    """
    every = notes(score)
    chosen = np.flatnonzero((every.voice == 0) & ~every.grace)
    if not len(chosen):
        return []
    time = every.bar_start[every.bar[chosen]]
    onset, end = time + every.onset[chosen], time + every.end[chosen]
    pitch, starts = every.pitch[chosen], every.starts[chosen]
    top: dict[float, tuple[int, float, bool]] = {}
    for row in range(len(chosen)):
        now = round(float(onset[row]), 9)
        if now not in top or top[now][0] < pitch[row]:
            top[now] = (int(pitch[row]), float(end[row] - onset[row]), bool(starts[row]))
    pitches: list[int] = []
    durations: list[float] = []
    for found, duration, begins in (top[now] for now in sorted(top)):
        if begins or not pitches:
            pitches.append(found)
            durations.append(duration)
        else:
            durations[-1] += duration
    return _steps(pitches, durations)


def _steps(pitches: list[int], durations: list[float]) -> list[Step]:
    return [
        (after - before, round(96 * duration))
        for before, after, duration in zip(pitches, pitches[1:], durations[1:], strict=False)
    ]


def measure_set(
    texts: Sequence[str],
    style: str | None,
    reference: Reference,
    unfinished: Sequence[bool] = (),
) -> dict[str, Any]:
    """Judge and measure a set of pieces; return a JSON-ready record.

    Parameters
    ----------
    texts : sequence of str
        ABC.
    style : str or None
    reference : Reference
    unfinished : sequence of bool
        Pieces that were cut off; they do not pass.

    Returns
    -------
    dict
        ``pieces``: for each ``passed``, ``reasons``, the values of :data:`MEASURES` (None for
        NaN) and ``copied``, the longest run of the melody that the corpus has too, in notes.
        ``distance`` and ``distance_error``: of the transitions to the corpus, with the standard
        error over resampled pieces. ``similarity``: between the pieces of the set.
    """
    cut = list(unfinished) or [False] * len(texts)
    rows, matrices, melodies = [], [], []
    for text, is_cut in zip(texts, cut, strict=True):
        found = examine(text, style=style)
        verdict = found.verdict()
        reasons = sorted({failure.gate for failure in verdict.failed if _rejects(failure)})
        reasons += ["unfinished"] if is_cut else []
        values = {name: found.measures.get(gate, math.nan) for name, gate in MEASURES.items()}
        melody = melody_of(found.score)
        values["copied"] = float(reference.copies.longest(melody) + 1) if melody else math.nan
        rows.append(
            {
                "passed": verdict.status is Status.PASSED and not is_cut,
                "reasons": reasons,
                **{k: None if math.isnan(v) else round(float(v), 5) for k, v in values.items()},
            }
        )
        matrices.append(transition_matrix(found.score))
        melodies.append(melody)
    counts = np.array(matrices)
    distance = transition_distance(counts.sum(axis=0), reference.transitions)
    return {
        "pieces": rows,
        "distance": _number(distance),
        "distance_error": _number(_error(counts, reference.transitions)),
        "similarity": _number(similarity(melodies)),
    }


def _rejects(failure: Any) -> bool:
    return failure.severity == "critical"


def _error(counts: NDArray, reference: NDArray) -> float:
    """Return the standard deviation of the distance over sets resampled from the pieces."""
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(counts), (_RESAMPLINGS, len(counts)))
    return float(np.std([transition_distance(counts[c].sum(axis=0), reference) for c in chosen]))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)


def keep_texts(folder: Path, texts: Sequence[str]) -> None:
    """Write the pieces of a set as files of ABC, so that they can be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, start=1):
        (folder / f"{number:02}.abc").write_text(text)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return a record that an earlier run has finished, or None."""
    return json.loads(path.read_text()) if path.is_file() else None
