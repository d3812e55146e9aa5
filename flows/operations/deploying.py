"""What a Prefect server must hold: work pool, deployments, automations.

Everything here can be done any number of times; what is there already stays as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scoregate.errors import ServerError
from scoregate.flows.operations.plan import POOL, Planned

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

DEPLOY_LIMIT = 300.0
"""Seconds that `prefect deploy` may take."""


def ensure_pool(client: SyncPrefectClient, name: str = POOL) -> bool:
    """Create a work pool for processes unless it is there; return whether it was created."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return False  # another process was faster
        return True
    return False


def deploy(folder: Path) -> None:
    """Deploy everything in prefect.yaml of a folder.

    Raises
    ------
    ServerError
        Prefect could not; the message ends with what it said.
    """
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PWD": str(folder), "PREFECT_LOGGING_LEVEL": "ERROR"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEPLOY_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(
            f"prefect.yaml of {folder} was not deployed within {DEPLOY_LIMIT:.0f} s.",
            "The server or this machine is too busy; try again, and look at the server's log.",
        ) from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise ServerError(
            f"prefect.yaml of {folder} could not be deployed:\n{said}",
            "The lines above are Prefect's.",
        )


def deployments_of(client: SyncPrefectClient, pool: str = POOL) -> dict[str, str]:
    """Return the deployments of a work pool: ``flow/name`` by the deployment's own name."""
    flows = {flow.id: flow.name for flow in client.read_flows()}
    return {
        each.name: f"{flows.get(each.flow_id, '?')}/{each.name}"
        for each in client.read_deployments()
        if each.work_pool_name == pool
    }


def remove_old(
    client: SyncPrefectClient, planned: Sequence[Planned], before: Sequence[str]
) -> list[str]:
    """Delete deployments that an earlier `up` made and that prefect.yaml no longer names.

    Parameters
    ----------
    client : SyncPrefectClient
    planned : sequence of Planned
        What prefect.yaml names now.
    before : sequence of str
        Names that were deployed before; others are left alone.

    Returns
    -------
    list of str
        What was deleted.
    """
    names = {each.name for each in planned}
    old = [
        each
        for each in client.read_deployments()
        if each.name in set(before) - names and each.work_pool_name == POOL
    ]
    for each in old:
        client.delete_deployment(each.id)
    return [each.name for each in old]


def skip_overdue(client: SyncPrefectClient, pool: str = POOL) -> dict[str, int]:
    """Cancel the scheduled runs of a pool that are overdue, but for the newest of each deployment.

    After a machine was off for a week, seven nights are due at once. One of them makes up for
    all; the rest is cancelled with a word that says so.

    Returns
    -------
    dict of str to int
        Number of cancelled runs by the name of their deployment.
    """
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled

    due = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
        ),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=200,
    )
    names = {each.id: each.name for each in client.read_deployments()}
    seen = set()
    cancelled: dict[str, int] = {}
    for run in due:
        expected = run.expected_start_time
        # Only what a schedule made: a run that a person asked for is never skipped.
        if expected is None or expected > datetime.now(UTC) or not run.auto_scheduled:
            continue
        if run.deployment_id not in seen:
            seen.add(run.deployment_id)
            continue
        message = "Skipped: it was overdue, and a later run of the same schedule is too."
        try:
            client.set_flow_run_state(run.id, Cancelled(message=message), force=True)
        except ObjectNotFound:
            continue  # the deployment was made anew meanwhile
        name = names.get(run.deployment_id, "?") if run.deployment_id else "?"
        cancelled[name] = cancelled.get(name, 0) + 1
    return cancelled
