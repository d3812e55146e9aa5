"""The judge's task: nothing passes that could not be judged."""

from __future__ import annotations

import pytest

from scoregate.findings import Outcome
from scoregate.piece import Batch, Draft
from scoregate.tasks import judge as module
from scoregate.tasks.gates import pass_gate, read
from scoregate.validators import examine as gate

pytestmark = pytest.mark.slow

TEXT = 'X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1 treble nm="Flute"\n[V:1]c2 d2 e2 f2|\n[V:1]g8|]\n'


@pytest.fixture
def drafts() -> Batch[Draft]:
    return Batch([Draft(TEXT, TEXT, "finished", "", seed, 1) for seed in (1, 2)])


@pytest.fixture
def outcomes(drafts) -> dict[str, Batch[Outcome]]:
    scores = read.fn(drafts)
    return {name: pass_gate.fn(name, scores, "") for name in gate.GATES}


def statuses(drafts, outcomes) -> list[str]:
    return [judged.status for judged in module.judge.fn(drafts, read.fn(drafts), outcomes)]


def test_good_pieces_pass(drafts, outcomes):
    assert statuses(drafts, outcomes) == ["passed", "passed"]


@pytest.mark.parametrize(
    ("ended", "reason", "message"),
    [
        ("length", "ended: length limit", "after 40 patches"),
        ("time", "ended: time limit", "limit of 1.5 min"),
        ("stopped", "ended: stopped by hand", "stopped by hand"),
        ("failed", "ended: no music", "without a bar"),
    ],
)
def test_a_piece_that_the_model_did_not_end_is_rejected(outcomes, ended, reason, message):
    provenance = {"patches": 40, "max_minutes": 1.5}
    drafts = Batch([Draft(TEXT, TEXT, ended, "", seed, 1, provenance) for seed in (1, 2)])
    for judged in module.judge.fn(drafts, read.fn(drafts), outcomes):
        assert (judged.status, judged.reasons) == ("rejected", [reason])
        (finding,) = [one for one in judged.findings if one.severity == "critical"]
        assert finding.code == f"ended.{ended}"
        assert message in finding.message


def test_a_piece_that_broke_on_the_way_says_why(outcomes):
    provenance = {"patches": 40, "bars": 7, "notes": ["The model gave logits that are not finite."]}
    drafts = Batch([Draft(TEXT, TEXT, "failed", "", seed, 1, provenance) for seed in (1, 2)])
    for judged in module.judge.fn(drafts, read.fn(drafts), outcomes):
        assert (judged.status, judged.reasons) == ("rejected", ["ended: could not go on"])
        (finding,) = [one for one in judged.findings if one.severity == "critical"]
        assert finding.code == "ended.broken"
        assert "after 7 bars; The model gave logits that are not finite" in finding.message


def test_a_gate_that_crashes_passes_nothing(drafts, outcomes, monkeypatch):
    def crash(score, *, style=None):
        raise RuntimeError("the gate fell over")

    monkeypatch.setattr("scoregate.validators.gates.bars.check", crash)
    outcomes["bars"] = pass_gate.fn("bars", read.fn(drafts), "")
    judged = module.judge.fn(drafts, read.fn(drafts), outcomes)
    assert [one.status for one in judged] == ["could not be judged"] * 2
    assert "the gate fell over" in judged[0].reasons[0]


def test_a_gate_left_out_passes_nothing(drafts, outcomes):
    outcomes["bars"] = Batch(Outcome("bars", "1", judged=False) for _ in drafts)
    assert statuses(drafts, outcomes) == ["could not be judged"] * 2


def test_a_nan_where_a_number_is_needed_passes_nothing(drafts, outcomes):
    for outcome in outcomes["repetition"]:
        outcome.measures["repetition.loop_share"] = float("nan")
    assert statuses(drafts, outcomes) == ["could not be judged"] * 2


def test_a_suite_that_fails_passes_nothing(drafts, outcomes, monkeypatch):
    def fail(rows, gates):
        raise module.GateError("the suite is broken")

    monkeypatch.setattr(module.suite, "judge", fail)
    judged = module.judge.fn(drafts, read.fn(drafts), outcomes)
    assert [one.status for one in judged] == ["could not be judged"] * 2
    assert judged[0].reasons == ["the suite failed: the suite is broken"]
