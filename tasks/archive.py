"""Begin a run, archive its pieces round by round, and write its record."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.production import ProductionRun
from scoregate.archive.records import RunRecord
from scoregate.archive.resuming import open_run
from scoregate.logs import bind, log_pieces
from scoregate.piece import Batch, Piece
from scoregate.requests import ProduceRequest
from scoregate.timing import spent
from scoregate.validators import abc2midi

AT_ONCE = 64
"""Pieces whose files are in memory together while they are archived."""


@task(name="begin run", cache_policy=NO_CACHE)
def begin_run(request: ProduceRequest, engine: dict[str, Any]) -> ProductionRun:
    """Go on with an unfinished run of this request, or begin one and write its record.

    Raises
    ------
    ArchiveError, BusyError, RunError
        See :func:`scoregate.archive.resuming.open_run`.
    ToolError
        There is no abc2midi, so that no piece could pass.
    """
    with spent("archive"):
        abc2midi.find()
        run = open_run(request, engine)
        bind(run_id=run.record.run_id)
        return run


@task(name="archive", task_run_name="archive round {number}", cache_policy=NO_CACHE)
def archive_pieces(run: ProductionRun, number: int, pieces: Batch[Piece]) -> ProductionRun:
    """Archive what passed, keep the rest apart with its findings, and record both.

    Raises
    ------
    ArchiveError
        See :meth:`scoregate.archive.production.ProductionRun.add`.
    """
    with spent("archive"):
        for start in range(0, len(pieces), AT_ONCE):
            part = pieces[start : start + AT_ONCE]
            run.add(part)
            log_pieces(run.record.run_id, part)
        return run


@task(name="record run", cache_policy=NO_CACHE)
def record_run(run: ProductionRun, seconds: dict[str, float], total: float) -> RunRecord:
    """Write the finished record, the run's page and the archive's; return the record.

    Parameters
    ----------
    run : ProductionRun
    seconds : dict of str to float
        Seconds by stage; the stage ``report`` is added here.
    total : float
        Seconds since the flow started.
    """
    from scoregate.dashboard.archive_index import index_page
    from scoregate.dashboard.offline import write_player
    from scoregate.dashboard.report import run_pages

    run.finish(total, {})
    with spent("report"):
        run.store.write_run(run.record, run_pages(run.store, run.record))
        write_player(run.store.out / "player")
        run.store.write_index(index_page(run.store))
    run.end(total, seconds)
    return run.record
