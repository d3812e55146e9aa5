"""The catalog of an archive in PostgreSQL, for workers on several machines.

Each archive has a schema of its own in the database, so that one address serves any number of
archives. Its name is in ``archive/catalog.json``. That file also tells a process that was not given
the address that this archive's catalog is elsewhere: it would otherwise build one in SQLite that
nobody keeps up to date.

Writers follow one another by an advisory lock. A rebuild fills a new schema and puts it in the old
one's place in the same transaction, so that readers see the old catalog until the new one is
complete.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scoregate.archive import postgres, schema
from scoregate.archive.catalog_file import FileCatalog, NotWritable, newer
from scoregate.archive.dialects import Connection, DatabaseFault
from scoregate.archive.postgres import Address, PostgresConnection
from scoregate.errors import ArchiveError, CorruptError

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

MARKER = "catalog.json"
"""File in ``archive/`` that names the schema."""
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public"


class ServerCatalog:
    """The catalog of one archive on a PostgreSQL server.

    Parameters
    ----------
    store : Archive
    where : Address

    Attributes
    ----------
    path : Path
        ``archive/catalog.json``.
    shown : str
        For messages: the database, without user and password.
    """

    def __init__(self, store: Archive, where: Address) -> None:
        self.root = store.root
        self.path = store.root / MARKER
        self.where = where
        self.shown = where.shown
        self._older = FileCatalog(store)

    def sound(self) -> PostgresConnection | None:
        """Return a connection to a catalog of this version; None where it has to be rebuilt."""
        name = schema_name(self.path)
        if name is None:
            return None
        connection = postgres.connect(self.where)
        try:
            connection.execute(f'SET search_path TO "{name}", public')
            version = _version(connection, name)
            if version == schema.VERSION:
                return connection
            if version > schema.VERSION:
                raise newer(f"The catalog in {self.shown}", version)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def exists(self) -> bool:
        """Return whether the archive had a catalog here."""
        return self.path.is_file()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Begin a transaction that rows are written in; commit it at the end."""
        assert isinstance(connection, PostgresConnection)
        with connection.transaction(self._lock()):
            yield
            connection.execute("UPDATE catalog_state SET changes = changes + 1")

    def rebuild(self, fill: Callable[[Connection], int], *, only_if_needed: bool) -> int:
        """Build the catalog anew; see :func:`scoregate.archive.catalog.reindex`."""
        name = self._named()
        building = f"{name}_building"
        connection = postgres.connect(self.where)
        try:
            _check_encoding(connection, self.shown)
            with connection.transaction(name, wait=True):
                if only_if_needed and _version(connection, name) == schema.VERSION:
                    count = f'SELECT count(*) FROM "{name}".pieces'
                    return connection.execute(count).fetchone()[0]
                connection.execute(f'DROP SCHEMA IF EXISTS "{building}" CASCADE')
                connection.execute(f'CREATE SCHEMA "{building}"')
                connection.execute(f'SET LOCAL search_path TO "{building}", public')
                schema.create(connection)
                _create_state(connection)
                count = fill(connection)
                _index_for_search(connection)
                for table in ("pieces", "findings", "measures", "runs", "piece_search"):
                    connection.execute(f"ANALYZE {table}")
                connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
                connection.execute(f'ALTER SCHEMA "{building}" RENAME TO "{name}"')
                # For people who look at the database: whose schema it is.
                place = f"{socket.gethostname()}:{self.root.resolve()}".replace("'", "''")
                comment = f"Catalog of the Scoregate archive {place}"
                connection.execute(f"COMMENT ON SCHEMA \"{name}\" IS '{comment}'".replace("?", "_"))
        finally:
            connection.close()
        # It would not be kept up to date from now on.
        self._older.remove()
        return count

    def create(self) -> None:
        """Create an empty catalog, unless another process was quicker."""
        self.rebuild(lambda _: 0, only_if_needed=True)

    def forbid_writing(self, connection: Connection) -> None:
        """Make a connection one for reading."""
        connection.execute("SET default_transaction_read_only = on")

    def stamp(self) -> tuple[object, ...]:
        """Return what changes whenever the catalog does."""
        connection = self.sound()
        if connection is None:
            return ()
        try:
            query = "SELECT built, changes FROM catalog_state"
            return tuple(connection.execute(query).fetchone())
        finally:
            connection.close()

    def check(self) -> None:
        """Raise an error that says what to do if the server can't be used."""
        connection = self.sound() or postgres.connect(self.where)
        connection.close()

    def faults(self, connection: Connection) -> str:
        """Return what is wrong inside of the database; the server watches over its own files."""
        return ""

    def _lock(self) -> str:
        return schema_name(self.path) or ""

    def _named(self) -> str:
        """Return the name of the archive's schema; it is given one where it has none."""
        if not self.root.is_dir():
            raise NotWritable(f"There is no archive in {self.root.parent}.", "Name it with --out.")
        if (name := schema_name(self.path)) is not None:
            return name
        content = json.dumps({"schema": f"scoregate_{secrets.token_hex(8)}"}) + "\n"
        draft = self.path.with_name(f".{MARKER}.{secrets.token_hex(6)}")
        try:
            draft.write_text(content)
            # Unlike a rename, a link fails where another process was quicker.
            with suppress(FileExistsError):
                os.link(draft, self.path)
            draft.unlink()
        except OSError as error:
            raise NotWritable(
                f"{self.path} can't be written: {error.strerror}.", "Make the folder writable."
            ) from error
        name = schema_name(self.path)
        assert name is not None, "it was just written"
        return name


def schema_name(path: Path) -> str | None:
    """Return the schema that an archive's ``catalog.json`` names; None where there is no file.

    Raises
    ------
    CorruptError
        The file is damaged.
    """
    try:
        name = json.loads(path.read_bytes())["schema"]
        if not (isinstance(name, str) and name.replace("_", "").isalnum() and name.isascii()):
            raise ValueError("it names no schema")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CorruptError(
            f"{path} is damaged: {error}.",
            "Delete it: the next command builds the catalog anew.",
        ) from error
    return name


def refuse_without_address(store: Archive) -> None:
    """Raise ArchiveError if the catalog is in PostgreSQL: the address is not known here."""
    if (store.root / MARKER).is_file():
        raise ArchiveError(
            f"The catalog of {store.out} is in PostgreSQL, and {postgres.SETTING} is not set.",
            f"Set it to the database's address. To go back to SQLite, delete {store.root / MARKER}"
            " and unset it for every process that uses this archive.",
        )


def _version(connection: Connection, name: str) -> int:
    """Return the version of the catalog in a schema; 0 where there is none."""
    found = connection.execute("SELECT to_regclass(?)", (f'"{name}".catalog_state',)).fetchone()
    if found[0] is None:
        return 0
    return connection.execute(f'SELECT version FROM "{name}".catalog_state').fetchone()[0]


def _create_state(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE catalog_state (version INTEGER NOT NULL, built TEXT NOT NULL, "
        "changes BIGINT NOT NULL, last_review BIGINT NOT NULL)"
    )
    connection.execute(
        "INSERT INTO catalog_state VALUES (?, ?, 0, 0)", (schema.VERSION, secrets.token_hex(8))
    )


def _index_for_search(connection: Connection) -> None:
    """Index the searched text by groups of three characters, where the server can.

    Without the extension ``pg_trgm``, which belongs to PostgreSQL but is packaged apart by some, a
    search reads all rows.
    """
    connection.execute("SAVEPOINT search")
    try:
        connection.execute(EXTENSION)
        connection.execute(
            "CREATE INDEX piece_search_by_text ON piece_search USING gin (searched gin_trgm_ops)"
        )
    except DatabaseFault:
        connection.execute("ROLLBACK TO SAVEPOINT search")


def _check_encoding(connection: Connection, shown: str) -> None:
    encoding = connection.execute("SHOW server_encoding").fetchone()[0]
    if encoding != "UTF8":
        raise ArchiveError(
            f"The database {shown} stores text as {encoding}, which lacks most letters.",
            "Create one that holds all: createdb --encoding UTF8 --template template0 NAME.",
        )
