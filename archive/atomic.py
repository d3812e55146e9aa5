"""Writing files and folders so that each appears complete or not at all.

A folder is written under a temporary name on the same filesystem, made durable, renamed into
place, and the folder that now holds its name is made durable. A process that is killed on the
way leaves only a temporary folder behind. restic and git write in the same order.

Several folders are written as one batch: everything is written, then made durable by one
``syncfs`` instead of an ``fsync`` for each file, then renamed. The order of these three steps is
what makes it safe, so a batch is as safe as its folders one by one.

A writer holds a lock (``flock``) on its temporary folder, so that :func:`unfinished_folders` can
tell a folder that is being written from one whose writer has died. The lock ends with the process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from scoregate.errors import ArchiveError

MANIFEST = "batch.json"
"""File in a temporary folder that says what the batch holds."""

SYNC_ONE_BY_ONE = 2
"""Up to this many folders are made durable file by file: ``syncfs`` also writes out whatever
other programs have changed on the filesystem."""


def write_file(path: Path, content: bytes) -> None:
    """Put a file in place, replacing an older one in one step.

    Raises
    ------
    ArchiveError
        The folder can't be written or the disk is full; the older file stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with told_as_archive_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_new(temporary, content)
            _sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def write_folders(
    folders: Sequence[tuple[Path, Mapping[str, bytes]]],
    incoming: Path,
    *,
    manifest: bytes = b"",
    on_placed: Callable[[list[bool]], None] | None = None,
) -> list[bool]:
    """Put folders with their files in place, each in one step.

    Parameters
    ----------
    folders : sequence of (Path, mapping of str to bytes)
        Where each folder shall be, and its files by name. Parents are made.
    incoming : Path
        Folder on the same filesystem where the temporary folder is made.
    manifest : bytes
        Kept in the temporary folder as ``batch.json`` until ``on_placed`` has returned.
    on_placed : callable, optional
        Called once all folders are in place and durable, with the result. If it raises, or the
        process ends before it returns, the temporary folder stays with its manifest.

    Returns
    -------
    list of bool
        False for a folder that was there already; it is left as it is.

    Raises
    ------
    ArchiveError
        A folder can't be written or the disk is full. No incomplete folder stays.
    """
    if not folders:
        return []
    with told_as_archive_error(incoming):
        incoming.mkdir(parents=True, exist_ok=True)
        batch = incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        batch.mkdir()
        lock = os.open(batch, os.O_RDONLY)
        renaming = False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            written = _write_batch(batch, folders, manifest)
            durable = _sync_each if len(folders) <= SYNC_ONE_BY_ONE else sync_filesystem
            durable(written)
            renaming = True
            targets = [target for target, _ in folders]
            placed = [_rename_folder(batch / str(n), target) for n, target in enumerate(targets)]
            durable([*{path.parent for path in targets}, *{path.parents[1] for path in targets}])
            if on_placed is not None:
                on_placed(placed)
        except BaseException:
            # From the first rename on the manifest is needed: see `on_placed`.
            if not renaming:
                shutil.rmtree(batch, ignore_errors=True)
            raise
        finally:
            os.close(lock)
        shutil.rmtree(batch, ignore_errors=True)
        return placed


@contextmanager
def announced(incoming: Path, manifest: bytes) -> Iterator[None]:
    """Keep a manifest in a temporary folder until the ``with`` block has ended well.

    It is found by :func:`unfinished_folders` if the block raises, or its process is killed.

    Raises
    ------
    ArchiveError
        The folder can't be written or the disk is full.
    """
    with told_as_archive_error(incoming):
        incoming.mkdir(parents=True, exist_ok=True)
        folder = incoming / f"{os.getpid()}-{secrets.token_hex(8)}"
        folder.mkdir()
        lock = os.open(folder, os.O_RDONLY)
    try:
        with told_as_archive_error(folder):
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write_new(folder / MANIFEST, manifest)
        yield
    finally:
        os.close(lock)
    shutil.rmtree(folder, ignore_errors=True)


def unfinished_folders(incoming: Path) -> Iterator[Path]:
    """Yield temporary folders whose writer is gone."""
    if not incoming.is_dir():
        return
    for folder in sorted(incoming.iterdir()):
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # Its writer has removed it since.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        if folder.exists():
            yield folder


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


def _write_batch(
    batch: Path, folders: Sequence[tuple[Path, Mapping[str, bytes]]], manifest: bytes
) -> list[Path]:
    """Write the files of a batch; return everything that has to be made durable."""
    written = []
    if manifest:
        _write_new(batch / MANIFEST, manifest)
        written.append(batch / MANIFEST)
    for position, (target, files) in enumerate(folders):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = batch / str(position)
        folder.mkdir()
        for name, content in files.items():
            _write_new(folder / name, content)
            written.append(folder / name)
        written.append(folder)
    return [*written, batch]


def _write_new(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_each(paths: Iterable[Path]) -> None:
    for path in paths:
        _sync(path)


def sync_filesystem(paths: Sequence[Path]) -> None:
    """Make everything on the filesystem of ``paths`` durable; one by one where that is missing."""
    syncfs = _syncfs()
    if syncfs is None:
        _sync_each(paths)
        return
    descriptor = os.open(paths[0], os.O_RDONLY)
    try:
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(paths[0]))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Return Linux's ``syncfs``, or None on other systems.

    Since Linux 5.8 it reports errors of writing back, as ``fsync`` does.
    """
    if tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit()) < (5, 8):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


def _rename_folder(source: Path, target: Path) -> bool:
    try:
        os.rename(source, target)
    except OSError as error:
        # Another process was quicker: a folder that holds files is never replaced.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
