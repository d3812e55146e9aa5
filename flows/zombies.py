"""Runs whose process is gone: marked Crashed, so that they free their slot, and started again.

A flow run of a deployment sends heartbeats while it runs. Where the machine loses power, or flow
and worker are killed together, nobody reports the end of the run: it stays Running and holds the
slot of its deployment's concurrency limit. :func:`ensure_heartbeat_automation` makes an automation
on a server that marks such a run Crashed. The next run of the same request then goes on where the
crashed one was (:mod:`scoregate.archive.run_journal`).

The automations watch runs with the tag :data:`HEARTBEAT_TAG` only. A deployment takes part with
this tag and with :data:`HEARTBEAT_ENVIRONMENT` among the variables of its job::

    tags: [heartbeat]
    work_pool:
      name: scoregate
      job_variables:
        env:
          PREFECT_FLOWS_HEARTBEAT_FREQUENCY: "30"

Without the variable Prefect sends a heartbeat every three minutes, which the automation would take
for silence; without the tag it is not watched. Source: "How to detect and respond to zombie flows"
in Prefect's documentation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.events.schemas.automations import AutomationCore

HEARTBEAT_TAG = "heartbeat"
"""Tag of the deployments whose runs are watched."""

HEARTBEAT_SECONDS = 30
"""Seconds between two heartbeats: the least that Prefect takes."""

HEARTBEAT_ENVIRONMENT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}
"""What a worker, or a deployment's ``job_variables.env``, sets so that runs send heartbeats."""

SILENCE_SECONDS = 75
"""A run is marked Crashed after so long without a heartbeat: two and a half intervals."""

RERUN_TAG = "rerun"
"""Tag of the deployments whose crashed runs are started again."""

AUTOMATION = "scoregate: mark runs without a heartbeat as crashed"
RERUN_AUTOMATION = "scoregate: start crashed runs again"

_HEARTBEAT = "prefect.flow-run.heartbeat"
_ENDINGS = frozenset(
    f"prefect.flow-run.{state}"
    for state in ("Completed", "Failed", "TimedOut", "Cancelled", "Crashed")
)


def ensure_heartbeat_automation(client: SyncPrefectClient) -> UUID:
    """Make sure that the server marks runs without a heartbeat as Crashed; return the automation.

    It may be called any number of times. An automation of an earlier version is updated; one
    that was paused on the server's pages stays paused.

    Parameters
    ----------
    client : SyncPrefectClient
        ``prefect.client.orchestration.get_client(sync_client=True)``.
    """
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ActionTypes, ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    crash: ActionTypes = ChangeFlowRunState(
        state=StateType.CRASHED,
        name="Crashed",
        message=f"No heartbeat for {SILENCE_SECONDS} s: its process is gone.",
        force=False,
    )
    return _ensure(
        client,
        AutomationCore(
            name=AUTOMATION,
            description="Made by Scoregate (2): frees the slot of a run whose process is gone.",
            trigger=EventTrigger(
                posture=Posture.Proactive,
                after={_HEARTBEAT},
                expect={_HEARTBEAT, *_ENDINGS},
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=_tagged(HEARTBEAT_TAG),
                for_each={"prefect.resource.id"},
                threshold=1,
                within=timedelta(seconds=SILENCE_SECONDS),
            ),
            actions=[crash],
        ),
    )


def ensure_rerun_automation(client: SyncPrefectClient) -> UUID:
    """Make sure that a crashed run of a deployment with the tag ``rerun`` is started again.

    The new run has the deployment's own parameters and goes on where the crashed one was. The
    number of reruns is capped by the run's journal: see
    :data:`scoregate.archive.run_journal.MOST_ATTEMPTS`. A run that ends for that reason is
    Failed, not Crashed, and is not started again.

    Parameters
    ----------
    client : SyncPrefectClient
    """
    from prefect.events.actions import ActionTypes, RunDeployment
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    rerun: ActionTypes = RunDeployment(
        source="inferred", deployment_id=None, parameters=None, job_variables=None
    )
    return _ensure(
        client,
        AutomationCore(
            name=RERUN_AUTOMATION,
            description="Made by Scoregate (1): a crashed run goes on without its schedule.",
            trigger=EventTrigger(
                posture=Posture.Reactive,
                expect={"prefect.flow-run.Crashed"},
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=_tagged(RERUN_TAG),
                for_each={"prefect.resource.id"},
                threshold=1,
                within=timedelta(0),
            ),
            actions=[rerun],
        ),
    )


def crash_silent_runs(
    client: SyncPrefectClient,
    silence: float = SILENCE_SECONDS,
    pause: Callable[[float], object] = time.sleep,
) -> list[str]:
    """Mark watched runs as Crashed that send no heartbeat while this waits; return their names.

    The automation acts on heartbeats that the server has seen. After a server was down itself,
    this finds the runs that died meanwhile. Heartbeats are counted and no times are compared, so
    that a clock that was set, here or elsewhere, makes no living run look dead.

    Parameters
    ----------
    client : SyncPrefectClient
    silence : float
        Seconds to wait for a heartbeat.
    pause : callable
        Waits; it returns at once where there is nothing to wait for.
    """
    from prefect.states import Crashed

    before = {run.id: _heartbeats(client, run.id) for run in _watched(client)}
    if not before:
        return []
    pause(silence)
    crashed = []
    for run in _watched(client):
        if run.id in before and _heartbeats(client, run.id) == before[run.id]:
            message = f"No heartbeat for {silence:.0f} s: its process is gone."
            client.set_flow_run_state(run.id, Crashed(message=message))
            crashed.append(run.name)
    return crashed


def _watched(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the runs that the server takes for running and that send heartbeats."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        FlowRunFilterTags,
    )
    from prefect.client.schemas.objects import StateType

    running = [StateType.RUNNING, StateType.CANCELLING]
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=running)),
            tags=FlowRunFilterTags(all_=[HEARTBEAT_TAG]),
        )
    )


def _heartbeats(client: SyncPrefectClient, flow_run_id: UUID) -> int:
    """Return how many heartbeats of a run the server has, whatever their times are."""
    answer = client.request(
        "POST",
        "/events/filter",
        json={
            "filter": {
                "event": {"name": [_HEARTBEAT]},
                "resource": {"id": [f"prefect.flow-run.{flow_run_id}"]},
                # Left out, it ends now: those of a clock that was ahead would be missing.
                "occurred": {"since": "2000-01-01T00:00:00Z", "until": "2200-01-01T00:00:00Z"},
            },
            "limit": 1,
        },
    )
    return answer.json()["total"]


def _tagged(tag: str):
    from prefect.events.schemas.events import ResourceSpecification

    return ResourceSpecification(
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
    )


def _ensure(client: SyncPrefectClient, automation: AutomationCore) -> UUID:
    """Create the automation, or replace one whose description is of another version."""
    enabled = True
    for found in client.read_automations_by_name(automation.name):
        if found.description == automation.description:
            return found.id
        enabled = found.enabled
        client.delete_automation(found.id)
    return client.create_automation(automation.model_copy(update={"enabled": enabled}))
