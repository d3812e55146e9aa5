"""Writing files and folders so that they are there wholly or not at all.

The order is restic's and git's: write under a temporary name on the same filesystem,
fsync what was written, rename, fsync the folder that now holds the name. A process that
is killed in the middle leaves only a temporary name behind.

A writer holds a lock on its temporary folder (``flock``), so that
:func:`unfinished_folders` can tell a folder in the making from one whose writer died.
The lock goes with the process, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scoregate.errors import ArchiveError


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place, replacing an older one in one step.

    Raises
    ------
    ArchiveError
        When the folder can't be written or the disk is full; the older file stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with told_as_archive_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_synced(temporary, content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_folder(target: Path, files: Mapping[str, bytes], incoming: Path) -> bool:
    """Put a folder with its files in place, in one step.

    Parameters
    ----------
    target : Path
        Where the folder shall stand; its parents are made.
    files : mapping of str to bytes
        Written in this order, so that the one that vouches for the others comes last.
    incoming : Path
        Folder on the same filesystem where the temporary folder is made.

    Returns
    -------
    bool
        False when ``target`` stood there already; it is then left as it is.

    Raises
    ------
    ArchiveError
        When a folder can't be written or the disk is full; nothing half-written stays.
    """
    with told_as_archive_error(target):
        incoming.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        temporary.mkdir()
        lock = os.open(temporary, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name, content in files.items():
                _write_synced(temporary / name, content)
            os.fsync(lock)
            placed = _rename_folder(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        finally:
            os.close(lock)
        if not placed:
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            sync_folder(target.parent)
            sync_folder(target.parent.parent)
        return placed


def unfinished_folders(incoming: Path) -> Iterator[Path]:
    """Yield temporary folders whose writer is gone."""
    if not incoming.is_dir():
        return
    for folder in sorted(incoming.iterdir()):
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Its writer renamed it just now.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        if folder.exists():
            yield folder


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told_as_archive_error(path: Path) -> Iterator[None]:
    """Turn an OSError into an ArchiveError that says what to do."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"{path} can't be written: {error.strerror}.", _remedy(error)) from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space on the disk or name another folder with --out; nothing was left behind."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Name a folder that you may write with --out."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "A file stands where a folder is needed; name another folder with --out."
    return "Check the disk, or name another folder with --out."


def _write_synced(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_folder(source: Path, target: Path) -> bool:
    try:
        os.rename(source, target)
    except OSError as error:
        # Another process was quicker: a folder that holds files is never replaced.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
