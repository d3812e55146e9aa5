"""A sweep: pass rate, reasons, measures and cost over a grid of settings.

A run of the production line stops when it has enough pieces, which makes its pass rate lean
high. Here each cell of the grid is a fixed number of pieces, all of which are judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.cores import cores
from scoregate.experiments.grid import Cell, cells_of
from scoregate.experiments.page import write_results
from scoregate.flows.on_dask import dask_runner
from scoregate.flows.typed import command_of
from scoregate.piece import Batch
from scoregate.requests import SweepRequest
from scoregate.tasks.sweep import Unfinished, draw_chunk, path_of, rows_of, run_cells

DASK_UNDER_WAY = 64
"""Chunks that are handed to a Dask cluster at once."""
LIMIT = 6 * 3600
"""Seconds that a scheduled sweep may take."""


class SweepRecord(BaseModel):
    """The result of a sweep.

    Attributes
    ----------
    cells, run : int
        Cells of the grid; those that were not finished before.
    pieces : int
    paths : dict of str to str
        Paths of the table, the figure and the data.
    """

    cells: int
    run: int
    pieces: int
    paths: dict[str, str]


@flow(name="sweep", flow_run_name="sweep in {request.folder}")
def sweep(request: SweepRequest) -> SweepRecord:
    """Measure every cell that is not finished, and write the tables and the figure.

    Parameters
    ----------
    request : SweepRequest
    """
    cells, folder = cells_of(request), Path(request.folder)
    if request.dask:
        runner = dask_runner(request.dask, request.processes or cores())
        run = draw_on_dask.with_options(task_runner=runner)(cells, folder)
    else:
        run = run_cells(cells, folder, request.processes or cores())
    results = [(cell, rows_of(path_of(folder, cell))) for cell in cells]
    paths = write_results(folder, results, command_of("sweep", request))
    table = Path(paths["table"]).read_text(encoding="utf-8")
    create_markdown_artifact(key="sweep", markdown=table)
    return SweepRecord(
        cells=len(cells), run=run, pieces=sum(cell.count for cell in cells), paths=paths
    )


@flow(name="draw on Dask", validate_parameters=False)
def draw_on_dask(cells: list[Cell], folder: Path) -> int:
    """Draw chunk by chunk on the task runner's cluster; a bounded number is under way.

    Only this process writes files, so the workers need not share its disk.
    """
    unfinished = Unfinished(cells, folder)
    under_way: list[Any] = []
    for chunk in unfinished.chunks():
        under_way.append(draw_chunk.submit(Batch(chunk)))
        if len(under_way) >= DASK_UNDER_WAY:
            unfinished.add(under_way.pop(0).result())
    for future in under_way:
        unfinished.add(future.result())
    return len(unfinished.cells)


@flow(name="sweep", timeout_seconds=LIMIT)
def scheduled(request: SweepRequest) -> SweepRecord:
    """Run :func:`sweep` within a limit of time; what is finished is kept for the next one."""
    return sweep(request)
