"""The catalog of an archive in an SQLite file, ``archive/catalog.sqlite``.

The database is in WAL mode: readers do not wait for a writer, nor a writer for readers.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoregate.archive import schema
from scoregate.archive.atomic import told_as_archive_error
from scoregate.archive.dialects import SQLITE, Connection
from scoregate.archive.wal import use_wal
from scoregate.errors import ArchiveError

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

FILE = "catalog.sqlite"
WAIT_S = 30.0
"""How long a connection waits for another process's transaction."""


class NotWritable(ArchiveError):
    """There is no folder that a catalog could be written into."""


class SqliteConnection(sqlite3.Connection):
    """A connection of ``sqlite3`` that says which database it is to."""

    dialect = SQLITE

    def insert(self, into: str, rows: Sequence[Sequence[Any]], /) -> None:
        """Insert rows into a table; ``into`` is its name, or name and columns in brackets."""
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.executemany(f"INSERT INTO {into} VALUES ({marks})", rows)


class FileCatalog:
    """The catalog of one archive in its file.

    Parameters
    ----------
    store : Archive

    Attributes
    ----------
    path : Path
        The file, there or not.
    shown : str
        For messages.
    """

    def __init__(self, store: Archive) -> None:
        self.out = store.out
        self.path = store.root / FILE
        self.shown = str(self.path)

    def sound(self) -> SqliteConnection | None:
        """Return a connection to a catalog of this version; None where it has to be rebuilt."""
        path = self.path
        if not path.is_file():
            return None
        writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
        connection = None
        try:
            connection = _opened(path if writable else _unchanging(path))
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == schema.VERSION:
                return _configured(connection) if writable else connection
        except sqlite3.OperationalError:
            if connection is not None:
                connection.close()
            raise  # Locked, or the disk is full: the file itself may be sound.
        except sqlite3.DatabaseError:
            version = 0
        if connection is not None:
            connection.close()
        if version > schema.VERSION:
            raise newer(str(path), version)
        return None

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self.path.exists()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Begin a transaction that rows are written in; commit it at the end."""
        assert isinstance(connection, SqliteConnection)
        with _transaction(connection):
            yield

    def rebuild(self, fill: Callable[[Connection], int], *, only_if_needed: bool) -> int:
        """Build the catalog anew; see :func:`scoregate.archive.catalog.reindex`."""
        path = self.path
        if not path.parent.is_dir():
            raise NotWritable(f"There is no archive in {self.out}.", "Name its folder with --out.")
        with self._alone():
            if only_if_needed and (current := self.sound()) is not None:
                with current:
                    return current.execute("SELECT count(*) FROM pieces").fetchone()[0]
            try:
                return self._filled(fill)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self.remove()
                return self._filled(fill)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from creating or rebuilding the file meanwhile."""
        try:
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise NotWritable(
                f"The catalog {self.path} can't be written: {error.strerror}.",
                "Make the folder writable; without it a catalog is built in memory for each query.",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def remove(self) -> None:
        """Delete the file; it is built anew when it is next needed."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def forbid_writing(self, connection: Connection) -> None:
        """Make a connection one for reading."""
        connection.execute("PRAGMA query_only = 1")

    def stamp(self) -> tuple[object, ...]:
        """Return what changes whenever the catalog does: the state of its files."""
        return tuple(
            (found.stat().st_mtime_ns, found.stat().st_size)
            for found in (self.path, self.path.with_name(self.path.name + "-wal"))
            if found.exists()
        )

    def check(self) -> None:
        """Do nothing: a file needs no server."""

    def faults(self, connection: Connection) -> str:
        """Return what is wrong inside of the file, or ``""``."""
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return "" if answer == "ok" else "it is damaged"

    def create(self) -> None:
        """Create an empty catalog, unless another process was quicker."""
        with told_as_archive_error(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            connection = _configured(_opened(self.path))
            try:
                with _transaction(connection):
                    if connection.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:
                        _drop_tables(connection)
                        _create(connection)
            finally:
                connection.close()

    def _filled(self, fill: Callable[[Connection], int]) -> int:
        connection = _configured(_opened(self.path))
        try:
            with _transaction(connection):
                _drop_tables(connection)
                _create(connection)
                return fill(connection)
        finally:
            connection.close()


def in_memory(fill: Callable[[Connection], int]) -> SqliteConnection:
    """Return a connection to a catalog that is built in memory."""
    connection = _configured(_opened(":memory:"))
    with _transaction(connection):
        _create(connection)
        fill(connection)
    return connection


def newer(what: str, version: int) -> ArchiveError:
    """Return the error for a catalog that a newer Scoregate wrote."""
    return ArchiveError(
        f"{what} was written by a newer Scoregate (catalog version {version}).",
        "Update Scoregate. `scoregate archive reindex` replaces it by one of this version.",
    )


def _drop_tables(connection: SqliteConnection) -> None:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        # The tables that FTS5 keeps for itself go with `piece_search`.
        "AND name NOT LIKE 'piece_search_%'"
    ).fetchall()
    for (name,) in names:
        connection.execute('DROP TABLE "{}"'.format(name.replace('"', '""')))


def _create(connection: SqliteConnection) -> None:
    schema.create(connection)
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _opened(where: Path | str) -> SqliteConnection:
    """Open a file, or what an address as SQLite understands it (``file:...``, ``:memory:``) names.

    Its transactions are begun by hand.
    """
    connection = sqlite3.connect(
        where,
        timeout=WAIT_S,
        isolation_level=None,
        uri=isinstance(where, str),
        check_same_thread=False,
        factory=SqliteConnection,
    )
    connection.row_factory = sqlite3.Row
    return connection


def _unchanging(path: Path) -> str:
    """Return the address of a file that is only read."""
    # WAL needs a file beside the database, which a read-only folder can't take.
    return f"{path.resolve().as_uri()}?immutable=1"


def _configured(connection: SqliteConnection) -> SqliteConnection:
    use_wal(connection, WAIT_S)
    connection.execute("PRAGMA cache_size = -65536")  # 64 MiB
    connection.execute("PRAGMA mmap_size = 268435456")  # 256 MiB
    # Pages that several batches change are then written to the database once: 16 MiB of them.
    connection.execute("PRAGMA wal_autocheckpoint = 4096")
    return connection
