"""Screening: judge any number of files of any origin, and file them as passed or rejected.

Pieces stream through in batches, so that memory stays flat. Every batch is recorded in a
journal before the next one, so that a run that was killed goes on where it was. Content that
the same gates have judged before, under whatever name, is not judged again.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from pydantic import BaseModel

from scoregate.archive.journal import Journal
from scoregate.archive.screened import record_rows
from scoregate.archive.store import new_run_id
from scoregate.cores import cores
from scoregate.dashboard.markdown import screening_report
from scoregate.errors import RequestError, UnreadableError
from scoregate.flows.on_dask import dask_runner
from scoregate.piece import Batch
from scoregate.pool import Pool
from scoregate.requests import ScreenRequest
from scoregate.sources import ENDINGS, Source, find, size_and_time
from scoregate.tasks.screen import FileJob, judge_batch, judge_chunk, judge_files, row_of_dead
from scoregate.timing import ledger, spent
from scoregate.validators import abc2midi
from scoregate.validators.checking import Choice, judge_version
from scoregate.validators.screening import unopened_row

SETTLED_NS = 2 * 10**9  # a file that changed within 2 s may still be in the writing
DASK_CHUNK = 200  # pieces to a task: a second of work against milliseconds of scheduling
DASK_UNDER_WAY = 64
PRELOAD = ("scoregate.tasks.screen", "scoregate.validators.examination")
"""Modules that a worker process imports once, before it starts judging."""


class ScreenRecord(BaseModel):
    """The result of a screening.

    Attributes
    ----------
    judged, kept : int
        Pieces judged in this run, and pieces that were judged before.
    counts : dict of str to int
        Pieces by status.
    reasons : list of tuple of str and int
        The most frequent reasons, with the number of pieces.
    table, sheet : str
        Paths of the results as Parquet and as CSV.
    seconds, orchestration_seconds : float
        In all, and outside of every stage.
    stage_seconds : dict of str to float
    """

    judged: int
    kept: int
    counts: dict[str, int]
    reasons: list[tuple[str, int]]
    table: str
    sheet: str
    seconds: float
    orchestration_seconds: float
    stage_seconds: dict[str, float]


@flow(name="screen", flow_run_name="screen into {request.out}", validate_parameters=True)
def screen(request: ScreenRequest) -> ScreenRecord:
    """Judge every piece that the paths name.

    Returns
    -------
    ScreenRecord
        ``judged`` pieces were looked at in this run, ``kept`` were judged before.
    """
    log = get_run_logger()
    started = time.perf_counter()
    abc2midi.find()  # without it nothing could be judged
    out = Path(request.out)
    choice = choice_of(request)
    choice.check()
    judge = judge_version(request.style, request.novelty, choice)
    journal = Journal(out / "journal.sqlite", judge, new_run_id())
    tally = {"judged": 0, "kept": 0}
    try:
        with ledger() as seconds:
            if request.dask:
                tally["judged"] += _on_dask(request, journal, tally)
            else:
                jobs = _jobs(request, journal, tally)
                with Pool(judge_files, row_of_dead, request.processes or cores(), PRELOAD) as pool:
                    for number, batch in enumerate(_batches(jobs, request.batch), start=1):
                        tally["judged"] += judge_batch(pool, number, batch, journal)
                        log.info("Batch %d: %d judged so far", number, tally["judged"])
            if not tally["judged"] + tally["kept"]:
                raise RequestError(
                    f"Nothing to judge in {', '.join(request.paths)}.",
                    f"Scores end in {', '.join(ENDINGS)}.",
                )
            with spent("export"):
                table, sheet = journal.export(out)
        total = time.perf_counter() - started
        record = ScreenRecord(
            judged=tally["judged"],
            kept=tally["kept"],
            counts=journal.counts(),
            reasons=journal.reasons(12),
            table=str(table),
            sheet=str(sheet),
            seconds=round(total, 3),
            orchestration_seconds=round(total - sum(seconds.values()), 3),
            stage_seconds={stage: round(value, 3) for stage, value in seconds.items()},
        )
        (out / "screening.json").write_text(record.model_dump_json(indent=1) + "\n")
    finally:
        journal.close()
    create_markdown_artifact(key="screening", markdown=screening_report(record))
    return record


def waiting(request: ScreenRequest) -> bool:
    """Return whether a run would find a piece that was not judged yet, or has changed."""
    judge = judge_version(request.style, request.novelty, choice_of(request))
    journal = Journal(Path(request.out) / "journal.sqlite", judge)
    try:
        for found in _outside(request.out, find(request.paths)):
            if isinstance(found, UnreadableError):
                continue  # the last run reported it; it is reported again with the next
            size, changed = size_and_time(found)
            settled = time.time_ns() - changed > SETTLED_NS
            if settled and not journal.is_done(found.name, size, changed):
                return True
        return False
    finally:
        journal.close()


def _jobs(request: ScreenRequest, journal: Journal, tally: dict[str, int]) -> Iterator[FileJob]:
    """Yield a job for each piece that this judge has not judged in this place."""
    for found in _outside(request.out, find(request.paths)):
        if isinstance(found, UnreadableError):
            journal.write([unopened_row(found)])
            tally["judged"] += 1
            continue
        size, changed = size_and_time(found)
        if journal.is_done(found.name, size, changed):
            tally["kept"] += 1
            journal.keep(found.name)
            continue
        yield FileJob(
            found,
            request.style,
            request.out,
            str(journal.path),
            journal.judge,
            request.novelty,
            choice_of(request),
        )


def choice_of(request: ScreenRequest) -> Choice:
    """Return the profile and the thresholds that a request asks for."""
    return Choice(request.profile, tuple(request.warn), tuple(request.off), request.thresholds)


def _outside(
    out: str, found: Iterable[Source | UnreadableError]
) -> Iterator[Source | UnreadableError]:
    """Leave out what a screening has written itself, where its folder lies in a searched one."""
    own = os.path.realpath(out) + os.sep
    for source in found:
        if isinstance(source, UnreadableError) or not os.path.realpath(source.path).startswith(own):
            yield source


def _batches(jobs: Iterable[FileJob], size: int) -> Iterator[Batch[FileJob]]:
    jobs = iter(jobs)
    while chunk := list(itertools.islice(jobs, size)):
        yield Batch(chunk)


def _on_dask(request: ScreenRequest, journal: Journal, tally: dict[str, int]) -> int:
    runner = dask_runner(request.dask or "local", request.processes or cores())
    on_dask = judge_on_dask.with_options(task_runner=runner)
    return on_dask(request, journal, tally)


@flow(name="judge on Dask", validate_parameters=False)
def judge_on_dask(request: ScreenRequest, journal: Journal, tally: dict[str, int]) -> int:
    """Judge chunk by chunk on the task runner's cluster; a bounded number is under way."""
    judged = 0
    under_way: list[Any] = []
    # The jobs are not a parameter: Prefect would write them down, and so use them up.
    for chunk in _batches(_jobs(request, journal, tally), DASK_CHUNK):
        under_way.append(judge_chunk.submit(chunk))
        if len(under_way) >= DASK_UNDER_WAY:
            judged += _noted(under_way.pop(0), journal)
    for future in under_way:
        judged += _noted(future, journal)
    return judged


def _noted(future: Any, journal: Journal) -> int:
    rows = future.result()
    record_rows(journal, rows)
    return len(rows)
