"""Seconds of a run by stage: each task adds the time of its own work to a stage.

The time of the whole run, less that of all stages, is the cost of orchestration.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ledger: ContextVar[dict[str, float] | None] = ContextVar("seconds_spent", default=None)


@contextmanager
def ledger() -> Iterator[dict[str, float]]:
    """Collect seconds by stage from all :func:`spent` blocks that run inside the context."""
    book: dict[str, float] = {}
    token = _ledger.set(book)
    try:
        yield book
    finally:
        _ledger.reset(token)


@contextmanager
def spent(stage: str) -> Iterator[None]:
    """Add the seconds of the ``with`` block to ``stage``; outside of a ledger, do nothing."""
    start = time.perf_counter()
    try:
        yield
    finally:
        book = _ledger.get()
        if book is not None:
            book[stage] = book.get(stage, 0.0) + time.perf_counter() - start


def since(booked: dict[str, float]) -> dict[str, float]:
    """Return the seconds by stage that were added to the ledger since the last call.

    ``booked`` holds the seconds at the last call, and is updated.
    """
    book = _ledger.get() or {}
    fresh = {stage: round(total - booked.get(stage, 0.0), 3) for stage, total in book.items()}
    booked.update(book)
    return {stage: value for stage, value in fresh.items() if value}
