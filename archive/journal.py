"""The journal of a screening: what was judged, by content and gate version, in SQLite.

A screening that was interrupted resumes from it, and the result tables are exported from it row by
row. One process writes; others only read.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoregate.errors import ArchiveError

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdict (
    sha256 TEXT NOT NULL, judge TEXT NOT NULL, status TEXT NOT NULL, row TEXT NOT NULL,
    PRIMARY KEY (sha256, judge)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL,
    sha256 TEXT NOT NULL, judge TEXT NOT NULL, row TEXT NOT NULL, run TEXT NOT NULL
) WITHOUT ROWID;
"""
ROWS_AT_ONCE = 5_000


class Journal:
    """Rows by file name, verdicts by content hash and judge.

    Parameters
    ----------
    path : Path
        The SQLite file; created where it is missing.
    judge : str
        Everything that a verdict depends on, as text: versions of gates and thresholds.
    run : str
        Name of the screening; counts and tables are of the pieces that it met.
    """

    def __init__(self, path: Path, judge: str, run: str = "") -> None:
        self.path = path
        self.judge = judge
        self.run = run
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ArchiveError(
                f"The journal {path} can't be opened: {error}.",
                "Name a folder that can be written with --out, or delete a damaged journal: "
                "everything is judged again then.",
            ) from error

    def __reduce__(self) -> tuple:
        # Dask pickles the context of a task; the file is opened again where it arrives.
        return (Journal, (self.path, self.judge, self.run))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def is_done(self, name: str, size: int, changed: int) -> bool:
        """Return whether this file was judged by this judge.

        Parameters
        ----------
        name : str
        size : int
            In bytes.
        changed : int
            Time of its last change in nanoseconds; a file of the same size and time is the same.
        """
        found = self._db.execute(
            "SELECT 1 FROM file WHERE name = ? AND size = ? AND changed = ? AND judge = ?",
            (name, size, changed, self.judge),
        ).fetchone()
        return found is not None

    def keep(self, name: str) -> None:
        """Count a piece that was judged before among those of this run."""
        with self._db:
            self._db.execute("UPDATE file SET run = ? WHERE name = ?", (self.run, name))

    def replaced(self, rows: Iterable[dict[str, Any]]) -> list[str]:
        """Return the copies that no piece's row names any more once ``rows`` are written.

        They are paths below the output folder, of the same pieces as they were before.
        """
        stale = []
        for row in rows:
            query = "SELECT json_extract(row, '$.output') FROM file WHERE name = ?"
            before = self._db.execute(query, (row["file"],)).fetchone()
            if before and before[0] and before[0] != row["output"]:
                others = "SELECT 1 FROM file WHERE name != ? AND json_extract(row, '$.output') = ?"
                if not self._db.execute(others, (row["file"], before[0])).fetchone():
                    stale.append(before[0])
        return stale

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the rows of judged files, all or none.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written.
        """
        rows = list(rows)
        try:
            with self._db:
                self._db.executemany(
                    "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        (
                            row["file"],
                            row["size"],
                            row["changed"],
                            row["sha256"],
                            self.judge,
                            json.dumps(row),
                            self.run,
                        )
                        for row in rows
                    ),
                )
                self._db.executemany(
                    "INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?)",
                    (
                        (row["sha256"], self.judge, row["status"], json.dumps(row))
                        for row in rows
                        if row["sha256"]
                    ),
                )
        except sqlite3.Error as error:
            raise ArchiveError(
                f"The journal {self.path} can't be written: {error}.",
                "Is the disk full? What was judged before stays; start the same command again.",
            ) from error

    def counts(self) -> dict[str, int]:
        """Return how many pieces of this run ended with each status."""
        query = "SELECT json_extract(row, '$.status'), count(*) FROM file WHERE run = ? GROUP BY 1"
        return dict(self._db.execute(query, (self.run,)).fetchall())

    def reasons(self, most: int) -> list[tuple[str, int]]:
        """Return the commonest reasons and how many pieces each was said of."""
        query = (
            "SELECT reason.value, count(*) FROM file, json_each(file.row, '$.reasons') AS reason "
            "WHERE run = ? GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
        )
        return self._db.execute(query, (self.run, most)).fetchall()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the row of every piece of this run, by name."""
        query = "SELECT row FROM file WHERE run = ? ORDER BY name"
        for (row,) in self._db.execute(query, (self.run,)):
            yield json.loads(row)

    def export(self, folder: Path) -> tuple[Path, Path]:
        """Write ``results.parquet`` and ``results.csv``; return their paths.

        Both are written beside their names and put in place whole.
        """
        measures = sorted({name for row in self.rows() for name in row["measures"]})
        table, sheet = folder / "results.parquet", folder / "results.csv"
        schema = pa.schema(
            [
                (name, pa.string())
                for name in (
                    "file",
                    "title",
                    "profile",
                    "sha256",
                    "status",
                    "reasons",
                    "output",
                )
            ]
            + [(name, pa.int32()) for name in ("critical", "warnings", "bars", "voices")]
            + [(name, pa.float64()) for name in measures]
        )
        parts = table.with_suffix(".parquet.part"), sheet.with_suffix(".csv.part")
        with (
            pq.ParquetWriter(parts[0], schema) as writer,
            open(parts[1], "w", newline="", encoding="utf-8") as file,
        ):
            lines = csv.DictWriter(file, schema.names)
            lines.writeheader()
            for chunk in _chunks(map(_flat, self.rows()), ROWS_AT_ONCE):
                filled = [{name: row.get(name) for name in schema.names} for row in chunk]
                writer.write_table(pa.Table.from_pylist(filled, schema))
                lines.writerows(filled)
        os.replace(parts[0], table)
        os.replace(parts[1], sheet)
        return table, sheet


def known_row(path: str, sha256: str, judge: str) -> dict[str, Any] | None:
    """Return the row of content that this judge has judged before, or None.

    Parameters
    ----------
    path : str
        The journal; any process may read it.
    sha256 : str
        Of the content.
    judge : str
    """
    database = _reader(path)
    found = database.execute(
        "SELECT row FROM verdict WHERE sha256 = ? AND judge = ?", (sha256, judge)
    ).fetchone()
    return json.loads(found[0]) if found else None


_readers: dict[str, sqlite3.Connection] = {}


def _reader(path: str) -> sqlite3.Connection:
    if path not in _readers:
        _readers[path] = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    return _readers[path]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return row | row["measures"] | {"reasons": "; ".join(row["reasons"])}


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
