"""SQLite's write-ahead log, switched on where several processes may do so at once."""

from __future__ import annotations

import sqlite3
import time

PAUSE_S = 0.005


def use_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Turn a database to the write-ahead log.

    Of two connections that turn a new file at the same moment SQLite tells one at once that it is
    locked, whatever its own time limit: it tries again here.

    Parameters
    ----------
    connection : sqlite3.Connection
    wait_s : float
        Seconds after which the error is raised.

    Raises
    ------
    sqlite3.OperationalError
    """
    until = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Extended codes have the plain one in their lowest byte.
            code = error.sqlite_errorcode & 0xFF
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)
