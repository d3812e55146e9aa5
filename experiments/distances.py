"""Distances within and between two sets of pieces, and how far their densities overlap.

After mgeval: for a measure, the distances between the pieces of one set (intra-set) and those
between the pieces of both sets (inter-set) are each smoothed to a density; two sets that are
alike have densities that overlap fully and a Kullback-Leibler divergence of 0. Source: L.-C. Yang
and A. Lerch, On the evaluation of generative models in music, Neural Computing and Applications 32
(2020), 4773-4784, section 3.3.

Three things differ from mgeval's code. Both densities are evaluated on one grid, where mgeval
gives each its own for the divergence. The grid reaches beyond the distances, so that equal sets
overlap by 1. And distances are counted in bins before they are smoothed, with the same bandwidth
(Scott's), so that hundreds of bootstrap samples take seconds; a test compares the result with
:class:`scipy.stats.gaussian_kde`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]

BINS = 256
"""Bins from 0 to the largest distance."""
FLOOR = 1e-6
"""Smallest probability of a bin in a divergence, which would else be infinite."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two sets lie to each other in one measure.

    Attributes
    ----------
    first, second : float
        Overlapping area of the densities of the set's own distances and of those between the
        sets: 1 where they are the same, 0 where they have nothing in common.
    first_kl, second_kl : float
        Kullback-Leibler divergence of the same densities, in nats, the set's own one first.
    """

    first: float
    second: float
    first_kl: float
    second_kl: float


UNKNOWN = Overlap(math.nan, math.nan, math.nan, math.nan)


class Distances:
    """The distances of a measure between all pieces of two sets, ready to be resampled.

    Parameters
    ----------
    first, second : ndarray of float, shape (pieces, values)
        A row for each piece: one value, or a histogram. No NaN.
    """

    def __init__(self, first: Floats, second: Floats) -> None:
        inside_first, inside_second, between = (
            np.asarray(cdist(one, other), dtype=np.float64)
            for one, other in ((first, first), (second, second), (first, second))
        )
        largest = max(each.max(initial=0.0) for each in (inside_first, inside_second, between))
        self.width = largest / (BINS - 1) if largest > 0 else 1.0
        self._first = _triangle(inside_first, self.width)
        self._second = _triangle(inside_second, self.width)
        self._between = np.rint(between / self.width).astype(np.int64)

    def overlap(self, first: Floats | None = None, second: Floats | None = None) -> Overlap:
        """Return overlaps and divergences.

        Parameters
        ----------
        first, second : ndarray of float, shape (pieces,), optional
            How often each piece counts, for a bootstrap sample; left out, once. A piece that is
            drawn twice is not compared with itself.
        """
        ones_first, ones_second = self._between.shape
        first = np.ones(ones_first) if first is None else first
        second = np.ones(ones_second) if second is None else second
        inside_first = _within(self._first, first)
        inside_second = _within(self._second, second)
        between = np.bincount(
            self._between.ravel(), weights=np.outer(first, second).ravel(), minlength=BINS
        ).astype(np.float64)
        if not (inside_first.sum() and inside_second.sum() and between.sum()):
            return UNKNOWN
        one, other, both = (density(each) for each in (inside_first, inside_second, between))
        return Overlap(
            first=float(np.minimum(one, both).sum()),
            second=float(np.minimum(other, both).sum()),
            first_kl=divergence(one, both),
            second_kl=divergence(other, both),
        )


_Triangle = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _triangle(distances: Floats, width: float) -> _Triangle:
    """Return the bins of the pairs of a set, and which pieces each pair is of."""
    one, other = np.triu_indices(len(distances), 1)
    return np.rint(distances[one, other] / width).astype(np.int64), one, other


def _within(triangle: _Triangle, weights: Floats) -> Floats:
    bins, one, other = triangle
    return np.bincount(bins, weights=weights[one] * weights[other], minlength=BINS).astype(
        np.float64
    )


def density(counts: Floats) -> Floats:
    """Return counts smoothed by a Gaussian of Scott's bandwidth; the sum is 1.

    Parameters
    ----------
    counts : ndarray of float, shape (bins,)
        Distances in each bin; their number gives the bandwidth: standard deviation times
        n to the power of -1/5, and half a bin at least.

    Returns
    -------
    ndarray of float, shape (3 * bins,)
        The grid reaches as far to both sides of the distances as they do.
    """
    total = counts.sum()
    places = np.arange(len(counts))
    mean = (places * counts).sum() / total
    spread = math.sqrt(max(((places - mean) ** 2 * counts).sum() / max(total - 1, 1), 0.0))
    bandwidth = max(spread * total ** (-1 / 5), 0.5)
    wide = np.pad(counts, len(counts)) / total
    return gaussian_filter1d(wide, bandwidth, mode="constant", truncate=6.0)


def divergence(one: Floats, other: Floats) -> float:
    """Return the Kullback-Leibler divergence of two densities in nats, with ``FLOOR``."""
    p, q = np.maximum(one, FLOOR), np.maximum(other, FLOOR)
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())
