"""The command line ``scoregate``: the names of the commands, and how errors are reported.

Modules that take seconds to import (torch, Prefect, Great Expectations) are imported by
the command that needs them, so that ``--help`` and ``check`` answer at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import typer

from scoregate import __version__
from scoregate.errors import ScoregateError
from scoregate.faults import plain_error
from scoregate.flows.commands import (
    archive,
    check,
    compare,
    corpus,
    dashboard,
    doctor,
    novelty,
    operations,
    presets,
    produce,
    screen,
    search,
    serve,
    server,
    study,
    styles,
    sweep,
    train,
    vary,
    weights,
)
from scoregate.flows.printing import as_help
from scoregate.flows.server import apply_settings
from scoregate.logs import VARIABLE as LOG_VARIABLE

EXIT_FAILED = 2

app = typer.Typer(
    name="scoregate",
    help="A production line for scores that a model writes: generate, gate, render, archive.",
    epilog="Begin with `scoregate produce --count 4`, or `scoregate check my-piece.abc`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("produce", help=as_help(produce.HELP))(produce.command)
app.command("check", help=as_help(check.HELP))(check.command)
app.command("screen", help=as_help(screen.HELP))(screen.command)
app.command("serve", help=as_help(serve.HELP))(serve.command)
app.command("dashboard", help=as_help(dashboard.HELP))(dashboard.command)
app.command("vary", help=as_help(vary.HELP))(vary.command)
app.command("presets", help=as_help(presets.HELP))(presets.command)
app.command("sweep", help=as_help(sweep.HELP))(sweep.command)
app.command("search", help=as_help(search.HELP))(search.command)
app.command("compare", help=as_help(compare.HELP))(compare.command)
app.command("styles", help=as_help(styles.HELP))(styles.command)
app.command("train", help=as_help(train.HELP))(train.command)
app.command("corpus", help=as_help(corpus.HELP))(corpus.command)
app.command("novelty-index", help=as_help(novelty.HELP))(novelty.command)
app.command("up", help=as_help(operations.UP_HELP))(operations.up)
app.command("status", help=as_help(operations.STATUS_HELP))(operations.status)
app.command("down", help=as_help(operations.DOWN_HELP))(operations.down)
app.command("deploy", help=as_help(operations.DEPLOY_HELP))(operations.deploy)
app.command("doctor", help=as_help(doctor.HELP))(doctor.command)
app.command("worker", help=as_help(operations.WORKER_HELP))(operations.worker)
app.command("monitor", help=as_help(operations.MONITOR_HELP))(operations.monitor)
app.add_typer(archive.app, name="archive", help=as_help(archive.HELP))
app.add_typer(weights.app, name="weights", help=as_help(weights.HELP))
app.add_typer(study.app, name="study", help=as_help(study.HELP))
app.add_typer(server.app, name="server", help=as_help(server.HELP))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scoregate {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    log_json: bool = typer.Option(
        False, "--log-json", help="Write logs as lines of JSON, as SCOREGATE_LOG=json does."
    ),
) -> None:
    """Options that stand before the command."""
    if log_json:
        os.environ[LOG_VARIABLE] = "json"
        apply_settings()


def main() -> None:
    """Run the command line; an expected error is printed with its remedy, exit code 2."""
    apply_settings()
    try:
        app()
    except ScoregateError as error:
        _fail(error)
    except BrokenPipeError:
        # The program that reads the output (head, less) has closed it.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if (plain := plain_error(error)) is not None:
            _fail(plain)
        # Python would exit with 1, which here means that pieces did not pass.
        traceback.print_exc()
        typer.secho("scoregate: a fault of the program's own; the lines above say where.",
                    err=True, fg="red")  # fmt: skip
        sys.exit(EXIT_FAILED)


def _fail(error: ScoregateError) -> NoReturn:
    from scoregate.flows.launch import leave

    typer.secho(f"scoregate: {error.problem}", err=True, fg="red")
    if error.remedy:
        typer.echo(error.remedy, err=True)
    leave(error.exit_code)


if __name__ == "__main__":
    main()
