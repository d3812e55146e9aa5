"""Serving the dashboard: ``scoregate dashboard``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from scoregate.dashboard.app.routes_start import styles_of
from scoregate.dashboard.app.security import new_token
from scoregate.listening import is_loopback, listen


def serve(
    out: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    experiments: Path = Path("."),
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
    experiments : Path
        Folder below which experiments are looked for.
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

    listener, address = listen(host, port)
    port = listener.getsockname()[1]
    # A service manager hands over a token of the operator's; it then outlives a restart.
    token = "" if is_loopback(host) else os.environ.get("SCOREGATE_TOKEN") or new_token()
    app = create_app(out, port=port, host=host, token=token, experiments=experiments)
    # Read ahead, so that the form for a run opens at once.
    Thread(target=styles_of, args=("",), daemon=True).start()
    ready(address + (f"?token={token}" if token else ""))
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False,
                            timeout_graceful_shutdown=2)  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])
