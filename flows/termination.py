"""SIGTERM, which systemd and Prefect's workers send, ends a command in good order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

EXIT_CTRL_C = 130
EXIT_SIGTERM = 143


class Terminated(BaseException):
    """The process was told to end by SIGTERM.

    Like KeyboardInterrupt it is no Exception, so that no handler of faults takes it for one.
    """


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise :class:`Terminated` while the context is open.

    Within a flow Prefect handles the signal: it reports the run as crashed and then calls the
    handler that was in place before, which is this one.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate_with_parent() -> None:
    """Send this process SIGTERM when the process that started it is gone."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _terminate(*_: object) -> NoReturn:
    raise Terminated
