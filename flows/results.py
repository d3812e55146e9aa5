"""The result of a flow, kept for the command that started it.

Where the Prefect server goes away, Prefect raises an error at the end of a flow although the flow
itself ended well. The command then takes its result from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_kept: ContextVar[list[Any] | None] = ContextVar("results", default=None)


def keep(result: Any) -> None:
    """Keep a flow's result for whoever listens."""
    results = _kept.get()
    if results is not None:
        results.append(result)


@contextmanager
def keeping() -> Iterator[list[Any]]:
    """Collect results that are kept inside the context."""
    results: list[Any] = []
    token = _kept.set(results)
    try:
        yield results
    finally:
        _kept.reset(token)
