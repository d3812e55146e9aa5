"""The verdict on a batch: nothing passes that could not be judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scoregate.errors import GateError
from scoregate.findings import Outcome
from scoregate.generator import Generation
from scoregate.piece import Batch, Piece
from scoregate.tasks.gates import read, run_gate
from scoregate.tasks.judge import judge
from scoregate.validators import registry
from scoregate.validators.verdict import pieces as module

pytestmark = pytest.mark.slow

TEXT = 'X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1 treble nm="Flute"\n[V:1]c2 d2 e2 f2|\n[V:1]g8|]\n'


def made(ended: str = "finished", bars: int = 2, notes: tuple[str, ...] = ()) -> Batch[Piece]:
    """Two pieces that every gate but none of the verdict has seen."""
    batch = Batch(
        Piece("", 1, Generation(TEXT, ended, seed, 40, bars, notes=notes), {"max_minutes": 1.5})
        for seed in (1, 2)
    )
    batch = read.fn(batch)
    for name in registry.names():
        batch = run_gate.fn(name, batch)
    return batch


@pytest.fixture
def pieces() -> Batch[Piece]:
    return made()


def statuses(pieces: Batch[Piece]) -> list[str]:
    return [piece.status for piece in judge.fn(pieces, registry.names())]


def test_good_pieces_pass(pieces):
    assert statuses(pieces) == ["passed", "passed"]
    assert [piece.reasons for piece in pieces] == [[], []]
    assert pieces[0].summary["bars"] == 2
    assert "repetition.loop_share" in pieces[0].measures


@pytest.mark.parametrize(
    ("ended", "reason", "message"),
    [
        ("length", "ended: length limit", "after 40 steps"),
        ("time", "ended: time limit", "limit of 1.5 min"),
        ("stopped", "ended: stopped by hand", "stopped by hand"),
        ("failed", "ended: no music", "without a bar"),
    ],
)
def test_a_piece_that_the_model_did_not_end_is_rejected(ended, reason, message):
    for piece in judge.fn(made(ended, bars=0), registry.names()):
        assert (piece.status, piece.reasons) == ("rejected", [reason])
        (finding,) = [one for one in piece.findings if one.severity == "critical"]
        assert finding.code == f"ended.{ended}"
        assert message in finding.message


def test_a_piece_that_broke_on_the_way_says_why():
    broken = made("failed", bars=7, notes=("The model gave logits that are not finite.",))
    for piece in judge.fn(broken, registry.names()):
        assert (piece.status, piece.reasons) == ("rejected", ["ended: could not go on"])
        (finding,) = [one for one in piece.findings if one.severity == "critical"]
        assert finding.code == "ended.broken"
        assert "after 7 bars; The model gave logits that are not finite" in finding.message


def test_a_gate_that_crashes_passes_nothing(pieces, monkeypatch):
    def crash(score, *, style=None):
        raise RuntimeError("the gate fell over")

    bars = replace(registry.find("bars"), check=crash)
    monkeypatch.setattr(registry, "find", lambda name: bars)
    run_gate.fn("bars", pieces)
    monkeypatch.undo()
    assert statuses(pieces) == ["could not be judged"] * 2
    assert "the gate fell over" in pieces[0].reasons[0]


def test_a_gate_that_did_not_judge_passes_nothing(pieces):
    for piece in pieces:
        piece.outcomes["bars"] = Outcome("bars", "1", judged=False)
    assert statuses(pieces) == ["could not be judged"] * 2


def test_a_gate_left_out_passes_nothing(pieces):
    for piece in pieces:
        del piece.outcomes["bars"]
    assert statuses(pieces) == ["could not be judged"] * 2


def test_a_nan_where_a_number_is_needed_passes_nothing(pieces):
    for piece in pieces:
        piece.outcomes["repetition"].measures["repetition.loop_share"] = float("nan")
    assert statuses(pieces) == ["could not be judged"] * 2


def test_a_suite_that_fails_passes_nothing(pieces, monkeypatch):
    def fail(rows, gates):
        raise GateError("the suite is broken")

    monkeypatch.setattr(module.suite, "judge", fail)
    assert statuses(pieces) == ["could not be judged"] * 2
    assert pieces[0].reasons == ["the suite failed: the suite is broken"]
