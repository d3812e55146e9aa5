"""Checking the archive: every file is hashed again, and the catalog compared with the folders."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scoregate.archive import catalog
from scoregate.archive.atomic import MANIFEST, unfinished_folders
from scoregate.archive.dialects import Connection, DatabaseFault
from scoregate.archive.integrity import faults_of, hash_of
from scoregate.archive.store import PIECE_ID, RUN_ID, RUN_PAGE, Archive
from scoregate.archive.verdicts import damaged_judgements
from scoregate.errors import CorruptError

SETTLED_S = 1.0
"""A difference between catalog and folders is one if it is there after so long: a run that goes on
meanwhile puts a folder in place and inserts its row a moment later."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as the archive wrote it.

    Attributes
    ----------
    kind : {'missing', 'damaged', 'foreign', 'unfinished', 'catalog'}
        ``unfinished`` is a temporary folder whose writer died; deleting it loses nothing.
        ``catalog`` is a difference between catalog and folders; `reindex` removes it.
    path : Path
    message : str
    """

    kind: str
    path: Path
    message: str


def verify(store: Archive) -> Iterator[Problem]:
    """Yield every problem of the pieces, the rejected pieces, the runs and the catalog.

    Nothing is changed. An archive that doesn't exist has no problems.

    Raises
    ------
    ArchiveError
        A newer Scoregate wrote the archive.
    """
    store.check_version()
    yield from _verify_pieces(store)
    yield from _verify_rejected(store)
    for run_id in store.run_ids():
        yield from _verify_run(store, run_id)
    for path, message in damaged_judgements(store):
        yield Problem("damaged", path, message)
    for folder in unfinished_folders(store.incoming):
        what = "it can be deleted"
        if (folder / MANIFEST).exists():
            what = "the next reader of the catalog inserts the rows of what is in the archive"
        yield Problem("unfinished", folder, f"{folder} was never finished; {what}.")
    yield from _verify_catalog(store)


def count_pieces(store: Archive) -> int:
    """Return how many folders of pieces :func:`verify` hashes."""
    return sum(1 for _ in store.folders())


def _verify_pieces(store: Archive) -> Iterator[Problem]:
    for parent in _entries(store.pieces):
        if not parent.is_dir():
            yield _foreign(parent)
            continue
        for folder in _entries(parent):
            if not (
                folder.is_dir()
                and PIECE_ID.fullmatch(folder.name)
                and folder.name.startswith(parent.name)
                and len(parent.name) == 2
            ):
                yield _foreign(folder)
                continue
            yield from _verify_piece(folder)


def _verify_rejected(store: Archive) -> Iterator[Problem]:
    for run in _entries(store.rejected):
        if not (run.is_dir() and RUN_ID.fullmatch(run.name)):
            yield _foreign(run)
            continue
        for folder in _entries(run):
            if folder.is_dir() and PIECE_ID.fullmatch(folder.name):
                yield from _verify_piece(folder)
            else:
                yield _foreign(folder)


def _verify_run(store: Archive, run_id: str) -> Iterator[Problem]:
    folder = store.run_folder(run_id)
    try:
        run = store.run(run_id)
    except CorruptError as error:
        yield Problem("damaged", folder, error.problem)
        return
    if run.seal != run.computed_seal() or run.run_id != run_id:
        yield Problem("damaged", folder, f"{folder / 'run.json'} was changed after it was written.")
    for name, expected in run.files.items():
        path = folder / name
        if not RUN_PAGE.fullmatch(name) or path.is_symlink() or not path.is_file():
            yield Problem("missing", path, f"{path} is missing.")
        elif hash_of(path) != expected:
            yield Problem("damaged", path, f"{path} is not what the run wrote.")


def _verify_piece(folder: Path) -> Iterator[Problem]:
    try:
        faults = list(faults_of(folder, folder.name))
    except FileNotFoundError:
        faults = []
    if faults and not folder.exists():
        return  # `archive gc` has deleted it since the folders were listed.
    for kind, message in faults:
        yield Problem(kind, folder, message)


def _verify_catalog(store: Archive) -> Iterator[Problem]:
    place = catalog.of(store)
    path = place.path
    if not place.exists():
        return  # It is built when it is next needed.
    try:
        connection = place.sound()
        if connection is None:
            raise sqlite3.DatabaseError("it is damaged or of an older version")
        try:
            if fault := place.faults(connection):
                raise sqlite3.DatabaseError(fault)
            yield from _differences(store, connection)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        yield Problem("catalog", path, f"{path} can't be used: {error}; it is rebuilt on use.")
    except DatabaseFault as error:
        yield Problem("catalog", path, error.problem)


def _differences(store: Archive, connection: Connection) -> Iterator[Problem]:
    """Yield what catalog and folders do not have in common, and go on not to have."""
    first = _compared(store, connection)
    if not first:
        return
    # Between the two looks: a batch that is no longer named here has its rows by now.
    written = _being_written(store)
    time.sleep(SETTLED_S)
    again = _compared(store, connection)
    for name, message in first.items():
        if name in again and name not in written:
            yield Problem("catalog", store.out / name, message)


def _compared(store: Archive, connection: Connection) -> dict[str, str]:
    """Return what is in the catalog or in the folders only, by its name below ``out``."""
    listed = {row[0] for row in connection.execute("SELECT folder FROM pieces")}
    runs = {row[0] for row in connection.execute("SELECT id FROM runs")}
    there = {folder.relative_to(store.out).as_posix() for folder in store.folders()}
    found = {}
    for name in sorted(there - listed):
        if (store.out / name / "report.json").is_file():
            found[name] = f"{store.out / name} is not in the catalog."
    for name in sorted(listed - there):
        found[name] = f"{store.out / name} is in the catalog only."
    for run_id in sorted(runs ^ set(store.run_ids())):
        where = "in the catalog only" if run_id in runs else "not in the catalog"
        name = store.run_folder(run_id).relative_to(store.out).as_posix()
        found[name] = f"The run {run_id} is {where}."
    return found


def _being_written(store: Archive) -> set[str]:
    """Return the folders of the pieces and runs that a writer has in hand, or had when it died."""
    names: set[str] = set()
    for path in store.incoming.glob(f"*/{MANIFEST}"):
        try:
            manifest = json.loads(path.read_bytes())
            names.update(manifest["folders"])
            names.update(f"runs/{run_id}" for run_id in manifest.get("runs", []))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # It is finished by now, or its writer died before anything was in place.
    return names


def _foreign(path: Path) -> Problem:
    return Problem("foreign", path, f"{path} was not put there by the archive.")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
