"""The control chart over runs: who is compared, when it speaks, and how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from scoregate.archive.records import PieceRow, RoundRecord, RunRecord
from scoregate.archive.store import Archive, new_run_id
from scoregate.archive.trend import (
    RunFigures,
    expected_band,
    figures_of,
    kind_of,
    run_trend,
    trend,
)
from scoregate.dashboard.markdown import trend_report
from scoregate.findings import Status


def runs(rates: list[int], size: int = 40, kind: str = "a") -> list[RunFigures]:
    return [
        RunFigures(f"r{number:03}", f"2026-01-{number + 1:02}", kind, size, passed, 0)
        for number, passed in enumerate(rates)
    ]


def codes(found) -> list[str]:
    return [alarm.code for alarm in found.alarms]


def test_an_ordinary_night_raises_nothing():
    *before, last = runs([30, 32, 29, 31, 30, 33, 30])
    found = trend(last, before)
    assert codes(found) == []
    assert found.band is not None
    assert found.band[0] < 0.75 < found.band[1]
    assert found.centre == pytest.approx(185 / 240)


def test_a_bad_night_and_an_unlikely_good_one():
    *before, last = runs([30, 32, 29, 31, 30, 33, 12])
    assert codes(trend(last, before)) == ["pass-rate-low"]
    assert "30%" in trend(last, before).alarms[0].message
    *before, last = runs([10, 12, 9, 11, 10, 13, 39])
    assert codes(trend(last, before)) == ["pass-rate-high"]


def test_nothing_passed_is_told_without_any_earlier_run():
    assert codes(trend(runs([0])[0], [])) == ["pass-rate-low"]


def test_few_earlier_runs_have_no_band():
    *before, last = runs([30, 31, 30, 2])
    found = trend(last, before)
    assert found.band is None
    assert codes(found) == []


def test_eight_in_a_row_on_one_side_are_a_drift():
    *before, last = runs([32, 30, 31, 33, 32, 31, 30, 29, 29, 28, 29, 28, 29, 28, 29, 28])
    assert "pass-rate-drift" in codes(trend(last, before))
    *before, last = runs([32, 30, 31, 33, 32, 31, 30, 29, 29, 28, 33, 28, 29, 28, 29, 28])
    assert codes(trend(last, before)) == []


def test_runs_of_another_kind_and_later_runs_do_not_count():
    same = runs([30, 32, 29, 31, 30, 33])
    other = runs([2, 2, 2, 2, 2, 2], kind="b")
    last = RunFigures("x", "2026-02-01", "a", 40, 30, 0)
    later = RunFigures("y", "2026-03-01", "a", 40, 0, 0)
    assert trend(last, [*other, *same, later, last]).earlier == tuple(same)


def test_a_gate_that_could_not_judge_and_pieces_that_are_missing():
    run = RunFigures("x", "2026-02-01", "a", 40, 30, 2, missing=3)
    assert codes(trend(run, [])) == ["not-judged", "missing"]


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_band_says():
    """Simulated nights of one true pass rate: the band is left at most about 0.27 % of the time."""
    rng = np.random.default_rng(5)
    outside = 0
    nights = 1500
    for _ in range(nights):
        past = rng.binomial(40, 0.7, size=20).sum()
        low, high = expected_band(int(past), 800, 40)
        outside += not low <= rng.binomial(40, 0.7) / 40 <= high
    assert outside / nights < 0.006


def test_a_halved_pass_rate_is_seen_the_first_night():
    rng = np.random.default_rng(6)
    seen = 0
    for _ in range(500):
        past = rng.binomial(40, 0.7, size=20).sum()
        low, _ = expected_band(int(past), 800, 40)
        seen += rng.binomial(40, 0.35) / 40 < low
    assert seen / 500 > 0.8


def test_figures_take_the_first_round_only_for_the_rate():
    record = RunRecord(
        run_id="r1",
        started="2026-01-01",
        request={"style": "s", "temperature": 1.0, "seed": 5, "count": 4},
        rounds=[
            RoundRecord(round=1, drawn=4, passed=1, rejected=3),
            RoundRecord(round=2, drawn=3, passed=3),
        ],
        pieces=[
            PieceRow(piece_id="a", status=Status.REJECTED, reasons=["bars: too long", "x: y"]),
            PieceRow(piece_id="b", status=Status.PASSED),
        ],
        stage_seconds={"generate": 14.0},
    )
    found = figures_of(record)
    assert (found.generated, found.passed, found.rate) == (4, 1, 0.25)
    assert found.reasons == {"bars": 1}
    assert found.seconds_per_piece == {"generate": 2.0}
    assert found.kind == kind_of({"temperature": 1.0, "style": "s", "seed": 9})


def test_runs_of_the_archive_are_compared(tmp_path):
    store = Archive(tmp_path)
    request = {"style": "a/b/c", "temperature": 1.0}
    for day, passed in enumerate([30, 32, 29, 31, 30, 33, 8], start=1):
        record = RunRecord(
            run_id=new_run_id(),
            started=f"2026-01-{day:02}T00:00:00+00:00",
            finished=f"2026-01-{day:02}T00:01:00+00:00",
            request=request,
            rounds=[RoundRecord(round=1, drawn=40, passed=passed, rejected=40 - passed)],
        )
        store.write_run(record)
    found = run_trend(store, record)
    assert [run.passed for run in found.earlier] == [30, 32, 29, 31, 30, 33]
    assert codes(found) == ["pass-rate-low"]
    text = trend_report(found)
    assert "**pass-rate-low**" in text
    assert text.count("2026-01-") == 7
