"""What the pages ask of the catalog and the reviews.

One connection sees both (:mod:`scoregate.archive.reviewed`). No page walks a folder; what a page
shows of one piece beyond its row is read from the piece's own folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoregate.archive import catalog, reviewed
from scoregate.archive.dialects import SQLITE, Connection
from scoregate.archive.integrity import read_bytes
from scoregate.archive.records import PieceReport, parse_report
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive
from scoregate.dashboard.app.filters import PieceFilter

PAGE = 50
"""Pieces on a page of the table."""

FACETS_S = 10.0
"""Seconds for which the lists to filter by are kept while the catalog changes."""

COUNTED = 10_000
"""A larger number of pieces is given as "more than"."""

MANY = 2_000
"""From so many pieces on a filter is asked by walking the pieces in their order."""

_JOINED = "pieces p LEFT JOIN reviewed r ON r.piece = p.text_sha256"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the table of pieces.

    Attributes
    ----------
    rows : list of dict
    number, last : int
        Of this page and of the last one, from 1.
    count : int
        Pieces that the filter lets through, at most ``COUNTED + 1``.
    """

    rows: list[dict[str, Any]]
    number: int
    last: int
    count: int

    @property
    def count_text(self) -> str:
        """The count for people."""
        if self.count > COUNTED:
            return f"more than {COUNTED:,}".replace(",", "\u202f")
        return f"{self.count:,}".replace(",", "\u202f")


class Library:
    """One archive with its catalog and reviews.

    Parameters
    ----------
    out : Path
        The folder that holds ``archive/``, ``rejected/`` and ``runs/``.
    """

    def __init__(self, out: Path) -> None:
        self.store = Archive(out)
        self.reviews = Reviews(self.store.out)
        self._counts: dict[str, int] = {}
        self._facets: tuple[Any, float, dict[str, list]] | None = None

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """Open the catalog with the reviews attached, for reading."""
        db = catalog.connect(self.store)
        try:
            if db.dialect is SQLITE:
                # Several requests are answered at once: each holds little of the file.
                db.execute("PRAGMA cache_size = -8192")  # 8 MiB
                db.execute("PRAGMA mmap_size = 67108864")  # 64 MiB
            reviewed.join(db, self.store, self.reviews)
            yield db
        finally:
            db.close()

    def page(self, wanted: PieceFilter, number: int, reviewer: str) -> Page:
        """Return a page of the pieces that a filter lets through."""
        column, direction = wanted.order()
        count = self.count(wanted, reviewer)
        last = max(-(-count // PAGE), 1)
        number = min(max(number, 1), last)
        with self.opened() as db:
            where, values = wanted.where(db.dialect, reviewer, many=count > MANY)
            # The keys first, so that no row is read that is not shown.
            keys = db.execute(
                f"SELECT p.number FROM {_JOINED} WHERE {where} "
                f"ORDER BY {column} {direction}, p.number {direction} LIMIT ? OFFSET ?",
                [*values, PAGE if count else 0, PAGE * (number - 1)],
            ).fetchall()
            shown = [_row(db, key[0]) for key in keys]
            for row in shown:
                row["reasons"] = _reasons(db, row["number"])
        return Page(shown, number, last, count)

    def count(self, wanted: PieceFilter, reviewer: str) -> int:
        """Return how many pieces a filter lets through, at most ``COUNTED + 1``."""
        with self.opened() as db:
            where, values = wanted.where(db.dialect, reviewer)
            source = _JOINED if "r." in where else "pieces p"
            count = db.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where} LIMIT ?) AS found",
                [*values, COUNTED + 1],
            ).fetchone()[0]
        if len(self._counts) > 500:
            self._counts.clear()
        self._counts[wanted.address] = count
        return count

    def _lets_many_through(self, wanted: PieceFilter, reviewer: str) -> bool:
        """Return which of the two ways of asking is quicker; an older count is good enough."""
        known = self._counts.get(wanted.address)
        return (self.count(wanted, reviewer) if known is None else known) > MANY

    def neighbours(
        self, wanted: PieceFilter, row: dict[str, Any], reviewer: str
    ) -> tuple[str, str]:
        """Return the ids of the piece before and behind this one under a filter.

        The piece itself need not pass the filter any more: in a review of unrated pieces it
        leaves the filter with its rating.
        """
        many = self._lets_many_through(wanted, reviewer)
        column, direction = wanted.order()
        with self.opened() as db:
            where, values = wanted.where(db.dialect, reviewer, many=many)
            key = db.execute(
                f"SELECT {column} FROM {_JOINED} WHERE p.number = ?", (row["number"],)
            ).fetchone()[0]

            def nearest(forward: bool) -> str:
                up = (direction == "ASC") == forward
                sign, order = (">", "ASC") if up else ("<", "DESC")
                found = db.execute(
                    f"SELECT p.id FROM {_JOINED} WHERE ({where}) "
                    f"AND ({column}, p.number) {sign} (?, ?) "
                    f"ORDER BY {column} {order}, p.number {order} LIMIT 1",
                    [*values, key, row["number"]],
                ).fetchone()
                return found[0] if found else ""

            return nearest(False), nearest(True)

    def first(self, wanted: PieceFilter, reviewer: str) -> str:
        """Return the id of the first piece under a filter, or ``""``."""
        column, direction = wanted.order()
        with self.opened() as db:
            where, values = wanted.where(db.dialect, reviewer)
            found = db.execute(
                f"SELECT p.id FROM {_JOINED} WHERE {where} "
                f"ORDER BY {column} {direction}, p.number {direction} LIMIT 1",
                values,
            ).fetchone()
        return found[0] if found else ""

    def row(self, identifier: str) -> dict[str, Any] | None:
        """Return the catalog's row of a piece by its id, or by the beginning of it."""
        with self.opened() as db:
            found = db.execute(
                f"SELECT p.*, r.rating, r.ratings, r.kept, r.discarded FROM {_JOINED} "
                "WHERE p.id >= ? AND p.id < ? ORDER BY p.id LIMIT 2",
                (identifier, identifier + "g"),
            ).fetchall()
        exact = [row for row in found if row["id"] == identifier]
        chosen = exact or (found if len(found) == 1 else [])
        return dict(chosen[0]) if chosen else None

    def rows(self, identifiers: list[str]) -> list[dict[str, Any]]:
        """Return the rows of pieces by text hash or id, in the order asked for."""
        with self.opened() as db:
            found = [
                db.execute(
                    f"SELECT p.*, r.rating, r.ratings, r.kept, r.discarded FROM {_JOINED} "
                    "WHERE p.id = ? OR p.text_sha256 = ? LIMIT 1",
                    (one, one),
                ).fetchone()
                for one in identifiers
            ]
        return [dict(row) for row in found if row]

    def matching(self, wanted: PieceFilter, reviewer: str, limit: int) -> list[dict[str, Any]]:
        """Return at most ``limit`` rows that a filter lets through, in its order."""
        column, direction = wanted.order()
        with self.opened() as db:
            where, values = wanted.where(db.dialect, reviewer)
            rows = db.execute(
                f"SELECT p.*, r.rating, r.ratings, r.kept, r.discarded FROM {_JOINED} "
                f"WHERE {where} ORDER BY {column} {direction}, p.number {direction} LIMIT ?",
                [*values, limit],
            ).fetchall()
        return [dict(row) for row in rows]

    def stamp(self) -> tuple[Any, ...]:
        """Return what changes whenever the catalog does."""
        return catalog.of(self.store).stamp()

    def facets(self) -> dict[str, list]:
        """Return what can be filtered by: styles, weights, temperatures, codes, measures."""
        stamp, now = self.stamp(), time.monotonic()
        if self._facets and (self._facets[0] == stamp or now < self._facets[1] + FACETS_S):
            return self._facets[2]
        with self.opened() as db:
            # A loose scan: each step goes through an index to the next value.
            found = {
                "styles": _loose(db, "pieces", "style"),
                "measures": _loose(db, "measures", "name"),
                "weights": _distinct(db, "weights"),
                "temperatures": _distinct(db, "temperature"),
                "codes": [
                    code
                    for severity in ("critical", "warning")
                    for code in _loose_codes(db, severity)
                ],
                "runs": [
                    row[0] for row in db.execute("SELECT id FROM runs ORDER BY id DESC LIMIT 100")
                ],
            }
        found["codes"] = sorted(set(found["codes"]))
        self._facets = (stamp, now, found)
        return found

    def folder(self, row: dict[str, Any]) -> Path:
        """Return the folder of a piece."""
        return self.store.out / row["folder"]

    def report(self, row: dict[str, Any]) -> PieceReport:
        """Return a piece's report; CorruptError where it is gone or damaged."""
        path = self.folder(row) / "report.json"
        return parse_report(read_bytes(path), path.name)

    def run(self, run_id: str) -> dict[str, Any] | None:
        """Return the row of a run with its record."""
        with self.opened() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
        return {**dict(row), "record": json.loads(row["record"])} if row else None


def _row(db: Connection, number: int) -> dict[str, Any]:
    row = db.execute(
        f"SELECT p.*, r.rating, r.ratings, r.kept, r.discarded FROM {_JOINED} WHERE p.number = ?",
        (number,),
    ).fetchone()
    return dict(row)


def _reasons(db: Connection, number: int) -> list[str]:
    return [
        row[0]
        for row in db.execute(
            # Not by the index of all critical findings.
            f"SELECT code FROM findings WHERE piece = ? AND {db.dialect.unindexed}severity = "
            "'critical' GROUP BY code ORDER BY min(position) LIMIT 3",
            (number,),
        )
    ]


def _loose(db: Connection, table: str, column: str) -> list[str]:
    found: list[str] = []
    value = ""
    while len(found) < 500:
        query = f"SELECT {column} FROM {table} WHERE {column} > ? ORDER BY {column} LIMIT 1"
        row = db.execute(query, (value,)).fetchone()
        if row is None:
            break
        value = row[0]
        found.append(value)
    return found


def _loose_codes(db: Connection, severity: str) -> list[str]:
    found: list[str] = []
    value = ""
    while len(found) < 500:
        row = db.execute(
            "SELECT code FROM findings WHERE severity = ? AND code > ? ORDER BY code LIMIT 1",
            (severity, value),
        ).fetchone()
        if row is None:
            break
        value = row[0]
        found.append(value)
    return found


def _distinct(db: Connection, column: str) -> list[Any]:
    query = f"SELECT DISTINCT {column} FROM pieces WHERE {column} IS NOT NULL ORDER BY {column}"
    return [row[0] for row in db.execute(f"{query} LIMIT 101") if row[0] != ""][:100]
