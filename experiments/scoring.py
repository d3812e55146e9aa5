"""The score of a setting: pass rate, likeness to a reference corpus, and human ratings.

Each part lies between 0 and 1, and the score is their mean weighted by the shares that are asked
for:

- the pass rate: pieces that pass the gates / pieces generated;
- the likeness: 1 - the mean shift of the measures from the reference corpus
  (:mod:`scoregate.experiments.comparison`), over all pieces that can be read;
- the rating: (mean rating - 1) / 4. A setting with few ratings is drawn to the mean of all
  settings, as if ``PRIOR`` ratings of that mean were added to its own.

A part for which there is nothing (no reference corpus, no rating of any setting) is left out, and
the other shares take its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoregate.experiments.comparison import LARGEST_SHIFT, Estimate, ShiftFrom
from scoregate.experiments.search import Setting
from scoregate.intervals import wilson

Floats = NDArray[np.float64]

PRIOR = 2.0
"""Ratings of the mean of all settings that are added to those of each."""
RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class Shares:
    """How much each part counts; they need not sum to 1."""

    passed: float = 0.5
    likeness: float = 0.3
    rating: float = 0.2


@dataclass(slots=True)
class Measured:
    """The pieces of a setting, all its runs together.

    Attributes
    ----------
    setting : Setting
    passed : ndarray of bool, shape (pieces,)
    table : ndarray of float, shape (pieces, measures)
        As :meth:`ShiftFrom.table` gives it; a row of NaN for a piece that can't be read. No
        columns where there is no reference.
    ratings : list of float
        One for each piece that was rated, from 1 to 5.
    """

    setting: Setting
    passed: NDArray[np.bool_]
    table: Floats
    ratings: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Scored:
    """A setting with its score.

    Attributes
    ----------
    setting : Setting
    pieces, passed : int
    interval : tuple of float
        Wilson's, of the pass rate.
    shift : float
        NaN without a reference.
    rating : float
        Mean rating; NaN without one.
    ratings : int
    score : Estimate
        With its bootstrap interval.
    samples : ndarray of float, shape (resamples,)
        The score in each bootstrap sample of the pieces.
    """

    setting: Setting
    pieces: int
    passed: int
    interval: tuple[float, float]
    shift: float
    rating: float
    ratings: int
    score: Estimate
    samples: Floats


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much the best setting leads another one.

    Attributes
    ----------
    best, other : Setting
    difference : Estimate
        Of the scores.
    surety : float
        Share of the bootstrap samples in which the best one is better.
    """

    best: Setting
    other: Setting
    difference: Estimate
    surety: float


def score_settings(
    measured: Sequence[Measured],
    reference: ShiftFrom | None,
    shares: Shares,
    *,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> list[Scored]:
    """Return the settings with their scores, the best first.

    Parameters
    ----------
    measured : sequence of Measured
        Each with one piece at least.
    reference : ShiftFrom or None
    shares : Shares
    resamples : int
        Bootstrap samples; the ratings are not resampled.
    seed : int
    """
    every = [rating for one in measured for rating in one.ratings]
    overall = float(np.mean(every)) if every else math.nan
    scored = [
        _score(one, reference, shares, overall, np.random.default_rng((seed, place)), resamples)
        for place, one in enumerate(sorted(measured, key=lambda one: one.setting))
    ]
    return sorted(scored, key=lambda one: -one.score.value)


def lead(best: Scored, other: Scored) -> Lead:
    """Return by how much one setting leads another."""
    difference = best.samples - other.samples
    value = best.score.value - other.score.value
    if not len(difference):
        return Lead(best.setting, other.setting, Estimate(value, math.nan, math.nan), math.nan)
    low, high = np.percentile(difference + (value - difference.mean()), (2.5, 97.5))
    moved = difference + (value - difference.mean())
    surety = float((moved > 0).mean() + (moved == 0).mean() / 2)
    return Lead(best.setting, other.setting, Estimate(value, float(low), float(high)), surety)


def _score(
    one: Measured,
    reference: ShiftFrom | None,
    shares: Shares,
    overall: float,
    rng: np.random.Generator,
    resamples: int,
) -> Scored:
    count = len(one.passed)
    passed = int(one.passed.sum())
    rating = math.nan
    if not math.isnan(overall):
        rating = (sum(one.ratings) + PRIOR * overall) / (len(one.ratings) + PRIOR)
    shift = float(_shifts(reference, one.table, np.ones((1, count)))[0])
    value = _joined(shares, passed / count, shift, rating)
    weights = rng.multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    shifts = _shifts(reference, one.table, weights)
    samples = np.array(
        [
            _joined(shares, float(rate), float(again), rating)
            for rate, again in zip(weights @ one.passed / count, shifts, strict=True)
        ]
    )
    if resamples:
        low, high = np.percentile(samples + (value - samples.mean()), (2.5, 97.5))
        score = Estimate(value, float(low), float(high))
    else:
        score = Estimate(value, math.nan, math.nan)
    return Scored(
        setting=one.setting,
        pieces=count,
        passed=passed,
        interval=wilson(passed, count),
        shift=shift,
        rating=float(np.mean(one.ratings)) if one.ratings else math.nan,
        ratings=len(one.ratings),
        score=score,
        samples=samples,
    )


def _shifts(reference: ShiftFrom | None, table: Floats, weights: Floats) -> Floats:
    """Return the shift of each sample; where no piece can be read it is as large as it can be."""
    if reference is None:
        return np.full(len(weights), math.nan)
    found = reference.shifts(table, weights)
    return np.where(np.isnan(found), LARGEST_SHIFT, found)


def _joined(shares: Shares, rate: float, shift: float, rating: float) -> float:
    """Return the weighted mean of the parts that are known."""
    parts = [
        (shares.passed, rate),
        (shares.likeness, 1 - shift),
        (shares.rating, (rating - 1) / 4),
    ]
    known = [(share, part) for share, part in parts if share > 0 and not math.isnan(part)]
    whole = sum(share for share, _ in known)
    return sum(share * part for share, part in known) / whole if whole else 0.0
