"""What SQLite and PostgreSQL say differently: the SQL of the two catalogs.

Queries are written once, in SQL that both read, with ``?`` for values. Where the two differ, a
query takes its words from the :class:`Dialect` of its connection. Text is compared byte by byte
and upper case is folded for ASCII alone, in both.
"""

from __future__ import annotations

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

from scoregate.errors import ArchiveError


class DatabaseFault(ArchiveError):
    """The database server refused a connection or a statement, or went away."""


FAULTS = (sqlite3.Error, DatabaseFault)
"""What a statement on a catalog may raise."""


class Cursor(Protocol):
    """The rows of an answer; each is read by position and by name, as ``sqlite3.Row``."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to a catalog, of either kind.

    Attributes
    ----------
    dialect : Dialect
    """

    @property
    def dialect(self) -> Dialect:
        """How this database says what the other says differently."""
        ...

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Cursor:
        """Run a statement; each ``?`` in it stands for a value."""
        ...

    def insert(self, into: str, rows: Sequence[Sequence[Any]], /) -> None:
        """Insert rows into a table; ``into`` is its name, or name and columns in brackets."""

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""


class Dialect(ABC):
    """The words of one database.

    Attributes
    ----------
    name : str
    unindexed : str
        Put before a column, keeps the planner from choosing that column's index.
    ordered_join : str
        Joins such that the left side is read first.
    tables : tuple of str
        Statements for the tables and indexes that only this database has.
    search_key : str
        Column of ``piece_search`` that holds ``pieces.number``.
    search_table : str
        ``piece_search`` with the columns of a :meth:`search_row`.
    """

    name: ClassVar[str]
    unindexed: ClassVar[str]
    ordered_join: ClassVar[str]
    tables: ClassVar[tuple[str, ...]]
    search_key: ClassVar[str]
    search_table: ClassVar[str]

    @abstractmethod
    def created(self, statement: str) -> str:
        """Return a ``CREATE`` statement of :mod:`scoregate.archive.schema` in this dialect."""

    @abstractmethod
    def search_row(self, number: int, name: str, title: str, style: str) -> tuple[Any, ...]:
        """Return the row of ``piece_search`` of a piece."""

    @abstractmethod
    def search(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        """Return a query for the numbers (``piece``) of the pieces with all these words.

        Every word has three or more characters. The query is answered from an index.
        """

    @abstractmethod
    def contains(self, text: str) -> str:
        """Return a test whether an expression contains a value, in any case."""

    @abstractmethod
    def like(self, column: str) -> str:
        r"""Return a test of a column by a pattern, in any case; ``\`` quotes ``%`` and ``_``."""

    @abstractmethod
    def json_text(self, column: str, *path: str | int) -> str:
        """Return an expression for what stands in a column of JSON, as text or NULL.

        Parameters
        ----------
        column : str
        path : str or int
            Names of fields and positions in lists; constants, not from outside.
        """

    @abstractmethod
    def json_list_holds(self, column: str) -> str:
        """Return a test whether a column, a JSON list of strings, holds a value."""


class _SQLite(Dialect):
    name = "SQLite"
    unindexed = "+"
    ordered_join = "CROSS JOIN"
    tables = (
        "CREATE VIRTUAL TABLE piece_search USING fts5 (name, title, style, tokenize = 'trigram')",
    )
    search_key = "rowid"
    search_table = "piece_search (rowid, name, title, style)"

    def created(self, statement: str) -> str:
        return statement

    def search_row(self, number: int, name: str, title: str, style: str) -> tuple[Any, ...]:
        return number, name, title, style

    def search(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        # In quotes, so that nothing in a word is an operator of FTS5.
        quoted = " AND ".join('"{}"'.format(word.replace('"', '""')) for word in words)
        return "SELECT rowid AS piece FROM piece_search WHERE piece_search MATCH ?", [quoted]

    def contains(self, text: str) -> str:
        return f"instr(lower({text}), lower(?)) > 0"

    def like(self, column: str) -> str:
        return f"{column} LIKE ? ESCAPE '\\'"

    def json_text(self, column: str, *path: str | int) -> str:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        return f"CAST(json_extract({column}, '${steps}') AS TEXT)"

    def json_list_holds(self, column: str) -> str:
        return f"EXISTS (SELECT 1 FROM json_each({column}) AS held WHERE held.value = ?)"


class _PostgreSQL(Dialect):
    name = "PostgreSQL"
    unindexed = ""  # It chooses by the statistics of the columns.
    ordered_join = "JOIN"
    tables = (
        'CREATE TABLE piece_search (number BIGINT PRIMARY KEY, searched TEXT COLLATE "C" NOT NULL)',
        "CREATE INDEX measures_by_value ON measures (name, value NULLS FIRST, piece)",
        # Of reviews.sqlite, which SQLite attaches: see scoregate.archive.reviewed.
        'CREATE TABLE reviewed (piece TEXT COLLATE "C" PRIMARY KEY, rating DOUBLE PRECISION, '
        "ratings BIGINT NOT NULL, kept BIGINT NOT NULL, discarded BIGINT NOT NULL, "
        "tags TEXT NOT NULL)",
        'CREATE TABLE opinions (piece TEXT COLLATE "C", reviewer TEXT COLLATE "C", rating BIGINT, '
        "decision TEXT NOT NULL, note TEXT NOT NULL, tags TEXT NOT NULL, at TEXT NOT NULL, "
        "PRIMARY KEY (piece, reviewer))",
    )
    search_key = "number"
    search_table = "piece_search (number, searched)"
    _TYPES = (
        (re.compile(r"\bINTEGER\b"), "BIGINT"),
        (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"),
        (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
        (re.compile(r"\) WITHOUT ROWID$"), ")"),
    )

    def created(self, statement: str) -> str:
        for pattern, word in self._TYPES:
            statement = pattern.sub(word, statement)
        return statement

    def search_row(self, number: int, name: str, title: str, style: str) -> tuple[Any, ...]:
        # A word has no line break, so none is found across two of the three.
        return number, "\n".join((name, title, style)).lower()

    def search(self, words: Sequence[str]) -> tuple[str, list[Any]]:
        tests = " AND ".join(["searched LIKE ? ESCAPE '\\'"] * len(words))
        query = f"SELECT number AS piece FROM piece_search WHERE {tests}"
        return query, [like_pattern(word.lower()) for word in words]

    def contains(self, text: str) -> str:
        return f'strpos(lower({text}), lower(CAST(? AS TEXT) COLLATE "C")) > 0'

    def like(self, column: str) -> str:
        return f"{column} ILIKE ? ESCAPE '\\'"

    def json_text(self, column: str, *path: str | int) -> str:
        return f"(CAST({column} AS jsonb) #>> '{{{','.join(map(str, path))}}}')"

    def json_list_holds(self, column: str) -> str:
        return f"CAST({column} AS jsonb) @> to_jsonb(CAST(? AS TEXT))"


SQLITE: Dialect = _SQLite()
POSTGRESQL: Dialect = _PostgreSQL()


def like_pattern(text: str) -> str:
    """Return the pattern for :meth:`Dialect.like` that finds a text anywhere."""
    return "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
