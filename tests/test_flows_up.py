"""`scoregate up` and what it starts, with a real server, worker, dashboard and monitor.

Where PostgreSQL is installed it holds Prefect's state and the catalog, by one address; the other
tests with a Prefect server have it on SQLite, as it is by default.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import postgresql
import pytest

from scoregate.archive import catalog_server
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import ServerError
from scoregate.findings import Status
from scoregate.flows.operations import alerts, api, deploying, plan, processes, supervisor

pytestmark = [pytest.mark.slow, pytest.mark.server]
EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "minuet.abc"
SECRET = "T0PSECRET"
PARTS = ["server", "worker", "dashboard", "monitor"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Receiver:
    """An HTTP server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(json.loads(body) | {"path": self.path})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook/{SECRET}"

    def wait_for(self, code: str, seconds: float = 60.0) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for body in self.bodies:
                if body.get("code") == code:
                    return body
            time.sleep(0.2)
        raise AssertionError(f"no {code} came, but {self.bodies}")


class Line:
    """A line in a folder of its own, with a Prefect home and ports of its own."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.receiver = receiver
        self.home = folder / "home"
        self.port, self.dashboard, self.metrics = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
        } | {
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "SCOREGATE_LOG": "json",
        }  # fmt: skip

    def run(self, *words: str, code: int | None = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "scoregate.flows.cli", *words],
            cwd=self.folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def up(self) -> str:
        ports = ["--dashboard-port", str(self.dashboard), "--metrics-port", str(self.metrics)]
        return self.run("up", *ports, SCOREGATE_WEBHOOK=self.receiver.url)

    def part(self, name: str) -> dict:
        return json.loads((self.home / "scoregate" / "parts" / f"{name}.json").read_text())

    def runs_of(self, deployment: str, *states: str) -> list[dict]:
        query: dict = {"deployments": {"name": {"any_": [deployment]}}}
        if states:
            query["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        return api.post(self.url, "/flow_runs/filter", query)

    def start(self, deployment: str, count: int = 1, **parameters: object) -> list[str]:
        flow = {"nightly-production": "produce", "verify-archive": "verify archive"}[deployment]
        found = api.get(
            self.url, f"/deployments/name/{flow.replace(' ', '%20')}/{deployment}", timeout=30
        )
        path = f"/deployments/{found['id']}/create_flow_run"
        return [
            api.post(self.url, path, {"parameters": parameters})["id"] for _ in range(count)
        ]  # fmt: skip

    def active_slots(self, deployment: str) -> int:
        found = api.get(self.url, f"/deployments/name/produce/{deployment}")
        return found["global_concurrency_limit"]["active_slots"]

    def wait_for(self, run: str, seconds: float = 150.0) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = api.get(self.url, f"/flow_runs/{run}", timeout=30)["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(0.5)
        raise AssertionError(f"the run is still {state}")


@pytest.fixture(scope="module")
def database(request) -> Iterator[postgresql.Server | None]:
    """Yield the server that ``SCOREGATE_DATABASE`` names; None where there is none."""
    if postgresql.programs() is None:
        yield None
        return
    server = request.getfixturevalue("postgresql")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCOREGATE_DATABASE", server.url)
        yield server


@pytest.fixture(scope="module")
def line(database, tmp_path_factory) -> Iterator[Line]:
    receiver = Receiver()
    line = Line(tmp_path_factory.mktemp("line"), receiver)
    try:
        line.said = line.up()
        yield line
    finally:
        line.run("down", code=None)
        receiver.http.shutdown()


def test_up_starts_everything_and_says_so(line):
    assert "Started: server, worker, dashboard, monitor." in line.said
    standings = json.loads(line.run("status", "--json"))
    assert [(each["name"], each["runs"]) for each in standings] == [(n, True) for n in PARTS]
    assert (line.folder / "prefect.yaml").read_text() == plan.PACKAGED.read_text()


def test_a_second_up_starts_nothing_and_says_what_runs(line):
    before = {name: line.part(name)["pid"] for name in PARTS[1:]}
    said = line.up()
    assert "Running already: server, worker, dashboard, monitor." in said
    assert "Started" not in said
    assert {name: line.part(name)["pid"] for name in PARTS[1:]} == before


def test_up_starts_everything_again_after_a_power_cut(line):
    """Everything is killed while a night goes on; a later test looks at what became of it."""
    file = line.folder / "prefect.yaml"
    file.write_text(
        file.read_text().replace("count: 12\n        rounds", "count: 3\n        rounds")
    )
    line.up()
    (line.night,) = line.start("nightly-production")
    heartbeat = {
        "filter": {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{line.night}"]},
        }
    }
    deadline = time.monotonic() + 120
    while not api.post(line.url, "/events/filter", heartbeat)["events"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    pids = [line.part(name)["pid"] for name in PARTS[1:]]
    pids.append(json.loads((line.home / "scoregate-server.json").read_text())["pid"])
    # A run has a session of its own, and outlives its worker.
    everything = {*pids, *(child for pid in pids for child in processes.descendants(pid))}
    assert len(everything) > len(pids)
    for pid in everything:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert '"runs": true' not in line.run("status", "--json", code=1)
    assert "Started: server, worker, dashboard, monitor." in line.up()


def test_another_folder_is_told_where_the_line_runs(line, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(line.home))
    with pytest.raises(ServerError, match=re.escape(f"started in {line.folder}")):
        supervisor.up(supervisor.Wanted(tmp_path), print)


def test_everything_listens_on_loopback_only(line):
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("this system does not list its sockets there")
    listening = {}
    for row in table.read_text().splitlines()[1:]:
        _, local, _, state, *_ = row.split()
        address, port = local.split(":")
        if state == "0A":
            listening.setdefault(int(port, 16), set()).add(address)
    for port in (line.port, line.dashboard, line.metrics):
        assert listening[port] == {"0100007F"}  # 127.0.0.1, its bytes from the last to the first


def test_the_doctor_finds_no_fault_and_knows_every_part(line):
    found = {check["name"]: check for check in json.loads(line.run("doctor", "--json"))}
    assert [check for check in found.values() if check["level"] == "fault"] == []
    for name in ("server", "database", "work pool", "worker", "deployments", "schedules",
                 "weights", "abc2midi", "engraving", "archive", "state folder"):  # fmt: skip
        assert found[name]["level"] == "ok", found[name]
    # The backup of the packaged plan is beside the archive.
    assert found["backup"]["level"] == "warning"


def test_every_schedule_yields_runs(line):
    names = {each.name for each in plan.read_plan(plan.PACKAGED) if each.crons}
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        missing = {name for name in names if not line.runs_of(name, "SCHEDULED")}
        if not missing:
            return
        time.sleep(1)
    raise AssertionError(missing)


def test_an_alarm_reaches_the_webhook_as_json(line):
    payload = {"code": "pass-rate-low", "message": 'None "passed" <b>.\n', "run_id": "r1"}
    api.send_event(line.url, alerts.ALARM_EVENT, "scoregate.run.r1", payload)
    body = line.receiver.wait_for("pass-rate-low")
    assert body["text"] == 'Scoregate: None "passed" <b>.\n'
    assert (body["run_id"], body["style"]) == ("r1", None)
    assert body["path"] == f"/hook/{SECRET}"


def test_a_night_that_does_not_start_reaches_the_webhook(line, monkeypatch):
    """The same automation, with 12 seconds in place of a day and two hours."""
    monkeypatch.setattr(alerts, "LATE_AFTER", timedelta(seconds=2))
    monkeypatch.setattr(plan.Planned, "longest_gap", lambda self: timedelta(seconds=10))
    planned = [each for each in plan.read_plan(plan.PACKAGED) if each.name == "nightly-production"]
    monkeypatch.setenv("PREFECT_API_URL", line.url)
    with supervisor.connected(line.url) as client:
        alerts.ensure_alerts(client, alerts.saved_webhook(client), planned)
        alerts.announce_up(client, line.url, planned)
    assert line.receiver.wait_for("no-run", 90)["deployment"] == "nightly-production"


def test_a_score_that_arrives_is_judged_and_moved(line):
    (line.folder / "inbox" / "minuet.abc").write_bytes(EXAMPLE.read_bytes())
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        if moved := list((line.folder / "inbox" / "done").rglob("minuet.abc")):
            break
        time.sleep(0.5)
    assert moved, line.runs_of("screen-inbox", "COMPLETED", "FAILED", "CRASHED")
    assert [path.name for path in (line.folder / "inbox").iterdir()] == ["done"]
    assert list((line.folder / "screened" / "rejected").rglob("*.abc"))


def test_the_night_of_the_power_cut_is_crashed_and_the_next_one_completes_it(line):
    state = line.wait_for(line.night, 150)
    assert (state["type"], "No heartbeat" in state["message"]) == ("CRASHED", True)
    assert line.active_slots("nightly-production") == 0
    (again,) = line.start("nightly-production")
    assert line.wait_for(again, 240)["type"] == "COMPLETED"
    assert line.active_slots("nightly-production") == 0
    store = Archive(line.folder / "out")
    (run,) = [store.run(each) for each in store.run_ids()]
    assert (run.missing, run.count(Status.PASSED), bool(run.finished)) == (0, 3, True)
    assert list(verify(store)) == []


def test_of_two_nights_at_once_one_runs_and_the_other_is_cancelled(line):
    request = {"count": 1, "rounds": 1, "seed": 3, "max_steps": 60, "threads": 1}
    states = [line.wait_for(run) for run in line.start("nightly-production", 2, request=request)]
    assert sorted(state["type"] for state in states) == ["CANCELLED", "COMPLETED"]
    (cancelled,) = [state for state in states if state["type"] == "CANCELLED"]
    assert "concurrency limit" in cancelled["message"]
    markdown = [
        each["data"] for each in api.post(line.url, "/artifacts/filter", {})
        if each["key"] == "report"
    ]  # fmt: skip
    assert any(f"http://127.0.0.1:{line.dashboard}/runs/" in text for text in markdown)


def test_the_workers_log_has_a_line_of_json_for_each_piece_with_its_ids(line):
    text = (line.home / "scoregate" / "logs" / "worker.log").read_text()
    lines = [json.loads(each) for each in text.splitlines() if each.startswith("{")]
    pieces = [each for each in lines if each["logger"] == "scoregate.pieces"]
    assert {each["run_id"] for each in pieces} == set(Archive(line.folder / "out").run_ids())
    assert {each["status"] for each in pieces} >= {"passed"}
    assert {len(each["piece_id"]) for each in pieces} == {64}
    assert any("flow_run_id" in each and "task_run" in each for each in lines)


def test_the_metrics_tell_of_server_worker_and_archive(line):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{line.metrics}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    assert "scoregate_prefect_up 1.0" in text
    assert re.search(r"^scoregate_worker_heartbeat_age_seconds \d", text, re.M)
    assert "scoregate_queue_age_seconds" in text


def test_a_damaged_archive_fails_its_run_and_reaches_the_webhook(line):
    foreign = line.folder / "out" / "archive" / "pieces" / "foreign"
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("not the archive's")
    (run,) = line.start("verify-archive")
    state = line.wait_for(run)
    assert (state["type"], "1 foreign" in state["message"]) == ("FAILED", True)
    assert "1 foreign" in line.receiver.wait_for("archive-damaged")["text"]
    assert line.receiver.wait_for("run-failed")["text"].startswith("Scoregate: the run ")


def test_prefect_and_the_catalog_are_in_one_database(line, database):
    if database is None:
        pytest.skip("PostgreSQL is not installed")
    assert not (line.home / "prefect.db").exists()
    (passed,) = database.execute("SELECT count(*) FROM flow_run WHERE state_name = 'Completed'")
    assert passed[0] > 0
    archive = Archive(line.folder / "out")
    assert not (archive.root / "catalog.sqlite").exists()
    (row,) = database.execute(
        f"SELECT count(*) FROM {catalog_server.schema_name(archive.root / 'catalog.json')}.pieces"
    )
    assert row[0] == sum(1 for _ in archive.folders()) > 0


def test_the_secrets_stand_nowhere(line, database):
    with supervisor.connected(line.url) as client:
        automations = [each.model_dump_json() for each in client.read_automations()]
    assert len(automations) >= 5
    logs = [path.read_text(errors="replace") for path in line.home.rglob("*.log")]
    notes = [path.read_text() for path in (line.home / "scoregate").rglob("*.json")]
    answers = [json.dumps(api.post(line.url, path, {}))
               for path in ("/logs/filter", "/artifacts/filter", "/events/filter")]  # fmt: skip
    if database is None:
        answers.append((line.home / "prefect.db").read_bytes().decode("latin-1"))
    else:
        answers.append(database.dump())
    for text in (*automations, *logs, *notes, *answers):
        assert SECRET not in text
        assert postgresql.PASSWORD not in text


def test_overdue_runs_are_skipped_but_for_the_newest(line, monkeypatch):
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import IntervalSchedule

    monkeypatch.setenv("PREFECT_API_URL", line.url)
    with supervisor.connected(line.url) as client:
        deploying.ensure_pool(client, "elsewhere")
        flow = client.create_flow_from_name("made for a test")
        often = client.create_deployment(
            flow_id=flow,
            name="often",
            entrypoint="nowhere.flow",
            work_pool_name="elsewhere",
            schedules=[
                DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=1)))
            ],
        )
        deadline = time.monotonic() + 60
        while (found := deploying.skip_overdue(client, "elsewhere")).get("often", 0) < 2:
            assert time.monotonic() < deadline, found
            time.sleep(3)
        cancelled = line.runs_of("often", "CANCELLED")
        scheduled = line.runs_of("often", "SCHEDULED")
        client.delete_deployment(often)  # a run a second would keep the server busy
        assert all("Skipped" in run["state"]["message"] for run in cancelled)
        overdue = [
            run for run in scheduled
            if run["expected_start_time"] <= max(r["expected_start_time"] for r in cancelled)
        ]  # fmt: skip
        assert overdue == []


def test_a_part_that_died_is_told_and_started_again_alone(line):
    monitor = line.part("monitor")["pid"]
    others = {name: line.part(name)["pid"] for name in ("dashboard", "worker")}
    os.killpg(monitor, signal.SIGKILL)
    assert "DOWN  ended by itself" in line.run("status", code=1)
    said = line.up()
    assert "Started: monitor." in said
    assert line.part("monitor")["pid"] != monitor
    assert {name: line.part(name)["pid"] for name in others} == others


def test_down_stops_exactly_what_up_started(line):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        said = line.run("down")
        assert "Stopped: monitor, dashboard, worker, server." in said
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    for port in (line.port, line.dashboard, line.metrics):
        assert not api.is_open(f"http://127.0.0.1:{port}/", timeout=2)
    assert "Nothing ran" in line.run("down")
    assert '"runs": true' not in line.run("status", "--json", code=1)
