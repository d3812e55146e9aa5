"""Checking the archive: every file is hashed again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scoregate.archive.atomic import unfinished_folders
from scoregate.archive.integrity import faults_of, hash_of
from scoregate.archive.store import PIECE_ID, RUN_ID, Archive
from scoregate.errors import CorruptError

KINDS = ("missing", "damaged", "foreign", "unfinished")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was put there.

    Parameters
    ----------
    kind : {'missing', 'damaged', 'foreign', 'unfinished'}
        ``unfinished`` is a temporary folder whose writer died; deleting it loses nothing.
    path : Path
    message : str
    """

    kind: str
    path: Path
    message: str


def verify(store: Archive) -> Iterator[Problem]:
    """Yield every problem of an archive, its rejected pieces and its runs.

    Nothing is changed. An archive that doesn't exist has no problems.
    """
    store.check_version()
    yield from _verify_shelves(store)
    yield from _verify_rejected(store)
    for run_id in store.run_ids():
        yield from _verify_run(store, run_id)
    for folder in unfinished_folders(store.incoming):
        yield Problem("unfinished", folder, f"{folder} was never finished; it can be deleted.")


def count_files(store: Archive) -> int:
    """Return how many piece folders :func:`verify` will hash, for a progress bar."""
    return sum(1 for _ in store.ids())


def _verify_shelves(store: Archive) -> Iterator[Problem]:
    for shelf in _entries(store.pieces):
        if not shelf.is_dir():
            yield _foreign(shelf)
            continue
        for folder in _entries(shelf):
            if not (
                folder.is_dir()
                and PIECE_ID.fullmatch(folder.name)
                and folder.name.startswith(shelf.name)
                and len(shelf.name) == 2
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
        if name != "report.html" or path.is_symlink() or not path.is_file():
            yield Problem("missing", path, f"{path} is missing.")
        elif hash_of(path) != expected:
            yield Problem("damaged", path, f"{path} is not what the run wrote.")


def _verify_piece(folder: Path) -> Iterator[Problem]:
    for kind, message in faults_of(folder, folder.name):
        yield Problem(kind, folder, message)


def _foreign(path: Path) -> Problem:
    return Problem("foreign", path, f"{path} was not put there by the archive.")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
