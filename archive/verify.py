"""Checking the archive: every file is hashed again, and the catalog compared with the folders."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scoregate.archive import catalog
from scoregate.archive.atomic import unfinished_folders
from scoregate.archive.dialects import DatabaseFault
from scoregate.archive.integrity import faults_of, hash_of
from scoregate.archive.store import PIECE_ID, RUN_ID, RUN_PAGE, Archive
from scoregate.archive.verdicts import damaged_judgements
from scoregate.errors import CorruptError


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
        yield Problem("unfinished", folder, f"{folder} was never finished; it can be deleted.")
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
    for kind, message in faults_of(folder, folder.name):
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
            listed = {row[0] for row in connection.execute("SELECT folder FROM pieces")}
            runs = {row[0] for row in connection.execute("SELECT id FROM runs")}
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        yield Problem("catalog", path, f"{path} can't be used: {error}; it is rebuilt on use.")
        return
    except DatabaseFault as error:
        yield Problem("catalog", path, error.problem)
        return
    there = {folder.relative_to(store.out).as_posix() for folder in store.folders()}
    for name in sorted(there - listed):
        if (store.out / name / "report.json").is_file():
            yield Problem("catalog", store.out / name, f"{store.out / name} is not in the catalog.")
    for name in sorted(listed - there):
        yield Problem("catalog", store.out / name, f"{store.out / name} is in the catalog only.")
    for run_id in sorted(runs ^ set(store.run_ids())):
        where = "in the catalog only" if run_id in runs else "not in the catalog"
        yield Problem("catalog", store.run_folder(run_id), f"The run {run_id} is {where}.")


def _foreign(path: Path) -> Problem:
    return Problem("foreign", path, f"{path} was not put there by the archive.")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
