"""Distance between bars, by dynamic time warping over their slices.

The distance of two slices is that of their sets of sounding pitches, 1 - |A and B| / |A or B|
(Jaccard); two silent slices are equal. The cost of the cheapest warping path from the first
pair of slices to the last is divided by its length, so that a distance lies in [0, 1]: 0 for
the same notes, about .1 where one note of four is changed for a quarter of the bar.

Sakoe and Chiba, Dynamic programming algorithm optimization for spoken word recognition,
IEEE Transactions on Acoustics, Speech and Signal Processing 26 (1978).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoregate.compiled import loops

CHUNK = 2048
"""Pairs that are computed at once, which limits the memory to some tens of megabytes."""
TABLE = 2048
"""Number of different sets up to which all their distances are computed beforehand."""
WIDEST, WORDS = 64, 2
"""Slices of a bar, and words of a slice, up to which the compiled loop compares them."""
_WHOLE = 720720
"""The cost 1 as an integer. All numbers up to 16 divide it, so that the Jaccard distances
of up to 16 pitches are exact, and rounding does not choose between paths of equal cost."""
_STEPS = 5
"""Bits below the cost in which the steps of a path are counted: 31 at most."""
_WALL = np.int32(2**30)
"""Cost of a cell outside the matrix."""


def slice_costs(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return the Jaccard distance of sets, broadcast against each other, in 720720ths.

    Parameters
    ----------
    one, other : ndarray of uint64, shape (..., words)
        Sets as bits; the axes before the last one broadcast.

    Returns
    -------
    ndarray of int32, shape (...)
    """
    both, either = np.int32(0), np.int32(0)
    for word in range(one.shape[-1]):
        both = both + np.bitwise_count(one[..., word] & other[..., word])
        either = either + np.bitwise_count(one[..., word] | other[..., word])
    return (either - both) * np.int32(_WHOLE) // np.maximum(either, 1)


def bar_distances(
    bars: NDArray[np.uint64], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distance of each pair of bars.

    Parameters
    ----------
    bars : ndarray of uint64, shape (bars, slices, words)
    left, right : ndarray of int64, shape (pairs,)
        Indices of the bars to compare.

    Returns
    -------
    ndarray of float64, shape (pairs,)
    """
    distances = np.zeros(len(left))
    if not len(left):
        return distances
    width, words = bars.shape[1:]
    if loops is not None and width <= WIDEST and words <= WORDS:
        total = np.zeros(len(left), dtype=np.int32)
        pairs = np.ascontiguousarray(left), np.ascontiguousarray(right)
        loops.warp(np.ascontiguousarray(bars), width, words, *pairs, total)
        return _divided(total)
    sets, kind = _different(bars)
    column = np.ascontiguousarray(kind.T)
    row = column * len(sets)
    small = len(sets) <= TABLE
    table = _keys(slice_costs(sets[:, None], sets[None])).ravel() if small else None
    for begin in range(0, len(left), CHUNK):
        one, other = left[begin : begin + CHUNK], right[begin : begin + CHUNK]
        if table is not None:
            cost = table[row[:, one][:, None] + column[:, other]]
        else:  # too many sets for a table of all
            across, down = bars[other].swapaxes(0, 1), bars[one].swapaxes(0, 1)
            cost = _keys(slice_costs(down[:, None], across[None]))
        distances[begin : begin + CHUNK] = _warp(cost.reshape(width * width, -1), width)
    return distances


def _different(bars: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the different slices, and the index among them of each slice."""
    count, width, words = bars.shape
    # A dictionary of bytes is faster than sorting, which takes one pass for each word.
    content, size = bars.tobytes(), bars.itemsize * words
    numbers: dict[bytes, int] = {}
    kind = [
        numbers.setdefault(content[at : at + size], len(numbers))
        for at in range(0, len(content), size)
    ]
    different = np.frombuffer(b"".join(numbers), dtype=bars.dtype).reshape(-1, words)
    return different, np.array(kind, dtype=np.int64).reshape(count, width)


def _keys(cost: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the cost of a cell and its step in one number, so that one minimum compares both."""
    return (cost << _STEPS) + 1


def _warp(cost: NDArray[np.int32], width: int) -> NDArray[np.float64]:
    """Return the cost of the cheapest path divided by its length, for every pair.

    Parameters
    ----------
    cost : ndarray of int32, shape (width * width, pairs)
        Keys of the cells, row by row. The cells of an antidiagonal, which do not depend on
        one another, are width - 1 apart.
    width : int

    Notes
    -----
    Of paths of equal cost the shortest is taken.
    """
    pairs = cost.shape[1]
    # Cell (i, j) is row i + 1 of its antidiagonal; row 0 is outside the matrix.
    before_last, last, here = (np.full((width + 1, pairs), _WALL) for _ in range(3))
    last[1] = cost[0]
    for diagonal in range(1, 2 * width - 1):
        low, high = max(0, diagonal - width + 1), min(diagonal, width - 1)
        best = here[low + 1 : high + 2]
        np.minimum(last[low : high + 1], last[low + 1 : high + 2], out=best)
        np.minimum(best, before_last[low : high + 1], out=best)
        step = width - 1
        best += cost[diagonal + step * low : diagonal + step * high + 1 : step]
        before_last, last, here = last, here, before_last
    return _divided(last[width])


def _divided(total: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the costs of paths divided by their lengths; both are in one number."""
    return (total >> _STEPS) / _WHOLE / (total & (2**_STEPS - 1))
