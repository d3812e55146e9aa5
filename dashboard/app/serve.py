"""Serving the dashboard: ``scoregate dashboard``."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from scoregate.dashboard.app.routes_start import styles_of
from scoregate.dashboard.app.security import new_token
from scoregate.errors import RequestError, ServerError


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    out: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the dashboard of an archive until it is interrupted.

    Parameters
    ----------
    out : Path
        The folder that holds ``archive/``, ``rejected/`` and ``runs/``.
    host : str
        Address to listen on; anything but loopback makes a token necessary.
    port : int
        0 takes a free one.
    ready : callable
        Told the address to open, once the server listens.

    Raises
    ------
    ServerError
        The port is taken.
    RequestError
        ``host`` is no address of this machine.
    """
    import uvicorn

    from scoregate.dashboard.app.application import create_app

    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise RequestError(
                f"{host} is no address of this machine.", "Leave --host out."
            ) from error
        raise ServerError(
            f"Port {port} can't be used: {error.strerror or error}.",
            "Name another one with --port, or end the program that uses it.",
        ) from error
    port = listener.getsockname()[1]
    # A service manager hands over a token of the operator's; it then outlives a restart.
    token = "" if is_loopback(host) else os.environ.get("SCOREGATE_TOKEN") or new_token()
    app = create_app(out, port=port, host=host, token=token)
    shown = f"[{host}]" if ":" in host else host
    # Read ahead, so that the form for a run opens at once.
    Thread(target=styles_of, args=("",), daemon=True).start()
    ready(f"http://{shown}:{port}/" + (f"?token={token}" if token else ""))
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=2)  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])
