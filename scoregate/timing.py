"""Where a run's seconds go: each task books the time of its own work under a stage.

What a run took in all, less what was booked, is what orchestration cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ledger: ContextVar[dict[str, float] | None] = ContextVar("seconds_spent", default=None)


@contextmanager
def ledger() -> Iterator[dict[str, float]]:
    """Open a ledger of seconds by stage; tasks called inside the context book into it."""
    book: dict[str, float] = {}
    token = _ledger.set(book)
    try:
        yield book
    finally:
        _ledger.reset(token)


@contextmanager
def spent(stage: str) -> Iterator[None]:
    """Book the seconds of the ``with`` block under ``stage``; without a ledger, nothing."""
    start = time.perf_counter()
    try:
        yield
    finally:
        book = _ledger.get()
        if book is not None:
            book[stage] = book.get(stage, 0.0) + time.perf_counter() - start


def since(booked: dict[str, float]) -> dict[str, float]:
    """Return the seconds by stage that came to the ledger since the last call.

    ``booked`` keeps what was there at the last call; it is brought up to date.
    """
    book = _ledger.get() or {}
    fresh = {stage: round(total - booked.get(stage, 0.0), 3) for stage, total in book.items()}
    booked.update(book)
    return {stage: value for stage, value in fresh.items() if value}
