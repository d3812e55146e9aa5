"""Listening on an address of this machine, for everything that serves pages or answers."""

from __future__ import annotations

import ipaddress
import socket

from scoregate.errors import RequestError, ServerError


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a listening socket, and its address as ``http://host:port/``.

    Parameters
    ----------
    host : str
    port : int
        0 takes a free one.

    Raises
    ------
    RequestError
        ``host`` is no address of this machine.
    ServerError
        The port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise RequestError(f"{host} is no address of this machine.", "Leave --host out.") from error
    except OSError as error:
        raise ServerError(
            f"Port {port} can't be used: {error.strerror or error}.",
            "Name another one with --port, or end the program that uses it.",
        ) from error
    shown = f"[{host}]" if ":" in host else host
    return listener, f"http://{shown}:{listener.getsockname()[1]}/"
