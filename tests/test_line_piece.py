"""The record of a piece: what it holds on its way, what Prefect does with it, what is dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.utilities.collections import visit_collection

from scoregate.archive.production import ProductionRun
from scoregate.errors import ArchiveError
from scoregate.findings import Outcome, Status
from scoregate.generator import Generation
from scoregate.piece import Batch, Piece, piece_id
from scoregate.requests import ProduceRequest

RAW = "%Baroque\n%Bach\n%Choral\nL:1/8\nK:C\nV:1\nV:2\n[r:0/0][V:1]C8|]\n"


def piece(status: Status, seed: int = 1, raw: str = RAW, index: int = 0) -> Piece:
    generation = Generation(raw, "finished", seed, 9, 1)
    made = Piece("Baroque/Bach/Choral", 2, generation, {"top_k": 9}, index)
    made.outcomes = {"bars": Outcome("bars", "3", measures={"bars.count": 1.0})}
    made.status = status
    made.reasons = [] if made.passed else ["bars: too short"]
    made.summary = {"bars": 1}
    made.files = {"score.mid": b"MThd"}
    return made


def test_the_finished_text_is_the_one_that_names_the_piece():
    made = piece(Status.PASSED)
    assert made.text.startswith("X:1\n")
    assert "[V:2]z8|]" in made.text
    assert made.id == piece_id(made.text)


def test_the_provenance_joins_what_the_round_and_the_piece_have():
    found = piece(Status.PASSED, seed=7).provenance
    assert (found["top_k"], found["round"], found["seed"], found["steps"]) == (9, 2, 7, 9)
    assert "raw" not in found


def test_prefect_does_not_look_into_a_batch():
    seen = []
    visit_collection([Batch([piece(Status.PASSED)])], seen.append, return_data=False)
    assert not any(isinstance(each, Piece | Generation) for each in seen)


@pytest.fixture
def run(tmp_path) -> Iterator[ProductionRun]:
    made = ProductionRun(ProduceRequest(count=3, seed=1, out=str(tmp_path)), {})
    made.begin()
    next(made.rounds())
    yield made
    made.close()


def test_a_round_is_archived_counted_and_dropped(run):
    pieces = [
        piece(Status.PASSED),
        piece(Status.PASSED, index=1),
        piece(Status.REJECTED, raw=RAW + "\n", index=2),
    ]
    run.add(pieces)
    run.end_round()
    assert run.missing == 2  # the same piece twice counts once
    assert run.last_round == ("3 generated, 2 passed, 1 rejected, 0 could not be judged; 2 missing")
    report = run.store.report(run.store.find(pieces[0].id))
    assert (report.status, report.measures, report.gates) == (
        "passed", {"bars.count": 1.0}, {"bars": "3"}
    )  # fmt: skip
    assert [each.files for each in pieces] == [{}, {}, {}]
    assert [each.outcomes for each in pieces] == [{}, {}, {}]
    assert run.store.run(run.record.run_id).rounds[0].seeds == [1, 1, 1]


def test_pieces_that_a_limit_cut_off_are_counted(run):
    cut = piece(Status.REJECTED)
    cut.reasons = ["ended: length limit", "bars: too short"]
    run.add([cut])
    assert run.cut_off == 1


def _refuse(*_, **__):
    raise ArchiveError("The disk is full.", "Make room.")


def test_an_archive_that_does_not_take_the_texts_names_the_journal_that_has_them(run, monkeypatch):
    run.record_generated([(0, piece(Status.PASSED).generation)])
    monkeypatch.setattr(run.store, "add_all", _refuse)
    with pytest.raises(ArchiveError, match="1 texts are in") as caught:
        run.add([piece(Status.PASSED)])
    assert str(run.journal.path) in caught.value.problem
    assert "[r:0/0]" in run.journal.path.read_text()


def test_texts_that_neither_archive_nor_journal_take_are_saved(run, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(run.store, "add_all", _refuse)
    run.journal.path.unlink()
    with pytest.raises(ArchiveError, match="1 texts are in") as caught:
        run.add([piece(Status.PASSED)])
    (saved,) = tmp_path.glob("scoregate-*.jsonl")
    assert str(saved) in caught.value.problem
    assert "[r:0/0]" in saved.read_text()
