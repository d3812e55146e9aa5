"""Connections to a PostgreSQL server: its address, its errors, and rows as SQLite gives them.

The address is ``SCOREGATE_DATABASE``, for example ``postgresql://scoregate@db.example.org/scores``.
The password may stand in it, in ``PGPASSWORD`` or in ``~/.pgpass``. It is never part of a message.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from scoregate.archive.dialects import POSTGRESQL, Cursor, DatabaseFault
from scoregate.errors import RequestError, ToolError

if TYPE_CHECKING:
    import psycopg

SETTING = "SCOREGATE_DATABASE"
CONNECT_S = 10
"""How long a connection may take, unless the address has a ``connect_timeout``."""
WAIT_S = 30
"""How long a statement waits for another process's transaction."""

PLANNING = "-c min_parallel_index_scan_size=64MB"
"""Starting parallel processes takes 10 ms, in which one process alone has found a page."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:\d{1,5})?")
_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Address:
    """Address of a database on a PostgreSQL server.

    Attributes
    ----------
    url : str
        For the driver, perhaps with a password.
    shown : str
        For people: host, port and database, without user and password.
    """

    url: str = field(repr=False)
    shown: str

    @property
    def of_prefect(self) -> str:
        """The address as Prefect's server takes it, which uses another driver."""
        place, _, options = self.url.removeprefix("postgresql://").partition("?")
        # asyncpg knows fewer options than libpq, and calls sslmode `ssl`.
        known = {"sslmode": "ssl", "host": "host", "port": "port"}
        kept = [(known[name], value) for name, value in parse_qsl(options) if name in known]
        return f"postgresql+asyncpg://{place}" + (f"?{urlencode(kept)}" if kept else "")


def address() -> Address | None:
    """Return the address that ``SCOREGATE_DATABASE`` holds; None where it is empty.

    Raises
    ------
    RequestError
        It is no address of a PostgreSQL server. Nothing of it is repeated in the message.
    """
    given = os.environ.get(SETTING, "").strip()
    return parse(given) if given else None


def parse(given: str) -> Address:
    """Read the address of a PostgreSQL server; see :func:`address`."""
    scheme, separator, rest = given.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise RequestError(
            f"{SETTING} is no address of a PostgreSQL server.",
            "Write it like postgresql://user@host/database, or leave it empty for SQLite.",
        )
    user, _, place = rest.rpartition("@")
    # libpq would take a part of such a password for the host, and its errors name the host.
    if any(sign in user for sign in "/?#@[]") or user.count(":") > 1:
        raise RequestError(
            f"User or password in {SETTING} have characters that an address can't hold.",
            "Write @ as %40, : as %3A, / as %2F, ? as %3F and # as %23; or put the password into "
            "PGPASSWORD or ~/.pgpass.",
        )
    shown = place.partition("?")[0]
    for host in shown.partition("/")[0].split(","):
        if not _HOST.fullmatch(host):
            raise RequestError(
                f"The host in {SETTING} is no name with a port behind it.",
                "Write the address like postgresql://user@host:5432/database.",
            )
    return Address(f"postgresql://{rest}", shown)


class Row(tuple):
    """A row whose values are read by position and by name, like ``sqlite3.Row``."""

    __slots__ = ()
    _places: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self._places[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._places)


class _Idle:
    """Connections of this process that wait for their next use.

    Opening one takes 10 to 20 ms, most of it for the password; a page of the dashboard asks the
    catalog several times.
    """

    MOST = 4

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[psycopg.Connection]] = {}

    def take(self, where: Address) -> psycopg.Connection | None:
        """Return a connection that still works, with its settings as they were at first."""
        import psycopg

        while True:
            with self._lock:
                waiting = self._waiting.get(where.url)
                if not waiting:
                    return None
                raw = waiting.pop()
            try:
                raw.execute("RESET ALL")
                return raw
            except psycopg.Error:
                raw.close()  # The server was started anew since.

    def give_back(self, where: Address, raw: psycopg.Connection) -> None:
        """Keep a connection for its next use, or close it."""
        from psycopg.pq import TransactionStatus

        with self._lock:
            waiting = self._waiting.setdefault(where.url, [])
            sound = raw.info.transaction_status == TransactionStatus.IDLE
            if sound and len(waiting) < self.MOST:
                waiting.append(raw)
                return
        raw.close()


_idle = _Idle()
# A child of this process must not speak on its parent's connections.
os.register_at_fork(after_in_child=_idle.__init__)


class PostgresConnection:
    """A connection that takes statements and gives rows as those of ``sqlite3`` do.

    Each statement outside of :meth:`transaction` is a transaction of its own.

    Parameters
    ----------
    raw : psycopg.Connection
        In autocommit mode.
    where : Address
    """

    dialect = POSTGRESQL

    def __init__(self, raw: psycopg.Connection, where: Address) -> None:
        self.raw = raw
        self.where = where

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Cursor:
        """Run a statement; each ``?`` in it stands for a value."""
        with self._told():
            return self.raw.execute(_marked(sql), [_storable(value) for value in values])

    def insert(self, into: str, rows: Sequence[Sequence[Any]], /) -> None:
        """Insert rows into a table; ``into`` is its name, or name and columns in brackets."""
        if not rows:
            return
        command: Any = f"COPY {into} FROM STDIN"
        with self._told(), self.raw.cursor() as cursor, cursor.copy(command) as copy:
            for row in rows:
                copy.write_row([_storable(value) for value in row])

    def close(self) -> None:
        """Give the connection back; an open transaction is rolled back."""
        _idle.give_back(self.where, self.raw)

    @contextmanager
    def transaction(self, lock: str, *, wait: bool = False) -> Iterator[None]:
        """Begin a transaction, alone among those with the same lock; commit it at the end.

        Parameters
        ----------
        lock : str
        wait : bool
            Wait for the lock as long as it takes; otherwise :data:`WAIT_S`.
        """
        self.execute("BEGIN")
        try:
            if wait:
                self.execute("SET LOCAL lock_timeout = 0")
            self.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (lock,))
            if wait:
                self.execute(f"SET LOCAL lock_timeout = '{WAIT_S}s'")
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(DatabaseFault):  # The server may be gone, and its transaction with it.
                self.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            raise DatabaseFault(
                f"The catalog in {self.where.shown} stayed locked for {WAIT_S} s.",
                "Another process rebuilds it; try again when it has ended.",
            ) from error
        except psycopg.Error as error:
            raise DatabaseFault(
                f"The database {self.where.shown} failed: {_first_line(error)}.",
                "Is the server up, and may the user create schemas and tables in it? What was "
                "archived is kept.",
            ) from error


def connect(where: Address) -> PostgresConnection:
    """Open a connection.

    Raises
    ------
    DatabaseFault
        The server is away, refuses the user, or has no such database.
    ToolError
        The driver is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ToolError(
            f"{SETTING} names a PostgreSQL server, and its driver psycopg is not installed.",
            "pip install 'scoregate[postgres]'",
        ) from error
    if (known := _idle.take(where)) is not None:
        return PostgresConnection(known, where)
    options: dict[str, Any] = {"application_name": "scoregate", "client_encoding": "utf8"}
    if "connect_timeout" not in where.url:
        options["connect_timeout"] = CONNECT_S
    if "options" not in where.url:
        options["options"] = f"-c lock_timeout={WAIT_S}s {PLANNING}"
    try:
        raw = psycopg.connect(where.url, autocommit=True, row_factory=_row_factory, **options)
    except psycopg.OperationalError as error:
        problem, remedy = _unreachable(where, _first_line(error))
    except psycopg.Error:
        # What libpq says of an address that it can't read may repeat its password.
        problem = f"{SETTING} is no address that PostgreSQL's driver can read."
        remedy = "Write it like postgresql://user@host:5432/database."
    else:
        return PostgresConnection(raw, where)
    # Outside of the handler, so that no traceback holds the driver's own message.
    raise DatabaseFault(problem, remedy)


def _unreachable(where: Address, said: str) -> tuple[str, str]:
    if "password" in said or "authentication" in said:
        return (
            f"The database {where.shown} refuses the user or the password.",
            f"Put the password into {SETTING}, PGPASSWORD or ~/.pgpass.",
        )
    if "database" in said and "does not exist" in said:
        return (
            f"The database {where.shown} does not exist.",
            "Create it: createdb --encoding UTF8 NAME.",
        )
    return (
        f"The database {where.shown} can't be reached: {said}.",
        f"Start the server, or check the address in {SETTING}. Pieces are kept in their folders "
        "meanwhile.",
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    # libpq begins with host and port, which the message names already.
    return lines[0].rpartition("failed: ")[2].rstrip(".").replace("FATAL:", "").strip()


def _marked(sql: str) -> Any:
    return sql.replace("%", "%%").replace("?", "%s")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        # PostgreSQL has no NUL in text; an enumeration of strings is stored by its value.
        return str(value).replace("\0", "\ufffd")
    if isinstance(value, float) and value != value:
        return None  # As SQLite stores what is no number.
    return value


def _row_factory(cursor: Any) -> Any:
    columns = cursor.description or ()
    places = {column.name: position for position, column in enumerate(columns)}
    return type("Row", (Row,), {"_places": places, "__slots__": ()})
