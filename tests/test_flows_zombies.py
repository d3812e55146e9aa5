"""Runs whose process is gone: a real server marks them Crashed and frees their slot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.flows import zombies

SETTLED = 10.0
"""Seconds after which the server's triggers know a new automation: they look every five."""

PREFECT = Path(sys.executable).with_name("prefect")

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(1800)]


@pytest.fixture
def client(prefect_server) -> Iterator:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    there = temporary_settings({PREFECT_API_URL: prefect_server.url})
    with there, get_client(sync_client=True) as client:
        yield client


def deployment(client, *tags: str) -> UUID:
    """Make a deployment that one run at a time may use."""
    from prefect import flow

    @flow(name=f"night-{uuid4().hex[:6]}")
    def night() -> None:
        return None

    return client.create_deployment(
        client.create_flow(night), "nightly", tags=list(tags), concurrency_limit=1
    )


def started(client, deployment_id: UUID) -> UUID:
    """Start a run as a worker does, by what it reports."""
    from prefect.states import Pending, Running

    run = client.create_flow_run_from_deployment(deployment_id)
    assert client.set_flow_run_state(run.id, Pending()).state.is_pending()
    assert client.set_flow_run_state(run.id, Running()).state.is_running()
    return run.id


def heartbeat(client, run: UUID, seconds_ago: float, *tags: str) -> None:
    """Send the event that Prefect's engine sends."""
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in tags
    ]
    event = {
        "occurred": (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "related": related,
        "id": str(uuid4()),
    }
    client.request("POST", "/events", json=[event])


def state_of(client, run: UUID) -> str:
    return client.read_flow_run(run).state.type.value


def wait_for(condition, seconds: float = 150.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.5)
    return False


def test_a_silent_run_is_crashed_and_its_slot_is_free(client, monkeypatch):
    from prefect.states import Completed, Pending

    monkeypatch.setattr(zombies, "SILENCE_SECONDS", 15)  # the server's windows are as long
    automation = zombies.ensure_heartbeat_automation(client)
    time.sleep(SETTLED)
    watched = deployment(client, zombies.HEARTBEAT_TAG)
    silent = started(client, watched)
    next_night = client.create_flow_run_from_deployment(watched)
    refused = client.set_flow_run_state(next_night.id, Pending())
    assert refused.state.name == "AwaitingConcurrencySlot"

    other = started(client, deployment(client))  # has no tag
    alive = started(client, deployment(client, zombies.HEARTBEAT_TAG))
    ended = started(client, deployment(client, zombies.HEARTBEAT_TAG))
    age = zombies.SILENCE_SECONDS - 4
    heartbeat(client, other, age)
    for run in (silent, alive, ended):
        heartbeat(client, run, age, zombies.HEARTBEAT_TAG)
    client.set_flow_run_state(ended, Completed())

    sent = time.monotonic()

    def is_crashed() -> bool:
        nonlocal sent
        heartbeat(client, alive, 0, zombies.HEARTBEAT_TAG)
        # A server that had not noticed the automation yet starts no watch: one more heartbeat,
        # after which the run is silent again.
        if time.monotonic() - sent > 25:
            heartbeat(client, silent, age, zombies.HEARTBEAT_TAG)
            sent = time.monotonic()
        return state_of(client, silent) == "CRASHED"

    crashed = wait_for(is_crashed)
    client.delete_automation(automation)  # the other tests' heartbeats are farther apart
    assert crashed
    assert "No heartbeat" in client.read_flow_run(silent).state.message
    states = [state_of(client, run) for run in (other, alive, ended)]
    assert states == ["RUNNING", "RUNNING", "COMPLETED"]
    assert client.set_flow_run_state(next_night.id, Pending()).state.is_pending()


def test_the_automations_are_made_once_and_stay_paused(client):
    for ensure, name in (
        (zombies.ensure_heartbeat_automation, zombies.AUTOMATION),
        (zombies.ensure_rerun_automation, zombies.RERUN_AUTOMATION),
    ):
        first = ensure(client)
        client.pause_automation(first)
        assert ensure(client) == first
        (found,) = client.read_automations_by_name(name)
        assert not found.enabled
        client.delete_automation(first)


def test_a_crashed_run_is_started_again_where_its_deployment_wants_it(client):
    from prefect.client.schemas.filters import (
        DeploymentFilter,
        DeploymentFilterId,
    )
    from prefect.states import Crashed

    zombies.ensure_rerun_automation(client)
    time.sleep(SETTLED)
    wanted, other = deployment(client, zombies.RERUN_TAG), deployment(client)
    for each in (wanted, other):
        client.set_flow_run_state(started(client, each), Crashed())

    def runs(each: UUID) -> int:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[each]))
        return len(client.read_flow_runs(deployment_filter=only))

    assert wait_for(lambda: runs(wanted) == 2)
    assert runs(other) == 1


def test_runs_that_died_with_their_server_are_found_whatever_the_clocks_say(client):
    """A dead run had a clock that was ahead, a living one's was set back."""
    watched = deployment(client, zombies.HEARTBEAT_TAG)
    silent = started(client, watched)
    alive = [started(client, deployment(client, zombies.HEARTBEAT_TAG)) for _ in range(2)]
    ended = started(client, deployment(client, zombies.HEARTBEAT_TAG))
    hour = 3600
    for run, seconds_ago in ((silent, -hour), (alive[0], -hour), (alive[1], 1), (ended, 400)):
        heartbeat(client, run, seconds_ago, zombies.HEARTBEAT_TAG)
    # The server writes events in batches.
    assert wait_for(lambda: all(zombies._heartbeats(client, run) for run in (silent, *alive)), 60)

    def pause(seconds: float) -> None:
        from prefect.states import Completed

        assert seconds == zombies.SILENCE_SECONDS
        heartbeat(client, alive[0], hour, zombies.HEARTBEAT_TAG)
        heartbeat(client, alive[1], -hour, zombies.HEARTBEAT_TAG)
        client.set_flow_run_state(ended, Completed())
        assert wait_for(lambda: all(zombies._heartbeats(client, run) == 2 for run in alive), 60)

    crashed = zombies.crash_silent_runs(client, pause=pause)
    # Runs that other tests left on this server are silent too.
    own = {client.read_flow_run(run).name: run for run in (silent, *alive, ended)}
    assert [own[name] for name in crashed if name in own] == [silent]
    states = [state_of(client, run) for run in (silent, *alive, ended)]
    assert states == ["CRASHED", "RUNNING", "RUNNING", "COMPLETED"]


DEPLOYMENT = """
name: nights
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: {folder}
deployments:
  - name: night
    entrypoint: scoregate.flows.produce.produce
    tags: [{tag}]
    parameters:
      request: {{count: 4, rounds: 20, batch: 1, out: {out}}}
    schedules:
      - interval: 30
        slug: nightly
    concurrency_limit: {{limit: 1, collision_strategy: ENQUEUE}}
    work_pool:
      name: nights
      job_variables:
        env: {environment}
"""


class Worker:
    """A Prefect worker with the runs that it has started."""

    def __init__(self, url: str, log: Path) -> None:
        self.process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", "nights"],
            env=os.environ | {"PREFECT_API_URL": url, "PREFECT_WORKER_QUERY_SECONDS": "2"},
            stdout=open(log, "ab"),  # noqa: SIM115 - the process writes to it
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def power_cut(self, out: Path) -> None:
        """Kill the worker and the flow that it runs at once."""
        (owner,) = out.glob("runs/*/work/owner.json")
        os.kill(json.loads(owner.read_text())["pid"], signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def slots(client, deployment_id: UUID) -> int:
    return client.read_deployment(deployment_id).global_concurrency_limit.active_slots


def test_a_night_loses_its_power_the_next_is_cancelled_and_a_third_completes_it(
    client, prefect_server, tmp_path
):
    from prefect.states import Cancelling

    out = tmp_path / "out"
    (tmp_path / "prefect.yaml").write_text(
        DEPLOYMENT.format(
            folder=tmp_path,
            out=out,
            tag=zombies.HEARTBEAT_TAG,
            environment=json.dumps(zombies.HEARTBEAT_ENVIRONMENT),
        )
    )
    for words in (
        ["work-pool", "create", "nights", "--type", "process"],
        ["--no-prompt", "deploy", "--all"],
    ):
        subprocess.run(
            [PREFECT, *words],
            cwd=tmp_path,
            env=os.environ | {"PREFECT_API_URL": prefect_server.url},
            check=True,
            capture_output=True,
        )
    worker = Worker(prefect_server.url, tmp_path / "worker.log")
    try:

        def journal() -> str:
            return "".join(path.read_text() for path in out.glob("runs/*/work/journal.jsonl"))

        assert wait_for(lambda: '"generated"' in journal(), 240), "no scheduled run has fired"
        deployed = client.read_deployment_by_name("produce/night")
        client.pause_deployment(deployed.id)  # one night is enough
        worker.power_cut(out)
        assert slots(client, deployed.id) == 1
        assert zombies.crash_silent_runs(client, silence=0)
        assert slots(client, deployed.id) == 0
        worker = Worker(prefect_server.url, tmp_path / "worker.log")
        generated = journal().count('"generated"')
        cancelled = client.create_flow_run_from_deployment(deployed.id).id
        assert wait_for(lambda: journal().count('"generated"') > generated, 240)
        client.set_flow_run_state(cancelled, Cancelling())  # what the button of its page does
        assert wait_for(lambda: state_of(client, cancelled) == "CANCELLED", 60)
        kept = journal().count('"generated"')
        assert kept > generated
        assert slots(client, deployed.id) == 0
        last = client.create_flow_run_from_deployment(deployed.id).id
        assert wait_for(lambda: state_of(client, last) == "COMPLETED", 300)
    finally:
        worker.stop()
    store = Archive(out)
    (run_id,) = store.run_ids()
    record = store.run(run_id)
    assert (record.missing, len(list(store.ids()))) == (0, 4)
    assert sum("Resumed on" in note for note in record.notes) == 2
    assert len(record.pieces) >= kept
    assert len({row.seed for row in record.pieces}) == len(record.pieces)
    assert list(verify(store)) == []
    assert slots(client, deployed.id) == 0
