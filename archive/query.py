"""Queries over the catalog: filter, search, sort and count pieces.

:func:`rows` and :func:`count` take the same :class:`Filter`. Every condition is answered
from an index; none walks the archive's folders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scoregate.archive import measure_order
from scoregate.archive.dialects import Connection, Dialect
from scoregate.errors import RequestError

SORTS = {
    "newest": "created_utc DESC, number DESC",
    "oldest": "created_utc, number",
    "name": "name, number",
    "bars": "bars NULLS FIRST, number",
}
"""Orders of a list by name; ``measure:<name>`` and ``-measure:<name>`` sort by a measure."""

EVERY = 2**62
"""A limit that leaves nothing out; both databases need one where there is an offset."""

ALL = "TRUE"
"""The condition that leaves nothing out."""

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
    connection: Connection,
    wanted: Filter | None = None,
    *,
    sort: str = "newest",
    limit: int | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return pieces as the table ``pieces`` holds them.

    Parameters
    ----------
    connection : Connection
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
    where, values = _joined(
        condition.tested if _is_frequent(connection, condition) else condition.listed
        for condition in _conditions(connection, wanted or Filter())
    )
    given = [*sort_values, *values]
    if limit is None and not offset:
        query = f"SELECT pieces.* FROM pieces {joined} WHERE {where} ORDER BY {order}"
        return [dict(row) for row in connection.execute(query, given)]
    # The page is cut out of the index first; whole rows are read for that page alone.
    window = (EVERY if limit is None else limit, offset)
    if joined and where == ALL:
        # Every piece that has the measure: its entries alone are read.
        descending = sort.startswith("-")
        numbers = measure_order.numbers(connection, sort_values[0], descending, *window)
    else:
        page = f"SELECT number FROM pieces {joined} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
        numbers = [row[0] for row in connection.execute(page, [*given, *window])]
    return _in_order(connection, numbers)


def _in_order(connection: Connection, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows of pieces in the order of their numbers as given."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(numbers), AT_ONCE):
        part = numbers[start : start + AT_ONCE]
        query = f"SELECT * FROM pieces WHERE number IN ({', '.join('?' * len(part))})"
        found |= {row["number"]: dict(row) for row in connection.execute(query, part)}
    # A piece may be deleted between the two statements.
    return [found[number] for number in numbers if number in found]


def count(connection: Connection, wanted: Filter | None = None) -> int:
    """Return how many pieces meet a filter."""
    found = list(_conditions(connection, wanted or Filter()))
    if len(found) == 1 and found[0].source:
        # Telling 100,000 pieces apart takes PostgreSQL several times as long as counting them.
        counted = "*" if found[0].listed_once else "DISTINCT piece"
        query = f"SELECT count({counted}) FROM ({found[0].source}) AS found"
        values = found[0].source_values
    else:
        where, values = _joined(condition.listed for condition in found)
        query = f"SELECT count(*) FROM pieces WHERE {where}"
    return connection.execute(query, values).fetchone()[0]


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition on a row of ``pieces``.

    Attributes
    ----------
    test : str
        SQL that is true for a piece that meets it.
    values : list
        For the marks in ``test``.
    source : str
        Query for the ``piece`` numbers that meet it, from the index of another table; empty for
        a condition on columns of ``pieces``.
    source_values : list
        For the marks in ``source``.
    listed_once : bool
        ``source`` yields no piece twice.
    """

    test: str
    values: list[Any]
    source: str = ""
    source_values: list[Any] = field(default_factory=list)
    listed_once: bool = False

    @property
    def listed(self) -> tuple[str, list[Any]]:
        """The condition by a list of all numbers that meet it: quick where there are few."""
        if not self.source:
            return self.test, self.values
        return f"number IN ({self.source})", self.source_values

    @property
    def tested(self) -> tuple[str, list[Any]]:
        """The condition by a test of each piece: quick where a page is soon full."""
        return self.test, self.values


AT_ONCE = 1_000
"""Rows of pieces that one statement reads."""

FREQUENT = 2_000
"""A condition that more pieces meet is tested piece by piece, in the order of the list."""


def _joined(parts: Iterable[tuple[str, list[Any]]]) -> tuple[str, list[Any]]:
    terms, values = [ALL], []
    for term, of_term in parts:
        terms.append(f"({term})")
        values += of_term
    return " AND ".join(terms), values


def _is_frequent(connection: Connection, condition: _Condition) -> bool:
    if not condition.source:
        return True
    some = f"SELECT 1 FROM ({condition.source}) AS found LIMIT {FREQUENT}"
    query = f"SELECT count(*) FROM ({some}) AS counted"
    return connection.execute(query, condition.source_values).fetchone()[0] == FREQUENT


def _conditions(connection: Connection, wanted: Filter) -> Iterator[_Condition]:
    for column, value in (
        ("status", wanted.status),
        ("run_id", wanted.run_id),
        ("weights", wanted.weights),
    ):
        if value:
            yield _Condition(f"{column} = ?", [value])
    if wanted.style:
        found = [one for one in styles(connection) if wanted.style.lower() in one.lower()]
        yield _Condition(f"style IN ({', '.join('?' * len(found)) or 'NULL'})", found)
    if wanted.since:
        yield _Condition("created_utc >= ?", [wanted.since])
    if wanted.until:
        yield _Condition("created_utc < ?", [wanted.until])
    yield from _search(connection.dialect, wanted.text)
    if wanted.finding or wanted.severity:
        yield _has_finding(wanted.finding, wanted.severity)
    for name, (lowest, highest) in wanted.measures.items():
        where = "name = ? AND value BETWEEN ? AND ?"
        values = [
            name,
            float("-inf") if lowest is None else lowest,
            float("inf") if highest is None else highest,
        ]
        yield _Condition(
            f"EXISTS (SELECT 1 FROM measures WHERE piece = number AND {where})",
            values,
            f"SELECT piece FROM measures WHERE {where}",
            values,
            listed_once=True,
        )


def styles(connection: Connection) -> list[str]:
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
    return joined, measure_order.order_of(sort.startswith("-")), (name,)


def _search(dialect: Dialect, text: str) -> Iterator[_Condition]:
    words = text.split()
    beginning = text.strip().lower()
    if len(words) == 1 and all(digit in "0123456789abcdef" for digit in beginning):
        # The beginning of an id, unless the word stands in a name as well ("bach", "face").
        (named,) = _contains(dialect, words)
        given = [beginning, f"{beginning}g"]
        source = "SELECT number AS piece FROM pieces WHERE id >= ? AND id < ?"
        # A short word has no index of names: every piece is tested, in its order.
        both = f"{source} UNION ALL {named.source}" if named.source else ""
        yield _Condition(
            f"(id >= ? AND id < ?) OR ({named.test})",
            [*given, *named.values],
            both,
            [*given, *named.source_values],
        )
    else:
        yield from _contains(dialect, words)


def _contains(dialect: Dialect, words: list[str]) -> Iterator[_Condition]:
    test = dialect.contains("pieces.name || ' ' || pieces.title || ' ' || pieces.style")
    for word in words:
        if len(word) < SHORTEST_TERM:
            yield _Condition(test, [word])
    if indexed := [word for word in words if len(word) >= SHORTEST_TERM]:
        every = " AND ".join([test] * len(indexed))
        yield _Condition(every, indexed, *dialect.search(indexed), listed_once=True)


def _has_finding(code: str, severity: str) -> _Condition:
    severities = [severity] if severity else ["critical", "warning", "info"]
    where = [f"severity IN ({', '.join('?' * len(severities))})"]
    values: list[list[Any]] = [[*severities]]
    if code:
        # Two ranges of the index: the code itself, and where it is a gate's name its codes.
        where, values = [f"{where[0]} AND code = ?"], [[*severities, code]]
        if "." not in code:
            where.append(
                f"severity IN ({', '.join('?' * len(severities))}) AND code >= ? AND code < ?"
            )
            values.append([*severities, f"{code}.", f"{code}/"])
    both = [value for of_range in values for value in of_range]
    return _Condition(
        " OR ".join(
            f"EXISTS (SELECT 1 FROM findings WHERE piece = number AND {one})" for one in where
        ),
        both,
        " UNION ALL ".join(f"SELECT piece FROM findings WHERE {one}" for one in where),
        both,
    )
