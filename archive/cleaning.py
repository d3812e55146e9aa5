"""Deleting what is no longer needed: old rejected pieces, unfinished and damaged folders.

Pieces that passed and records of runs are never deleted.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scoregate.archive import catalog, schema
from scoregate.archive.atomic import MANIFEST, told_as_archive_error, unfinished_folders
from scoregate.archive.integrity import read_report
from scoregate.archive.store import PIECE_ID, Archive
from scoregate.errors import CorruptError, RequestError

_AGE = re.compile(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*([hdw])\s*")
_HOURS = {"h": 1, "d": 24, "w": 168}
YOUNGEST_UNFINISHED_S = 600
"""Unfinished folders are left alone for so long: a writer creates its folder and locks it in two
steps."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A folder that was deleted, or would be.

    Attributes
    ----------
    kind : {'rejected', 'unfinished', 'damaged'}
    path : Path
    bytes : int
    """

    kind: str
    path: Path
    bytes: int


def parse_age(text: str) -> timedelta:
    """Read an age: ``30d``, ``12h``, ``2w``.

    Raises
    ------
    RequestError
        It is no number with one of these units.

    Examples
    --------
    >>> parse_age("30d").days
    30
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise RequestError(f"{text!r} is no age.", "Write it like 30d, 12h or 2w.")
    return timedelta(hours=float(match[1]) * _HOURS[match[2]])


def collect(store: Archive, keep: timedelta, *, dry_run: bool = False) -> Iterator[Removed]:
    """Delete rejected pieces and damaged folders that are older than ``keep``, and yield each.

    Temporary folders whose writer died are deleted as well. A piece's folder is renamed out of
    the archive before it is deleted, so no part of a piece is ever visible.

    Parameters
    ----------
    store : Archive
    keep : timedelta
        A piece is as old as the ``created`` in its report; a folder without a readable report is
        as old as the folder.
    dry_run : bool
        Delete nothing, and yield what would be deleted.

    Raises
    ------
    ArchiveError
        A folder can't be written.
    """
    store.check_version()
    before = datetime.now(UTC) - keep
    for folder in _folders(store.rejected.glob("*/*")):
        if PIECE_ID.fullmatch(folder.name) and _created(folder) < before:
            yield Removed("rejected", folder, _size(folder))
            if not dry_run:
                _delete_entry(store, folder)
    for folder in _folders(store.damaged.glob("*")):
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < before:
            yield Removed("damaged", folder, _size(folder))
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
    for folder in unfinished_folders(store.incoming):
        with suppress(FileNotFoundError):
            age = time.time() - folder.stat().st_mtime
            if age > YOUNGEST_UNFINISHED_S and not (folder / MANIFEST).exists():
                yield Removed("unfinished", folder, _size(folder))
                if not dry_run:
                    _delete_unlocked(folder)
    if not dry_run:
        for run in _folders(store.rejected.glob("*")):
            with suppress(OSError):
                run.rmdir()  # Only where it is empty.


def _delete_entry(store: Archive, folder: Path) -> None:
    with told_as_archive_error(folder):
        store.incoming.mkdir(parents=True, exist_ok=True)
        aside = store.incoming / f"deleted-{secrets.token_hex(8)}"
        os.rename(folder, aside)
    with catalog.insertion(store) as connection:
        if connection is not None:
            schema.delete_pieces(connection, [f"{folder.name}.{folder.parent.name}"])
    shutil.rmtree(aside, ignore_errors=True)


def _delete_unlocked(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _created(folder: Path) -> datetime:
    with suppress(CorruptError, ValueError):
        created = datetime.fromisoformat(read_report(folder).created)
        return created if created.tzinfo else created.replace(tzinfo=UTC)
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _folders(paths: Iterator[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_dir() and not path.is_symlink())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
