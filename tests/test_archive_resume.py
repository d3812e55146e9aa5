"""What a production run writes down, so that it can go on after it was killed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scoregate.archive.production import ProductionRun
from scoregate.archive.resuming import open_run
from scoregate.archive.round_work import generation_line, read_generation
from scoregate.archive.run_journal import MOST_ATTEMPTS, RunJournal
from scoregate.archive.run_lock import RunLock
from scoregate.archive.store import Archive
from scoregate.errors import ArchiveError, BusyError, CorruptError, RunError
from scoregate.findings import Finding, Outcome, Status
from scoregate.generator import Generation
from scoregate.piece import Piece
from scoregate.progress import hearing
from scoregate.requests import ProduceRequest

STYLE = "Baroque/Bach, Johann Sebastian/Choral"
ENGINE = {"generator": "notagen", "weights": {"name": "w", "sha256": "0" * 64}, "engine": "3"}


def text(key: str) -> str:
    return f"%Baroque\nL:1/8\nK:{key}\nV:1\n[r:0/0][V:1]C8|]\n"


def request(tmp_path, **values) -> ProduceRequest:
    return ProduceRequest(**{"count": 3, "seed": 1, "out": str(tmp_path), **values})


def killed(run: ProductionRun) -> None:
    """Leave a run as kill -9 does: the lock goes with the process, the files stay."""
    run.journal.close()
    run.lock.release()


def generated(run: ProductionRun, *keys: str) -> None:
    """Generate the first pieces of the round under way."""
    assert run.work is not None
    run.record_generated(
        (index, Generation(text(key), "finished", run.work.seeds[index], 9, 1))
        for index, key in enumerate(keys)
    )


def judged(run: ProductionRun) -> list[Piece]:
    """Judge what is generated: every piece passes."""
    assert run.work is not None
    pieces = [run.work.piece(index, STYLE, ENGINE) for index in sorted(run.work.generated)]
    for piece in pieces:
        if piece.status is None:
            piece.status = Status.PASSED
            piece.outcomes = {"bars": Outcome("bars", "3", measures={"bars.count": 1.0})}
            piece.findings = [Finding("bars", "bars.short", "warning", "short", voice="1", bar=2)]
    run.record_judged(pieces)
    return pieces


def begun(tmp_path, *keys: str, **values) -> ProductionRun:
    run = open_run(request(tmp_path, **values), ENGINE)
    next(run.rounds())
    generated(run, *keys)
    return run


def test_a_run_goes_on_with_what_is_generated(tmp_path):
    first = begun(tmp_path, "C", "D")
    seeds = first.work.seeds
    killed(first)
    said = []
    with hearing(said.append):
        run = open_run(request(tmp_path), ENGINE)
    assert run.record.run_id == first.record.run_id
    assert said == [f"This resumes run {run.record.run_id}: 0 of 3 are finished."]
    assert run.work.seeds == seeds
    assert run.work.ungenerated(run.work.unarchived) == [2]
    assert run.work.piece(1, STYLE, ENGINE).raw == text("D")
    run.close()


def test_verdicts_are_read_as_they_were_written(tmp_path):
    first = begun(tmp_path, "C")
    (before,) = judged(first)
    killed(first)
    run = open_run(request(tmp_path), ENGINE)
    after = run.work.piece(0, STYLE, ENGINE)
    for name in ("status", "reasons", "findings", "outcomes", "summary", "seed", "measures"):
        assert getattr(after, name) == getattr(before, name), name
    run.record_judged([after])
    assert sum(line["event"] == "judged" for line in run.journal.lines()) == 1
    run.close()


def test_rendered_files_are_found_again_and_a_damaged_one_is_not_taken(tmp_path):
    first = begun(tmp_path, "C", "D")
    for piece in judged(first):
        piece.files = {"score.mid": b"MThd" * 100}
        first.record_rendered(piece)
    killed(first)
    (damaged,) = first.journal.folder.glob("rendered/1-1.zip")
    damaged.write_bytes(damaged.read_bytes()[:200])
    run = open_run(request(tmp_path), ENGINE)
    pieces = [run.work.piece(index, STYLE, ENGINE) for index in (0, 1)]
    assert [run.is_rendered(piece) for piece in pieces] == [True, False]
    run.add(pieces[:1])
    (identifier,) = run.store.ids()
    assert (run.store.path_of(identifier) / "score.mid").read_bytes() == b"MThd" * 100
    assert not list(first.journal.folder.glob("rendered/1-0.zip"))
    run.close()


def test_a_piece_archived_just_before_the_kill_is_this_runs_and_counts_once(tmp_path):
    first = begun(tmp_path, "C")
    pieces = judged(first)
    journal = first.journal.path.read_bytes()
    first.add(pieces)
    first.journal.path.write_bytes(journal)  # The kill came before the journal's line.
    killed(first)
    run = open_run(request(tmp_path), ENGINE)
    run.add([run.work.piece(0, STYLE, ENGINE)])
    assert [(row.new, row.seed) for row in run.record.pieces] == [(True, run.work.seeds[0])]
    assert len(list(run.store.ids())) == 1
    run.close()


def test_archived_pieces_are_counted_and_not_made_again(tmp_path):
    first = begun(tmp_path, "C", "D")
    first.add(judged(first))
    killed(first)
    run = open_run(request(tmp_path), ENGINE)
    assert (run.finished, run.missing, run.work.unarchived) == (2, 1, [2])
    assert [row.status for row in run.record.pieces] == [Status.PASSED] * 2
    assert run.record.notes[-1].endswith("2 of 3 are finished by then.")
    run.close()


def test_a_run_that_has_ended_leaves_no_journal_and_is_not_taken_up(tmp_path):
    first = begun(tmp_path, "C", "D", "E")
    first.add(judged(first))
    first.end_round()
    first.end(1.0, {"report": 0.1})
    first.close()
    assert not first.journal.folder.exists()
    run = open_run(request(tmp_path), ENGINE)
    assert run.record.run_id != first.record.run_id
    run.close()


@pytest.mark.parametrize("how", ["killed", "disk full"])
def test_a_run_whose_pages_could_not_be_written_makes_no_piece_again(tmp_path, how):
    first = begun(tmp_path, "C", "D", "E")
    first.add(judged(first))
    first.end_round()
    first.finish(1.0, {})
    first.store.write_run(first.record, {"report.html": "<p>"})
    if how == "killed":
        killed(first)
    else:
        first.close()
    run = open_run(request(tmp_path), ENGINE)
    assert run.record.run_id == first.record.run_id
    assert (run.finished, run.missing, run.record.finished) == (3, 0, None)
    assert list(run.rounds()) == []
    run.end(1.0, {"report": 0.1})
    run.close()
    assert not run.journal.folder.exists()


def test_a_request_without_a_seed_goes_on_with_the_seed_that_was_chosen(tmp_path):
    first = begun(tmp_path, "C", seed=None)
    killed(first)
    run = open_run(request(tmp_path, seed=None), ENGINE)
    assert run.request.seed == first.request.seed
    assert run.record.run_id == first.record.run_id
    run.close()


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"count": 4}, {"temperature": 1.1}, {"seed": None}, {"audio": True}],
    ids=str,
)
def test_another_request_is_another_run(tmp_path, other):
    first = begun(tmp_path)
    killed(first)
    run = open_run(request(tmp_path, **other), ENGINE)
    assert run.record.run_id != first.record.run_id
    run.close()


def test_how_fast_a_request_is_served_is_no_part_of_it(tmp_path):
    first = begun(tmp_path)
    killed(first)
    run = open_run(request(tmp_path, batch=3, threads=2, processes=1), ENGINE)
    assert run.record.run_id == first.record.run_id
    run.close()


def test_other_weights_do_not_go_on_with_a_run(tmp_path):
    first = begun(tmp_path)
    killed(first)
    run = open_run(request(tmp_path), {**ENGINE, "weights": {"sha256": "1" * 64}})
    assert run.record.run_id != first.record.run_id
    run.close()


def test_two_runs_of_one_request_at_once(tmp_path):
    first = begun(tmp_path)
    with pytest.raises(BusyError, match=f"{first.record.run_id}.*is under way \\(process"):
        open_run(request(tmp_path), ENGINE)
    first.close()


def test_a_second_run_without_a_seed_says_so_and_makes_other_pieces(tmp_path):
    first = begun(tmp_path, seed=None)
    said = []
    with hearing(said.append):
        run = open_run(request(tmp_path, seed=None), ENGINE)
    assert first.record.run_id in said[0]
    assert run.request.seed != first.request.seed
    run.close()
    first.close()


def test_the_lock_ends_with_its_process(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; "
        "from scoregate.archive.run_lock import RunLock; "
        "print(RunLock(Path(sys.argv[1])).acquire(), flush=True); time.sleep(60)"
    )
    # The lock object is dropped at once: its descriptor stays open as long as the process.
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "True\n"
    lock = RunLock(tmp_path)
    assert not lock.acquire()
    assert lock.owner().pid == holder.pid
    holder.kill()
    holder.wait()
    assert lock.acquire()
    lock.release()


def test_attempts_without_progress_are_capped_and_the_next_run_is_a_new_one(tmp_path):
    first = begun(tmp_path)
    killed(first)
    for _ in range(MOST_ATTEMPTS - 1):
        killed(open_run(request(tmp_path), ENGINE))
    with pytest.raises(RunError, match="taken up 3 times"):
        open_run(request(tmp_path), ENGINE)
    assert Archive(tmp_path).run(first.record.run_id).notes[-1].startswith("Given up")
    run = open_run(request(tmp_path), ENGINE)
    assert run.record.run_id != first.record.run_id
    run.close()


def test_an_attempt_that_came_further_is_not_counted(tmp_path):
    first = begun(tmp_path)
    killed(first)
    for keys in (["C"], ["C", "D"], ["C", "D", "E"], []):
        run = open_run(request(tmp_path), ENGINE)
        generated(run, *keys)
        killed(run)
    open_run(request(tmp_path), ENGINE).close()


def test_fresh_starts_anew_and_gives_the_old_run_up(tmp_path):
    first = begun(tmp_path, "C", "D")
    killed(first)
    run = open_run(request(tmp_path, fresh=True), ENGINE)
    assert run.record.run_id != first.record.run_id
    assert run.work is None
    run.close()
    old = Archive(tmp_path).run(first.record.run_id)
    assert old.finished
    assert not first.journal.folder.exists()


def test_an_incomplete_last_line_is_ignored_and_cut_off(tmp_path):
    first = begun(tmp_path, "C")
    killed(first)
    with open(first.journal.path, "ab") as file:
        file.write(b'{"event": "generated", "rou')
    run = open_run(request(tmp_path), ENGINE)
    generated(run, "C", "D")
    killed(run)
    events = [line["event"] for line in RunJournal(first.journal.folder).lines()]
    assert events.count("generated") == 3
    assert events[-1] == "generated"


def test_a_damaged_line_is_named(tmp_path):
    first = begun(tmp_path, "C", "D")
    killed(first)
    lines = first.journal.path.read_text().splitlines(keepends=True)
    lines[3] = "#" + lines[3]
    first.journal.path.write_text("".join(lines))
    with pytest.raises(CorruptError, match=r"damaged in line 4") as caught:
        open_run(request(tmp_path), ENGINE)
    assert "--fresh" in caught.value.remedy
    open_run(request(tmp_path, fresh=True), ENGINE).close()


def test_lone_surrogates_of_a_text_come_back():
    piece = Generation("K:C\nw:\udcff", "finished", 1, 1, 1, notes=("é",))
    assert read_generation(json.loads(json.dumps(generation_line(piece)))) == piece


def test_a_full_disk_is_told_when_a_piece_is_recorded(tmp_path):
    run = begun(tmp_path, "C")
    run.journal.close()
    run.journal.path.unlink()
    run.journal.path.symlink_to("/dev/full")
    with pytest.raises(ArchiveError, match="No space left on device") as caught:
        generated(run, "C", "D")
    assert "Free space" in caught.value.remedy
    run.lock.release()


def test_a_folder_that_vanished_is_told(tmp_path):
    run = begun(tmp_path, "C")
    run.journal.path.unlink()
    with pytest.raises(ArchiveError, match="No such file"):
        generated(run, "C", "D")
    run.close()
