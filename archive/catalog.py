"""A catalog of the archive in SQLite: quick to ask, safe to lose.

The folders are the truth; the catalog follows them. :func:`opened` brings it up to date
before it answers (new folders are read, vanished ones forgotten), and a catalog that is
damaged or from another version is made anew. Where it can't be written, as on a
read-only disk, it is made in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scoregate.archive.records import PieceReport
from scoregate.archive.store import Archive, read_report
from scoregate.errors import CorruptError

VERSION = 1

_SCHEMA = f"""
CREATE TABLE piece (
    piece_id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    run_id TEXT NOT NULL,
    style TEXT NOT NULL,
    title TEXT NOT NULL,
    seed INTEGER,
    bars INTEGER,
    voices INTEGER,
    warnings INTEGER NOT NULL,
    measures TEXT NOT NULL
);
CREATE INDEX piece_created ON piece (created);
CREATE INDEX piece_style ON piece (style);
PRAGMA user_version = {VERSION};
"""


@contextmanager
def opened(store: Archive) -> Iterator[sqlite3.Connection]:
    """Open the catalog, brought up to date; rows come as ``sqlite3.Row``."""
    path = store.root / "catalog.sqlite"
    connection = _connect(path)
    try:
        try:
            update(store, connection)
        except sqlite3.DatabaseError:
            # Damage that shows only when its pages are read, or a disk that is full.
            connection.close()
            connection = _made(":memory:")
            update(store, connection)
            _forget(path)
        yield connection
    finally:
        connection.close()


def rows(store: Archive, *, style: str = "", limit: int | None = None) -> list[dict[str, Any]]:
    """Return archived pieces, newest first.

    Parameters
    ----------
    style : str
        Only pieces whose style contains this, in any case.
    limit : int or None
        At most so many.

    Returns
    -------
    list of dict
        ``piece_id, created, run_id, style, title, seed, bars, voices, warnings, measures``.
    """
    query = (
        "SELECT * FROM piece WHERE instr(lower(style), lower(?)) "
        "ORDER BY created DESC, piece_id LIMIT ?"
    )
    with opened(store) as connection:
        found = connection.execute(query, (style, -1 if limit is None else limit)).fetchall()
    return [{**dict(row), "measures": json.loads(row["measures"])} for row in found]


def update(store: Archive, connection: sqlite3.Connection) -> None:
    """Make the catalog agree with the folders.

    A folder whose report can't be read is left out: `archive verify` names it.
    """
    there = set(store.ids())
    known = {row[0] for row in connection.execute("SELECT piece_id FROM piece")}
    with connection:
        connection.executemany(
            "DELETE FROM piece WHERE piece_id = ?", [(gone,) for gone in known - there]
        )
        for identifier in sorted(there - known):
            try:
                report = read_report(store.path_of(identifier))
            except CorruptError:
                continue
            connection.execute(
                "INSERT OR REPLACE INTO piece VALUES (?,?,?,?,?,?,?,?,?,?)",
                _row(identifier, report),
            )


def _row(identifier: str, report: PieceReport) -> tuple[Any, ...]:
    return (
        identifier,
        report.created,
        report.run_id,
        report.style or "",
        report.title,
        _whole(report.provenance.get("seed")),
        _whole(report.summary.get("bars")),
        _whole(report.summary.get("voices")),
        sum(finding.severity == "warning" for finding in report.findings),
        json.dumps(report.measures),
    )


def _whole(value: Any) -> int | None:
    # SQLite's integers have 64 bits; a larger seed is left to the report.
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _connect(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        return _made(":memory:")
    try:
        return _ready(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            return _made(":memory:")  # Can't be written here, or is locked by a dead process.
        _forget(path)
        return _made(":memory:")


def _forget(path: Path) -> None:
    # The next reader makes it anew; where it can't be deleted, memory serves again.
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _ready(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        with connection:
            # One writer at a time makes or replaces the schema.
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                ).fetchall():
                    connection.execute(f'DROP TABLE "{name}"')
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


def _made(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.executescript(_SCHEMA)
    return connection
