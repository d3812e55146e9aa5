"""The lock of a run: one process at a time works on it, and others can say which.

The lock is an ``flock`` on the file ``owner.json``, so it ends with its process however that
ends. Where a file system has no such locks, the file's content and age decide: an owner on this
machine must be alive, one on another machine must have touched the file lately.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scoregate.archive.atomic import told_as_archive_error
from scoregate.archive.records import now

FILE = "owner.json"
STALE_SECONDS = 300.0
"""Without ``flock``: the owner on another machine is gone if it did not touch its file so long."""

_WITHOUT_FLOCK = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a run.

    Attributes
    ----------
    pid : int
    host : str
    since : str
        UTC, ISO 8601.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class RunLock:
    """The lock of one run, held from :meth:`acquire` to :meth:`release`.

    Parameters
    ----------
    folder : Path
        The run's working folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; return False where another process holds it.

        Raises
        ------
        ArchiveError
            The folder can't be written.
        """
        with told_as_archive_error(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError as error:
                if error.errno not in _WITHOUT_FLOCK or self._is_owned(descriptor):
                    os.close(descriptor)
                    if error.errno in _WITHOUT_FLOCK:
                        return False
                    raise
            if not self._is_in_place(descriptor):  # Its folder was removed meanwhile.
                os.close(descriptor)
                return False
            record = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(record).encode(), 0)
        self._descriptor = descriptor
        return True

    def line(self) -> dict[str, object]:
        """Return the line of the journal that says who took up the run."""
        return {
            "event": "taken up",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "time": now(),
        }

    def touch(self) -> None:
        """Say that the owner is alive, for file systems without ``flock``."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.utime(self._descriptor)

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def owner(self) -> Owner | None:
        """Return who took the lock last, or None where that can't be read."""
        try:
            record = json.loads(self.path.read_bytes())
            return Owner(int(record["pid"]), str(record["host"]), str(record["since"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _is_owned(self, descriptor: int) -> bool:
        owner = self.owner()
        if owner is None:
            return False
        if owner.host == socket.gethostname():
            return owner.pid != os.getpid() and _is_alive(owner.pid)
        return time.time() - os.fstat(descriptor).st_mtime < STALE_SECONDS


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
