"""``scoregate sweep``: measure a grid of settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.errors import RequestError
from scoregate.flows.options import Verbose, takes
from scoregate.requests import SweepRequest

if TYPE_CHECKING:
    from scoregate.experiments.grid import Cell
    from scoregate.flows.sweep import SweepRecord

HELP = """Measure pass rate, reasons, measures and cost over a grid of settings.

    scoregate sweep --temperature 0.8 --temperature 1.2 --temperature 1.6 --count 100
    scoregate sweep --preset bach-polyphony --preset experimental --lines both
    scoregate sweep --temperature 1.0 --top-p 0.85 --top-p 0.95 --seed 1 --seed 2 --seed 3

Every combination is a cell. The same command goes on after a kill and measures no finished cell
again; a larger grid in the same folder measures only what is new.

Exit code: 0 finished, 2 it could not be done.
"""


@takes(SweepRequest)
def command(
    request: SweepRequest,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a large grid.")] = False,
    verbose: Verbose = False,
) -> None:
    """Run the sweep and print its table."""
    from scoregate.cores import cores
    from scoregate.experiments.grid import LARGEST, cells_of
    from scoregate.flows.launch import check_request, prepare, run_flow

    cells = cells_of(request)
    for cell in {(cell.style, cell.weights): cell for cell in cells}.values():
        check_request(cell.request())  # an unknown style is told before anything is generated
    if sum(cell.count for cell in cells) > LARGEST and not yes:
        _ask(cells, request.processes or cores())
    prepare(verbose)
    record: SweepRecord = run_flow("scoregate.flows.sweep:sweep", request=request)
    with open(record.paths["table"], encoding="utf-8") as file:
        typer.echo(file.read())
    typer.echo(f"{record.run} of {record.cells} cells were measured now.")
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<7} {path}")


def _ask(cells: list[Cell], processes: int) -> None:
    """Ask whether a large grid is meant; where nobody can answer it needs ``--yes``."""
    from scoregate.tasks.sweep import estimated_seconds

    pieces = sum(cell.count for cell in cells)
    typer.echo("Two pieces are drawn to estimate the time ...", err=True)
    hours = estimated_seconds(cells) / processes / 3600
    text = f"{len(cells)} cells with {pieces:,} pieces, about {hours:.1f} hours"
    if not sys.stdin.isatty():
        raise RequestError(f"This grid has {text}.", "Add --yes to run it, or make it smaller.")
    typer.confirm(f"This grid has {text}. Run it?", abort=True)
