"""The interval of a share."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from scoregate.intervals import wilson


@pytest.mark.parametrize(
    ("count", "total"), [(0, 1), (1, 1), (0, 12), (7, 12), (81, 263), (400, 400)]
)
def test_it_is_the_interval_of_scipy(count, total):
    other = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert wilson(count, total) == pytest.approx((other.low, other.high), abs=1e-12)


def test_it_is_the_published_one():
    # Newcombe (1998), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_share_itself_lies_in_its_interval():
    """Ten of ten had an upper end of 1 - 1e-16, and a figure refused the negative length."""
    for total in range(1, 60):
        for count in range(total + 1):
            low, high = wilson(count, total)
            assert 0 <= low <= count / total <= high <= 1
