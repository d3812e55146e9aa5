"""Runs that are started from the dashboard: here, in a deployment, from the form."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import browser
import pytest
from dashboard_archive import STYLE

from scoregate.archive.store import Archive
from scoregate.dashboard.app import jobs
from scoregate.dashboard.app.routes_start import form_fields
from scoregate.errors import ServerError
from scoregate.requests import ProduceRequest


class Prefect(BaseHTTPRequestHandler):
    """As much of Prefect's interface as a submission needs."""

    ready = "READY"
    workers: list[dict] = [{"name": "w1", "status": "ONLINE"}]  # noqa: RUF012
    state = "RUNNING"
    received: list[tuple[str, dict]] = []  # noqa: RUF012 - emptied by each test

    def answer(self, content: object, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def do_GET(self) -> None:
        if self.path == "/api/health":
            self.answer(True)
        elif self.path == "/api/deployments/name/produce/on-demand" and self.ready:
            self.answer(
                {"id": "d1", "status": self.ready, "paused": False, "work_pool_name": "pool"}
            )
        elif self.path == "/api/flow_runs/f1":
            self.answer({"state": {"type": self.state, "name": self.state.title()}})
        else:
            self.answer({"detail": "none"}, 404)

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/api/work_pools/pool/workers/filter":
            self.answer(self.workers)
            return
        type(self).received.append((self.path, content))
        self.answer({"id": "f1"}, 201)

    def log_message(self, *args) -> None:
        """Say nothing."""


@pytest.fixture
def prefect(monkeypatch):
    Prefect.received, Prefect.ready, Prefect.state = [], "READY", "RUNNING"
    Prefect.workers = [{"name": "w1", "status": "ONLINE"}]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prefect)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield Prefect
    server.shutdown()
    server.server_close()


def test_a_run_goes_to_the_deployment_where_there_is_one(prefect, tmp_path):
    made = jobs.Jobs(tmp_path).start(ProduceRequest(count=2))
    (path, content) = prefect.received[0]
    assert path == "/api/deployments/d1/create_flow_run"
    asked = content["parameters"]["request"]
    assert asked["out"] == str(tmp_path.resolve())
    assert asked["seed"] == made.request.seed
    assert ProduceRequest.model_validate(asked) == made.request
    assert made.place.state() == (True, "running", "")
    made.place.stop(hard=False)
    assert prefect.received[-1][1]["state"]["type"] == "CANCELLING"
    prefect.state = "CRASHED"
    running, _, error = made.place.state()
    assert not running
    assert "crashed" in error


@pytest.mark.parametrize(
    ("ready", "workers"),
    [pytest.param("", 1, id="no deployment"), pytest.param("READY", 0, id="worker died")],
)
def test_without_a_worker_or_a_deployment_it_runs_here(
    prefect, tmp_path, monkeypatch, ready, workers
):
    prefect.ready, prefect.workers = ready, prefect.workers[:workers]
    started = []
    monkeypatch.setattr(jobs, "Here", lambda request: started.append(request) or "here")
    assert jobs.Jobs(tmp_path).start(ProduceRequest(count=2)).place == "here"
    assert len(started) == 1
    assert not prefect.received


def test_the_form_has_every_field_of_the_request_with_its_range():
    fields = {one.name: one for one in form_fields({"temperature": 1.3, "repair_lines": False})}
    assert fields["count"].kind == "int"
    assert (fields["count"].low, fields["count"].high) == (1, 100_000)
    assert fields["temperature"].value == 1.3
    assert fields["repair_lines"].value is False
    assert fields["precision"].kind == "choice"
    machine = {"out", "device", "threads", "processes", "fresh", "shards", "dask", "deployment"}
    elsewhere = {"style", "weights", "allow_untrained", "preset", "part_of", "forced"}
    assert set(fields) == set(ProduceRequest.model_fields) - machine - elsewhere


def _remove_deployment(url: str) -> None:
    """Take away a deployment of other tests, whose worker may have ended a moment ago."""
    try:
        found = jobs._asked(url, f"/deployments/name/{jobs.DEPLOYMENT}")
    except ServerError:
        return
    request = urllib.request.Request(f"{url}/deployments/{found['id']}", method="DELETE")
    urllib.request.urlopen(request, timeout=10).close()


@pytest.mark.slow
@pytest.mark.server
def test_a_run_is_started_from_the_form_and_finishes(tmp_path, prefect_server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.url)
    _remove_deployment(prefect_server.url)
    out = tmp_path / "out"
    with browser.chromium() as chromium, browser.dashboard(out) as (address, _):
        tab = chromium.new_page()
        tab.goto(f"{address}/start")
        tab.get_by_label("Style", exact=True).select_option(STYLE)
        tab.get_by_label("Sampling").select_option("Careful")
        assert tab.get_by_label("Temperature", exact=True).input_value() == "0.8"
        tab.get_by_label("Count", exact=True).fill("1")
        tab.get_by_label("Rounds", exact=True).fill("3")
        tab.get_by_label("Seed", exact=True).fill("7")
        tab.get_by_role("button", name="Start the run").click()
        tab.locator(".job", has_text="Running").wait_for()
        tab.locator(".job", has_text=re.compile("Finished|Failed")).wait_for(timeout=300_000)
        assert "Finished" in tab.locator(".job").inner_text()
        tab.locator(".job", has_text="1 of 1 passed").wait_for()
        tab.locator(".job .files a").first.click()
        tab.locator(".engraving").first.wait_for()
        tab.goto(f"{address}/start")
        tab.get_by_role("link", name="Again with these settings").click()
        tab.wait_for_url("**/start?again=*")
        assert tab.get_by_label("Temperature", exact=True).input_value() == "0.8"
        assert tab.get_by_label("Seed", exact=True).input_value() == ""
        # Stopped in good order: what was finished is kept, and the page says so.
        tab.get_by_label("Count", exact=True).fill("200")
        tab.get_by_role("button", name="Start the run").click()
        job = tab.locator(".job").first
        job.get_by_text(re.compile(r"writing: [1-9]")).wait_for(timeout=240_000)
        job.get_by_role("button", name="Stop").click()
        tab.locator(".job h2", has_text="Finished").nth(1).wait_for(timeout=200_000)
    (first, second) = (Archive(out).run(run) for run in Archive(out).run_ids())
    assert first.request["seed"] == 7
    assert any("topped" in note for note in second.notes)
