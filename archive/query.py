"""Queries over the catalog: filter, search, sort and count pieces.

:func:`rows` and :func:`count` take the same :class:`Filter`. Every condition is answered
from an index; none walks the archive's folders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scoregate.errors import RequestError

SORTS = {
    "newest": "created_utc DESC, number DESC",
    "oldest": "created_utc, number",
    "name": "name, number",
    "bars": "bars, number",
}
"""Orders of a list by name; ``measure:<name>`` and ``-measure:<name>`` sort by a measure."""

SHORTEST_TERM = 3
"""Characters that a search term needs: the index holds groups of three."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that a piece meets, all of them; an empty one sets no condition.

    Attributes
    ----------
    text : str
        Words that stand in name, title or style, each anywhere and in any case; or the
        beginning of an id.
    status : str
        ``passed``, ``rejected`` or ``could not be judged``.
    style : str
        Contained in the style, in any case.
    run_id : str
    finding : str
        Code of a finding, such as ``bars.short``, or of a gate with all its codes (``bars``).
    severity : str
        Severity of that finding; without ``finding``, of any finding.
    weights : str
        Name of the weights.
    measures : mapping of str to (float or None, float or None)
        Lowest and highest value by name of measure, None where there is no bound.
    since, until : str
        ISO 8601; pieces created at or after, and before.
    """

    text: str = ""
    status: str = ""
    style: str = ""
    run_id: str = ""
    finding: str = ""
    severity: str = ""
    weights: str = ""
    measures: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    since: str = ""
    until: str = ""


def rows(
    connection: sqlite3.Connection,
    wanted: Filter | None = None,
    *,
    sort: str = "newest",
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return pieces as the table ``pieces`` holds them.

    Parameters
    ----------
    connection : sqlite3.Connection
        From :func:`scoregate.archive.catalog.opened`.
    wanted : Filter, optional
    sort : str
        A key of ``SORTS``, ``measure:<name>`` or ``-measure:<name>``.
    limit : int or None
    offset : int
        How many of the sorted pieces are left out at the beginning.

    Raises
    ------
    RequestError
        An unknown order.
    """
    joined, order, sort_values = _order(sort)
    where, values = conditions(connection, wanted or Filter())
    # The page is cut out of the index first; whole rows are read for that page alone.
    query = (
        f"SELECT pieces.* FROM (SELECT number AS wanted FROM pieces {joined} WHERE {where} "
        f"ORDER BY {order} LIMIT ? OFFSET ?) JOIN pieces ON pieces.number = wanted"
    )
    window = (-1 if limit is None else limit, offset)
    return [dict(row) for row in connection.execute(query, (*sort_values, *values, *window))]


def count(connection: sqlite3.Connection, wanted: Filter | None = None) -> int:
    """Return how many pieces meet a filter."""
    where, values = conditions(connection, wanted or Filter())
    query = f"SELECT count(*) FROM pieces WHERE {where}"
    return connection.execute(query, values).fetchone()[0]


def conditions(connection: sqlite3.Connection, wanted: Filter) -> tuple[str, list[Any]]:
    """Return the SQL condition on ``pieces`` for a filter, and the values for its marks."""
    terms, values = ["1"], []

    def require(term: str, *of_term: Any) -> None:
        terms.append(term)
        values.extend(of_term)

    for column, value in (
        ("status", wanted.status),
        ("run_id", wanted.run_id),
        ("weights", wanted.weights),
    ):
        if value:
            require(f"{column} = ?", value)
    if wanted.style:
        found = [one for one in styles(connection) if wanted.style.lower() in one.lower()]
        require(f"style IN ({', '.join('?' * len(found))})", *found)
    if wanted.since:
        require("created_utc >= ?", wanted.since)
    if wanted.until:
        require("created_utc < ?", wanted.until)
    if wanted.text.strip():
        term, of_term = _search(wanted.text)
        require(term, *of_term)
    if wanted.finding or wanted.severity:
        term, of_term = _has_finding(wanted.finding, wanted.severity)
        require(term, *of_term)
    for name, (lowest, highest) in wanted.measures.items():
        require(
            "number IN (SELECT piece FROM measures WHERE name = ? AND value BETWEEN ? AND ?)",
            name,
            float("-inf") if lowest is None else lowest,
            float("inf") if highest is None else highest,
        )
    return " AND ".join(terms), values


def styles(connection: sqlite3.Connection) -> list[str]:
    """Return the styles of all pieces, sorted."""
    # One jump in the index per style instead of a walk over all its entries.
    query = """
        WITH RECURSIVE every (style) AS (
            SELECT min(style) FROM pieces
            UNION ALL
            SELECT (SELECT min(style) FROM pieces WHERE style > every.style) FROM every
            WHERE every.style IS NOT NULL
        ) SELECT style FROM every WHERE style IS NOT NULL
    """
    return [row[0] for row in connection.execute(query)]


def _order(sort: str) -> tuple[str, str, Sequence[Any]]:
    if sort in SORTS:
        return "", SORTS[sort], ()
    name = sort.removeprefix("-").removeprefix("measure:")
    if name == sort.removeprefix("-"):
        raise RequestError(
            f"{sort!r} is no order of pieces.",
            f"Take one of {', '.join(SORTS)}, or measure:NAME.",
        )
    joined = "JOIN measures AS sorted ON sorted.piece = pieces.number AND sorted.name = ?"
    direction = " DESC" if sort.startswith("-") else ""
    return joined, f"sorted.value{direction}, number", (name,)


def _search(text: str) -> tuple[str, list[Any]]:
    words = text.split()
    terms, values = [], []
    searched = [word for word in words if len(word) >= SHORTEST_TERM]
    if searched:
        quoted = " AND ".join('"{}"'.format(word.replace('"', '""')) for word in searched)
        terms.append("number IN (SELECT rowid FROM piece_search WHERE piece_search MATCH ?)")
        values.append(quoted)
    for word in words:
        if len(word) < SHORTEST_TERM:
            terms.append("instr(lower(name || ' ' || title || ' ' || style), lower(?))")
            values.append(word)
    term = " AND ".join(terms)
    beginning = text.strip().lower()
    if all(digit in "0123456789abcdef" for digit in beginning):
        term = f"({term} OR (id >= ? AND id < ?))"
        values += [beginning, beginning + "g"]
    return term, values


def _has_finding(code: str, severity: str) -> tuple[str, list[Any]]:
    severities = [severity] if severity else ["critical", "warning", "info"]
    where = f"severity IN ({', '.join('?' * len(severities))})"
    values: list[Any] = [*severities]
    if code:
        # A gate's name stands for all codes that begin with it.
        where += " AND (code = ? OR (code >= ? AND code < ?))"
        values += [code, f"{code}.", f"{code}/"]
    return f"number IN (SELECT piece FROM findings WHERE {where})", values
