"""Files to be judged: found in folders, patterns, zip archives and JSONL files.

A :class:`Source` holds only the location of a piece. The process that judges the piece reads
its bytes, so that a hundred thousand pieces are never in memory together. Only regular files
are opened: a FIFO or a device would block the run, and is reported instead.
"""

from __future__ import annotations

import glob
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scoregate.errors import UnreadableError

ABC_ENDINGS = (".abc", ".txt")
SCORE_ENDINGS = (".musicxml", ".mxl", ".xml", ".mid", ".midi")
ENDINGS = (*ABC_ENDINGS, *SCORE_ENDINGS, ".zip", ".jsonl")
MAX_BYTES = 16 * 2**20
"""Largest size of one piece. The longest real one has 47 kB; a larger file is not read."""


@dataclass(frozen=True, slots=True)
class Source:
    """Location of one piece.

    Attributes
    ----------
    path : str
        The file.
    member : str
        The name inside a zip archive, or ``""``.
    offset : int
        Where the line begins in a JSONL file, or -1.
    line : int
        Its number in the JSONL file, from 1; 0 elsewhere.
    """

    path: str
    member: str = ""
    offset: int = -1
    line: int = 0

    @property
    def name(self) -> str:
        """Name of the piece in reports."""
        if self.member:
            return f"{self.path}!{self.member}"
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def ending(self) -> str:
        """The file's ending in lower case; that of the member inside a zip archive."""
        return ".abc" if self.line else Path(self.member or self.path).suffix.lower()


def read_bytes(source: Source) -> bytes:
    """Read the piece.

    Raises
    ------
    UnreadableError
        It is no regular file, isn't there, may not be read, is too large, or the archive
        or the JSONL line around it is damaged.
    """
    if source.member:
        return _read_member(source)
    if source.line:
        return _read_line(source)
    with _opened(source.path) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise _too_large(source)
        return file.read(MAX_BYTES + 1)


def find(paths: Iterable[str]) -> Iterator[Source | UnreadableError]:
    """Yield every piece that the paths name, in a stable order, one at a time.

    A path is a file, a folder (searched below), a pattern with ``*``, a zip archive, or a
    JSONL file whose objects have a field ``abc``. What can't be opened is yielded as the
    error that says so, and the search goes on.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _below(path)
        elif os.path.lexists(path):
            yield from _inside(path)
        elif glob.has_magic(path):
            matches = sorted(glob.glob(path, recursive=True))
            if not matches:
                yield UnreadableError(f"{path}: nothing matches.", "Check the pattern.")
            for match in matches:
                yield from _below(match) if os.path.isdir(match) else _inside(match)
        else:
            yield UnreadableError(f"{path}: no such file.", "Check the path.")


def _below(folder: str) -> Iterator[Source | UnreadableError]:
    faults: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=faults.append):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(ENDINGS):
                yield from _inside(os.path.join(root, name))
    for fault in faults:
        yield UnreadableError(f"{fault.filename}: {fault.strerror}.", "Check its permissions.")


def _inside(path: str) -> Iterator[Source | UnreadableError]:
    ending = Path(path).suffix.lower()
    try:
        if ending == ".zip":
            yield from _members(path)
        elif ending == ".jsonl":
            yield from _lines(path)
        else:
            yield Source(path)
    except UnreadableError as error:
        yield error


def _members(path: str) -> Iterator[Source]:
    with _opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise UnreadableError(f"{path}: no sound zip archive: {error}.") from error
    for name in names:
        if name.lower().endswith((*ABC_ENDINGS, *SCORE_ENDINGS)):
            yield Source(path, member=name)


def _lines(path: str) -> Iterator[Source]:
    with _opened(path) as file:
        offset = number = 0
        while line := file.readline(MAX_BYTES):
            number += 1
            if line.strip():
                yield Source(path, offset=offset, line=number)
            offset += len(line)
            while not line.endswith(b"\n") and (line := file.readline(MAX_BYTES)):
                offset += len(line)  # the rest of a line too long to be read at once


def _read_member(source: Source) -> bytes:
    with _opened(source.path) as file:
        changed = os.fstat(file.fileno()).st_mtime_ns
        try:
            with _archive(source.path, changed).open(source.member) as member:
                # The size in the directory may lie: read no more than allowed.
                content = member.read(MAX_BYTES + 1)
        # RuntimeError: a password is needed, or it is packed in a way Python doesn't know.
        except (zipfile.BadZipFile, KeyError, OSError, EOFError, RuntimeError, ValueError) as error:
            raise UnreadableError(f"{source.name}: can't be unpacked: {error}.") from error
    if len(content) > MAX_BYTES:
        raise _too_large(source)
    return content


@lru_cache(maxsize=4)
def _archive(path: str, changed: int) -> zipfile.ZipFile:
    """Open a zip archive and keep it open; ``changed`` tells its versions apart.

    Reading the directory of a large archive again for each member takes longer than judging it.
    """
    return zipfile.ZipFile(_opened(path))


def _read_line(source: Source) -> bytes:
    with _opened(source.path) as file:
        file.seek(source.offset)
        line = file.readline(MAX_BYTES + 1)
    if len(line) > MAX_BYTES:
        raise _too_large(source)
    try:
        text = json.loads(line)["abc"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableError(
            f"{source.name}: no JSON object with a field 'abc'.",
            'Each line has to be like {"abc": "X:1\\nK:C\\n..."}.',
        ) from error
    if not isinstance(text, str):
        raise UnreadableError(f"{source.name}: the field 'abc' holds no text.")
    return text.encode("utf-8", "surrogatepass")


def _opened(path: str):
    """Open a regular file for reading; anything that could block is refused."""
    try:
        # O_NONBLOCK: opening a FIFO without it waits for a writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(
            f"{path}: {reason}.", "Check the path and its permissions."
        ) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UnreadableError(f"{path}: not a regular file.", "Name a file with a score in it.")
    return os.fdopen(number, "rb")


def _too_large(source: Source) -> UnreadableError:
    return UnreadableError(
        f"{source.name}: larger than {MAX_BYTES // 2**20} MiB, which no score is.",
        "Split it, if it holds several pieces.",
    )


def size_and_time(source: Source) -> tuple[int, int]:
    """Return the size in bytes and the time of change in ns of the source's file.

    Both are 0 where the file system does not tell.
    """
    try:
        found = os.stat(source.path)
    except (OSError, ValueError):
        return 0, 0
    return found.st_size, found.st_mtime_ns
