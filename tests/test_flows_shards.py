"""A request cut into shards: the same pieces wherever they are made, joined into one record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter

import pytest
from commands import SCOREGATE, scoregate_here

from scoregate.archive.production import ProductionRun
from scoregate.archive.records import PieceRow, RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import BusyError, RequestError, RunError, ToolError
from scoregate.findings import Status
from scoregate.flows import shards
from scoregate.flows.run_job import read_outcome
from scoregate.requests import ProduceRequest, checked
from scoregate.seeds import seeds_of_drafts, seeds_of_round


def request(**values) -> ProduceRequest:
    return ProduceRequest(**{"count": 10, "seed": 5, "shards": 4, **values})


def test_shards_have_seeds_of_their_own_and_together_the_count():
    made = shards.shard_requests(request(), "run-1")
    assert [each.count for each in made] == [3, 3, 2, 2]
    assert len({each.seed for each in made}) == 4
    assert [each.part_of for each in made] == [f"run-1/{number}" for number in range(4)]
    assert all(each.shards == 1 for each in made)


def test_the_seed_of_a_shard_depends_on_seed_and_number_alone():
    first = shards.shard_requests(request(), "run-1")
    other = shards.shard_requests(request(dask="local", out="elsewhere"), "run-2")
    assert [each.seed for each in first] == [each.seed for each in other]
    assert shards.seed_of_shard(5, 1) != shards.seed_of_shard(6, 0)


def test_there_are_no_more_shards_than_pieces():
    assert len(shards.shard_requests(request(count=2), "run-1")) == 2


@pytest.mark.parametrize(
    "values",
    [{"dask": "local"}, {"deployment": "produce/on-demand"},
     {"shards": 2, "dask": "local", "deployment": "a/b"}, {"shards": 2, "dask": "host:8786"}],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(values):
    with pytest.raises(RequestError):
        checked(ProduceRequest, **values)


def test_a_shard_is_tried_again_and_given_up_at_last():
    tries = []

    def fail(shard):
        tries.append(shard)
        raise RunError("lost")

    with pytest.raises(RunError, match="lost"):
        shards._tried(fail, request())
    assert len(tries) == shards.MOST_TRIES


def test_a_shard_that_a_lost_worker_still_holds_is_waited_for(monkeypatch):
    monkeypatch.setattr(shards, "BUSY_SECONDS", 0)
    answers = iter([BusyError("held"), BusyError("held"), BusyError("held"), BusyError("held")])

    def run(shard):
        for error in answers:
            raise error
        return "run-9"

    assert shards._tried(run, request()) == "run-9"


def test_a_wrong_request_is_not_tried_again():
    tries = []

    def fail(shard):
        tries.append(shard)
        raise RequestError("no such style")

    with pytest.raises(RequestError):
        shards._tried(fail, request())
    assert len(tries) == 1


def test_records_are_joined(tmp_path):
    def part(number: int, *identifiers: str) -> RunRecord:
        pieces = [PieceRow(piece_id=each, status=Status.PASSED) for each in identifiers]
        rounds = [RoundRecord(round=1, seeds=[number], drawn=2, passed=1, seconds={"render": 1.5})]
        return RunRecord(run_id=f"r{number}", pieces=pieces, rounds=rounds, notes=["the same"])

    run = ProductionRun(request(count=3, out=str(tmp_path)), {})
    shards._join(run, [part(1, "a", "b"), part(2, "b")])
    assert [row.piece_id for row in run.record.pieces] == ["a", "b", "b"]
    assert [row.model_extra for row in run.record.pieces] == [
        {"run_id": "r1"}, {"run_id": "r1"}, {"run_id": "r2"}
    ]  # fmt: skip
    (joined,) = run.record.rounds
    assert (joined.drawn, joined.passed, joined.seeds) == (4, 2, [1, 2])
    assert joined.seconds == {"render": 3.0}
    assert run.record.notes == ["the same"]
    assert run.missing == 1  # the same piece in two shards counts once


def test_a_process_says_how_its_run_ended():
    assert read_outcome('{"event": "done", "run_id": "r1", "missing": 0}\n', 0) == "r1"
    said = json.dumps({"event": "error", "kind": "BusyError", "problem": "held", "remedy": ""})
    with pytest.raises(BusyError, match="held"):
        read_outcome(said, 3)
    with pytest.raises(ToolError, match="status -9"):
        read_outcome("", -9)


@pytest.mark.slow
@pytest.mark.server
def test_shards_are_killed_and_finished_and_joined(prefect_server, tmp_path):
    words = ("produce", "--count", 4, "--shards", 2, "--seed", 21, "--rounds", 20)
    words += ("--out", tmp_path)
    first = subprocess.Popen(
        [SCOREGATE, *map(str, words)],
        env=os.environ | {"PREFECT_API_URL": prefect_server.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not any(
        '"generated"' in path.read_text() for path in tmp_path.glob("runs/*/work/*.jsonl")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = scoregate_here(*words, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 pieces passed" in done.stdout
    store = Archive(tmp_path)
    records = [store.run(each) for each in store.run_ids()]
    joined = [each for each in records if each.request["shards"] == 2]
    parts = [each for each in records if each.request["part_of"]]
    assert (len(joined), len(parts)) == (1, 2)
    passed = [row.piece_id for row in joined[0].pieces if row.status == Status.PASSED]
    assert sorted(passed) == sorted(store.ids())
    assert Counter(passed).most_common(1)[0][1] == 1
    assert list(verify(store)) == []
    assert not list(tmp_path.glob("runs/*/work"))


@pytest.mark.slow
@pytest.mark.server
def test_a_dask_worker_is_lost_and_its_shard_runs_elsewhere(prefect_server, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        words = ("produce", "--count", 2, "--shards", 2, "--seed", 22, "--rounds", 20)
        words += ("--dask", cluster.scheduler_address, "--out", tmp_path)
        run = subprocess.Popen(
            [SCOREGATE, *map(str, words)],
            env=os.environ | {"PREFECT_API_URL": prefect_server.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 240
        while len(list(tmp_path.glob("runs/*/work/owner.json"))) < 3:  # the whole, and two shards
            assert time.monotonic() < deadline
            assert run.poll() is None, run.communicate()
            time.sleep(0.05)
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        stdout, stderr = run.communicate(timeout=280)
    assert run.returncode == 0, stderr
    assert "2 of 2 pieces passed" in stdout
    store = Archive(tmp_path)
    assert len(store.run_ids()) == 3  # the lost shard went on in its own run
    assert list(verify(store)) == []


@pytest.mark.slow
@pytest.mark.server
def test_each_shard_takes_the_best_of_its_own_drafts(prefect_server, tmp_path):
    # Pieces that are cut off after a few bars cost little; which of them pass is not the point.
    words = ("produce", "--count", 2, "--shards", 2, "--quality", "best", "--drafts", 2)
    words += ("--seed", 23, "--rounds", 1, "--max-steps", 40, "--threads", 1, "--out", tmp_path)
    done = scoregate_here(*words, url=prefect_server.url)
    assert done.returncode in (0, 1), done.stderr
    store = Archive(tmp_path)
    records = [store.run(each) for each in store.run_ids()]
    (joined,) = [each for each in records if each.request["shards"] == 2]
    parts = [each for each in records if each.request["part_of"]]
    assert {each.run_id for each in parts} == {
        row.model_extra["run_id"] for row in joined.pieces if row.model_extra
    }
    seeds = set()
    for part in parts:
        assert (part.request["quality"], part.request["drafts"]) == ("best", 2)
        reports = [*store.rejected_reports(part.run_id)]
        reports += [each for each in store.reports() if each.run_id == part.run_id]
        (report,) = reports
        choice = report.provenance["choice"]
        drawn = [each["seed"] for each in choice["drafts"]]
        first = seeds_of_round(part.request["seed"], 1, 1)[0]
        assert drawn == seeds_of_drafts(first, 2)
        assert report.provenance["seed"] == drawn[choice["chosen"] - 1]
        seeds |= {*drawn}
    assert len(seeds) == 4
