"""The monitor: metrics for Prometheus over HTTP, and an event when files arrive in the inbox."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from scoregate.errors import RequestError, ServerError
from scoregate.flows.operations import api
from scoregate.flows.operations.arrivals import announce, settled_files
from scoregate.flows.operations.metrics import Metrics

LOOK = 2.0
"""Seconds between two looks into the inbox."""
REMIND = 300.0
"""Seconds after which files that still wait are announced again."""
TOKEN = "SCOREGATE_TOKEN"
"""Environment variable with the token that is asked for outside of loopback."""


def registry_of(out: Path, inbox: Path | None, url: Callable[[], str | None]) -> CollectorRegistry:
    """Return a registry that holds the metrics of Scoregate only."""
    registry = CollectorRegistry()
    registry.register(Metrics(out, inbox, url))
    return registry


def serve(
    out: Path, inbox: Path | None, url: Callable[[], str | None], *, host: str, port: int,
    ready: Callable[[str], None],
) -> None:  # fmt: skip
    """Serve ``/metrics`` and watch the inbox until SIGTERM or Ctrl-C.

    Parameters
    ----------
    out : Path
        Folder of the archive.
    inbox : Path or None
        None watches nothing.
    url : callable
        Returns the address of Prefect's API or None.
    host, port : str, int
        Anything but loopback asks for a token, which stands in ``SCOREGATE_TOKEN``.
    ready : callable
        Told the address once the server listens.

    Raises
    ------
    RequestError
        The host is not loopback and there is no token.
    ServerError
        The port is taken.
    """
    loopback = host in ("127.0.0.1", "localhost", "::1")
    token = "" if loopback else os.environ.get(TOKEN, "")
    if not loopback and not token:
        raise RequestError(
            f"Metrics on {host} could be read by anybody.",
            f"Set {TOKEN}; Prometheus sends it as `authorization: credentials`.",
        )
    registry = registry_of(out, inbox, url)
    try:
        server = ThreadingHTTPServer((host, port), _handler(registry, token))
    except OSError as error:
        raise ServerError(
            f"Port {port} can't be used: {error.strerror or error}.",
            "Name another one, or end the program that uses it.",
        ) from error
    over = Event()
    if inbox is not None:
        Thread(target=watch, args=(inbox, url, over), daemon=True).start()

    def end(*_: object) -> None:
        over.set()
        Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    ready(f"http://{host}:{server.server_address[1]}/metrics")
    with server:
        server.serve_forever(poll_interval=0.2)


def watch(inbox: Path, url: Callable[[], str | None], over: Event, look: float = LOOK) -> None:
    """Send an event whenever files have arrived, until ``over`` is set.

    Parameters
    ----------
    inbox : Path
    url : callable
        Returns the address of Prefect's API or None.
    over : Event
    look : float
        Seconds between two looks.
    """
    announced: set[Path] = set()
    last = 0.0
    while not over.wait(look):
        files = set(settled_files(inbox)) if inbox.is_dir() else set()
        new = files - announced
        if new or (files and time.monotonic() - last > REMIND):
            address = url()
            try:
                if address is not None:
                    announce(address, len(files))
                    announced, last = files, time.monotonic()
            except api.Unanswered:
                pass  # the next look tries again, and the schedule finds the files as well
        announced &= files


def _handler(registry: CollectorRegistry, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "scoregate"
        sys_version = ""

        def do_GET(self) -> None:
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if not token and name not in ("127.0.0.1", "localhost", "[::1]"):
                # A foreign name that resolves to loopback: a page in a browser wants to read it.
                self._answer(403, b"This server does not go by that name.\n", "text/plain")
                return
            given = self.headers.get("Authorization", "").removeprefix("Bearer ").encode()
            if token and not secrets.compare_digest(given, token.encode()):
                self._answer(401, b"A token is needed.\n", "text/plain")
            elif self.path.partition("?")[0] != "/metrics":
                self._answer(404, b"Only /metrics is here.\n", "text/plain")
            else:
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no line for each request."""

    return Handler
