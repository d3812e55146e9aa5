"""``scoregate serve``: judge scores that are posted over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

HELP = """Judge scores that other programs post over HTTP.

    scoregate serve
    curl --data-binary @tune.abc 'http://127.0.0.1:8766/judge?name=tune.abc'
    SCOREGATE_TOKEN=... scoregate serve --host 0.0.0.0 --port 9000

The answer has one JSON object a line, one for each tune, as `scoregate check --json` prints
them. Requests are limited in size and time. The service can be reached from this machine
only; `--host` opens it to others, who then need the token that SCOREGATE_TOKEN holds.
"""


def command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8766,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Scores that are judged at the same time.")
    ] = 2,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Largest request.")] = 4
    * 2**20,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="Longest time that judging a request may take.")
    ] = 20.0,
) -> None:
    """Serve until Ctrl-C."""
    from scoregate.flows.service import Limits, serve

    limits = Limits(size=max_bytes, seconds=seconds, workers=workers)

    def ready(address: str) -> None:
        typer.echo(f"Judging scores at {address}judge\nCtrl-C ends it.")

    serve(limits, host=host, port=port, ready=ready)
