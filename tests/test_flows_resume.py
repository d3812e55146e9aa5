"""Runs that are killed in each stage, stopped by SIGTERM, or lose their worker: nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from commands import SCOREGATE, scoregate_here

from scoregate.archive.store import Archive
from scoregate.archive.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(1800)]

COUNT = 3
WORDS = ("produce", "--count", COUNT, "--seed", 11, "--rounds", 20, "--batch", 1)


class Run:
    """A ``scoregate produce`` under way, and what its journal says."""

    def __init__(self, out: Path, url: str, *words: object) -> None:
        self.out = out
        environment = os.environ | {"PREFECT_API_URL": url}
        environment.pop("PREFECT_LOGGING_LEVEL", None)
        self.process = subprocess.Popen(
            [SCOREGATE, *map(str, (*WORDS, *words)), "--out", str(out)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def journal(self) -> list[dict]:
        lines = []
        for path in self.out.glob("runs/*/work/journal.jsonl"):
            text = path.read_text()
            lines += [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return lines

    def wait_for(self, event: str, times: int = 1) -> None:
        """Wait until the journal holds so many lines of a kind."""
        deadline = time.monotonic() + 280
        while sum(line["event"] == event for line in self.journal()) < times:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, f"no {event} in {self.journal()}"
            time.sleep(0.01)

    def end(self, number: int) -> tuple[str, str]:
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)


def generated_some(run: Run) -> None:
    run.wait_for("generated", 2)


def generated_all(run: Run) -> None:
    run.wait_for("generated", COUNT)


def rendered_some(run: Run) -> None:
    run.wait_for("rendered", 2)


def archived_some(run: Run) -> None:
    """Wait for the first folder in the archive: the journal does not know it yet, or just so."""
    deadline = time.monotonic() + 280
    while not any(run.out.glob("archive/pieces/*/*")):
        assert time.monotonic() < deadline
        time.sleep(0.002)


STAGES: tuple[Callable[[Run], None], ...] = (
    generated_some,
    generated_all,
    rendered_some,
    archived_some,
)


@pytest.fixture(scope="module")
def undisturbed(prefect_server, tmp_path_factory) -> Archive:
    out = tmp_path_factory.mktemp("undisturbed")
    done = scoregate_here(*WORDS, "--out", out, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} of {COUNT} pieces passed" in done.stdout
    return Archive(out)


@pytest.fixture(scope="module")
def killed(prefect_server, tmp_path_factory) -> tuple[Path, list[dict], str]:
    """Kill a run in each stage, one after the other, and let it finish then."""
    out = tmp_path_factory.mktemp("killed")
    lines: list[dict] = []
    for reached in STAGES:
        run = Run(out, prefect_server.url)
        reached(run)
        run.end(signal.SIGKILL)
        lines = run.journal()
    last = scoregate_here(*WORDS, "--out", out, url=prefect_server.url)
    assert last.returncode == 0, last.stderr
    return out, lines, last.stderr


def test_a_run_killed_in_each_stage_ends_with_the_pieces_of_an_undisturbed_one(killed, undisturbed):
    store = Archive(killed[0])
    assert list(store.ids()) == list(undisturbed.ids())
    (run_id,) = store.run_ids()
    record, expected = store.run(run_id), undisturbed.run(undisturbed.run_ids()[0])
    assert record.missing == 0
    same = ("pieces", "request", "engine")
    assert {n: getattr(record, n) for n in same} == {n: getattr(expected, n) for n in same} | {
        "request": {**expected.request, "out": str(killed[0])}
    }
    assert [each.drawn for each in record.rounds] == [each.drawn for each in expected.rounds]
    for report in store.reports():
        other = undisturbed.report(report.piece_id)
        assert (report.findings, report.measures, report.gates, report.summary) == (
            other.findings, other.measures, other.gates, other.summary
        )  # fmt: skip
        assert set(report.files) == set(other.files)


def test_the_archive_is_whole_after_the_kills(killed):
    out = killed[0]
    assert list(verify(Archive(out))) == []
    assert not list(out.glob("runs/*/work"))


def test_no_piece_was_generated_judged_rendered_or_archived_twice(killed):
    lines = killed[1]
    for event in ("generated", "judged", "rendered", "archived"):
        times = Counter((x["round"], x["index"]) for x in lines if x["event"] == event)
        # The last kill comes as the first folder is in the archive: its line may not be written.
        assert times or event == "archived", event
        assert set(times.values()) <= {1}, (event, times)
    assert sum(line["event"] == "taken up" for line in lines) == len(STAGES)


def test_the_command_says_what_it_resumes(killed):
    (run_id,) = Archive(killed[0]).run_ids()
    assert re.search(f"This resumes run {run_id}: \\d of {COUNT} are finished", killed[2])
    assert "Traceback" not in killed[2]


def test_sigterm_ends_in_good_order_and_a_second_run_meanwhile_is_refused(prefect_server, tmp_path):
    run = Run(tmp_path, prefect_server.url, "--count", 60)
    run.wait_for("taken up")
    second = Run(tmp_path, prefect_server.url, "--count", 60)
    _, stderr = second.process.communicate(timeout=280)
    assert second.process.returncode == 3, stderr
    assert f"under way (process {run.process.pid} on" in stderr
    generated_some(run)
    began = time.monotonic()
    _, stderr = run.end(signal.SIGTERM)
    assert time.monotonic() - began < 20
    assert run.process.returncode == 143, stderr
    assert "the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    assert list(verify(Archive(tmp_path))) == []


class Proxy:
    """A way to a server that can be cut: to its client the server is gone from then on."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.open += [client, server]
                for pair in ((client, server), (server, client)):
                    Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def test_a_server_that_goes_away_does_not_end_the_run(prefect_server, tmp_path):
    proxy = Proxy(int(prefect_server.url.split(":")[2].split("/")[0]))
    run = Run(tmp_path, f"http://127.0.0.1:{proxy.port}/api")
    generated_some(run)
    proxy.cut()
    stdout, stderr = run.process.communicate(timeout=280)
    assert run.process.returncode == 0, stderr
    assert f"{COUNT} of {COUNT} pieces passed" in stdout
    assert stderr.count("The Prefect server does not answer any more.") == 1
    assert len(stderr.splitlines()) < 12, stderr
    assert list(verify(Archive(tmp_path))) == []
    assert not list(tmp_path.glob("runs/*/work"))


LIMITED = """
import signal, sys, time
from scoregate.flows import produce as line, scheduled, server
from scoregate.requests import ProduceRequest

line.BATCH = 2
archive = line.archive_pieces

def archive_until_the_limit(run, number, pieces):
    run = archive(run, number, pieces)
    if run.finished >= 2:  # The deployment's six hours end here.
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        time.sleep(60)
    return run

line.archive_pieces = archive_until_the_limit
request = ProduceRequest(count=int(sys.argv[1]), seed=11, rounds=20, batch=1, out=sys.argv[2])
state = scheduled.nightly(request, return_state=True)
print(state.type.value, state.name)
"""


def test_a_run_that_reaches_its_limit_on_time_is_gone_on_with(
    prefect_server, undisturbed, tmp_path
):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(COUNT), str(tmp_path)],
        env=os.environ | {"PREFECT_API_URL": prefect_server.url},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.stdout.split() == ["FAILED", "TimedOut"], done.stderr
    store = Archive(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in map(store.path_of, store.ids())}
    assert 2 <= len(kept) < COUNT
    assert list(verify(store)) == []
    done = scoregate_here(*WORDS, "--out", tmp_path, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert re.search(f"This resumes run .*: {len(kept)} of {COUNT} are finished", done.stderr)
    assert list(store.ids()) == list(undisturbed.ids())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    (run_id,) = store.run_ids()
    assert all(row.new for row in store.run(run_id).pieces)
