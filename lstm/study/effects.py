"""Intervals: of a share, of a mean over pieces, and of the effects of the factors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from scoregate.intervals import wilson
from scoregate.lstm.study.plan import FACTORS

LEVEL = 0.95
LEAST_FREEDOM = 3
"""Residuals beyond the terms from which intervals of effects are given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    Attributes
    ----------
    value, low, high : float
        NaN for ``low`` and ``high`` where there is too little to tell.
    """

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        if self.low > 0:
            return 1
        return -1 if self.high < 0 else 0


def share(count: int, total: int) -> Estimate:
    """Return a share with its Wilson interval of 95 %."""
    if not total:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(count / total, *wilson(count, total))


def mean(values: Sequence[float]) -> Estimate:
    """Return a mean with its t interval of 95 %; NaN values are left out."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan)
    if len(known) < 2 or not known.std():
        return Estimate(float(known.mean()), math.nan, math.nan)
    low, high = stats.t.interval(LEVEL, len(known) - 1, known.mean(), stats.sem(known))
    return Estimate(float(known.mean()), float(low), float(high))


def effects(
    responses: Sequence[tuple[Sequence[str], float]], interactions: bool = True
) -> dict[str, Estimate]:
    """Return what changing each factor adds to a response, by least squares.

    The model is a constant, the factors, and (where asked for) the products of two factors, each
    coded -1/2 and 1/2: an effect is the mean difference between the changed and the original
    level, averaged over the other factors' levels. Intervals are t intervals of 95 % from the
    residuals, NaN where there are fewer than three responses more than terms.

    Parameters
    ----------
    responses : sequence of (sequence of str, float)
        Factors at their changed level, and the response; NaN responses are left out.
    interactions : bool

    Returns
    -------
    dict of str to Estimate
        ``length`` ..., and ``length:hidden`` ... (half the difference of the one factor's effect
        between the levels of the other).
    """
    known = [(set(changed), value) for changed, value in responses if not math.isnan(value)]
    pairs = list(itertools.combinations(FACTORS, 2)) if interactions else []
    names = [*FACTORS, *(":".join(pair) for pair in pairs)]
    levels = np.array([[(f in changed) - 0.5 for f in FACTORS] for changed, _ in known])
    levels = levels.reshape(len(known), len(FACTORS))
    products = [2 * levels[:, FACTORS.index(a)] * levels[:, FACTORS.index(b)] for a, b in pairs]
    design = np.column_stack([np.ones(len(known)), levels, *products])
    values = np.array([value for _, value in known])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        unknown = {name: Estimate(math.nan, math.nan, math.nan) for name in names}
        # With too few arms for the interactions the factors alone may still be estimated.
        return unknown | effects(responses, interactions=False) if interactions else unknown
    found, *_ = np.linalg.lstsq(design, values)
    freedom = len(known) - design.shape[1]
    if freedom >= LEAST_FREEDOM:
        variance = ((values - design @ found) ** 2).sum() / freedom
        errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * variance)
        reach = stats.t.ppf(0.5 + LEVEL / 2, freedom) * errors
    else:
        reach = np.full(len(found), math.nan)
    return {
        name: Estimate(float(value), float(value - r), float(value + r))
        for name, value, r in zip(names, found[1:], reach[1:], strict=True)
    }
