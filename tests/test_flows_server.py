"""The Prefect server: found, started, named when it is missing; and its scheduler really fires."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from commands import SCOREGATE

from scoregate.archive.store import Archive
from scoregate.dashboard.app import jobs
from scoregate.errors import ServerError
from scoregate.flows import server
from scoregate.flows.operations import api
from scoregate.requests import ProduceRequest

ROOT = Path(__file__).resolve().parent.parent


def test_a_chosen_server_that_does_not_answer_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        with pytest.raises(ServerError, match=url) as caught:
            server.ensure_server()
    assert "prefect server start" in caught.value.remedy


@pytest.mark.slow
def test_a_server_that_answers_late_is_not_taken_for_dead():
    class Late(BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(4)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Late) as busy:
        Thread(target=busy.handle_request, daemon=True).start()
        assert server.is_healthy(f"http://127.0.0.1:{busy.server_port}/api")


def test_a_server_of_the_profile_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "profiles.toml").write_text(
        'active = "far"\n[profiles.far]\nPREFECT_API_URL = "http://127.0.0.1:1/api/"\n'
    )
    assert server.chosen_url() == "http://127.0.0.1:1/api"


def test_a_home_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(ServerError, match="can't be written"):
        server.ensure_server()


def test_a_stale_note_of_a_server_is_not_believed(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(server, "DEFAULT_PORT", 0)
    note = {"url": "http://127.0.0.1:9/api", "pid": os.getpid(), "started": True}
    (tmp_path / "scoregate-server.json").write_text(json.dumps(note))
    assert server.running_server() is None
    assert server.stop_server() is False  # this very process is no Prefect server


@pytest.mark.slow
@pytest.mark.server
def test_a_started_server_is_found_again(prefect_server):
    assert prefect_server.started
    again = server.running_server()
    assert again is not None
    assert (again.url, again.started) == (prefect_server.url, False)


@pytest.fixture(scope="module")
def deployed(prefect_server, tmp_path_factory):
    """Deploy all flows from a folder that holds prefect.yaml and namesakes of our rooms.

    Returns the folder, and a function that runs `prefect` there.
    """
    folder = tmp_path_factory.mktemp("deployed")
    shutil.copy(ROOT / "prefect.yaml", folder)
    for room in ("tasks", "flows", "validators"):
        (folder / room).mkdir()
        (folder / room / "__init__.py").write_text("raise ImportError('a namesake')\n")
    environment = os.environ | {"PREFECT_API_URL": prefect_server.url, "PWD": str(folder)}

    def prefect(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    prefect("work-pool", "create", "scoregate", "--type", "process", "--overwrite")
    prefect("deploy", "--all")
    return folder, prefect


@pytest.mark.slow
@pytest.mark.server
def test_the_scheduled_deployment_yields_scheduled_runs(prefect_server, deployed):
    """With sqlalchemy 2.1 everything here works but the last line: no run is scheduled."""
    deadline = time.monotonic() + 90
    while not (runs := _scheduled_runs(prefect_server.url)) and time.monotonic() < deadline:
        time.sleep(1)
    assert {run["parameters"]["request"]["count"] for run in runs} == {12}
    assert all("T02:00:00" in run["expected_start_time"] for run in runs)


@pytest.mark.slow
@pytest.mark.server
def test_a_worker_runs_a_deployed_flow(prefect_server, deployed):
    folder, prefect = deployed
    request = {"count": 1, "rounds": 1, "seed": 3, "max_steps": 60, "threads": 1, "out": "made"}
    found = api.get(prefect_server.url, "/deployments/name/produce/on-demand", timeout=30)
    path = f"/deployments/{found['id']}/create_flow_run"
    api.post(prefect_server.url, path, {"parameters": {"request": request}}, timeout=30)
    prefect("worker", "start", "--pool", "scoregate", "--run-once")
    store = Archive(folder / "made")
    (run,) = store.run_ids()
    record = store.run(run)
    assert record.finished
    assert (record.request["max_steps"], record.missing, len(record.pieces)) == (60, 1, 1)


@pytest.fixture
def worker(prefect_server, deployed, monkeypatch):
    """Start a worker in the folder of the deployments and wait until it is online."""
    folder, _ = deployed
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.url)
    # Prefect's own command may lose the signal that ends it, which took a minute here.
    process = subprocess.Popen(
        [SCOREGATE, "worker"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 120
        while not jobs._online_workers(prefect_server.url, "scoregate"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.5)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("worker")
def test_a_worker_takes_runs_from_the_dashboard_and_shards(tmp_path):
    out = tmp_path / "asked"
    request = ProduceRequest(count=1, rounds=1, seed=3, max_steps=60, threads=1)
    made = jobs.Jobs(out).start(request)
    assert isinstance(made.place, jobs.Deployed)
    # The shards' `out` is relative to the folder of this command, not to the worker's.
    words = ["produce", "--count", "2", "--shards", "2", "--deployment", "produce/on-demand"]
    words += ["--rounds", "1", "--seed", "3", "--max-steps", "60", "--threads", "1"]
    done = subprocess.run(
        [SCOREGATE, *words, "--out", "sharded"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr  # pieces of 60 steps do not pass
    store = Archive(tmp_path / "sharded")
    records = [store.run(run) for run in store.run_ids()]
    assert sorted(bool(record.request["part_of"]) for record in records) == [False, True, True]
    assert all(record.finished for record in records)
    (joined,) = (record for record in records if not record.request["part_of"])
    assert (joined.missing, len(joined.pieces)) == (2, 2)
    deadline = time.monotonic() + 120
    while made.place.state()[0]:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert made.place.state() == (False, "completed", "")
    assert [Archive(out).run(run).missing for run in Archive(out).run_ids()] == [1]


def _scheduled_runs(url: str) -> list[dict]:
    query = {
        "deployments": {"name": {"any_": ["nightly-production"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    request = urllib.request.Request(
        f"{url}/flow_runs/filter",
        json.dumps(query).encode(),
        {"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)
