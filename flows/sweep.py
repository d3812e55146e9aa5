"""A sweep: pass rate, reasons, measures and cost over a grid of settings.

A run of the production line stops when it has enough pieces, which makes its pass rate lean
high. Here each cell of the grid is a fixed number of pieces, all of which are judged.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.cores import cores
from scoregate.experiments.grid import cells_of
from scoregate.experiments.page import write_results
from scoregate.flows.typed import command_of
from scoregate.requests import SweepRequest
from scoregate.tasks.sweep import path_of, rows_of, run_cells

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
    run = run_cells(cells, folder, request.processes or cores())
    results = [(cell, rows_of(path_of(folder, cell))) for cell in cells]
    paths = write_results(folder, results, command_of("sweep", request))
    table = Path(paths["table"]).read_text(encoding="utf-8")
    create_markdown_artifact(key="sweep", markdown=table)
    return SweepRecord(
        cells=len(cells), run=run, pieces=sum(cell.count for cell in cells), paths=paths
    )


@flow(name="sweep", timeout_seconds=LIMIT)
def scheduled(request: SweepRequest) -> SweepRecord:
    """Run :func:`sweep` within a limit of time; what is finished is kept for the next one."""
    return sweep(request)
