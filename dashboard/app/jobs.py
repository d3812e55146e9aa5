"""Runs that were started from the dashboard: in a Prefect deployment, or here.

Where a Prefect server has the deployment ``produce/on-demand`` with a worker that takes its
runs, a request is submitted there, by Prefect's REST interface: importing Prefect would
more than double the dashboard's memory. Otherwise the run is a process beside the
dashboard, which goes on when the dashboard ends.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Protocol

from scoregate.errors import RequestError, ServerError
from scoregate.flows import server
from scoregate.requests import ProduceRequest

DEPLOYMENT = "produce/on-demand"
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Place(Protocol):
    """Where a run goes on."""

    name: str

    def state(self) -> tuple[bool, str, str]:
        """Return whether it runs, what it is doing, and what went wrong."""
        ...

    def stop(self, hard: bool) -> None:
        """End it: in good order, or at once."""
        ...


@dataclass(slots=True)
class Job:
    """A run that was started from the dashboard.

    Attributes
    ----------
    id : str
    request : ProduceRequest
        With its seed filled in, by which its record is found in the catalog.
    place : Place
    started : str
        UTC, ISO 8601, to the second.
    stopping : bool
        Whether it was asked to stop.
    """

    id: str
    request: ProduceRequest
    place: Place
    started: str
    stopping: bool = False


class Here:
    """A process on this machine.

    Parameters
    ----------
    request : ProduceRequest
    """

    name = "Running on this machine"

    def __init__(self, request: ProduceRequest) -> None:
        self._last: dict[str, Any] = {}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scoregate.flows.run_job"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(request.model_dump_json())
        self._process.stdin.close()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._last = json.loads(line)
            except ValueError:
                continue  # Something else printed; the run's own lines are all JSON.
        self._process.wait()

    def state(self) -> tuple[bool, str, str]:
        """Return whether it runs, what it is doing, and what went wrong."""
        last = dict(self._last)
        if self._process.poll() is None:
            if last.get("event") != "progress":
                return True, "starting", ""
            total = f" of {last['total']:g}" if last.get("total") else ""
            note = f", {last['note']}" if last.get("note") else ""
            return True, f"{last['what']}: {last['done']:g}{total}{note}", ""
        if last.get("event") == "error":
            return False, "", f"{last['problem']} {last['remedy']}".strip()
        if self._process.returncode and last.get("event") != "done":
            self._errors.seek(0)
            tail = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            said = tail[0] if tail else f"exit code {self._process.returncode}"
            return False, "", f"The run ended early: {said}"
        return False, "", ""

    def stop(self, hard: bool) -> None:
        """End it: in good order, or at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM if hard else signal.SIGINT)


class Deployed:
    """A flow run of a Prefect deployment.

    Parameters
    ----------
    url : str
        Of Prefect's API.
    request : ProduceRequest

    Raises
    ------
    ServerError
        There is no such deployment, or no worker takes its runs.
    """

    name = f"Submitted to the Prefect deployment {DEPLOYMENT}"

    def __init__(self, url: str, request: ProduceRequest) -> None:
        self._url = url
        found = _asked(url, f"/deployments/name/{DEPLOYMENT}")
        # The status of a deployment says little: it stays READY for a minute after its last
        # worker has died, and is NOT_READY until a new one has looked for runs.
        if found.get("paused") or not _online_workers(url, found.get("work_pool_name")):
            raise ServerError(f"No worker takes the runs of {DEPLOYMENT}.", "Start a worker.")
        made = _asked(
            url,
            f"/deployments/{found['id']}/create_flow_run",
            {
                "parameters": {"request": request.model_dump(mode="json")},
                "state": {"type": "SCHEDULED", "name": "Scheduled"},
            },
        )
        self.id = made["id"]

    def state(self) -> tuple[bool, str, str]:
        """Return whether it runs, what it is doing, and what went wrong."""
        try:
            state = _asked(self._url, f"/flow_runs/{self.id}").get("state") or {}
        except ServerError as error:
            return True, error.problem, ""
        kind = state.get("type", "")
        if kind in ("FAILED", "CRASHED"):
            return False, "", f"The flow run {kind.lower()}: {state.get('message') or ''}"
        if kind in ("SCHEDULED", "PENDING"):
            return True, "waiting for a worker of the deployment", ""
        return kind not in _ENDED, str(state.get("name", "")).lower(), ""

    def stop(self, hard: bool) -> None:
        """Cancel the flow run."""
        state = {"type": "CANCELLING", "name": "Cancelling"}
        _asked(self._url, f"/flow_runs/{self.id}/set_state", {"state": state, "force": hard})


@dataclass(slots=True)
class Jobs:
    """The jobs of one dashboard.

    Attributes
    ----------
    out : Path
        The archive they write to.
    """

    out: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def start(self, request: ProduceRequest) -> Job:
        """Start a run: in the deployment where there is one that works, else here."""
        request = request.model_copy(
            update={
                "out": str(Path(self.out).resolve()),
                "seed": secrets.randbits(31) if request.seed is None else request.seed,
            }
        )
        with self._lock:
            if sum(job.place.state()[0] for job in self.jobs.values()) >= 4:
                raise RequestError("Four runs are under way.", "Wait for one, or stop one.")
            job = Job(
                id=secrets.token_hex(4),
                request=request,
                place=_place(request),
                started=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self.jobs[job.id] = job
        return job


def _place(request: ProduceRequest) -> Place:
    url = _server_url()
    if url:
        try:
            return Deployed(url, request)
        except ServerError:
            pass  # No deployment that works: the run goes on here, and the page says so.
    return Here(request)


def _server_url() -> str:
    candidates = [server.chosen_url(), f"http://127.0.0.1:{server.DEFAULT_PORT}/api"]
    for url in candidates:
        if url and server.is_healthy(url, timeout=5.0):
            return url
    return ""


def _online_workers(url: str, pool: str | None) -> list[dict[str, Any]]:
    """Return the workers of a pool that have sent a heartbeat lately."""
    if not pool:
        return []
    asked = {"workers": {"status": {"any_": ["ONLINE"]}}}
    return _asked(url, f"/work_pools/{urllib.parse.quote(pool)}/workers/filter", asked)


def _asked(url: str, path: str, content: dict[str, Any] | None = None) -> Any:
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(
        url + path, data, {"Content-Type": "application/json"}, method="POST" if data else "GET"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)
    except (OSError, ValueError, urllib.error.HTTPError) as error:
        raise ServerError(f"Prefect answers: {error}.", "Is its server running?") from error
