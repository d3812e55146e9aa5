"""Where long work says how far it is, and whoever shows it listens.

The command line listens with a progress bar; under a Prefect worker nobody does, and a
report costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, float, float | None, str], None]
"""Called with what is being done, how much of it is done, the whole, and a short note."""

_listeners: list[Listener] = []


def report(what: str, done: float, total: float | None = None, note: str = "") -> None:
    """Tell whoever listens how far a piece of work is.

    Parameters
    ----------
    what : str
        The work, in a word or two: the same words for the same work.
    done, total : float
        In whatever unit suits; ``total`` is None where the end isn't known.
    note : str
        Anything short worth showing beside it.
    """
    for listener in _listeners:
        listener(what, done, total, note)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send reports to ``listener`` while the context is open."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
