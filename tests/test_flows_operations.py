"""Operating the line, the parts that need no server: plan, processes, inbox, metrics, logs."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from commands import scoregate
from markdown_it import MarkdownIt
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from scoregate.archive.records import RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.trend import figures_of, trend
from scoregate.dashboard.markdown import run_report
from scoregate.errors import RequestError, ServerError
from scoregate.flows import server
from scoregate.flows.operations import alerts, api, arrivals, monitor, plan, processes, supervisor
from scoregate.flows.operations.state import State
from scoregate.logs import JsonLines
from scoregate.piece import piece_id

ROOT = Path(__file__).resolve().parent.parent
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def answering():
    """Start HTTP servers that answer each path as a dictionary says; ``None`` never answers."""
    started = []

    def start(answers: dict[str, tuple[int, str] | None], port: int = 0) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers.get(self.path, (404, "no such page"))
                if answer is None:
                    time.sleep(60)
                    return
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(answer[1].encode())

            def log_message(self, *_):
                pass

        http = HTTPServer(("127.0.0.1", port), Handler)
        Thread(target=http.serve_forever, daemon=True).start()
        started.append(http)
        return f"http://127.0.0.1:{http.server_port}/api"

    yield start
    for http in started:
        # One that never answers would keep shutdown() waiting.
        http.socket.close()


# prefect.yaml


def plan_file(folder: Path, **schedule: str) -> Path:
    path = folder / "prefect.yaml"
    path.write_text(
        "deployments:\n- name: night\n  entrypoint: scoregate.flows.scheduled.nightly\n"
        "  parameters: {request: {out: tonight}}\n  schedules:\n  - "
        + json.dumps({"cron": "0 2 * * *", "timezone": "Europe/Berlin"} | schedule)
        + "\n"
    )
    return path


@pytest.mark.slow
def test_the_schedules_of_the_packaged_plan_are_valid():
    planned = {each.name: each for each in plan.read_plan(plan.PACKAGED)}
    scheduled = {name for name, each in planned.items() if each.crons}
    assert scheduled == {
        "nightly-production", "weekly-sweep", "screen-inbox", "verify-archive", "backup"
    }  # fmt: skip
    assert planned["nightly-production"].longest_gap() == timedelta(days=1)
    assert planned["screen-inbox"].longest_gap() == timedelta(minutes=15)
    assert plan.folders(list(planned.values())) == ("out", "inbox")


@pytest.mark.slow
def test_every_deployment_has_pool_limit_policy_heartbeat_and_a_limit_on_time():
    import importlib

    import yaml

    for entry in yaml.safe_load(plan.PACKAGED.read_text())["deployments"]:
        module, _, name = entry["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        assert flow.timeout_seconds, entry["name"]
        assert entry["work_pool"]["name"] == plan.POOL
        environment = entry["work_pool"]["job_variables"]["env"]
        assert environment == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
        assert "heartbeat" in entry["tags"]
        flow.validate_parameters(entry["parameters"])
        if entry.get("schedules"):
            limit = entry["concurrency_limit"]
            assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_the_plan_at_the_top_of_the_repository_is_the_packaged_one():
    assert (ROOT / "prefect.yaml").read_text() == plan.PACKAGED.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "night has the time zone 'Europe/Atlantis'"),
        ({"timezone": "../../etc/passwd"}, "which is not known"),
        ({"cron": "0 26 * * *"}, "night has the cron line '0 26"),
        ({"cron": "every night"}, "which is not valid"),
    ],
)
def test_a_schedule_that_cannot_be_is_named(schedule, said, tmp_path):
    with pytest.raises(RequestError, match=said):
        plan.read_plan(plan_file(tmp_path, **schedule))


@pytest.mark.parametrize("content", ["", "deployments: 7", "deployments: [{}]", "a: [", "- 1"])
def test_a_plan_that_is_none_is_named(content, tmp_path):
    path = tmp_path / "prefect.yaml"
    path.write_text(content)
    with pytest.raises(RequestError, match="is no list of deployments"):
        plan.read_plan(path)


@pytest.mark.slow
def test_up_refuses_an_unknown_time_zone_before_anything_starts(tmp_path):
    plan_file(tmp_path, timezone="Europe/Atlantis")
    done = subprocess.run(
        [sys.executable, "-m", "scoregate.flows.cli", "up"],
        cwd=tmp_path, env=os.environ | {"PREFECT_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Europe/Atlantis" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "scoregate-server.json").exists()


def test_up_names_a_port_that_is_taken_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(server, "ensure_server", lambda say: pytest.fail("a server was started"))
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = supervisor.Wanted(tmp_path, dashboard_port=taken.getsockname()[1])
        with pytest.raises(ServerError, match="on which the dashboard would listen") as caught:
            supervisor.up(wanted, print)
    assert "--dashboard-port" in caught.value.remedy


# Processes and the state folder


def test_a_part_is_started_found_and_stopped_and_no_other(tmp_path):
    state = State(tmp_path / "state")
    other = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        part = state.start("sleeper", SLEEPER, folder=tmp_path)
        assert state.part("sleeper") == part
        assert part.runs
        assert state.stop("sleeper")
        assert not part.runs
        assert state.part("sleeper") is None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_number_that_was_used_again_is_left_alone(tmp_path):
    """The note names a living process of somebody else's; only its start mark is another."""
    state = State(tmp_path / "state")
    part = state.start("sleeper", SLEEPER, folder=tmp_path)
    time.sleep(0.05)  # The kernel counts starts in hundredths of a second.
    other = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        note = state.root / "parts" / "sleeper.json"
        note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": other.pid}))
        assert not state.part("sleeper").runs
        assert not state.stop("sleeper")
        assert other.poll() is None
    finally:
        for pid in (part.pid, other.pid):
            os.kill(pid, signal.SIGKILL)
        other.wait()


def test_a_part_that_ignores_sigterm_is_killed_with_its_children(tmp_path):
    state = State(tmp_path / "state")
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    state.start("stubborn", [sys.executable, "-c", stubborn], folder=tmp_path)
    deadline = time.monotonic() + 20
    while not (child := state.tail("stubborn")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state.stop("stubborn", patience=0.3)
    deadline = time.monotonic() + 10
    while processes.start_mark(int(child)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.start_mark(int(child)) is None


def test_children_with_a_group_of_their_own_are_ended_in_good_order_too(tmp_path):
    """A worker's runs have sessions of their own; they write down what they have at SIGTERM."""
    run = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    pathlib.Path('ended').write_text('in good order')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    worker = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {run!r}], start_new_session=True);"
        "time.sleep(600)"
    )
    state = State(tmp_path / "state")
    part = state.start("worker", [sys.executable, "-c", worker], folder=tmp_path)
    deadline = time.monotonic() + 30
    while not state.tail("worker") and time.monotonic() < deadline:
        time.sleep(0.05)
    family = processes.descendants(part.pid)
    assert len(family) == 1
    assert state.stop("worker")
    assert (tmp_path / "ended").read_text() == "in good order"
    assert [processes.start_mark(pid) for pid in family] == [None]


def test_a_member_that_has_ended_and_was_not_collected_keeps_nobody_waiting(tmp_path):
    """Where nothing collects orphans, as in a container without an init process."""
    parent = subprocess.Popen(
        [sys.executable, "-c",
         "import subprocess, sys, time;"
         "child = subprocess.Popen([sys.executable, '-c', ''], start_new_session=True);"
         "print(child.pid, flush=True); time.sleep(600)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        while processes.start_mark(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(child, 0)  # its entry is still there
        assert not processes._group_runs(child)
        assert processes._group_runs(os.getpgrp())
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_state_and_logs_can_be_read_by_their_owner_only(tmp_path):
    state = State(tmp_path / "state")
    touch = [sys.executable, "-c", "open('made', 'w').write('x')"]
    part = state.start("touch", touch, folder=tmp_path)
    deadline = time.monotonic() + 20
    while part.runs and time.monotonic() < deadline:
        time.sleep(0.05)
    state.stop("touch")
    paths = [state.root, *state.root.rglob("*"), tmp_path / "made"]
    assert [path for path in paths if path.stat().st_mode & 0o077 and path.is_dir()] == []
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    assert state.log_of("touch").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_down_where_nothing_runs(tmp_path):
    done = scoregate("down", PREFECT_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "Nothing ran that `scoregate up` had started.\n")


@pytest.mark.slow
def test_status_where_nothing_runs_exits_with_1(tmp_path):
    # Port 1 answers nobody: a server of the developer's own is left out.
    done = scoregate("status", "--json", url="http://127.0.0.1:1/api", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert [each["runs"] for each in json.loads(done.stdout)] == [False] * 4


# The server: found, refused, not mistaken


@pytest.mark.parametrize("answers", [{}, {"/api/health": None}], ids=["answering", "hanging"])
def test_an_alien_program_on_the_default_port_is_recognised_in_time(
    answers, answering, monkeypatch, tmp_path
):
    url = answering(answers)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(server, "DEFAULT_PORT", int(url.rsplit(":", 1)[1].removesuffix("/api")))
    monkeypatch.setattr(server, "_a_server_runs", lambda: False)
    monkeypatch.setattr(server, "STRANGER_PATIENCE", 1.0)
    started = time.monotonic()
    assert server.running_server() is None
    assert time.monotonic() - started < 4
    assert server._free_port() != server.DEFAULT_PORT


def test_the_patience_with_a_stranger_leaves_room_for_a_limit_of_five_seconds():
    assert server.STRANGER_PATIENCE <= 4


@pytest.mark.parametrize(
    ("version", "said"),
    [("3.6.1", "is version 3.6.1"), ("2.20.0", "is version 2.20.0"), ("4.0.0", "is version 4.0.0")],
)
def test_a_server_of_another_version_is_refused(version, said, answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (200, f'"{version}"')})
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerError, match=said) as caught:
        server.ensure_server()
    assert caught.value.remedy


def test_a_newer_minor_version_is_accepted(answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (200, '"3.9.0"')})
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert server.ensure_server().url == url


def test_a_server_that_wants_a_password_says_so(answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (401, "{}")})
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerError, match="wants a password") as caught:
        server.ensure_server()
    assert "PREFECT_API_AUTH_STRING" in caught.value.remedy


@pytest.mark.slow
@pytest.mark.parametrize("command", ["worker", "deploy", "doctor"])
def test_a_dead_address_ends_in_a_plain_line(command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        done = subprocess.run(
            [sys.executable, "-m", "scoregate.flows.cli", command],
            cwd=tmp_path, capture_output=True, text=True, timeout=60,
            env=os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path)},
        )  # fmt: skip
    assert done.returncode == (1 if command == "doctor" else 2)
    assert f"No Prefect server answers at {url}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_is_no_json_is_no_answer(answering):
    url = answering({"/api/x": (200, "<html>")})
    with pytest.raises(api.Unanswered):
        api.get(url, "/x")


def test_a_server_that_is_busy_is_asked_again():
    class Busy(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Busy.asked += 1
            self.send_response(503 if Busy.asked < 3 else 200)
            self.end_headers()
            self.wfile.write(b"7")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        Thread(target=busy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{busy.server_port}"
        assert api.get(url, "/x") == 7
        Busy.asked = -1000
        with pytest.raises(api.Unanswered, match="503"):
            api.get(url, "/x", timeout=0.5)
        busy.shutdown()


# The inbox


def fill(folder: Path, *names: str, age: float = 60.0) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("X:1\nK:C\nCDEF|\n")
        os.utime(path, (time.time() - age, time.time() - age))


def test_what_waits_in_an_inbox(tmp_path):
    fill(
        tmp_path, "a.abc", "deep/b.musicxml", "notes.pdf", ".part.abc", "done/old.abc", ".git/c.abc"
    )
    found = [path.relative_to(tmp_path).as_posix() for path in arrivals.waiting_files(tmp_path)]
    assert sorted(found) == ["a.abc", "deep/b.musicxml"]


def test_a_file_that_is_still_written_is_left_for_later(tmp_path):
    fill(tmp_path, "old.abc")
    fill(tmp_path, "new.abc", age=0.0)
    fill(tmp_path, "future.abc", age=-86400.0)  # the clock was set back
    assert {path.name for path in arrivals.settled_files(tmp_path)} == {"old.abc", "future.abc"}


def test_an_arrival_is_announced_once_and_the_next_one_again(tmp_path, monkeypatch):
    announced = []
    monkeypatch.setattr(monitor, "announce", lambda url, count: announced.append(count))
    over = Event()
    watcher = Thread(target=monitor.watch, args=(tmp_path, lambda: "url", over, 0.02), daemon=True)
    watcher.start()

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 10
        while len(announced) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)

    fill(tmp_path, "a.abc")
    wait_for(1)
    fill(tmp_path, "b.abc")
    wait_for(2)
    over.set()
    watcher.join(timeout=10)
    assert announced == [1, 2]


def test_an_arrival_is_announced_when_the_server_is_back(tmp_path, monkeypatch):
    tries = []

    def announce(url, count):
        tries.append(count)
        if len(tries) < 3:
            raise api.Unanswered("away")

    monkeypatch.setattr(monitor, "announce", announce)
    fill(tmp_path, "a.abc")
    over = Event()
    watcher = Thread(target=monitor.watch, args=(tmp_path, lambda: "url", over, 0.02), daemon=True)
    watcher.start()
    deadline = time.monotonic() + 10
    while len(tries) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    over.set()
    watcher.join(timeout=10)
    assert tries == [1, 1, 1]


# Metrics


def run_record(run_id: str, passed: int, missing: int = 0, started: str = "") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        started=started or f"2026-11-{run_id[6:8]}T02:00:00+00:00",
        finished=f"2026-11-{run_id[6:8]}T02:05:00+00:00",
        request={"style": "A/B/C", "count": 10, "rounds": 5},
        rounds=[RoundRecord(round=1, drawn=10, passed=passed, rejected=10 - passed)],
        missing=missing,
        seconds=300.0,
        stage_seconds={"generate": 200.0, "render": 90.0},
    )


def metrics_of(out: Path, inbox: Path | None = None) -> dict[tuple, float]:
    text = generate_latest(monitor.registry_of(out, inbox, lambda: None)).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_of_an_archive(tmp_path):
    store = Archive(tmp_path / "out")
    store.check_writable()
    for day in range(1, 9):
        store.write_run(run_record(f"202611{day:02}-020000-aaaaaa", passed=8))
    store.write_run(run_record("20261109-020000-aaaaaa", passed=1, missing=3))
    fill(tmp_path / "inbox", "a.abc", age=3600)
    found = metrics_of(store.out, tmp_path / "inbox")
    assert found["scoregate_archive_up",] == 1
    assert found["scoregate_prefect_up",] == 0
    assert found["scoregate_pass_rate",] == pytest.approx(0.1)
    assert found["scoregate_pass_rate_expected", "low"] > 0.1
    assert found["scoregate_alarm", "pass-rate-low"] == 1
    assert found["scoregate_alarm", "missing"] == 1
    assert found["scoregate_run_missing",] == 3
    assert found["scoregate_stage_seconds", "generate"] == 200
    day = 86400
    difference = found["scoregate_last_run_timestamp_seconds",] - found.get(
        ("scoregate_last_success_timestamp_seconds",), 0
    )
    assert difference >= day
    assert found["scoregate_inbox_files",] == 1
    assert found["scoregate_inbox_age_seconds",] == pytest.approx(3600, abs=60)


def test_the_metrics_of_a_folder_without_an_archive(tmp_path):
    found = metrics_of(tmp_path / "none")
    assert found["scoregate_archive_up",] == 1
    assert ("scoregate_pass_rate",) not in found


def test_metrics_are_read_on_loopback_only_or_with_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("SCOREGATE_TOKEN", raising=False)
    with pytest.raises(RequestError) as caught:
        monitor.serve(tmp_path, None, lambda: None, host="0.0.0.0", port=0, ready=print)
    assert "SCOREGATE_TOKEN" in caught.value.remedy

    def status(headers: dict[str, str], token: str) -> int:
        import http.client

        registry = monitor.registry_of(tmp_path, None, lambda: None)
        with HTTPServer(("127.0.0.1", 0), monitor._handler(registry, token)) as http_server:
            Thread(target=http_server.handle_request, daemon=True).start()
            connection = http.client.HTTPConnection("127.0.0.1", http_server.server_port)
            connection.request("GET", "/metrics", headers=headers)
            return connection.getresponse().status

    assert status({}, "") == 200
    assert status({"Host": "evil.example:9464"}, "") == 403
    assert status({}, "secret") == 401
    assert status({"Authorization": "Bearer wrong"}, "secret") == 401
    assert status({"Authorization": "Bearer secret"}, "secret") == 200


# Logs


def test_a_record_becomes_a_line_of_json_with_the_ids_of_its_run():
    record = logging.makeLogRecord(
        {"name": "prefect.task_runs", "levelname": "INFO", "msg": "Round %d\nwas fine",
         "args": (1,), "flow_run_id": "f", "flow_run_name": "4 x A", "task_run_name": "judge-1",
         "run_id": "20261121-020000-aaaaaa", "piece_id": "ab12"}
    )  # fmt: skip
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "INFO", "logger": "prefect.task_runs", "message": "Round 1\nwas fine",
        "flow_run_id": "f", "flow_run": "4 x A", "task_run": "judge-1",
        "run_id": "20261121-020000-aaaaaa", "piece_id": "ab12",
    }  # fmt: skip


def test_an_exception_stands_in_the_line():
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "ValueError: broken" in json.loads(JsonLines().format(record))["exception"]


@pytest.mark.slow
def test_prefect_logs_in_json_where_it_is_asked_for():
    code = (
        "from scoregate.flows.server import apply_settings; apply_settings();"
        "from prefect.logging.configuration import setup_logging; setup_logging();"
        "from prefect.logging import get_logger; get_logger('flow_runs').warning('hello');"
        "import logging; logging.getLogger('scoregate.pieces').info('a piece')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env=os.environ | {"SCOREGATE_LOG": "json", "PREFECT_LOGGING_LEVEL": "INFO",
                          "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in lines] == ["hello", "a piece"]


# Alerts, artifacts


def test_a_webhook_that_is_no_address_is_refused_without_repeating_it():
    with pytest.raises(RequestError) as caught:
        alerts.check_webhook("hooks.example.org/services/SECRET")
    assert "SECRET" not in str(caught.value)


def test_the_report_of_a_night_tells_everything(tmp_path):
    earlier = [figures_of(run_record(f"202611{day:02}-020000-aaaaaa", 8)) for day in range(1, 7)]
    record = run_record("20261109-020000-aaaaaa", passed=1, missing=3)
    record.notes.append("A note.")
    found = trend(figures_of(record), earlier)
    text = run_report(record, tmp_path, found, "http://127.0.0.1:8765")
    for part in (
        "3 missing", "A note", "Alarm pass-rate-low", "after the last 6 runs", "| generate | 200.0",
        "| 20.000 |", "http://127.0.0.1:8765/runs/20261109-020000-aaaaaa", "report.html",
    ):  # fmt: skip
        assert part in text, part


def test_a_hostile_style_note_or_reason_stays_text_in_the_report(tmp_path):
    from scoregate.archive.records import PieceRow
    from scoregate.findings import Status

    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) | `b` **c**\n# d"
    record = run_record("20261109-020000-aaaaaa", passed=1)
    record.request["style"] = hostile
    record.notes.append(hostile)
    record.pieces.append(
        PieceRow(piece_id=piece_id("x"), status=Status.REJECTED, reasons=[hostile], title=hostile)
    )
    text = run_report(record, tmp_path, trend(figures_of(record), []))
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    for made in ("<img", "<a href", "<strong>c", "<code>b", "<h1>d"):
        assert made not in page, made
    assert "&lt;img src=x" in page


@pytest.mark.slow
def test_the_doctor_names_what_is_missing_and_what_to_do(tmp_path):
    plan_file(tmp_path).write_text(
        "deployments:\n- name: night\n  entrypoint: scoregate.flows.scheduled.nightly\n"
        "  parameters: {request: {weights: x}}\n"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "scoregate.flows.cli", "doctor", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env=os.environ | {
            "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_API_PORT": port,
            "SCOREGATE_ABC2MIDI": "nowhere", "XDG_DATA_HOME": str(tmp_path),
            "SCOREGATE_WEIGHTS": str(tmp_path),
        },
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = {check["name"]: check for check in json.loads(done.stdout)}
    for name in ("server", "weights x", "abc2midi"):
        assert found[name]["level"] == "fault", found[name]
        assert found[name]["remedy"], found[name]
    assert found["weights"]["level"] == "ok"
