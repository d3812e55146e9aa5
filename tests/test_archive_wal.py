"""The write-ahead log of files that several connections open at once."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from scoregate.archive import wal
from scoregate.archive.wal import use_wal


def locked(path) -> sqlite3.Connection:
    """Return a connection that holds a new file, as one that turns it to WAL does."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN EXCLUSIVE")
    return other


def test_a_locked_file_is_tried_again_until_it_is_free(tmp_path):
    other = locked(tmp_path / "a.sqlite")
    mine = sqlite3.connect(tmp_path / "a.sqlite", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_wal(mine, 0.05)
    free = threading.Timer(0.1, other.execute, ["COMMIT"])
    free.start()
    use_wal(mine, 30)
    free.join()
    assert mine.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_another_fault_is_raised_at_once(tmp_path, monkeypatch):
    sqlite3.connect(tmp_path / "a.sqlite").execute("CREATE TABLE t (x)").connection.close()
    reader = sqlite3.connect(f"file:{tmp_path}/a.sqlite?mode=ro", uri=True, isolation_level=None)
    monkeypatch.setattr(wal.time, "sleep", lambda seconds: pytest.fail("it was tried again"))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        use_wal(reader, 600)
