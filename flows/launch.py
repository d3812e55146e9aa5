"""Run a flow from the command line: check its request, find a server, show progress."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from scoregate.errors import ScoregateError, ServerError
from scoregate.flows.results import keeping
from scoregate.flows.server import apply_settings, ensure_server, is_healthy
from scoregate.generator import find_generator, with_weights
from scoregate.logs import json_is_wanted
from scoregate.progress import Listener, hearing, listening
from scoregate.requests import ProduceRequest

_servers: list[str] = []
"""Addresses of the servers that flows of this process have run against."""


def check_request(request: ProduceRequest) -> ProduceRequest:
    """Return the request with its style in full, checked against the weights.

    It is called before a server is started, so that a mistyped style is told at once.

    Raises
    ------
    RequestError
        An unknown generator or style, or a style that the weights were not trained on.
    WeightsError
        Missing or damaged weights.
    """
    request = with_weights(request)
    trained = find_generator(request.model).trained_styles(request.weights)
    return request.in_full(trained)


def prepare(verbose: bool) -> None:
    """Set Prefect's environment; a command calls it before anything imports Prefect.

    Without ``verbose`` its log is silent, unless lines of JSON are wanted: errors are raised, and
    the command line prints them.
    """
    apply_settings()
    if not verbose and not json_is_wanted():
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "error")
        # These are not below Prefect's own loggers.
        for name in ("EventsWorker", "APILogWorker"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        quiet_lost_events()


def quiet_lost_events() -> None:
    """Leave out Prefect's dump of each event that a server which is gone did not take."""
    logging.getLogger("prefect._internal.concurrency").disabled = True


def run_flow(entrypoint: str, *, request: Any) -> Any:
    """Run a flow in this process against a Prefect server and return its result.

    Parameters
    ----------
    entrypoint : str
        ``module:flow``.
    request : pydantic model

    Raises
    ------
    ServerError
        No server could be found or started.
    """
    server = ensure_server(lambda line: typer.echo(line, err=True))
    typer.echo(f"Prefect's pages: {server.pages}", err=True)
    _servers.append(server.url)

    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    # Not only in the environment, which Prefect reads once, when it is first imported.
    settings: dict[Any, Any] = {
        PREFECT_API_URL: server.url,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        # A server that is gone is asked for a quarter of a minute, not for a whole one.
        PREFECT_CLIENT_MAX_RETRIES: 3,
        # A run that ends with this command needs no heartbeat, whose thread costs a second.
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    module, name = entrypoint.split(":")
    flow = getattr(importlib.import_module(module), name)
    with (
        temporary_settings(settings),
        _bars(),
        hearing(lambda line: typer.echo(line, err=True)),
        keeping() as results,
    ):
        try:
            return flow(request)
        except Exception as error:
            if isinstance(error, ScoregateError) or is_healthy(server.url, timeout=5.0):
                raise
            if results:  # The flow itself ended well; only its end could not be reported.
                return results[-1]
            raise ServerError(
                f"The Prefect server at {server.url} does not answer any more.",
                "What is finished is kept; the same command goes on from there. `scoregate server "
                "status` says how the server is.",
            ) from error


def leave(code: int) -> NoReturn:
    """End the process; without Prefect's last messages where its server is gone.

    Prefect tries to send them again and again, for minutes.
    """
    if all(is_healthy(url, timeout=2.0) for url in _servers):
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def minutes(every: float = 60.0) -> Listener:
    """Return a listener that prints the progress, at most once in ``every`` seconds."""
    last = time.monotonic()

    def listen(what: str, done: float, total: float | None, note: str) -> None:
        nonlocal last
        if time.monotonic() - last < every:
            return
        last = time.monotonic()
        of = "" if total is None else f" of {total:g}"
        typer.echo(f"{what}: {done:g}{of}{f', {note}' if note else ''}", err=True)

    return listen


@contextmanager
def _bars() -> Iterator[None]:
    """Show a progress bar for each kind of work; outside a terminal, print a line a minute."""
    if not sys.stderr.isatty():
        with listening(minutes()):
            yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as display:
        shown: dict[str, TaskID] = {}

        def listen(what: str, done: float, total: float | None, note: str) -> None:
            if what not in shown:
                shown[what] = display.add_task(what, total=total, note=note)
            display.update(shown[what], completed=done, total=total, note=note)

        with listening(listen):
            yield
