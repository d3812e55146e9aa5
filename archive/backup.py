"""Backup of an archive to a folder or to object storage, and restoring it.

The destination is a folder or an address that fsspec knows (``s3://bucket/path``, with
``pip install 'scoregate[s3]'``). Files of a piece never change, so a file that is there with the
same size is not copied again. The catalog is not copied: it is rebuilt after restoring.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoregate import __version__
from scoregate.archive import catalog
from scoregate.archive.atomic import sync_filesystem
from scoregate.archive.records import FORMAT, now
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import ArchiveError, CorruptError, ScoregateError

AT_ONCE = 200
"""Files that are copied in one call; object storage copies them side by side."""

MANIFEST = "backup.json"
_SAFE = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,200}")
_SKIPPED = re.compile(
    r"archive/(catalog\.sqlite|catalog\.lock|catalog\.json|incoming/).*|.*\.sqlite-(wal|shm)|\.[^/]*"
    r"|runs/(opening\.lock|[^/]+/work/.*)"
)
_UNCHANGING = re.compile(r"(archive/pieces|archive/judgements|rejected)/.*")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup or a restore did.

    Attributes
    ----------
    files : int
        Files that belong to it.
    copied : int
        Files that were not there already.
    bytes : int
        Size of the files copied.
    """

    files: int
    copied: int
    bytes: int


def backup(store: Archive, destination: str, progress: Progress | None = None) -> Copied:
    """Copy an archive, its rejected pieces, runs and reviews to a destination.

    Runs may go on meanwhile: what they had finished when the backup began is in it. What was
    deleted here since the last backup stays there. A backup that is interrupted leaves the one
    before it usable; the next copies what is missing.

    Parameters
    ----------
    store : Archive
    destination : str
        A folder or an address such as ``s3://bucket/path``.
    progress : callable, optional
        Called with the number of files copied and the number to copy.

    Raises
    ------
    ArchiveError
        The destination can't be written, or was written by a newer Scoregate.
    """
    store.check_version()
    with (
        _reached(destination) as (system, root),
        tempfile.TemporaryDirectory(prefix="scoregate-") as scratch,
    ):
        _manifest(system, root)
        there = dict(_remote_files(system, root))
        records = _copied_records(store, Path(scratch))
        local = dict(_local_files(store, records))
        needed = [
            name
            for name, size in local.items()
            if there.get(name) != size or not _UNCHANGING.fullmatch(name)
        ]
        # A report or record vouches for the files beside it, so it is copied after them.
        needed.sort(key=lambda name: (name in records, name.endswith("report.json"), name))
        for done in range(0, len(needed), AT_ONCE):
            part = {
                name: records.get(name) or _snapshot(store.out / name, Path(scratch))
                for name in needed[done : done + AT_ONCE]
            }
            for name in [name for name, path in part.items() if not path.is_file()]:
                del part[name], local[name]  # `archive gc` has deleted it since.
            if part:
                system.put(
                    [str(path) for path in part.values()], [f"{root}/{name}" for name in part]
                )
            if progress is not None:
                progress(min(done + AT_ONCE, len(needed)), len(needed))
        if _is_local(system):
            # The summary must not reach the disk before what it sums up.
            sync_filesystem([Path(root)])
        summary = {
            "format": FORMAT,
            "scoregate": __version__,
            "written": now(),
            "files": len(local),
            "bytes": sum(local.values()),
        }
        system.pipe_file(f"{root}/{MANIFEST}", json.dumps(summary, indent=1).encode() + b"\n")
    copied = [name for name in needed if name in local]
    return Copied(len(local), len(copied), sum(local[name] for name in copied))


def restore(source: str, store: Archive, progress: Progress | None = None) -> Copied:
    """Copy a backup into a folder that holds no archive, verify it, and build its catalog.

    Parameters
    ----------
    source : str
        Where :func:`backup` wrote.
    store : Archive
        Its folder must not hold an archive; what an interrupted restore left is completed.
    progress : callable, optional
        As for :func:`backup`.

    Raises
    ------
    ArchiveError
        The folder holds another archive or can't be written.
    CorruptError
        The backup is incomplete, or what was restored is damaged. The files stay.
    """
    marker = store.out / ".restoring"
    if store.out.exists() and any(store.out.iterdir()) and not marker.exists():
        raise ArchiveError(f"{store.out} is not empty.", "Restore into a new folder.")
    with _reached(source) as (system, root):
        summary = _manifest(system, root)
        if summary is None:
            raise CorruptError(
                f"{source} holds no complete backup: {MANIFEST} is missing.",
                "Name the folder or address that `scoregate archive backup` wrote to.",
            )
        store.out.mkdir(parents=True, exist_ok=True)
        marker.write_text(source, encoding="utf-8")
        remote = dict(_remote_files(system, root))
        if len(remote) < summary["files"]:
            raise CorruptError(
                f"{source} has {len(remote)} files; {summary['files']} were backed up.",
                "Restore an older backup, or back the archive up again.",
            )
        local = dict(_local_files(store, None))
        needed = [name for name, size in remote.items() if local.get(name) != size]
        for done in range(0, len(needed), AT_ONCE):
            part = needed[done : done + AT_ONCE]
            for name in part:
                (store.out / name).parent.mkdir(parents=True, exist_ok=True)
            system.get(
                [f"{root}/{name}" for name in part], [str(store.out / name) for name in part]
            )
            if progress is not None:
                progress(done + len(part), len(needed))
    (store.root / "incoming").mkdir(parents=True, exist_ok=True)
    problems = [problem for problem in verify(store) if problem.kind != "catalog"]
    if problems:
        raise CorruptError(
            f"{len(problems)} problems in what was restored; the first: {problems[0].message}",
            f"See all with `scoregate archive verify --out {store.out}`.",
        )
    catalog.reindex(store)
    marker.unlink()
    return Copied(len(remote), len(needed), sum(remote[name] for name in needed))


@contextmanager
def _reached(address: str) -> Iterator[tuple[Any, str]]:
    """Open a destination; errors of fsspec and its backends become ArchiveErrors.

    Yields
    ------
    tuple of (fsspec.AbstractFileSystem, str)
        The file system, and the path of the destination in it.
    """
    import fsspec

    try:
        system, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ArchiveError(
            f"{address} can't be reached: {error}.", "pip install 'scoregate[s3]'"
        ) from error
    except ValueError as error:
        raise ArchiveError(
            f"{address} can't be reached: {error}.",
            "Name a folder, or an address such as s3://bucket/path.",
        ) from error
    if _is_local(system):
        system.auto_mkdir = True
    try:
        system.invalidate_cache()
        yield system, root.rstrip("/")
    except ScoregateError:
        raise
    except Exception as error:  # Each backend of fsspec has errors of its own.
        raise ArchiveError(
            f"{address} can't be used: {type(error).__name__}: {error}",
            "Check the address, the network and the credentials, and start the command again: "
            "what was copied is not copied again.",
        ) from error


def _is_local(system: Any) -> bool:
    return "file" in (system.protocol if isinstance(system.protocol, tuple) else [system.protocol])


def _manifest(system: Any, root: str) -> dict[str, Any] | None:
    path = f"{root}/{MANIFEST}"
    if not system.exists(path):
        return None
    summary = json.loads(system.cat_file(path))
    if summary["format"] > FORMAT:
        raise ArchiveError(
            f"The backup {root} was written by a newer Scoregate (format {summary['format']}).",
            "Update Scoregate to use it.",
        )
    return summary


def _remote_files(system: Any, root: str) -> Iterator[tuple[str, int]]:
    if not system.exists(root):
        return
    for path, details in system.find(root, detail=True).items():
        name = path[len(root) :].lstrip("/")
        if name == MANIFEST or details.get("type") == "directory":
            continue
        if not all(_SAFE.fullmatch(part) for part in name.split("/")) or _SKIPPED.fullmatch(name):
            raise CorruptError(
                f"{root} holds {name!r}, which no backup writes.",
                "Name the folder or address that `scoregate archive backup` wrote to.",
            )
        yield name, details["size"]


def _copied_records(store: Archive, scratch: Path) -> dict[str, Path]:
    """Copy the records of all runs as they are now; return the copies by their name in the backup.

    A run may go on while the archive is copied. Its pages and pieces are in place before its
    record names them, so what is listed after this belongs to these records, if not to later ones.
    """
    folder = scratch / "records"
    folder.mkdir()
    copies = {}
    for run_id in store.run_ids():
        target = folder / f"{run_id}.json"
        shutil.copyfile(store.run_folder(run_id) / "run.json", target)
        copies[f"runs/{run_id}/run.json"] = target
    return copies


def _local_files(store: Archive, records: Mapping[str, Path] | None) -> Iterator[tuple[str, int]]:
    """Yield the files of an archive that belong in a backup, with their sizes.

    Parameters
    ----------
    store : Archive
    records : mapping of str to Path or None
        The copied records; of runs that are not among them nothing is taken. None takes all.
    """
    for path in _below(store.out):
        name = path.relative_to(store.out).as_posix()
        parts = name.split("/")
        if _SKIPPED.fullmatch(name) or not all(_SAFE.fullmatch(part) for part in parts):
            continue
        if records is not None and parts[0] == "runs" and len(parts) > 2:
            if f"runs/{parts[1]}/run.json" not in records:
                continue
            path = records.get(name, path)
        with suppress(FileNotFoundError):  # It was deleted since the folder was listed.
            yield name, path.stat().st_size


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, sorted; folders that vanish meanwhile are left out.

    Raises
    ------
    OSError
        A folder can't be read.
    """

    def told(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, names in os.walk(folder, onerror=told):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _snapshot(path: Path, scratch: Path) -> Path:
    """Return a file that does not change while it is copied: of a database, a copy."""
    if path.suffix != ".sqlite":
        return path
    target = scratch / path.name
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    return target
