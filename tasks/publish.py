"""Put a run's results on its page in Prefect: a table, a report in Markdown, a link."""

from __future__ import annotations

import os

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from scoregate.archive.records import RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.trend import run_trend
from scoregate.dashboard.markdown import run_report, verdict_table


@task(name="publish", retries=2, retry_delay_seconds=2, cache_policy=NO_CACHE)
def publish(out: str, record: RunRecord) -> None:
    """Create the run's artifacts: ``verdicts``, ``report`` and ``report-page``."""
    store = Archive(out)
    folder = store.run_folder(record.run_id).resolve()
    # `scoregate up` tells the worker, and so its runs, where the dashboard is.
    dashboard = os.environ.get("SCOREGATE_DASHBOARD", "")
    create_table_artifact(
        key="verdicts",
        table=verdict_table(record),
        description=f"Verdicts of run {record.run_id}",
    )
    create_markdown_artifact(
        key="report", markdown=run_report(record, folder, run_trend(store, record), dashboard)
    )
    create_link_artifact(
        key="report-page",
        link=(folder / "report.html").as_uri(),
        link_text="The run's report, with the engraved pieces",
    )
