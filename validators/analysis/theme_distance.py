"""How far a piece is from a theme: time warping over bars, and the notes of one voice.

The distance of two bars is that of :mod:`scoregate.validators.analysis.dtw`, but at least the
Jaccard distance of the times at which their notes begin, because warping hides the rhythm. The
bars of the theme and those of the piece are then warped against each other as whole sequences: the
cost of the cheapest path from the first pair of bars to the last, divided by its length, lies in
[0, 1], and is 0 for the theme itself.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.dtw import bar_distances
from scoregate.validators.analysis.sounding import beginnings, slices

Note = tuple[int, Fraction, Fraction, tuple[int, ...]]
"""Bar, onset in it, duration, and pitches as MIDI numbers."""


def theme_distance(theme: Score, piece: Score, first: int = 0) -> float:
    """Return the distance of the bars of a piece from those of a theme.

    Parameters
    ----------
    theme, piece : Score
    first : int
        Index of the first bar of the piece that is compared: those before it are the theme.

    Returns
    -------
    float
        0 to 1; NaN where one of the two has no bars.
    """
    one, other = slices(theme), slices(piece)[first:]
    if not len(one) or not len(other):
        return float("nan")
    rows, columns = np.divmod(np.arange(len(one) * len(other)), len(other))
    bars = np.concatenate([one, other])
    cost = bar_distances(bars, rows, columns + len(one))
    rhythm = _rhythm(beginnings(theme)[rows], beginnings(piece)[first:][columns])
    return _warped(np.maximum(cost, rhythm).reshape(len(one), len(other)))


def melody(score: Score) -> Score:
    """Return the first voice of a score alone."""
    return replace(score, voices=score.voices[:1], derived={})


def notes_of_voice(score: Score, voice: int = 0) -> list[Note]:
    """Return the notes of a voice, tied ones as one, to tell whether two voices are the same.

    Rests count as the time between notes; a voice that is not there has no notes.
    """
    found: list[Note] = []
    for bar in score.voices[voice].bars if voice < len(score.voices) else ():
        for event in bar.events:
            if not event.pitches or event.grace:
                continue
            if found and event.tied_pitches and set(event.tied_pitches) == set(event.pitches):
                number, onset, duration, pitches = found[-1]
                found[-1] = (number, onset, duration + event.duration, pitches)
            else:
                found.append((bar.number, event.onset, event.duration, tuple(event.pitches)))
    return found


def _rhythm(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float64]:
    either = np.bitwise_count(one | other)
    return np.bitwise_count(one ^ other) / np.maximum(either, 1)


def _warped(cost: NDArray[np.float64]) -> float:
    """Return the cost of the cheapest path, the shortest of equals, divided by its length."""
    rows, columns = cost.shape
    best = np.full((rows + 1, columns + 1), np.inf)
    steps = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    best[0, 0] = 0
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            before = min(
                (best[i - 1, j - 1], steps[i - 1, j - 1]),
                (best[i - 1, j], steps[i - 1, j]),
                (best[i, j - 1], steps[i, j - 1]),
            )
            best[i, j] = before[0] + cost[i - 1, j - 1]
            steps[i, j] = before[1] + 1
    return float(best[-1, -1] / steps[-1, -1])
