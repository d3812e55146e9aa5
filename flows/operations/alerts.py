"""Alerts: automations of a Prefect server that call a webhook.

===============================  ==================================================
automation                       it calls when
===============================  ==================================================
``scoregate: alarm``             an event ``scoregate.alarm`` arrives: the pass rate
                                 left its band, a gate could not judge, the archive
                                 is damaged, a backup failed
``scoregate: run failed``        a run of a deployment fails, crashes or is timed out
``scoregate: no <deployment>``   a scheduled production did not start in time
===============================  ==================================================

The address is kept in a block of Prefect's, encrypted, since whoever knows it can post there. It
stands in no log, no artifact and no automation.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from scoregate.errors import RequestError
from scoregate.flows.operations import api
from scoregate.flows.operations.plan import POOL, PRODUCTION, Planned

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

ALARM_EVENT = "scoregate.alarm"
"""As :data:`scoregate.tasks.watch.ALARM`, without importing Prefect."""
BLOCK = "scoregate-alerts"
PREFIX = "scoregate: "
UP_EVENT = "scoregate.up"
LATE_AFTER = timedelta(hours=2)
"""A night counts as missing when it is this late."""

# `tojson` writes what is undefined as null, and what would end a string as an escape.
ALARM_BODY = (
    '{"text": {{ ("Scoregate: " ~ event.payload.message) | tojson }}, '
    '"code": {{ event.payload.code | tojson }}, '
    '"run_id": {{ event.payload.run_id | default(none) | tojson }}, '
    '"style": {{ event.payload.style | default(none) | tojson }}}'
)
FAILED_BODY = (
    '{"text": {{ ("Scoregate: the run " ~ flow_run.name ~ " of " ~ deployment.name ~ " is " '
    '~ flow_run.state.name ~ ": " ~ flow_run.state.message) | tojson }}, '
    '"code": "run-failed", "url": {{ flow_run | ui_url | tojson }}}'
)


def check_webhook(address: str) -> str:
    """Return the address, or say what is wrong with it without repeating it.

    Raises
    ------
    RequestError
        It is no address for HTTP.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError(
            "The webhook is no address that begins with https:// or http://.",
            "Give it as --webhook or in SCOREGATE_WEBHOOK.",
        )
    return address


def save_webhook(address: str) -> UUID:
    """Keep a webhook's address in a block of the server; return the block's id."""
    from prefect.blocks.webhook import Webhook
    from prefect.types import SecretDict
    from pydantic import SecretStr

    block = Webhook(
        url=SecretStr(address), headers=SecretDict({"Content-Type": "application/json"})
    )
    # It is a coroutine only where an event loop runs.
    return cast(UUID, block.save(BLOCK, overwrite=True))


def saved_webhook(client: SyncPrefectClient) -> UUID | None:
    """Return the id of the block that holds the webhook, or None where none was given."""
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_block_document_by_name(BLOCK, "webhook").id
    except ObjectNotFound:
        return None


def ensure_alerts(client: SyncPrefectClient, block: UUID, planned: Sequence[Planned]) -> list[str]:
    """Create the automations that call the webhook; return their names.

    Automations of the same names are replaced; one that was paused on the pages stays paused.

    Parameters
    ----------
    client : SyncPrefectClient
    block : UUID
        From :func:`save_webhook`.
    planned : sequence of Planned
        Deployments; those with a schedule and the flow ``produce`` are watched for nights that
        do not start.
    """
    wanted = [_on_alarm(block), _on_failure(block)]
    wanted += [_on_missing(client, block, each) for each in planned if _is_production(each)]
    for automation in wanted:
        enabled = True
        for found in client.read_automations_by_name(automation.name):
            enabled = found.enabled
            client.delete_automation(found.id)
        client.create_automation(automation.model_copy(update={"enabled": enabled}))
    return [each.name for each in wanted]


def _is_production(planned: Planned) -> bool:
    return bool(planned.crons) and planned.entrypoint.startswith(PRODUCTION)


def _call(block: UUID, body: str) -> list[Any]:
    from prefect.events.actions import CallWebhook

    return [CallWebhook(block_document_id=block, payload=body)]


def _on_alarm(block: UUID) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    return AutomationCore(
        name=f"{PREFIX}alarm",
        description="Calls the webhook for every alarm of the production line.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={ALARM_EVENT},
            threshold=1,
            within=timedelta(0),
        ),
        actions=_call(block, ALARM_BODY),
    )


def _on_failure(block: UUID) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    return AutomationCore(
        name=f"{PREFIX}run failed",
        description="Calls the webhook where a run of a deployment fails, crashes or times out.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            expect={f"prefect.flow-run.{end}" for end in ("Failed", "Crashed", "TimedOut")},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "work-pool", "prefect.resource.name": POOL}
            ),
            threshold=1,
            within=timedelta(0),
        ),
        actions=_call(block, FAILED_BODY),
    )


def _on_missing(client: SyncPrefectClient, block: UUID, planned: Planned) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    gap = planned.longest_gap()
    assert gap is not None, "it has a schedule"
    (deployment,) = [each for each in client.read_deployments() if each.name == planned.name]
    hours = (gap + LATE_AFTER).total_seconds() / 3600
    body = (
        f'{{"text": "Scoregate: {planned.name} has not started for {hours:g} hours", '
        f'"code": "no-run", "deployment": "{planned.name}"}}'
    )
    started = "prefect.flow-run.Running"
    return AutomationCore(
        name=f"{PREFIX}no {planned.name}",
        description=f"Calls the webhook where no run starts for {hours:g} hours.",
        # After one start, or after `scoregate up`, the next is expected. An event that is in
        # both sets begins the time anew.
        trigger=EventTrigger(
            posture=Posture.Proactive,
            after={started, UP_EVENT},
            expect={started},
            match_related=ResourceSpecification(
                {"prefect.resource.id": f"prefect.deployment.{deployment.id}"}
            ),
            threshold=1,
            within=gap + LATE_AFTER,
        ),
        actions=_call(block, body),
    )


def announce_up(client: SyncPrefectClient, url: str, planned: Sequence[Planned]) -> None:
    """Send the event from which the first start of each scheduled production is waited for.

    Parameters
    ----------
    client : SyncPrefectClient
    url : str
        Address of the same server's API.
    planned : sequence of Planned
    """
    names = {entry.name for entry in planned if _is_production(entry)}
    for each in client.read_deployments():
        if each.name in names:
            related = {
                "prefect.resource.id": f"prefect.deployment.{each.id}",
                "prefect.resource.role": "deployment",
            }
            api.send_event(url, UP_EVENT, f"scoregate.deployment.{each.name}", {}, [related])
