"""Waiting for a process that starts: as long as it lives and gets on, up to a bound.

How long a start takes depends on the machine: 10 s on a quiet one, minutes where twenty other
programs share a core. A fixed limit would end a start that only needs longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from scoregate.flows.operations.processes import processor_seconds

LEAST = 120.0
"""Seconds that every start has."""
STALLED = 60.0
"""After ``LEAST``, seconds in which it must have worked or written into its log."""
WORKED = 0.5
"""Seconds of processor time that count as work; a process that only waits uses less."""
MOST = 900.0
"""Seconds after which no start is waited for any longer."""
WORD_EVERY = 30.0
"""Seconds between two words to the user."""
LOOK_EVERY = 2.0
"""Seconds between two looks at log and processor time."""


class Start:
    """The start of a process that is waited for.

    Parameters
    ----------
    what : str
        For the user: ``"The worker"``.
    pid : int
    log : Path
        What it writes.
    say : callable
        Told every half minute that the start goes on.

    Attributes
    ----------
    problem : str
        Why it is not waited for any longer; ``""`` while it is.
    """

    def __init__(self, what: str, pid: int, log: Path, say: Callable[[str], None]) -> None:
        self.what, self.pid, self.log, self.say = what, pid, log, say
        self.problem = ""
        self._began = self._progressed = self._told = self._looked = time.monotonic()
        self._written, self._worked = self._progress()

    def goes_on(self, runs: bool) -> bool:
        """Return whether to wait on.

        Parameters
        ----------
        runs : bool
            Whether the process is there.
        """
        now = time.monotonic()
        waited = now - self._began
        if now - self._looked >= LOOK_EVERY:
            self._looked = now
            written, worked = self._progress()
            if written != self._written or worked - self._worked >= WORKED:
                self._written, self._worked, self._progressed = written, worked, now
        if not runs:
            self.problem = f"{self.what} did not start: it ended after {waited:.0f} s."
        elif waited > MOST:
            self.problem = f"{self.what} did not answer within {MOST / 60:.0f} minutes."
        elif waited > LEAST and now - self._progressed > STALLED:
            self.problem = (
                f"{self.what} did not answer within {waited:.0f} s, and has done nothing for "
                f"{STALLED:.0f} s."
            )
        elif now - self._told >= WORD_EVERY:
            self._told = now
            self.say(f"{self.what} is still starting after {waited:.0f} s; the machine is busy")
        return not self.problem

    def _progress(self) -> tuple[int, float]:
        try:
            written = self.log.stat().st_size
        except OSError:
            written = 0
        return written, processor_seconds(self.pid)
