"""The interval of a share: Wilson's, at 95 %."""

from __future__ import annotations

import math

_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution."""


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); (0, 1) where there is nothing.

    It is computed here because the dashboard needs hundreds on a page: scipy's
    ``binomtest(...).proportion_ci``, with which a test compares it, takes 1 ms in place of 1 µs,
    and 87 MB of memory to import.
    """
    if total <= 0:
        return 0.0, 1.0
    share, square = count / total, _Z**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = (
        _Z * math.sqrt(share * (1 - share) / total + square / (4 * total**2)) / (1 + square / total)
    )
    # The share lies in its interval; rounding would put it just outside where it is 0 or 1.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)
