"""The doctor's checks of the Prefect server: address, version, database, pool, worker, port."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Literal

from scoregate.errors import ServerError
from scoregate.flows import server as prefect_server
from scoregate.flows.operations import api
from scoregate.flows.operations.plan import POOL, Planned
from scoregate.flows.operations.supervisor import workers

Row = tuple[str, Literal["ok", "warning", "fault"], str, str]
"""Name, level, what was found, remedy: the fields of a check."""
START = "`scoregate up` starts one."


def server_checks(planned: Sequence[Planned]) -> Iterator[Row]:
    """Yield the checks of the server, as far as it can be reached.

    Parameters
    ----------
    planned : sequence of Planned
        Deployments of prefect.yaml.

    Raises
    ------
    scoregate.flows.operations.api.Unanswered
        The server stopped answering in between.
    """
    chosen = prefect_server.chosen_url()
    if chosen:
        if not api.is_open(chosen) or not prefect_server.is_healthy(chosen, timeout=15.0):
            yield (
                "server", "fault", f"No Prefect server answers at {chosen} (PREFECT_API_URL).",
                "Start that server, or unset PREFECT_API_URL so that Scoregate starts its own.",
            )  # fmt: skip
            return
        url = chosen
    else:
        yield _port()
        server = prefect_server.running_server()
        if server is None:
            yield "server", "fault", "No Prefect server runs.", START
            return
        url = server.url
    try:
        version = prefect_server.check_version(url)
    except ServerError as error:
        yield "server", "fault", error.problem, error.remedy
        return
    own = metadata.version("prefect")
    yield (
        ("server", "ok", f"{url}, version {version}", "")
        if version == own
        else (
            "server", "warning", f"{url} is version {version}, and {own} is installed here.",
            "Give both the same version; the server may be the newer one.",
        )
    )  # fmt: skip
    yield _database(url)
    yield from _pool(url)
    yield from _deployments(url, planned)


def _port() -> Row:
    port = prefect_server.DEFAULT_PORT
    url = f"http://127.0.0.1:{port}/api"
    if not api.is_open(url, timeout=1.0):
        return f"port {port}", "ok", "free", ""
    if prefect_server.is_healthy(url, prefect_server.STRANGER_PATIENCE):
        return f"port {port}", "ok", "a Prefect server", ""
    return (
        f"port {port}", "warning", "Another program uses it; Scoregate's server takes another.",
        "`scoregate server url` prints its address.",
    )  # fmt: skip


def _database(url: str) -> Row:
    name = f"scoregate-doctor-{secrets.token_hex(4)}"
    try:
        api.post(url, "/variables/", {"name": name, "value": "written"}, timeout=20.0)
        api.delete(url, f"/variables/name/{name}")
    except api.Unanswered as error:
        return (
            "database", "fault", f"The server can't write to its database: {error}.",
            f"Is its disk full? Its folder is {prefect_server.prefect_home()}, its log "
            f"{prefect_server.prefect_home() / 'scoregate-server.log'}.",
        )  # fmt: skip
    return "database", "ok", "can be read and written", ""


def _pool(url: str) -> Iterator[Row]:
    try:
        pool = api.get(url, f"/work_pools/{POOL}")
    except api.Unanswered as error:
        if error.status != 404:
            raise
        yield (
            "work pool", "fault", f"There is no work pool {POOL}.",
            "`scoregate up` makes it, and so does `scoregate worker`.",
        )  # fmt: skip
        return
    if pool.get("is_paused"):
        yield (
            "work pool", "fault", f"The work pool {POOL} is paused.",
            f"prefect work-pool resume {POOL}",
        )  # fmt: skip
    else:
        yield "work pool", "ok", f"{POOL}, type {pool['type']}", ""
    found = workers(url)
    fresh = [each["name"] for each in found if each["fresh"]]
    if fresh:
        yield "worker", "ok", f"{len(fresh)} with a heartbeat in the last 90 s", ""
    else:
        last = max((each["heartbeat"] for each in found), default="never")
        yield (
            "worker", "fault", f"No worker takes runs; the last heartbeat: {last}.",
            "`scoregate up` or `scoregate worker` starts one.",
        )  # fmt: skip


def _deployments(url: str, planned: Sequence[Planned]) -> Iterator[Row]:
    there = api.post(url, "/deployments/filter", {"limit": 200})
    ours = {each["name"]: each for each in there if each.get("work_pool_name") == POOL}
    missing = [each.name for each in planned if each.name not in ours]
    if missing:
        yield (
            "deployments", "fault", f"Not deployed: {', '.join(missing)}.",
            "`scoregate up` deploys them.",
        )  # fmt: skip
    elif ours:
        yield "deployments", "ok", ", ".join(sorted(ours)), ""
    else:
        yield "deployments", "warning", "Nothing is deployed.", "`scoregate up` deploys."
    names = {each.name for each in planned}
    for name in sorted(set(ours) - names if planned else ()):
        yield (
            f"deployment {name}", "warning",
            "It is on the server and not in prefect.yaml"
            + (", and its schedule goes on." if ours[name].get("schedules") else "."),
            f"prefect deployment delete '*/{name}', or add it to prefect.yaml.",
        )  # fmt: skip
    for name in sorted(names & set(ours)):
        if ours[name].get("paused"):
            yield (
                f"deployment {name}", "warning", "It is paused: its schedule does not fire.",
                "Resume it on Prefect's pages.",
            )  # fmt: skip
