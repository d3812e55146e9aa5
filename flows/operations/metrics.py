"""Metrics for Prometheus: what the archive, the inbox and the Prefect server say right now.

Every scrape reads them anew, so that they hold whichever process made the pieces.
docs/operations.md lists all of them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scoregate.archive import catalog
from scoregate.archive.records import RunRecord, parse_run
from scoregate.archive.store import Archive
from scoregate.archive.trend import run_trend
from scoregate.errors import ScoregateError
from scoregate.flows.operations import api
from scoregate.flows.operations.arrivals import waiting_files
from scoregate.flows.operations.plan import POOL

LOOKED_THROUGH = 200
"""Most runs that are looked through for the last that delivered all its pieces."""


class Metrics(Collector):
    """Collector of all metrics.

    Parameters
    ----------
    out : Path
        Folder of the archive.
    inbox : Path or None
    url : callable
        Returns the address of Prefect's API, or None where none is known.
    """

    def __init__(self, out: Path, inbox: Path | None, url: Callable[[], str | None]) -> None:
        self.out = out
        self.inbox = inbox
        self.url = url

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for name, help_text, part in (
            ("archive", "Whether the archive could be read.", self._archive),
            ("prefect", "Whether the Prefect server answers.", self._prefect),
        ):
            try:
                metrics = list(part())
                readable = 1
            except (ScoregateError, api.Unanswered):
                metrics, readable = [], 0
            yield _gauge(f"scoregate_{name}_up", help_text, readable)
            yield from metrics
        yield from self._inbox()
        yield from self._disk()

    def _archive(self) -> Iterator[Metric]:
        if not (self.out / "archive").is_dir():
            return
        store = Archive(self.out)
        query = "SELECT status, count(*) FROM pieces GROUP BY status"
        counted = catalog.answer(store, lambda connection: connection.execute(query).fetchall())
        pieces = GaugeMetricFamily("scoregate_pieces", "Pieces by status.", labels=["status"])
        for status, count in counted:
            pieces.add_metric([str(status)], count)
        yield pieces
        query = "SELECT record FROM runs ORDER BY started_utc DESC LIMIT ?"
        rows = catalog.answer(
            store, lambda connection: connection.execute(query, (LOOKED_THROUGH,)).fetchall()
        )
        records = [parse_run(str(row[0]).encode(), "the catalog") for row in rows]
        finished = [record for record in records if record.finished]
        # A run that began in the future, when the clock was ahead, is not the last one for years.
        now = time.time()
        done = [record for record in finished if _timestamp(record.started) <= now] or finished
        if not done:
            return
        yield from _of_run(store, done[0])
        complete = [record for record in done if not record.missing and record.pieces]
        if complete:
            yield _gauge(
                "scoregate_last_success_timestamp_seconds",
                "End of the last run that delivered all its pieces.",
                _timestamp(complete[0].finished),
            )

    def _prefect(self) -> Iterator[Metric]:
        url = self.url()
        if url is None:
            raise api.Unanswered("no server is known")
        pool = {"work_pools": {"name": {"any_": [POOL]}}}
        runs = GaugeMetricFamily(
            "scoregate_flow_runs", "Flow runs of the work pool by state.", labels=["state"]
        )
        for state in ("Running", "Pending", "Late", "AwaitingConcurrencySlot"):
            wanted = {"flow_runs": {"state": {"name": {"any_": [state]}}}}
            runs.add_metric([state], api.post(url, "/flow_runs/count", pool | wanted))
        yield runs
        due = {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
            },
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        }
        waiting = api.post(url, "/flow_runs/filter", pool | due)
        age = time.time() - _timestamp(waiting[0]["expected_start_time"]) if waiting else 0.0
        yield _gauge(
            "scoregate_queue_age_seconds",
            "How long the run that is due longest has waited for a worker.",
            max(age, 0.0),
        )
        try:
            workers = api.post(url, f"/work_pools/{POOL}/workers/filter", {})
        except api.Unanswered as error:
            if error.status != 404:
                raise
            workers = []  # the pool was not made yet
        seen = [_timestamp(each["last_heartbeat_time"]) for each in workers]
        if seen:
            yield _gauge(
                "scoregate_worker_heartbeat_age_seconds",
                "Time since the last heartbeat of any worker of the pool.",
                max(time.time() - max(seen), 0.0),
            )

    def _inbox(self) -> Iterator[Metric]:
        if self.inbox is None or not self.inbox.is_dir():
            return
        files = waiting_files(self.inbox)
        yield _gauge("scoregate_inbox_files", "Files that wait in the inbox.", len(files))
        try:
            age = time.time() - files[0].stat().st_mtime if files else 0.0
        except FileNotFoundError:
            age = 0.0
        yield _gauge("scoregate_inbox_age_seconds", "Age of the oldest of them.", max(age, 0.0))

    def _disk(self) -> Iterator[Metric]:
        folder = self.out if self.out.is_dir() else Path()
        free = GaugeMetricFamily(
            "scoregate_disk_free_bytes", "Free space of the archive's disk.", labels=["folder"]
        )
        free.add_metric([str(folder)], shutil.disk_usage(folder).free)
        yield free


def _of_run(store: Archive, record: RunRecord) -> Iterator[Metric]:
    found = run_trend(store, record)
    yield _gauge(
        "scoregate_last_run_timestamp_seconds",
        "End of the last run.",
        _timestamp(record.finished),
    )
    if found.run.rate is not None:
        yield _gauge(
            "scoregate_pass_rate", "Pass rate of the last run's first round.", found.run.rate
        )
    if found.band:
        band = GaugeMetricFamily(
            "scoregate_pass_rate_expected",
            "Control limits of the pass rate, from the runs before.",
            labels=["bound"],
        )
        for bound, value in zip(("low", "high"), found.band, strict=True):
            band.add_metric([bound], value)
        yield band
    seconds = GaugeMetricFamily(
        "scoregate_stage_seconds", "Seconds of the last run by stage.", labels=["stage"]
    )
    for stage, value in record.stage_seconds.items():
        seconds.add_metric([stage], value)
    yield seconds
    yield _gauge("scoregate_run_seconds", "Seconds of the last run.", record.seconds or 0.0)
    yield _gauge("scoregate_run_missing", "Pieces the last run is short of.", record.missing)
    alarms = GaugeMetricFamily("scoregate_alarm", "Alarms of the last run.", labels=["code"])
    for code in sorted({alarm.code for alarm in found.alarms}):
        alarms.add_metric([code], 1)
    yield alarms


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _timestamp(text: Any) -> float:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
