"""The catalog of the archive: an SQLite database that answers queries, and can be rebuilt.

Every entry of the archive has its rows here: pieces that passed and pieces that did not,
their findings and measures, and the runs. Adding a piece or writing a run inserts its rows
in the same step, so no query walks the folders. :mod:`scoregate.archive.schema` describes
the tables and columns.

The folders remain the truth. A catalog that is missing, damaged or of an older version is
rebuilt from them when it is next opened, and :func:`reindex` rebuilds it on request; one
that a newer Scoregate wrote is refused. Where the folder can't be written, a catalog is
built in memory. Ratings and whatever else people enter are never stored here.

The database is in WAL mode: readers do not wait for a writer, nor a writer for readers.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scoregate.archive import schema
from scoregate.archive.atomic import MANIFEST, told_as_archive_error, unfinished_folders
from scoregate.archive.records import PieceReport, RunRecord
from scoregate.errors import ArchiveError, CorruptError

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

FILE = "catalog.sqlite"
WAIT_S = 30.0
"""How long a connection waits for another process's transaction."""

_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


class _NotWritable(ArchiveError):
    """There is no folder that a catalog could be written into."""


def path_of(store: Archive) -> Path:
    """Return where the catalog of an archive is, there or not."""
    return store.root / FILE


def connect(store: Archive) -> sqlite3.Connection:
    """Return a connection to the catalog for reading; rows come as ``sqlite3.Row``.

    A catalog that is missing, damaged or of an older version is rebuilt first, which takes
    about a second for every 1,000 pieces. The caller closes the connection, and may use it
    from any thread, one at a time.

    Raises
    ------
    ArchiveError
        A newer Scoregate wrote the catalog.
    """
    store.check_version()
    connection = None
    try:
        connection = _sound(store)
        if connection is None:
            reindex(store, only_if_needed=True)
            connection = _sound(store)
    except sqlite3.OperationalError as error:
        _log.warning("The catalog of %s can't be used (%s); one is built in memory.",
                     store.out, error)  # fmt: skip
    except _NotWritable:
        pass  # Read-only archives are served from memory.
    if connection is None:
        connection = _configured(sqlite3.connect(":memory:", check_same_thread=False))
        _fill(connection, store, None)
    elif any(unfinished_folders(store.incoming)):
        _finish_batches(store, connection)
    connection.execute("PRAGMA query_only = 1")
    return connection


def existing(store: Archive) -> sqlite3.Connection | None:
    """Return a connection to the catalog as it is; None where it would have to be rebuilt."""
    return _sound(store)


@contextmanager
def opened(store: Archive) -> Iterator[sqlite3.Connection]:
    """Open the catalog for reading and close it again; see :func:`connect`."""
    connection = connect(store)
    try:
        yield connection
    finally:
        connection.close()


def answer(store: Archive, question: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
    """Return what ``question`` finds in the catalog.

    Damage may show only when a query reads the damaged page; the catalog is then rebuilt
    and the question asked again.
    """
    try:
        with opened(store) as connection:
            return question(connection)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        reindex(store)
        with opened(store) as connection:
            return question(connection)


def reindex(
    store: Archive,
    progress: Callable[[int], None] | None = None,
    *,
    only_if_needed: bool = False,
) -> int:
    """Rebuild the catalog from the folders; return the number of pieces in it.

    Readers see the old catalog until the new one is complete. A folder whose report can't
    be read is left out; `scoregate archive verify` names it.

    Parameters
    ----------
    store : Archive
    progress : callable, optional
        Called with the number of pieces read so far.
    only_if_needed : bool
        Leave a catalog of this version as it is. Another process may have rebuilt it while
        this one waited for its turn.

    Raises
    ------
    ArchiveError
        The folder can't be written.
    """
    path = path_of(store)
    if not store.root.is_dir():
        raise _NotWritable(f"There is no archive in {store.out}.", "Name its folder with --out.")
    try:
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _NotWritable(
            f"The catalog {path} can't be written: {error.strerror}.",
            "Make the folder writable; without it a catalog is built in memory for each query.",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if only_if_needed and (current := _sound(store)) is not None:
            with current:
                return current.execute("SELECT count(*) FROM pieces").fetchone()[0]
        try:
            return _rebuild(path, store, progress)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return _rebuild(path, store, progress)
    finally:
        os.close(lock)


@contextmanager
def insertion(store: Archive) -> Iterator[sqlite3.Connection | None]:
    """Open a transaction that rows can be inserted in; it is committed at the end.

    Yields
    ------
    sqlite3.Connection or None
        None where the catalog has to be rebuilt anyway: the next reader does so and finds
        the new entries in their folders.

    Raises
    ------
    ArchiveError
        A newer Scoregate wrote the catalog.
    """
    connection = _sound(store) if path_of(store).exists() else None
    if connection is None:
        yield None
        return
    try:
        with _transaction(connection):
            yield connection
    finally:
        connection.close()


def create_if_new(store: Archive) -> None:
    """Create the catalog of an archive that has no piece yet."""
    path = path_of(store)
    if path.exists():
        return
    if any(folder.is_dir() and any(folder.iterdir()) for folder in (store.pieces, store.rejected)):
        return  # Its rows are yet to be read from the folders.
    with told_as_archive_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = _configured(_opened_file(path))
    try:
        with _transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:
                schema.create(connection)
    finally:
        connection.close()


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


def _sound(store: Archive) -> sqlite3.Connection | None:
    """Return a connection to a catalog of this version; None where it has to be rebuilt."""
    path = path_of(store)
    if not path.is_file():
        return None
    writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    connection = None
    try:
        connection = _opened_file(path) if writable else _opened_unchanging(path)
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
        raise ArchiveError(
            f"{path} was written by a newer Scoregate (catalog version {version}).",
            "Update Scoregate. `scoregate archive reindex` replaces it by one of this version.",
        )
    return None


def _opened_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _opened_unchanging(path: Path) -> sqlite3.Connection:
    # WAL needs a file beside the database, which a read-only folder can't take.
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?immutable=1", uri=True, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.isolation_level = None
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA cache_size = -65536")  # 64 MiB
    connection.execute("PRAGMA mmap_size = 268435456")  # 256 MiB
    # Pages that several batches change are then written to the database once: 16 MiB of them.
    connection.execute("PRAGMA wal_autocheckpoint = 4096")
    return connection


def _finish_batches(store: Archive, connection: sqlite3.Connection) -> None:
    """Insert the rows of batches whose writer died after it had put folders in place."""
    from scoregate.archive.integrity import read_report

    for batch in unfinished_folders(store.incoming):
        try:
            names = json.loads((batch / MANIFEST).read_bytes())["folders"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # It died before the manifest was complete: nothing was in place yet.
        try:
            with _transaction(connection):
                for name in names:
                    folder = store.out / name
                    if store.is_entry(folder):
                        with suppress(CorruptError):
                            schema.insert_piece(connection, read_report(folder), Path(name))
        except sqlite3.OperationalError as error:
            _log.warning(
                "Rows of %s could not be written (%s); the next reader tries.", batch, error
            )
            continue
        # Only folders that were never put in place are left; `archive gc` deletes them.
        (batch / MANIFEST).unlink(missing_ok=True)
        with suppress(OSError):
            batch.rmdir()


def _rebuild(path: Path, store: Archive, progress: Callable[[int], None] | None) -> int:
    connection = _configured(_opened_file(path))
    try:
        return _fill(connection, store, progress)
    finally:
        connection.close()


def _fill(
    connection: sqlite3.Connection, store: Archive, progress: Callable[[int], None] | None
) -> int:
    from scoregate.archive import verdicts

    count = 0
    with _transaction(connection):
        schema.create(connection)
        for report, folder in _entries(store):
            schema.insert_piece(connection, report, folder)
            count += 1
            if progress is not None:
                progress(count)
        for run in _runs(store):
            schema.insert_run(connection, run)
        for path in verdicts.judgements(store):
            with suppress(CorruptError):
                verdicts.insert_verdicts(connection, path.stem, verdicts.read_judgement(path))
    return count


def _entries(store: Archive) -> Iterator[tuple[PieceReport, Path]]:
    from scoregate.archive.integrity import read_report

    for folder in store.folders():
        with suppress(CorruptError):
            report = read_report(folder)
            # The folder's name is the id; a report that was put elsewhere is damage.
            if report.piece_id == folder.name:
                yield report, folder.relative_to(store.out)


def _runs(store: Archive) -> Iterator[RunRecord]:
    for run_id in store.run_ids():
        with suppress(CorruptError):
            yield store.run(run_id)
