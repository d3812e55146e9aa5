"""Compare a run with those before it, and raise an event for each alarm."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.logging import get_run_logger

from scoregate.archive.records import RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.trend import run_trend
from scoregate.dashboard.markdown import trend_report

ALARM = "scoregate.alarm"
"""Name of the event that a Prefect automation can wait for."""


@task(name="watch", retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE)
def watch(out: str, record: RunRecord) -> list[str]:
    """Create the artifact ``trend`` and an event for each alarm; return the alarms' sentences.

    The alarms are written into the run's record, from which the dashboard shows the last one.
    An event's payload holds ``code``, ``message``, ``run_id``, ``style`` and ``out``.
    """
    store = Archive(out)
    found = run_trend(store, record)
    record.alarms = [alarm.message for alarm in found.alarms]
    if record.alarms:
        store.write_run(record)
    create_markdown_artifact(key="trend", markdown=trend_report(found))
    log = get_run_logger()
    for alarm in found.alarms:
        log.warning("Alarm %s: %s", alarm.code, alarm.message)
        if alarm.code == "missing" and record.request.get("rounds") == 1:
            continue  # one round measures how many pass; it was not meant to reach the count
        raise_alarm(
            alarm.code,
            alarm.message,
            subject=f"scoregate.run.{record.run_id}",
            run_id=record.run_id,
            style=record.request.get("style"),
            out=out,
        )
    return record.alarms


def raise_alarm(code: str, message: str, *, subject: str, **payload: str | None) -> None:
    """Send an alarm's event, for which an automation can wait.

    Parameters
    ----------
    code : str
        What is wrong, in one word.
    message : str
        One sentence with the numbers.
    subject : str
        Id of what it is about: ``scoregate.run.<id>``, ``scoregate.archive.<name>``.
    **payload : str or None
        Further fields of the event's payload, beside ``code`` and ``message``.
    """
    emit_event(
        event=ALARM,
        resource={
            "prefect.resource.id": subject,
            "prefect.resource.name": subject.rpartition(".")[2],
        },
        payload={"code": code, "message": message, **payload},
    )
