"""A limit on the time that a block of code may take."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class TimeIsUp(BaseException):
    """Raised in the block when its time is up.

    It is no ``Exception``, so that no ``except Exception`` of the block catches it.
    """


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise :class:`TimeIsUp` in the block after this many seconds.

    Outside the main thread, as on a Dask worker, there is no limit: signals arrive in the main
    thread only. Where the block is inside a C function, the exception is raised when the
    function returns.
    """

    def ring(number: int, frame: object) -> None:
        raise TimeIsUp

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except ValueError:  # not the main thread
        yield
        return
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
