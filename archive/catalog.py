"""The catalog of the archive: a database that answers queries, and can be rebuilt.

Every entry of the archive has its rows here: pieces that passed and pieces that did not,
their findings and measures, and the runs. Adding a piece or writing a run inserts its rows
in the same step, so no query walks the folders. :mod:`scoregate.archive.schema` describes
the tables and columns.

It is an SQLite file in the archive (:mod:`scoregate.archive.catalog_file`), or, where
``SCOREGATE_DATABASE`` names a server, a schema in PostgreSQL
(:mod:`scoregate.archive.catalog_server`). Both give the same answers.

The folders remain the truth. A catalog that is missing, damaged or of an older version is
rebuilt from them when it is next opened, and :func:`reindex` rebuilds it on request; one
that a newer Scoregate wrote is refused. Where the folder can't be written, a catalog is
built in memory. Ratings and whatever else people enter are never stored here alone.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scoregate.archive import postgres, schema
from scoregate.archive.atomic import MANIFEST, unfinished_folders
from scoregate.archive.catalog_file import FileCatalog, NotWritable, in_memory
from scoregate.archive.catalog_server import ServerCatalog, refuse_without_address
from scoregate.archive.dialects import Connection, DatabaseFault
from scoregate.archive.records import PieceReport, RunRecord
from scoregate.errors import CorruptError

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

AT_ONCE = 500
"""Pieces whose rows are inserted together when a catalog is rebuilt."""

_Answer = TypeVar("_Answer")
_log = logging.getLogger(__name__)


def of(store: Archive) -> FileCatalog | ServerCatalog:
    """Return where the catalog of an archive is.

    Raises
    ------
    ArchiveError
        It is in PostgreSQL, and the address is not set.
    RequestError
        The address is not valid.
    """
    where = postgres.address()
    if where is not None:
        return ServerCatalog(store, where)
    refuse_without_address(store)
    return FileCatalog(store)


def connect(store: Archive) -> Connection:
    """Return a connection to the catalog for reading; rows come as ``sqlite3.Row`` does.

    A catalog that is missing, damaged or of an older version is rebuilt first, which takes
    about a second for every 1,000 pieces. The caller closes the connection, and may use it
    from any thread, one at a time.

    Raises
    ------
    ArchiveError
        A newer Scoregate wrote the catalog, or its server can't be reached.
    """
    store.check_version()
    place = of(store)
    connection = None
    try:
        connection = place.sound()
        if connection is None:
            reindex(store, only_if_needed=True)
            connection = place.sound()
    except sqlite3.OperationalError as error:
        _log.warning("The catalog of %s can't be used (%s); one is built in memory.",
                     store.out, error)  # fmt: skip
    except NotWritable:
        pass  # Read-only archives are served from memory.
    if connection is None:
        connection = in_memory(lambda connection: _fill(connection, store, None))
        FileCatalog(store).forbid_writing(connection)
        return connection
    if any(unfinished_folders(store.incoming)):
        _finish_batches(store, place, connection)
    place.forbid_writing(connection)
    return connection


@contextmanager
def opened(store: Archive) -> Iterator[Connection]:
    """Open the catalog for reading and close it again; see :func:`connect`."""
    connection = connect(store)
    try:
        yield connection
    finally:
        connection.close()


def answer(store: Archive, question: Callable[[Connection], _Answer]) -> _Answer:
    """Return what ``question`` finds in the catalog.

    Damage of a file may show only when a query reads the damaged page; the catalog is then
    rebuilt and the question asked again.
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
        The folder can't be written, or the server can't be reached.
    """
    return of(store).rebuild(
        lambda connection: _fill(connection, store, progress), only_if_needed=only_if_needed
    )


@contextmanager
def insertion(store: Archive) -> Iterator[Connection | None]:
    """Open a transaction that rows can be inserted in; it is committed at the end.

    Yields
    ------
    Connection or None
        None where the catalog has to be rebuilt anyway: the next reader does so and finds
        the new entries in their folders.

    Raises
    ------
    ArchiveError
        A newer Scoregate wrote the catalog, or its server can't be reached.
    """
    place = of(store)
    connection = place.sound()
    if connection is None:
        yield None
        return
    try:
        with place.transaction(connection):
            yield connection
    finally:
        connection.close()


def create_if_new(store: Archive) -> None:
    """Create the catalog of an archive that has no piece yet."""
    place = of(store)
    if place.exists():
        return
    if any(folder.is_dir() and any(folder.iterdir()) for folder in (store.pieces, store.rejected)):
        return  # Its rows are yet to be read from the folders.
    try:
        place.create()
    except DatabaseFault as error:
        _log.warning("%s The next reader builds the catalog.", error.problem)


def _finish_batches(
    store: Archive, place: FileCatalog | ServerCatalog, connection: Connection
) -> None:
    """Insert the rows of pieces and runs whose writer died, or could not reach the catalog."""
    from scoregate.archive.integrity import read_report

    for batch in unfinished_folders(store.incoming):
        try:
            manifest = json.loads((batch / MANIFEST).read_bytes())
            names, runs = manifest["folders"], manifest.get("runs", [])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # It died before the manifest was complete: nothing was in place yet.
        found: list[tuple[PieceReport, Path]] = []
        for name in names:
            folder = store.out / name
            if store.is_entry(folder):
                with suppress(CorruptError):
                    found.append((read_report(folder), Path(name)))
        there = set(store.run_ids()).intersection(runs)
        records: list[RunRecord] = []
        for run_id in sorted(there):
            with suppress(CorruptError):
                records.append(store.run(run_id))
        try:
            with place.transaction(connection):
                schema.insert_pieces(connection, found)
                for record in records:
                    schema.insert_run(connection, record)
        except (sqlite3.OperationalError, DatabaseFault) as error:
            _log.warning(
                "Rows of %s could not be written (%s); the next reader tries.", batch, error
            )
            continue
        # What is left was never put in place: its run archives those pieces again.
        (batch / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(batch, ignore_errors=True)


def _fill(connection: Connection, store: Archive, progress: Callable[[int], None] | None) -> int:
    """Insert the rows of everything in the folders into empty tables."""
    from scoregate.archive import verdicts

    count = 0
    waiting: list[tuple[PieceReport, Path]] = []
    for entry in _entries(store):
        waiting.append(entry)
        count += 1
        if len(waiting) == AT_ONCE:
            schema.insert_pieces(connection, waiting)
            waiting.clear()
        if progress is not None:
            progress(count)
    schema.insert_pieces(connection, waiting)
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
