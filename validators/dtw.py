"""How far apart two bars are: dynamic time warping over their slices.

Two slices are as far apart as their sets of sounding pitches, 1 - |A and B| / |A or B|
(Jaccard); two silent slices are equal. The cheapest warping path from the first pair of
slices to the last is divided by its length, so that a distance lies in [0, 1]: 0 for the
same notes, about .1 where one note of four was changed for a quarter of the bar.

Sakoe and Chiba, Dynamic programming algorithm optimization for spoken word recognition,
IEEE Transactions on Acoustics, Speech and Signal Processing 26 (1978).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 8192
"""Pairs worked on at once, which bounds the memory to some tens of megabytes."""


def slice_distances(sets: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the Jaccard distance of every two sets.

    Parameters
    ----------
    sets : ndarray of uint64, shape (n, 2)

    Returns
    -------
    ndarray of float32, shape (n, n)
    """
    both = np.zeros((len(sets), len(sets)), dtype=np.float32)
    size = np.zeros(len(sets), dtype=np.float32)
    for word in range(sets.shape[1]):
        both += np.bitwise_count(sets[:, None, word] & sets[None, :, word])
        size += np.bitwise_count(sets[:, word])
    either = size[:, None] + size[None, :] - both
    return 1 - np.divide(both, either, out=np.ones_like(both), where=either > 0)


def bar_distances(
    bars: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the distance of each pair of bars.

    Parameters
    ----------
    bars : ndarray of uint64, shape (bars, slices, 2)
    left, right : ndarray of int64, shape (pairs,)
        Indices of the bars to compare.

    Returns
    -------
    ndarray of float32, shape (pairs,)
    """
    count, width, words = bars.shape
    distances = np.zeros(len(left), dtype=np.float32)
    if not len(left):
        return distances
    sets, kind = np.unique(bars.reshape(count * width, words), axis=0, return_inverse=True)
    kind = kind.reshape(count, width)
    if len(sets) <= 2048:
        table = slice_distances(sets)
        for begin in range(0, len(left), CHUNK):
            part = slice(begin, begin + CHUNK)
            rows, columns = kind[left[part]], kind[right[part]]
            distances[part] = _warp(table[rows[:, :, None], columns[:, None, :]])
        return distances
    for begin in range(0, len(left), CHUNK):  # too many sets for a table of all
        part = slice(begin, begin + CHUNK)
        distances[part] = _warp(_direct(bars[left[part]], bars[right[part]]))
    return distances


def _direct(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float32]:
    both = np.bitwise_count(one[:, :, None] & other[:, None, :]).sum(-1, dtype=np.float32)
    either = np.bitwise_count(one[:, :, None] | other[:, None, :]).sum(-1, dtype=np.float32)
    return 1 - np.divide(both, either, out=np.ones_like(both), where=either > 0)


def _warp(cost: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cost of the cheapest path over its length, for every pair at once.

    Parameters
    ----------
    cost : ndarray of float32, shape (pairs, n, n)

    Notes
    -----
    Cells are worked through by antidiagonals, which do not depend on one another. Of
    paths of equal cost the one by the diagonal is taken, then the one from above.
    """
    pairs, n, _ = cost.shape
    infinite = np.float32(np.inf)
    # Cell (i, j) of the antidiagonal i + j stands at column i + 1; column 0 is a wall.
    flat = np.ascontiguousarray(cost.reshape(pairs, n * n).T)
    before = np.full((n + 1, pairs), infinite, dtype=np.float32)
    before_length = np.zeros((n + 1, pairs), dtype=np.float32)
    two_before, two_before_length = before.copy(), before_length.copy()
    before[1], before_length[1] = flat[0], 1
    for diagonal in range(1, 2 * n - 1):
        low, high = max(0, diagonal - n + 1), min(diagonal, n - 1)
        rows = np.arange(low, high + 1)
        corner, corner_length = two_before[low : high + 1], two_before_length[low : high + 1]
        above, above_length = before[low : high + 1], before_length[low : high + 1]
        beside, beside_length = before[low + 1 : high + 2], before_length[low + 1 : high + 2]
        best = np.minimum(above, beside)
        length = np.where(above <= beside, above_length, beside_length)
        length = np.where(corner <= best, corner_length, length)
        best = np.minimum(corner, best)
        here = np.full((n + 1, pairs), infinite, dtype=np.float32)
        here_length = np.zeros((n + 1, pairs), dtype=np.float32)
        here[low + 1 : high + 2] = best + flat[rows * n + (diagonal - rows)]
        here_length[low + 1 : high + 2] = length + 1
        two_before, two_before_length = before, before_length
        before, before_length = here, here_length
    return before[n] / before_length[n]
