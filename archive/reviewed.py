"""Catalog and reviews seen by one connection, so that pieces are filtered and sorted by rating.

The tables are called ``reviewed`` and ``opinions`` in both databases. SQLite attaches
``reviews.sqlite``. In PostgreSQL the catalog's schema holds a copy of these two tables, which is
written anew when an event has been added since; the file remains the truth.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from scoregate.archive import catalog
from scoregate.archive.dialects import SQLITE, Connection
from scoregate.archive.reviews import Reviews
from scoregate.errors import ArchiveError

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

_TABLES = ("reviewed", "opinions")


def join(connection: Connection, store: Archive, reviews: Reviews) -> None:
    """Let a connection from :func:`scoregate.archive.catalog.connect` see the reviews.

    Where they can't be read, there are none: the pieces can be browsed all the same. The error
    itself is told where a review is read or written.
    """
    if connection.dialect is SQLITE:
        _attach(connection, store, reviews)
        return
    try:
        _copy_if_older(connection, store, reviews)
    except ArchiveError:
        return


def _attach(connection: Connection, store: Archive, reviews: Reviews) -> None:
    try:
        if store.out.is_dir():
            reviews.make()
            connection.execute("ATTACH DATABASE ? AS reviews", (str(reviews.path),))
            connection.execute("SELECT 1 FROM reviews.reviewed LIMIT 1")
            return
    except (ArchiveError, sqlite3.DatabaseError):
        names = [row[1] for row in connection.execute("PRAGMA database_list")]
        if "reviews" in names:
            connection.execute("DETACH DATABASE reviews")
    connection.execute("PRAGMA query_only = 0")
    connection.execute("ATTACH DATABASE ':memory:' AS reviews")
    connection.execute(
        "CREATE TABLE reviews.reviewed (piece PRIMARY KEY, rating, ratings, kept, discarded, tags)"
    )
    connection.execute(
        "CREATE TABLE reviews.opinions (piece, reviewer, rating, decision, note, tags, at)"
    )
    connection.execute("PRAGMA query_only = 1")


def _copy_if_older(connection: Connection, store: Archive, reviews: Reviews) -> None:
    if not reviews.path.is_file():
        return
    state = "SELECT last_review FROM catalog_state"
    if connection.execute(state).fetchone()[0] == reviews.last_event():
        return
    with catalog.insertion(store) as writing:
        if writing is None:
            return
        last, rows = reviews.tables(_TABLES)
        for table in _TABLES:
            writing.execute(f"DELETE FROM {table}")
            writing.insert(table, rows[table])
        writing.execute("UPDATE catalog_state SET last_review = ?", (last,))
