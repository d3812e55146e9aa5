"""Plots: every piece is in them, whatever its value."""

import math
import re
from xml.etree import ElementTree

import pytest

from scoregate.dashboard.formatting import duration, moment, number
from scoregate.dashboard.plots import MOST_DOTS, Band, Dot, Line, strip
from scoregate.dashboard.reference import bands


def dots(*values: float, status: str = "passed") -> list[Dot]:
    return [Dot(value, status, f"<{n}>", f"piece-{n}") for n, value in enumerate(values)]


def drawn(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


@pytest.mark.parametrize(
    "values", [(0.5,), (0.0, 0.0), (1.0, 1.0), (-3.0, 1e9), (1e-12,), (0.1, 0.2, 0.3), (4.0,) * 50]
)
def test_every_number_has_a_mark_inside_the_picture(values):
    root = drawn(strip("x", dots(*values)))
    marks = [element for element in root.iter() if "dot" in (element.get("class") or "")]
    assert len(marks) == len(values)
    assert all(0 <= float(mark.get("cx") or 0) <= 320 for mark in marks)
    assert all(0 <= float(mark.get("cy") or 0) <= 50 for mark in marks)


def test_what_is_no_number_is_left_out():
    assert strip("x", dots(math.nan, math.inf, 1.0)).count('class="dot') == 1
    assert "no values" in strip("x", [])


def test_larger_values_stand_further_right():
    root = drawn(strip("x", dots(3.0, 1.0, 2.0)))
    places = {
        link.get("href"): float(link[0].get("cx") or 0) for link in root.iter() if link.tag == "a"
    }
    assert places["piece-1"] < places["piece-2"] < places["piece-0"]


def test_limits_and_band_are_drawn_and_told():
    picture = strip("Groove", dots(0.5), [Line(0.25, "critical")], Band(0.4, 0.5, 0.6))
    assert picture.count('class="limit critical"') == 1
    assert picture.count('class="band"') == 1
    assert "real pieces 0.4 to 0.6" in picture


def test_text_is_escaped():
    picture = strip("<b>", dots(1.0))
    assert "<b>" not in picture
    assert "&lt;0&gt;" in picture


def test_many_pieces_are_counted_in_bars():
    values = [number / 1000 for number in range(MOST_DOTS + 1)]
    picture = strip("x", [*dots(*values), *dots(0.1, 0.1, status="rejected")])
    assert picture.count('class="dot') == 0
    counted = [int(count) for count in re.findall(r"<title>(\d+) (?:passed|rejected)<", picture)]
    assert sum(counted) == MOST_DOTS + 3
    assert len(picture) < 20_000


def test_the_reference_is_ordered():
    assert bands()
    assert all(band.low <= band.median <= band.high for band in bands().values())


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (math.nan, "–"), (0.25, "0.25"), (4.0, "4"), (12345.678, "1.235e+04"),
     (1234567.0, "1 234 567"), (0, "0")],
)  # fmt: skip
def test_numbers(value, said):
    assert number(value).replace("\u202f", " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (3.21, "3.2 s"), (75.2, "1 min 15 s"), (4000, "1 h 6 min")]
)
def test_durations(seconds, said):
    assert duration(seconds).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("iso", "said"),
    [("2026-11-20T09:21:28+00:00", "20 November 2026, 09:21 UTC"), ("", "–"), ("soon", "soon")],
)
def test_moments(iso, said):
    assert moment(iso) == said
