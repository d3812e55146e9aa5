"""Every measure of a piece, and tables of sets of pieces with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scoregate.evaluation import counterpoint, dissonance, form, melody, rhythm
from scoregate.evaluation.reading import read_grid

_MODULES = {
    "counterpoint": counterpoint, "tendency and dissonance": dissonance, "melody": melody,
    "cadences and form": form, "rhythm": rhythm,
}  # fmt: skip
GROUPS = tuple(_MODULES)
RESAMPLES = 1000
Measured = dict[str, dict[str, float]]
"""Measures of one piece: group to measure to figure."""


class Interval(NamedTuple):
    """A mean over pieces with its 95 % bootstrap interval, and how many pieces had a figure."""

    mean: float
    low: float
    high: float
    pieces: int


def measure_piece(text: str, transpose: Mapping[int, int] | None = None) -> Measured:
    """Every measure of one piece, by group; NaN where a figure cannot be formed.

    Parameters
    ----------
    text : str
        Interleaved ABC, as the model wrote it or finished; voices are numbered.
    transpose : mapping of int to int, optional
        As for :func:`~scoregate.evaluation.reading.read_grid`.
    """
    grid = read_grid(text, transpose)
    if not grid.notes or not grid.times:
        return {group: {} for group in GROUPS}
    return {group: module.measures(grid) for group, module in _MODULES.items()}


def bootstrap(values: Sequence[float], seed: int = 1, resamples: int = RESAMPLES) -> Interval:
    """Mean with its percentile bootstrap interval, pieces resampled with replacement.

    Parameters
    ----------
    values : sequence of float
        One figure a piece; NaN is left out.
    seed, resamples : int

    Notes
    -----
    B. Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics 7 (1979).
    """
    kept = np.array([v for v in values if not math.isnan(v)])
    if not len(kept):
        return Interval(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(seed)
    means = kept[rng.integers(len(kept), size=(resamples, len(kept)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(kept.mean()), float(low), float(high), len(kept))


def table(sets: Mapping[str, Sequence[str]]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return the means of every measure for sets of texts, by their name: see :func:`summarise`."""
    return summarise({name: [measure_piece(t) for t in texts] for name, texts in sets.items()})


def summarise(
    measured: Mapping[str, Sequence[Measured]],
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return the means of every measure for every set of pieces.

    Parameters
    ----------
    measured : mapping of str to sequence
        What :func:`measure_piece` gave for each piece, by the name of its set.

    Returns
    -------
    dict
        Group to measure to set to :class:`Interval`; measures stand in the order in which the
        modules give them.
    """
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for group in GROUPS:
        names: dict[str, None] = {}
        for pieces in measured.values():
            for piece in pieces:
                names.update(dict.fromkeys(piece[group]))
        result[group] = {
            name: {
                key: bootstrap([piece[group].get(name, math.nan) for piece in pieces])
                for key, pieces in measured.items()
            }
            for name in names
        }
    return result
