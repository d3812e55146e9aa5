"""Repeats and endings, unfolded as a player reads them."""

from fractions import Fraction

import pytest

from scoregate.abc.score import Bar, Score, Voice
from scoregate.render.playing_order import playing_order


def score(*barlines: tuple[str, str]) -> Score:
    """Bars by their left and right barlines; digits on the left are an ending's."""
    bars = [
        Bar(n, Fraction(1), Fraction(1), "4/4", [], left.rstrip("0123456789,-"), right, 1, 1)
        for n, (left, right) in enumerate(barlines, 1)
    ]
    for bar, (left, _) in zip(bars, barlines, strict=True):
        bar.ending = left[len(bar.left) :]
    return Score("", [Voice("1", bars=bars)], bar_count=len(bars))


@pytest.mark.parametrize(
    ("barlines", "played"),
    [
        ([("", "|"), ("", "|]")], "12"),
        ([("", "|"), ("", ":|")], "1212"),
        ([("", "|"), ("|:", "|"), ("", ":|"), ("", "|]")], "123234"),
        ([("", "::"), ("", "|"), ("", ":|")], "112323"),
        ([("", "|:"), ("", "|"), ("", ":|")], "12323"),
        ([("", ":|:"), ("", ":|")], "1122"),
        ([("", "|"), ("", ":|"), ("", "|"), ("", ":|")], "12123434"),
        ([("", "|"), ("1", ":|"), ("2", "|]")], "1213"),
        ([("|:", "|"), ("1-2", ":|"), ("3", "|]")], "12121 3".replace(" ", "")),
        ([("|:", "|"), ("1,3", ":|"), ("2", ":|"), ("4", "|]")], "12131214"),
        ([("|:", "|"), ("1", ":|"), ("2", "||"), ("", "|"), ("", ":|")], "12134545"),
        ([("", "::|"), ("", "|]")], "1112"),
        ([("|:", "|"), ("1", "|"), ("", ":|"), ("2", "|"), ("|:", ":|")], "1231455"),
        ([], ""),
    ],
)
def test_bars_are_played_in_this_order(barlines, played):
    assert "".join(str(index + 1) for index in playing_order(score(*barlines), 100)) == played


def test_a_sign_in_one_voice_counts_for_all():
    both = score(("", "|"), ("", "|"))
    both.voices.append(score(("", "|"), ("", ":|")).voices[0])
    assert playing_order(both, 100) == [0, 1, 0, 1]


def test_a_flood_of_repeats_is_played_once_through():
    flood = score(*[("|:", "::::|")] * 100)
    assert playing_order(flood, 300) == list(range(100))
