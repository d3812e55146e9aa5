"""Progress of long work: the work reports it, and listeners show it.

The command line listens and shows progress bars. Under a Prefect worker there is no listener,
and a report costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, float, float | None, str], None]
"""Called with the name of the work, how much is done, how much in all, and a short note."""

Hearer = Callable[[str], None]
"""Called with a sentence for the person who waits."""

_listeners: list[Listener] = []
_hearers: list[Hearer] = []


def report(what: str, done: float, total: float | None = None, note: str = "") -> None:
    """Tell all listeners how far some work is.

    Parameters
    ----------
    what : str
        Name of the work in a word or two; the same name in each of its reports.
    done, total : float
        In any unit; ``total`` is None where it is not known.
    note : str
        Short text that is shown beside it.
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


def announce(sentence: str) -> None:
    """Tell all hearers something that the person who waits should know now."""
    for hearer in _hearers:
        hearer(sentence)


@contextmanager
def hearing(hearer: Hearer) -> Iterator[None]:
    """Send announcements to ``hearer`` while the context is open."""
    _hearers.append(hearer)
    try:
        yield
    finally:
        _hearers.remove(hearer)
