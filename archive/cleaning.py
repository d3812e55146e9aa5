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
from scoregate.errors import ArchiveError, CorruptError, RequestError

OLDEST_STAMP = datetime(2020, 1, 1, tzinfo=UTC)
"""An earlier time comes from a machine that did not know the date; it says nothing of an age."""
LONGEST_IDLE = timedelta(days=366)
"""Where all is older than what is kept by more than this, the clock is more likely to be wrong."""
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
        as old as the folder. 0 deletes all, whatever the clock says.
    dry_run : bool
        Delete nothing, and yield what would be deleted.

    Raises
    ------
    ArchiveError
        A folder can't be written; or the clock is so far ahead of the newest entry that it is
        probably wrong.
    """
    store.check_version()
    limit = datetime.now(UTC) - keep
    if keep:
        _check_clock(store, limit)

    def is_old(made: datetime) -> bool:
        return not keep or OLDEST_STAMP <= made < limit

    for folder in _folders(store.rejected.glob("*/*")):
        if PIECE_ID.fullmatch(folder.name) and is_old(_created(folder)):
            yield Removed("rejected", folder, _size(folder))
            if not dry_run:
                _delete_entry(store, folder)
    for folder in _folders(store.damaged.glob("*")):
        if is_old(datetime.fromtimestamp(folder.stat().st_mtime, UTC)):
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


def _check_clock(store: Archive, limit: datetime) -> None:
    """Raise ArchiveError if even the newest entry is far older than ``limit``."""
    query = "SELECT max(created_utc) FROM pieces UNION SELECT max(started_utc) FROM runs"
    stamps = catalog.answer(store, lambda connection: connection.execute(query).fetchall())
    newest = max((found for row in stamps if (found := _time(row[0]))), default=None)
    if newest is not None and limit - newest > LONGEST_IDLE:
        raise ArchiveError(
            f"The clock says {datetime.now(UTC):%Y-%m-%d}, and the newest entry of {store.out} is "
            f"of {newest:%Y-%m-%d}: nothing was deleted.",
            "Set the clock. If it is right, all that may be deleted is old: --keep 0d.",
        )


def _time(stamp: str | None) -> datetime | None:
    with suppress(ValueError):
        read = datetime.fromisoformat(stamp or "")
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    return None


def _created(folder: Path) -> datetime:
    with suppress(CorruptError):
        if created := _time(read_report(folder).created):
            return created
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _folders(paths: Iterator[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_dir() and not path.is_symlink())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
