"""The verdict, with and without Great Expectations: equal, and never open."""

from __future__ import annotations

import math
import random
import threading

import pandas as pd
import pytest

from scoregate.errors import GateError
from scoregate.findings import Finding, Outcome, Status
from scoregate.validators.verdict import rules as verdict
from scoregate.validators.verdict import suite
from scoregate.validators.verdict.thresholds import load

FILE = load()
GATES = tuple(FILE.general.findings)
CHORAL = "Baroque/Bach, Johann Sebastian/Choral"


def good(piece_id: str = "a", style: str = "") -> dict:
    """Return a row of a piece that passes."""
    cells = {"piece_id": piece_id, "style": style}
    for gate in GATES:
        cells |= {f"{gate}.judged": 1.0, f"{gate}.critical": 0.0}
    for name, bound in FILE.general.measures.items():
        cells[name] = 0.0 if bound.side == "high" else 9.0
    return cells


def status(cells: dict) -> str:
    (decided,) = verdict.judge([cells])
    return decided.status


def test_all_well_passes():
    assert status(good()) == Status.PASSED


@pytest.mark.parametrize("gate", GATES)
def test_one_critical_finding_of_any_gate_rejects(gate):
    assert status(good() | {f"{gate}.critical": 1.0}) == Status.REJECTED


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("value", [0.0, math.nan, None, "yes", 2.0])
def test_a_gate_that_did_not_judge_passes_nothing(gate, value):
    assert status(good() | {f"{gate}.judged": value}) == Status.NOT_JUDGED


@pytest.mark.parametrize(
    "column", [f"{gate}.{part}" for gate in GATES for part in ("judged", "critical")]
)
def test_a_missing_column_passes_nothing(column):
    cells = good()
    del cells[column]
    assert status(cells) == Status.NOT_JUDGED


@pytest.mark.parametrize("name", [n for n, b in FILE.general.measures.items() if b.needed])
def test_a_needed_measure_that_is_nan_passes_nothing(name):
    assert status(good() | {name: math.nan}) == Status.NOT_JUDGED


def test_a_measure_that_is_not_needed_may_be_nan():
    assert status(good() | {"measures.harmony_fit": math.nan}) == Status.PASSED


def test_a_fault_that_is_known_outweighs_what_is_not_known():
    assert status(good() | {"bars.critical": 2.0, "syntax.judged": 0.0}) == Status.REJECTED


def test_measures_reject_and_warn_at_their_bounds():
    rows = [good() | {"repetition.loop_share": share} for share in (0.09, 0.1, 0.25)]
    first, second, third = verdict.judge(rows)
    assert [v.status for v in (first, second, third)] == [
        Status.PASSED,
        Status.PASSED,
        Status.REJECTED,
    ]
    assert [str(f) for f in second.failed] == ["repetition.loop_share: 0.1, below 0.1 expected"]
    assert [f.severity for f in third.failed] == ["critical", "warning"]


def test_thresholds_follow_the_style():
    cells = {"measures.harmony_fit": 0.6}
    general, choral = verdict.judge([good() | cells, good(style=CHORAL) | cells])
    assert general.failed == []
    assert [(f.column, f.severity) for f in choral.failed] == [("measures.harmony_fit", "warning")]


def test_a_row_is_made_of_outcomes():
    finding = Finding("bars", "bars.x", "critical", "x")
    remark = Finding("bars", "bars.y", "warning", "y")
    outcome = Outcome("bars", "1", findings=[finding, remark], measures={"bars.share": 0.5})
    crashed = Outcome("syntax", "1", judged=False)
    assert verdict.row("a", {"bars": outcome, "syntax": crashed}, CHORAL) == {
        "piece_id": "a",
        "style": CHORAL,
        "bars.judged": 1.0,
        "bars.critical": 1.0,
        "bars.share": 0.5,
        "syntax.judged": 0.0,
        "syntax.critical": 0.0,
    }


def test_gates_that_are_not_asked_for_are_not_needed():
    cells = {"piece_id": "a", "style": "", "bars.judged": 1.0, "bars.critical": 0.0}
    assert verdict.judge([cells], gates=["bars"])[0].status == Status.PASSED
    assert verdict.judge([cells], gates=["bars", "syntax"])[0].status == Status.NOT_JUDGED


@pytest.mark.parametrize("judge", [verdict.judge, suite.judge])
def test_no_rows_are_an_error_and_no_success(judge):
    with pytest.raises(GateError, match="no piece to judge"):
        judge([])


# --- Great Expectations -------------------------------------------------------------


def random_rows(count: int) -> list[dict]:
    rng = random.Random(1)
    rows = []
    for number in range(count):
        cells = good(f"p{number // 2}", rng.choice(["", CHORAL, "Romantic/Liszt, Franz/Keyboard"]))
        for column in list(cells)[2:]:
            kind, chance = column.partition(".")[2], rng.random()
            if chance < 0.01:
                cells[column] = rng.choice([math.nan, None, "text", math.inf, -math.inf])
            elif chance < 0.012:
                del cells[column]
            elif kind == "judged" and chance < 0.02:
                cells[column] = rng.choice([0.0, 2.0])
            elif kind == "critical" and chance < 0.04:
                cells[column] = float(rng.randrange(1, 5))
            elif chance < 0.2 and column in FILE.general.measures:
                bound = FILE.general.measures[column]
                edges = [x for x in (bound.critical, bound.warning, 0.7) if x is not None]
                cells[column] = rng.choice(edges) + rng.choice([0, 0, 1e-9, -1e-9, 0.3, -0.3])
        rows.append(cells)
    return rows


@pytest.mark.slow
def test_the_suite_and_the_plain_verdict_are_equal():
    rows = random_rows(2000)
    plain, expected = verdict.judge(rows), suite.judge(rows)
    assert {v.status for v in plain} == {Status.PASSED, Status.REJECTED, Status.NOT_JUDGED}
    assert [v.as_dict() for v in expected] == [v.as_dict() for v in plain]


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone", ["bars.judged", "bars.critical", "repetition.loop_share", "style", "piece_id"]
)
def test_the_suite_takes_a_frame_that_lacks_a_column(gone):
    frame = pd.DataFrame([good("a"), good("b")]).drop(columns=gone)
    expected = Status.PASSED if gone in ("style", "piece_id") else Status.NOT_JUDGED
    assert [v.status for v in suite.judge(frame)] == [expected] * 2


@pytest.mark.slow
def test_rows_with_the_same_id_are_told_apart():
    rows = [good("same"), good("same") | {"bars.critical": 1.0}]
    assert [v.status for v in suite.judge(rows)] == [Status.PASSED, Status.REJECTED]


@pytest.mark.slow
def test_a_result_without_rows_is_an_error_and_no_pass(monkeypatch):
    class Silent:
        success, exception_info, result = False, {}, {}

    monkeypatch.setattr(suite, "_validate", lambda frame, rules: [Silent() for _ in rules])
    with pytest.raises(GateError, match="names no row"):
        suite.judge([good()])


@pytest.mark.slow
def test_an_exception_inside_the_suite_is_an_error_and_no_pass(monkeypatch):
    class Raised:
        success, result = True, {}
        exception_info = {("some", "metric"): {"raised_exception": True, "exception_message": "ow"}}  # noqa: RUF012

    monkeypatch.setattr(suite, "_validate", lambda frame, rules: [Raised() for _ in rules])
    with pytest.raises(GateError, match=r"failed on .*: ow"):
        suite.judge([good()])


@pytest.mark.slow
def test_it_sends_nothing_to_its_makers():
    suite.judge([good()])
    from great_expectations.data_context import get_context

    assert get_context(mode="ephemeral").variables.analytics_enabled in (False, None)


def test_a_fault_of_the_import_ahead_is_raised_where_the_suite_is_needed(monkeypatch):
    def broken() -> None:
        raise ImportError("it is gone")

    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr(suite, "_import", broken)
    suite.import_ahead().join(60)
    assert told == []
    with pytest.raises(ImportError, match="it is gone"):
        suite.judge([good()])
