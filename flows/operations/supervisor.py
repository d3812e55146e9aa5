"""Start, stop and look at the parts of the line on one machine: `scoregate up`, `down`, `status`.

The parts are a Prefect server, a worker, the dashboard and the monitor. Each is a process of its
own that goes on when the command ends, bound to loopback. :mod:`scoregate.flows.operations.state`
notes down which processes they are, and exactly those are stopped again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scoregate.errors import ServerError
from scoregate.flows import server as prefect_server
from scoregate.flows.operations import api, plan
from scoregate.flows.operations.starting import Start
from scoregate.flows.operations.state import Part, State

WORKER, DASHBOARD, MONITOR = "worker", "dashboard", "monitor"
ORDER = (WORKER, DASHBOARD, MONITOR)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `scoregate up` is asked for.

    Attributes
    ----------
    folder : Path
        Folder with prefect.yaml, which names the folders of archive and inbox below it.
    dashboard_port, metrics_port : int
    webhook : str
        Address that alarms are sent to; ``""`` leaves what was given before.
    log_level : str
        Of what the parts write into their logs.
    """

    folder: Path
    dashboard_port: int = 8765
    metrics_port: int = 9464
    webhook: str = ""
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a part stands.

    Attributes
    ----------
    name : str
    runs : bool
    detail : str
        Process, address and since when; or what is known of its end.
    """

    name: str
    runs: bool
    detail: str


@dataclass(slots=True)
class Up:
    """What `up` has done.

    Attributes
    ----------
    started : list of str
        Parts that were not running before.
    running : list of str
        Parts that were.
    """

    started: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)


def state() -> State:
    """Return the state folder of this user's Prefect home."""
    return State(prefect_server.prefect_home() / "scoregate")


def up(wanted: Wanted, say: Say) -> Up:
    """Start every part that does not run, and deploy prefect.yaml.

    Parameters
    ----------
    wanted : Wanted
    say : callable
        Told in a sentence what is being done.

    Raises
    ------
    RequestError
        prefect.yaml or the webhook is not valid.
    ServerError
        A part could not be started; what runs is left running.
    """
    from scoregate.flows.operations import alerts

    if wanted.webhook:
        alerts.check_webhook(wanted.webhook)
    here = state()
    _same_folder(here, wanted.folder)
    file, written = plan.ensure_file(wanted.folder)
    planned = plan.read_plan(file)
    done = Up()
    worker_name = ""
    with here.locked():
        _check_ports(here, wanted)
        if written:
            say(f"Wrote {file}: it says what is produced and when.")
        server = prefect_server.ensure_server(say)
        (done.started if server.started else done.running).append("server")
        provision(wanted, planned, file, say)
        out, inbox = plan.folders(planned)
        (wanted.folder / inbox).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ORDER:
            part = here.part(name)
            if part is not None and part.runs:
                if part.server == server.url:
                    done.running.append(name)
                    continue
                here.stop(name)  # it talks to a server that has moved
            command, address = _command(name, wanted, out, inbox)
            if name == WORKER:  # by its name, its first heartbeat is told from another worker's
                worker_name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
                command += ["--name", worker_name]
            environment = {"PREFECT_LOGGING_LEVEL": wanted.log_level}
            if name == WORKER:  # its runs link to the dashboard
                environment["SCOREGATE_DASHBOARD"] = f"http://127.0.0.1:{wanted.dashboard_port}"
            here.start(
                name,
                command,
                folder=wanted.folder,
                address=address,
                server=server.url,
                environment=environment,
            )
            done.started.append(name)
        for name in done.started:
            if name in ORDER:
                say(f"Waiting for the {name}")
                _wait_until_ready(
                    here, name, lambda part: _answers(part, server.url, worker_name), say
                )
    return done


def down(say: Say) -> list[str]:
    """Stop what `up` has started, the server last; return the names of what ran."""
    here = state()
    stopped = []
    with here.locked():
        for name in reversed(ORDER):
            if here.part(name) is not None:
                say(f"Stopping the {name}")
                if here.stop(name):
                    stopped.append(name)
        if prefect_server.stop_server():
            stopped.append("server")
    return stopped


def standings() -> list[Standing]:
    """Return how every part stands."""
    found = [_server_standing()]
    here = state()
    for name in ORDER:
        part = here.part(name)
        if part is None:
            found.append(Standing(name, False, "not started"))
        elif part.runs:
            where = f", {part.address}" if part.address else ""
            detail = f"process {part.pid}{where}, since {part.since}, log {part.log}"
            found.append(Standing(name, True, detail))
        else:
            found.append(Standing(name, False, f"ended by itself; its log is {part.log}"))
    return found


def server_address() -> str | None:
    """Return the address of the Prefect server in use, or None where none answers."""
    chosen = prefect_server.chosen_url()
    if chosen:
        return chosen
    server = prefect_server.running_server()
    return server.url if server else None


def _server_standing() -> Standing:
    chosen = prefect_server.chosen_url()
    server = prefect_server.running_server()
    if chosen and (server is None or server.url != chosen):
        healthy = api.is_open(chosen) and prefect_server.is_healthy(chosen)
        return Standing("server", healthy, f"{chosen} (PREFECT_API_URL)")
    if server is None:
        return Standing("server", False, "not started")
    whose = f"process {server.pid}, " if server.pid else "not started by Scoregate, "
    return Standing("server", True, f"{whose}{server.pages}")


def _same_folder(here: State, folder: Path) -> None:
    for name in ORDER:
        part = here.part(name)
        if part is not None and part.runs and Path(part.folder) != folder:
            raise ServerError(
                f"The line runs already, started in {part.folder}.",
                "Type `scoregate down` first, or set PREFECT_HOME to another folder for a second "
                "line.",
            )


def _check_ports(here: State, wanted: Wanted) -> None:
    for name, option, port in (
        (DASHBOARD, "--dashboard-port", wanted.dashboard_port),
        (MONITOR, "--metrics-port", wanted.metrics_port),
    ):
        part = here.part(name)
        running = part is not None and part.runs
        if not running and api.is_open(f"http://127.0.0.1:{port}", timeout=1.0):
            raise ServerError(
                f"Another program uses port {port}, on which the {name} would listen.",
                f"Name another one with {option}, or end that program.",
            )


@contextlib.contextmanager
def connected(url: str) -> Iterator:
    """Yield a client of the Prefect server at ``url``."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        yield client


def provision(
    wanted: Wanted, planned: list[plan.Planned], file: Path, say: Say, *, always: bool = False
) -> None:
    """Make pool, deployments and automations, where they are not as prefect.yaml says.

    Parameters
    ----------
    wanted : Wanted
    planned : list of Planned
        The content of ``file``.
    file : Path
        prefect.yaml.
    say : callable
    always : bool
        Deploy even where the file has not changed since.
    """
    from scoregate.flows import zombies
    from scoregate.flows.operations import alerts, deploying

    here = state()
    url = os.environ["PREFECT_API_URL"]
    digest = hashlib.sha256(f"{url}\n{file}\n{file.read_text()}".encode()).hexdigest()
    with connected(url) as client:
        deploying.ensure_pool(client)
        there = deploying.deployments_of(client)
        before = here.deployed()
        names = [each.name for each in planned]
        if always or digest not in before or not set(names) <= set(there):
            say(f"Deploying {file}")
            deploying.deploy(wanted.folder)
            for old in deploying.remove_old(client, planned, before):
                say(f"Removed the deployment {old}, which prefect.yaml no longer names.")
            here.remember_deployed([digest, *names])
        zombies.ensure_heartbeat_automation(client)
        zombies.ensure_rerun_automation(client)
        block = (
            alerts.save_webhook(wanted.webhook) if wanted.webhook else alerts.saved_webhook(client)
        )
        if block is not None:
            alerts.ensure_alerts(client, block, planned)
            alerts.announce_up(client, url, planned)


def deploy(wanted: Wanted, say: Say) -> list[str]:
    """Deploy prefect.yaml on the server in use and return the names of the deployments.

    Raises
    ------
    RequestError
        prefect.yaml or the webhook is not valid.
    ServerError
        No server answers, or Prefect could not deploy.
    """
    from scoregate.flows.operations import alerts

    if wanted.webhook:
        alerts.check_webhook(wanted.webhook)
    with state().locked():
        prefect_server.ensure_server(say)
        file, written = plan.ensure_file(wanted.folder)
        planned = plan.read_plan(file)
        if written:
            say(f"Wrote {file}: it says what is produced and when.")
        provision(wanted, planned, file, say, always=True)
    return [each.name for each in planned]


def _command(name: str, wanted: Wanted, out: str, inbox: str) -> tuple[list[str], str]:
    """Return the command of a part and the address at which it will answer."""
    program = [sys.executable, "-m", "scoregate.flows.cli"]
    if name == WORKER:
        return [*program, "worker"], ""
    if name == DASHBOARD:
        port = wanted.dashboard_port
        options = ["--out", out, "--port", str(port), "--no-browser"]
        return [*program, "dashboard", *options], f"http://127.0.0.1:{port}/"
    port = wanted.metrics_port
    options = ["--out", out, "--inbox", inbox, "--port", str(port)]
    return [*program, "monitor", *options], f"http://127.0.0.1:{port}/metrics"


def _wait_until_ready(here: State, name: str, answers: Callable[[Part], bool], say: Say) -> None:
    part = here.part(name)
    assert part is not None, "it was started"
    start = Start(f"The {name}", part.pid, Path(part.log), say)
    while start.goes_on(part.runs):
        if answers(part):
            return
        time.sleep(0.25)
    tail = here.tail(name)
    here.stop(name, patience=5.0)
    raise ServerError(
        f"{start.problem}\n{tail}",
        f"Its log is {part.log}. The other parts go on; `scoregate down` stops them.",
    )


def _answers(part: Part, url: str, worker_name: str) -> bool:
    if part.address:
        return api.is_open(part.address, timeout=1.0)
    return any(worker["name"] == worker_name for worker in workers(url))


def workers(url: str, pool: str = plan.POOL) -> list[dict]:
    """Return the workers of the pool: ``name``, ``heartbeat`` and whether it is ``fresh``.

    A heartbeat of the last 90 s is fresh.

    Parameters
    ----------
    url : str
        Of Prefect's API.
    pool : str
    """
    from datetime import UTC, datetime, timedelta

    try:
        found = api.post(url, f"/work_pools/{pool}/workers/filter", {})
    except api.Unanswered:
        return []
    limit = datetime.now(UTC) - timedelta(seconds=90)
    return [
        {
            "name": each["name"],
            "heartbeat": each["last_heartbeat_time"],
            "fresh": datetime.fromisoformat(each["last_heartbeat_time"]) >= limit,
        }
        for each in found
    ]
