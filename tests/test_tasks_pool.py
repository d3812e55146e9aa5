"""The pool: work that kills its process costs one item, not the run."""

import os

import pytest

from scoregate.pool import Pool

pytestmark = pytest.mark.slow


def double_or_die(items: list[int]) -> list[int]:
    for item in items:
        if item == 13:
            os._exit(1)
    return [2 * item for item in items]


def note_death(item: int) -> int:
    return -item


def test_every_chunk_comes_back():
    with Pool(double_or_die, note_death, processes=2) as pool:
        done = [result for chunk in pool.map([[1, 2], [3], [4, 5]]) for result in chunk]
    assert sorted(done) == [2, 4, 6, 8, 10]


def test_the_item_that_kills_its_process_is_the_only_one_lost():
    chunks = [[number, number + 1] for number in range(1, 40, 2)]
    with Pool(double_or_die, note_death, processes=2) as pool:
        done = [result for chunk in pool.map(chunks) for result in chunk]
    expected = [-13 if number == 13 else 2 * number for number in range(1, 41)]
    assert sorted(done) == sorted(expected)
