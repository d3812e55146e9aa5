"""Measures of tunes, by examples made by hand."""

from __future__ import annotations

import pytest

from scoregate.evaluation.tunes import measure_tune

HEAD = "X:1\nM:6/8\nL:1/8\nK:{}\n"


def measured(music: str, key: str = "D"):
    found = measure_tune(HEAD.format(key) + music + "\n")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "last", "ends"),
    [("D", "d6", True), ("D", "A6", False), ("Ador", "A6", True), ("Bb", "B6", True),
     ("F#m", "F6", True), ("none", "d6", None)],
)  # fmt: skip
def test_a_tune_ends_on_the_tonic_of_its_key(key, last, ends):
    assert measured(f"ABc def|{last}|]", key).ends_on_tonic is ends


def test_pickups_are_not_counted_and_strains_end_at_repeats():
    bar = "ABc def|"
    found = measured(f"A|{bar * 7}d5:|\nf|{bar * 3}d5:|")
    assert found.strains == (8, 4)
    assert found.square == 1
    assert measured(f"{bar * 5}d6||{bar * 8}d6|]").square == 0


def test_a_second_ending_does_not_lengthen_its_strain():
    bar = "ABc def|"
    assert measured(f"{bar * 7}[1 d6:|[2 d3 A3|]").strains == (8,)


def test_bars_out_of_metre_are_counted_between_plain_barlines():
    found = measured("ABc|ABc def|ABc d|ABc def|ABc de|d6|]")
    assert found.in_metre == 0.5
    assert (found.low, found.high, found.bars) == (69, 78, 6)


def test_a_text_without_notes_has_no_measures():
    assert measure_tune(HEAD.format("C") + "z6|\n") is None
