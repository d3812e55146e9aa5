"""A page of all pieces in the order of a measure.

PostgreSQL reads it from an index by value. The catalog in SQLite has none: with each batch it would
change thousands of pages (:mod:`scoregate.archive.schema`). There all entries of the measure are
read, and a bound from a sample of them keeps most out of the sorting, which takes longer than the
reading.
"""

from __future__ import annotations

from scoregate.archive.dialects import SQLITE, Connection

SAMPLED = 500
"""Pieces in the sample; reading them takes less than a millisecond."""
SPARE = 4
"""The bound is set so that the sample promises so many times the entries that are needed."""


def order_of(descending: bool) -> str:
    """Return the order by ``sorted.value``, then by ``number``; undefined values are lowest."""
    direction = "DESC NULLS LAST" if descending else "ASC NULLS FIRST"
    return f"sorted.value {direction}, number"


def numbers(
    connection: Connection, name: str, descending: bool, limit: int, offset: int
) -> list[int]:
    """Return the numbers of a page of the pieces that have a measure.

    Parameters
    ----------
    connection : Connection
    name : str
        Of the measure.
    descending : bool
    limit, offset : int
    """
    query = "SELECT piece AS number FROM measures AS sorted WHERE name = ?"
    end = f"ORDER BY {order_of(descending)} LIMIT ? OFFSET ?"
    bound = None
    if connection.dialect is SQLITE:
        bound = _bound(connection, name, descending, limit + offset)
    if bound is not None:
        # Undefined values are at the beginning, or at an end that no such page reaches.
        within = "value >= ?" if descending else "(value <= ? OR value IS NULL)"
        found = connection.execute(f"{query} AND {within} {end}", (name, *bound, limit, offset))
        page = [row[0] for row in found]
        if len(page) == limit:
            return page
    return [row[0] for row in connection.execute(f"{query} {end}", (name, limit, offset))]


def _bound(connection: Connection, name: str, descending: bool, needed: int) -> tuple[float] | None:
    """Return a value that probably more than ``needed`` entries reach; None if it saves little."""
    last = connection.execute("SELECT coalesce(max(number), 0) FROM pieces").fetchone()[0]
    step = last // SAMPLED
    if step < SPARE or SPARE * needed * SPARE > last:
        return None
    sample = """
        WITH RECURSIVE chosen (number) AS (
            SELECT 1 UNION ALL SELECT number + ? FROM chosen WHERE number + ? <= ?
        ) SELECT value FROM chosen CROSS JOIN measures WHERE piece = number AND name = ?
    """
    rows = connection.execute(sample, (step, step, last, name))
    values = sorted((row[0] for row in rows if row[0] is not None), reverse=descending)
    place = SPARE + SPARE * needed // step
    return (values[place],) if place < len(values) else None
