"""``scoregate screen``: judge any number of files and file them as passed or rejected."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.findings import Status

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


def command(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, patterns, .zip, .jsonl.")],
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("screened"),
    style: Annotated[
        str | None, typer.Option(help="Judge all by this style; else each by its own prompt.")
    ] = None,
    novelty: Annotated[
        bool,
        typer.Option("--novelty", help="Reject copies of known pieces, for what a model wrote."),
    ] = False,
    processes: Annotated[int, typer.Option(min=0, help="0 takes every core.")] = 0,
    dask: Annotated[
        str | None, typer.Option(help="'local', or a Dask scheduler's address.")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Go on looking for new files until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between looks.")] = 10.0,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Prefect's log too.")] = False,
) -> None:
    """Screen, print what came of it, and exit with 0 or 1."""
    from scoregate.flows.launch import prepare, run_flow

    prepare(verbose)
    from scoregate.flows.screen import ScreenRequest, waiting
    from scoregate.requests import checked

    request = checked(
        ScreenRequest,
        paths=paths,
        out=str(out),
        style=style,
        novelty=novelty,
        processes=processes,
        dask=dask,
    )
    record = None
    while True:
        try:
            if not watch or waiting(request):
                record = run_flow("scoregate.flows.screen:screen", request=request)
                _summarise(record, out)
            if not watch:
                break
            time.sleep(every)
        except KeyboardInterrupt:
            typer.echo("\nStopped; what was judged is kept.", err=True)
            break
    raise typer.Exit(1 if record and set(record.counts) - {Status.PASSED} else 0)


def _summarise(record: ScreenRecord, out: Path) -> None:
    rate = record.judged / record.seconds if record.seconds else 0.0
    typer.echo(
        f"{record.judged} judged ({rate:.0f} a second), {record.kept} judged before. "
        + ", ".join(f"{count} {status}" for status, count in sorted(record.counts.items()))
    )
    for reason, count in record.reasons:
        typer.echo(f"  {count} × {reason}")
    typer.echo(f"Results: {record.table}, {record.sheet}; pieces below {out}")
