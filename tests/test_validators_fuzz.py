"""Damaged text of every kind: a fixed number of cases; more by ``python tests/fuzz.py``."""

from __future__ import annotations

import random

import pytest
from fuzz import SEEDS, check, damaged

from scoregate.validators.examination import examine


def test_the_seeds_hold() -> None:
    for text in SEEDS:
        assert check(text).findings == []


@pytest.mark.parametrize("seed", range(6))
def test_damaged_text_is_read(seed: int) -> None:
    for number in range(12):
        check(damaged(random.Random(f"{seed} {number}")))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 102))
def test_more_damaged_text_is_read(seed: int) -> None:
    for number in range(700):
        check(damaged(random.Random(f"{seed} {number}")))


@pytest.mark.slow
def test_every_gate_gets_through_damaged_text() -> None:
    for number in range(40):
        text = damaged(random.Random(f"gates {number}"))
        seen = examine(text)
        crashed = [o.reason for o in seen.outcomes.values() if not o.judged]
        assert all("abc2midi" in reason or "refused" in reason for reason in crashed), text


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "[K:" * 2000, "[V:" * 2000, '"' * 5001, "{" * 5000, "!a" * 3000, ":" * 9000,
     "A>" * 3000, "(3" * 3000, "A-" * 3000, "A&" * 2000, "^" * 4000, "\\" * 4000, "%" * 9000,
     "[r:0/1]" * 2000, "\n" * 20000, "\0" * 9000, "U:n=a\n" * 2000, "[A" * 4000, "1" * 9000],
    ids=repr,
)  # fmt: skip
def test_hostile_repetition_is_read(text: str) -> None:
    """What makes careless expressions exponential ends, here, in no time."""
    check("X:1\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\n" + text)
    check(text)
