"""Prefect's REST interface by plain HTTP: importing Prefect takes seconds and 100 MB."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

BUSY = (429, 502, 503)
"""Statuses of a Prefect server that is busy: its SQLite database was locked for too long."""


class Unanswered(Exception):
    """No answer came, or one that is no JSON or reports an error.

    Attributes
    ----------
    status : int or None
        The status of the answer, where there was one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(Unanswered):
    """The server wants a password, or another one."""


def get(url: str, path: str, *, timeout: float = 10.0) -> Any:
    """Return what the API answers to a GET request."""
    return _answer(urllib.request.Request(url + path), timeout)


def post(url: str, path: str, body: Any, *, timeout: float = 10.0) -> Any:
    """Return what the API answers to a POST request with a body of JSON.

    Parameters
    ----------
    url : str
        The API, ``http://host:port/api``.
    path : str
        From the first stroke on.
    body : Any
        JSON-ready.
    timeout : float
        Seconds.

    Raises
    ------
    Refused
        The server wants a password.
    Unanswered
        There is no answer, or it is none that a Prefect server gives.
    """
    headers = {"Content-Type": "application/json"}
    return _answer(urllib.request.Request(url + path, json.dumps(body).encode(), headers), timeout)


def delete(url: str, path: str, *, timeout: float = 10.0) -> None:
    """Send a DELETE request; raises as :func:`post` does."""
    _answer(urllib.request.Request(url + path, method="DELETE"), timeout)


def send_event(
    url: str, name: str, resource: str, payload: dict, related: Sequence[dict[str, str]] = ()
) -> None:
    """Send an event to a Prefect server.

    Parameters
    ----------
    url : str
    name : str
        Of the event.
    resource : str
        Id of what it happened to.
    payload : dict
        JSON-ready.
    related : sequence of dict
        Labels of other resources, with ``prefect.resource.id`` and ``prefect.resource.role``.
    """
    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": resource},
        "payload": payload,
        "related": list(related),
    }
    post(url, "/events", [event])


def is_open(url: str, timeout: float = 5.0) -> bool:
    """Return whether something accepts connections at the address of ``url``."""
    parts = urllib.parse.urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout):
            return True
    except (OSError, ValueError):
        return False


def _answer(request: urllib.request.Request, timeout: float) -> Any:
    """Return the JSON of an answer; a server that says it is busy is asked again for a while."""
    if user_and_password := os.environ.get("PREFECT_API_AUTH_STRING"):
        encoded = base64.b64encode(user_and_password.encode()).decode()
        request.add_header("Authorization", f"Basic {encoded}")
    # A proxy named in the environment must not be used for loopback.
    is_local = urllib.parse.urlsplit(request.full_url).hostname in ("127.0.0.1", "localhost", "::1")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({} if is_local else None))
    deadline = time.monotonic() + timeout
    while True:
        try:
            with opener.open(request, timeout=timeout) as answer:
                content = answer.read()
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            if error.code in BUSY and time.monotonic() < deadline:
                time.sleep(0.3)
                continue
            kind = Refused if error.code in (401, 403) else Unanswered
            raise kind(f"HTTP status {error.code}", error.code) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unanswered(str(reason) or type(error).__name__) from error
