"""The reader's durations: every way that ABC has of writing one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from scoregate.abc.reader import read
from scoregate.abc.score import Score


def tune(music: str, *, metre: str = "4/4", unit: str = "1/4", key: str = "C") -> Score:
    """Read one voice of music."""
    return read(f"X:1\nM:{metre}\nL:{unit}\nK:{key}\n{music}\n")


def quarters(music: str, **header: str) -> list[str]:
    """Return the durations of the first bar in quarter notes, grace notes left out."""
    (voice,) = tune(music, **header).voices
    return [str(event.duration * 4) for event in voice.bars[0].events if not event.grace]


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("A A2 A/ A/2 A3/2 A// A/4 A3/|", ["1", "2", "1/2", "1/2", "3/2", "1/4", "1/4", "3/2"]),
        ("z x2 z/|", ["1", "2", "1/2"]),
        ("A>B A<B|", ["3/2", "1/2", "1/2", "3/2"]),
        ("A>>B A<<<B|", ["7/4", "1/4", "1/8", "15/8"]),
        ("A > B {c}A>{d}B|", ["3/2", "1/2", "3/2", "1/2"]),
        ("[Ac]>z z<[Ac]|", ["3/2", "1/2", "1/2", "3/2"]),
        ("(3ABc A|", ["2/3", "2/3", "2/3", "1"]),
        ("(3A2B A|", ["4/3", "2/3", "2/3"]),
        ("(3z[Ac]{d}A B|", ["2/3", "2/3", "2/3", "1"]),
        ("(5ABcde (7ABcdefg|", ["2/5"] * 5 + ["2/7"] * 7),
        ("(2AB (4ABcd (6ABcdef (8ABcdefga|", ["3/2"] * 2 + ["3/4"] * 4 + ["1/3"] * 6 + ["3/8"] * 8),
        ("(3:2:2A2B C|", ["4/3", "2/3", "1"]),
        ("(3::2AB A|", ["2/3", "2/3", "1"]),
        ("(6:4:1A3 A|", ["2", "1"]),
        ("(11:8:11ABcdABcdABc|", ["8/11"] * 11),
        ("(3A>Bc|", ["1", "1/3", "2/3"]),
        ("[A2c2] [Ac]2 [A/c/]3|", ["2", "2", "3/2"]),
        ("[A2c4] A|", ["2", "1"]),
        ('["^x"A!p!c] [ A c ]2 [(Ac)]|', ["1", "2", "1"]),
        ("A y B y3 c|", ["1", "0", "1", "0", "1"]),
        ("Z|", ["4"]),
    ],
)
def test_durations(music: str, expected: list[str]) -> None:
    assert quarters(music) == expected


def test_tuplets_follow_the_metre() -> None:
    assert quarters("(5ABcde|", metre="6/8") == ["3/5"] * 5
    assert quarters("(9ABcABcABc|", metre="12/8") == ["1/3"] * 9
    assert quarters("(7ABcABcA|", metre="3/4") == ["2/7"] * 7
    assert quarters("[M:9/8](5ABcde|") == ["3/5"] * 5


def test_onsets_run_through_the_bar() -> None:
    (voice,) = tune("A>B (3ABc {d}e2|").voices
    onsets = [str(event.onset * 4) for event in voice.bars[0].events]
    assert onsets == ["0", "3/2", "2", "8/3", "10/3", "4", "4"]
    assert voice.bars[0].duration == Fraction(6, 4)


def test_unit_follows_the_metre_where_none_is_given() -> None:
    assert read("X:1\nM:2/4\nK:C\nA|\n").unit == Fraction(1, 16)
    assert read("X:1\nM:3/4\nK:C\nA|\n").unit == Fraction(1, 8)


def test_unit_and_metre_change_within_the_tune() -> None:
    (voice,) = tune("A4|[M:3/4][L:1/8]A6|").voices
    assert [(bar.duration, bar.metre) for bar in voice.bars] == [
        (Fraction(1), Fraction(1)),
        (Fraction(3, 4), Fraction(3, 4)),
    ]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("4/4", Fraction(1)),
        ("C", Fraction(1)),
        ("C|", Fraction(1)),
        ("6/8", Fraction(3, 4)),
        ("2+3/8", Fraction(5, 8)),
        ("(2+3)/8", Fraction(5, 8)),
        ("2/4+3/8", Fraction(7, 8)),
        ("none", None),
    ],
)
def test_metres(text: str, length: Fraction | None) -> None:
    (voice,) = tune("A|A|", metre=text).voices
    assert voice.bars[0].metre == length


def test_rests_of_several_bars_become_bars() -> None:
    (voice,) = tune("A3|Z3|X2|A3|]", metre="3/4").voices
    assert [bar.duration for bar in voice.bars] == [Fraction(3, 4)] * 7
    assert [event.visible for bar in voice.bars for event in bar.events] == [
        *([True] * 4),
        *([False] * 2),
        True,
    ]


def test_layers_begin_the_bar_anew() -> None:
    (voice,) = tune("A2B2 & c4|d4|").voices
    assert [(e.overlay, str(e.onset * 4), e.pitches) for e in voice.bars[0].events] == [
        (0, "0", (69,)),
        (0, "2", (71,)),
        (1, "0", (72,)),
    ]
    assert [bar.duration for bar in voice.bars] == [1, 1]


def test_lengths_without_ticks_stay_exact() -> None:
    score = tune("(23:8:23" + "A" * 23 + "|")
    (voice,) = score.voices
    assert voice.bars[0].events[0].duration == Fraction(8, 23) / 4
    assert voice.bars[0].duration == Fraction(2)
