"""``scoregate server``: the Prefect server that Scoregate starts in the background."""

from __future__ import annotations

import typer

from scoregate.flows.server import (
    chosen_url,
    ensure_server,
    is_healthy,
    running_server,
    stop_server,
)

HELP = """Start, stop or find the Prefect server in the background.

    scoregate server start
    export PREFECT_API_URL=$(scoregate server url)
    scoregate server stop

`scoregate produce` and the other commands start a server themselves where none runs. The
second line is for `prefect` itself, whose workers have to be told the address.
"""

app = typer.Typer(no_args_is_help=True)


@app.command("start")
def start() -> None:
    """Start a server in the background unless a healthy one is there."""
    server = ensure_server(typer.echo)
    typer.echo(f"{'Started' if server.started else 'Running already'}: {server.pages}")
    typer.echo("Next, for `prefect` commands: export PREFECT_API_URL=$(scoregate server url)")


@app.command("url")
def url() -> None:
    """Print the address for PREFECT_API_URL; start a server first where none runs."""
    typer.echo(ensure_server(lambda line: typer.echo(line, err=True)).url)


@app.command("stop")
def stop() -> None:
    """Stop the server that Scoregate started."""
    typer.echo("Stopped." if stop_server() else "Scoregate has started no server that still runs.")


@app.command("status")
def status() -> None:
    """Say where a healthy server is; exit code 1 where there is none."""
    chosen = chosen_url()
    if chosen:
        healthy = is_healthy(chosen)
        typer.echo(f"{chosen}: {'healthy' if healthy else 'no answer'}")
        raise typer.Exit(0 if healthy else 1)
    server = running_server()
    typer.echo(f"{server.url}: healthy" if server else "No server runs.")
    raise typer.Exit(0 if server else 1)
