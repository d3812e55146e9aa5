"""``scoregate screen``: judge any number of files and file them as passed or rejected."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.findings import Status
from scoregate.flows.options import Verbose, takes
from scoregate.requests import ScreenRequest

if TYPE_CHECKING:
    from scoregate.flows.screen import ScreenRecord

HELP = """Judge files, folders, patterns, zip archives and JSONL; file them as passed or rejected.

    scoregate screen scores/ --out screened
    scoregate screen \'night-*.zip\' generated.jsonl --out screened
    scoregate screen inbox/ --out screened --watch
    scoregate screen scores/ --dask local

Below the output folder: passed/ and rejected/ with each piece's findings beside it,
results.parquet and results.csv with one row a piece. Start the same command again to go on
after a stop: what the same gates have judged is not judged again.

Exit code: 0 all passed, 1 some did not, 2 the run could not be made.
"""


@takes(ScreenRequest, arguments=("paths",))
def command(
    request: ScreenRequest,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on looking for new files until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")
    ] = 10.0,
    verbose: Verbose = False,
) -> None:
    """Screen, print the result, and exit with 0 or 1."""
    from scoregate.flows.launch import prepare, run_flow

    prepare(verbose)
    from scoregate.flows.screen import waiting

    record = None
    while True:
        try:
            if not watch or waiting(request):
                record = run_flow("scoregate.flows.screen:screen", request=request)
                _summarise(record, request.out)
            if not watch:
                break
            time.sleep(every)
        except KeyboardInterrupt:
            typer.echo("\nStopped; what was judged is kept.", err=True)
            break
    raise typer.Exit(1 if record and set(record.counts) - {Status.PASSED} else 0)


def _summarise(record: ScreenRecord, out: str) -> None:
    rate = record.judged / record.seconds if record.seconds else 0.0
    typer.echo(
        f"{record.judged} judged ({rate:.0f} a second), {record.kept} judged before. "
        + ", ".join(f"{count} {status}" for status, count in sorted(record.counts.items()))
    )
    for reason, count in record.reasons:
        typer.echo(f"  {count} × {reason}")
    typer.echo(f"Results: {record.table}, {record.sheet}; pieces below {out}")
