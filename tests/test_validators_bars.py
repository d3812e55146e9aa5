"""The bars gate: voices agree, the metre holds, a short bar needs an excuse."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.validators.gates import bars

PIECES = Path(__file__).parent / "pieces"
HEAD = "X:1\nL:1/4\nM:3/4\nK:C\nV:1\nV:2\nV:3\n"
"""The music begins on line 8."""


def said(text: str) -> list[str]:
    """Return the gate's critical findings as sentences."""
    return [str(f) for f in bars.check(read(text)).findings if f.severity == "critical"]


def piece(*rows: str) -> str:
    """Return a piece of three voices; a row is one bar for all or three, barlines included."""
    lines = []
    for row in rows:
        cells = row.split(" / ")
        cells = cells * 3 if len(cells) == 1 else cells
        lines.append("".join(f"[V:{i}]{cell}" for i, cell in enumerate(cells, 1)))
    return HEAD + "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["chorale", "song", "winds", "reel", "duet"])
def test_good_pieces_pass(name: str) -> None:
    outcome = bars.check(read((PIECES / f"{name}.abc").read_text()))
    assert outcome.findings == []
    assert outcome.judged
    assert outcome.measures["bars.equal"] == 1


def test_measures() -> None:
    outcome = bars.check(read(piece("A|", "A3|", "A3| / A2| / A3|", "A2|]")))
    assert outcome.measures == {"bars.count": 4, "bars.equal": 0.75, "bars.full": 0.25}


def test_the_voice_that_deviates_is_named() -> None:
    assert said(piece("A3|", "A3| / A3| / A3/2A|", "A3|]")) == [
        "bars: voice 3, bar 2: 5/8 found, 3/4 expected (line 9, column 22)"
    ]


@pytest.mark.parametrize(
    ("row", "voices"),
    [
        ("A2| / A3| / A3|", ["1"]),
        ("A4| / A3| / A3|", ["1"]),
        # As many voices: the metre decides.
        ("A2| / A3| / z|", ["1", "3"]),
        # No voice is right by the metre: the others decide.
        ("A2| / A2| / A|", ["3"]),
    ],
)
def test_who_deviates(row: str, voices: list[str]) -> None:
    outcome = bars.check(read(piece("A3|", row, "A|", "A3|]")))
    found = [f.voice for f in outcome.findings if f.code == "bars.voices-disagree"]
    assert found == voices


def test_a_bar_longer_than_the_metre() -> None:
    assert said(piece("A3|", "A3A|", "A3|]")) == [
        "bars: bar 2: 4/4 found, 3/4 expected (line 9, column 6)"
    ]


def test_the_last_note_may_be_held_through_whole_bars() -> None:
    assert said(piece("A3|", "A6|]")) == []
    assert said(piece("A3|", "A6|", "A3|]")) != []
    assert said(piece("A3|", "A3A3|]")) != []
    assert said(piece("A3|", "A5|]")) != []


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("pickup", ["A|", "A3|", "A3|]"]),
        ("last bar", ["A3|", "A3|", "A2|]"]),
        ("before a double bar", ["A3|", "A2||", "A3|", "A3|]"]),
        ("after a double bar", ["A3|", "A3||", "A|", "A3|", "A3|]"]),
        ("before a repeat", ["A|:", "A3|", "A2:|", "A3|", "A3|]"]),
        ("in a second ending", ["|:A3|", "A3|1", "A3:|2", "A2|", "A3|]"]),
        ("completed by the next", ["A3|", "A2|", "A|", "A3|]"]),
        ("completing the one before", ["A3|", "A|", "A2|", "A3|]"]),
    ],
)
def test_excuses_of_a_short_bar(name: str, rows: list[str]) -> None:
    assert said(piece(*rows)) == []


def test_a_short_bar_without_an_excuse() -> None:
    assert said(piece("A3|", "A2|", "A3|", "A3|]")) == [
        "bars: bar 2: 2/4 found, 3/4 expected (line 9, column 6)"
    ]


def test_most_bars_contradict_the_metre() -> None:
    text = piece(*["A2|"] * 7, "A2|]").replace("M:3/4", "M:4/4")
    assert said(text) == [
        "bars: bar 1: most bars are 2/4 long, the metre says 4/4 (line 8, column 6)"
    ]


def test_a_metre_that_changes_on_the_way() -> None:
    good = piece("A3|", "[M:2/4]A2|", "A2|", "A2|", "[M:3/4]A3|", "A3|]")
    assert said(good) == []
    late = piece("A3|", "[M:2/4]A3|", "A2|", "A2|]")
    assert said(late) == ["bars: bar 2: 3/4 found, 2/4 expected (line 9, column 13)"]


def test_a_metre_that_some_voices_change_to_holds_for_all() -> None:
    rows = ["A3|", "[M:2/4]A2| / A2| / z2|", "A2|", "A2|", "z3| / z3| / [M:3/4]A3|", "A3|]"]
    assert said(piece(*rows)) == []
    score = read(piece(*rows))
    assert [[bar.metre_text for bar in voice.bars] for voice in score.voices] == [
        ["3/4", "2/4", "2/4", "2/4", "3/4", "3/4"]
    ] * 3


def test_free_metre_asks_the_voices_only() -> None:
    assert said(piece("A5|", "A7|", "A2|]").replace("M:3/4", "M:none")) == []
    uneven = piece("A5|", "A7| / A7| / A6|", "A2|]").replace("M:3/4", "M:none")
    assert said(uneven) == ["bars: voice 3, bar 2: 6/4 found, 7/4 expected (line 9, column 22)"]


def test_a_whole_bar_rest_is_as_long_as_the_bar() -> None:
    assert said(piece("A| / Z| / A|", "A3| / Z| / X|", "A3|]")) == []
    assert said(piece("A3|", "A3| / z4| / A3|", "A3|]")) == [
        "bars: voice 2, bar 2: 4/4 found, 3/4 expected (line 9, column 14)"
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("A3| / A3 / A3|", "bars: voice 2, bar 2: the barline is missing (line 9, column 14)"),
        (
            "A3| / A3:| / A3|",
            "bars: voice 2, bar 2: another barline than the other voices (line 9, column 14)",
        ),
        ("A3| / A|A2| / A3|", "bars: voice 2, bar 2: a barline within the bar (line 9, column 14)"),
    ],
)
def test_barlines(row: str, expected: str) -> None:
    assert said(piece("A3|", row, "A3|]")) == [expected]


def test_another_kind_of_barline_is_a_warning() -> None:
    outcome = bars.check(read(piece("A3|", "A3| / A3|| / A3|", "A3|]")))
    assert [(f.code, f.severity, f.voice) for f in outcome.findings] == [
        ("bars.barlines-disagree", "warning", "2")
    ]


def test_voices_of_ordinary_text_have_the_same_number_of_bars() -> None:
    text = "X:1\nL:1/4\nM:3/4\nK:C\nV:1\nA3|A3|A3|]\nV:2\nA3|A3|]\n"
    assert said(text) == ["bars: voice 2, bar 2: 2 bars found, 3 expected (line 8, column 4)"]


def test_the_longer_of_the_overlaid_layers() -> None:
    assert said("X:1\nL:1/4\nM:3/4\nK:C\nA3&B3|A3&B4|A3&B2|A3|]\n") == [
        "bars: voice 1, bar 2: the layer behind & has 4/4, the bar 3/4 (line 5, column 7)"
    ]


@pytest.mark.parametrize(
    ("duration", "metre", "text"),
    [
        ("3/4", "3/4", "3/4"),
        ("3/4", "6/8", "6/8"),
        ("5/8", "6/8", "5/8"),
        ("7/8", "3/4", "7/8"),
        ("1/2", "3/4", "2/4"),
        ("1", "C", "4/4"),
        ("1", "4/2", "4/4"),
        ("1/3", "3/4", "1/3"),
        ("11/16", "3/4", "11/16"),
        ("0", "3/4", "0/4"),
        ("1/4", "none", "1/4"),
    ],
)
def test_lengths_read_like_time_signatures(duration: str, metre: str, text: str) -> None:
    assert bars.show(Fraction(duration), metre) == text


def test_nothing_to_judge() -> None:
    outcome = bars.check(read(""))
    assert (outcome.findings, outcome.measures) == ([], {"bars.count": 0})
