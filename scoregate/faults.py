"""Faults of the machine that any library may raise, told as errors with a remedy."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys

from scoregate.errors import ArchiveError, ScoregateError, ServerError, ToolError

_MEMORY = ("can't start new thread", "cannot allocate memory", "unable to allocate",
           "can't allocate memory", "std::bad_alloc", "out of memory")  # fmt: skip


def plain_error(error: BaseException) -> ScoregateError | None:
    """Return the plain error that an exception, or one that it came from, stands for.

    None where it is none of these: too little memory, a full disk, a locked database, a server
    that is too busy or has gone away.
    """
    seen: BaseException | None = error
    while seen is not None:
        if found := _told(seen):
            return found
        seen = seen.__cause__ or seen.__context__
    return None


def _told(error: BaseException) -> ScoregateError | None:
    if isinstance(error, ScoregateError):
        return error
    said = str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    lacks = isinstance(error, RuntimeError | OSError) and any(each in said for each in _MEMORY)
    if isinstance(error, MemoryError) or number in (errno.ENOMEM, errno.EAGAIN) or lacks:
        return ToolError(
            f"There is too little memory, or too few processes are allowed: {error!r}.",
            "Free some, allow more (`ulimit -v`, `ulimit -u`, the memory limit of the service), or "
            "take fewer --processes and a smaller --batch. What was finished is kept.",
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ArchiveError(
            f"The disk is full: {error}.", "Free space on it. What was finished is kept."
        )
    if number == errno.EROFS:
        return ArchiveError(
            f"The disk can't be written: {error}.", "Mount it writable, or take another --out."
        )
    if isinstance(error, sqlite3.OperationalError) and "locked" in said:
        return ArchiveError(
            f"A database stayed locked: {error}.",
            "End the program that holds it. What was finished is kept.",
        )
    return _of_the_server(error)


def _of_the_server(error: BaseException) -> ServerError | None:
    """Return what an answer of the Prefect server above 499 stands for, or none at all."""
    if "prefect.exceptions" not in sys.modules:  # Nothing has called a server.
        return None
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    server = os.environ.get("PREFECT_API_URL", "")
    if isinstance(error, httpx.TransportError) and server:
        return ServerError(
            f"The Prefect server at {server} does not answer any more: {error}.",
            "`scoregate server status` says how it is, and `scoregate up` starts it. What was "
            "finished is kept.",
        )
    if not isinstance(error, PrefectHTTPStatusError):
        return None
    address, answer = error.request.url, error.response
    if answer.status_code < 500:
        return None
    return ServerError(
        f"The Prefect server at {address.scheme}://{address.netloc.decode()} answered "
        f"{answer.status_code} {answer.reason_phrase}.",
        "It is busy, or its disk is full: try again in a minute, or ask `scoregate doctor`. "
        "What was finished is kept.",
    )
