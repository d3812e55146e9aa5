"""Pieces to be judged: found in folders, patterns, zip archives, JSONL files and tunebooks.

A :class:`Source` holds only the location of a piece. The process that judges the piece reads
its bytes, so that a hundred thousand pieces are never in memory together. Only regular files
are opened: a FIFO or a device would block the run, and is reported instead.
"""

from __future__ import annotations

import glob
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scoregate.errors import UnreadableError
from scoregate.tunebooks import MAX_HEADER, Tune, find_tunes, held_fields, with_header

ABC_ENDINGS = (".abc", ".txt")
SCORE_ENDINGS = (".musicxml", ".mxl", ".xml", ".mid", ".midi", ".krn")
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
    tune : Tune or None
        The tune of a tunebook that it is; None for a file that holds one piece.
    """

    path: str
    member: str = ""
    offset: int = -1
    line: int = 0
    tune: Tune | None = None

    @property
    def name(self) -> str:
        """Name of the piece in reports."""
        number = f"#{self.tune.number}" if self.tune else ""
        if self.member:
            return f"{self.path}!{self.member}{number}"
        return f"{self.path}:{self.line}" if self.line else f"{self.path}{number}"

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
    if source.tune is not None:
        return read_tune(source)[0]
    if source.member:
        return _read_member(source)
    if source.line:
        return _read_line(source)
    with _opened(source.path) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise _too_large(source)
        return file.read(MAX_BYTES + 1)


def read_tune(source: Source) -> tuple[bytes, int]:
    """Read a tune of a tunebook, with the fields of the book's header.

    Returns
    -------
    bytes
    int
        What its line numbers are to be moved by to be those of the book.

    Raises
    ------
    UnreadableError
        As :func:`read_bytes`.
    """
    tune = source.tune
    assert tune is not None, "the source is no tune of a tunebook"
    if tune.length > MAX_BYTES:
        raise _too_large(source)
    if source.member:
        book = _book(source.path, _changed(source.path), source.member)
        header, content = book[: tune.header], book[tune.offset : tune.offset + tune.length]
    else:
        with _opened(source.path) as file:
            header = file.read(tune.header) if tune.header <= MAX_HEADER else b""
            file.seek(tune.offset)
            content = file.read(tune.length)
    text, added = with_header(content, held_fields(header))
    return text, tune.line - 1 - added


@lru_cache(maxsize=2)
def _book(path: str, changed: int, member: str) -> bytes:
    """Read a member of a zip archive that holds many tunes, once for all of them."""
    return _read_member(Source(path, member=member))


def _changed(path: str) -> int:
    with _opened(path) as file:
        return os.fstat(file.fileno()).st_mtime_ns


def find(paths: Iterable[str]) -> Iterator[Source | UnreadableError]:
    """Yield every piece that the paths name, in a stable order, one at a time.

    A path is a file, a folder (searched below), a pattern with ``*``, a zip archive, or a
    JSONL file whose objects have a field ``abc``. Of a file with several tunes each tune is a
    piece. An archive within an archive is not opened. What can't be opened is yielded as the
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
            yield from pieces_of(path)
    except UnreadableError as error:
        yield error


def pieces_of(path: str) -> Iterator[Source]:
    """Yield the tunes of a file of ABC that holds several; else the file as one piece."""
    several = False
    if Path(path).suffix.lower() not in SCORE_ENDINGS:
        try:
            with _opened(path) as file:
                for tune in find_tunes(file):
                    several = True
                    yield Source(path, tune=tune)
        except (UnreadableError, OSError):
            several = False  # reading it as one piece says what is wrong
    if not several:
        yield Source(path)


def _members(path: str) -> Iterator[Source | UnreadableError]:
    with _opened(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise UnreadableError(f"{path}: no sound zip archive: {error}.") from error
    for name in names:
        if name.lower().endswith(ABC_ENDINGS):
            yield from _tunes_of_member(path, name)
        elif name.lower().endswith(SCORE_ENDINGS):
            yield Source(path, member=name)
        elif name.lower().endswith(".zip"):
            yield UnreadableError(
                f"{path}!{name}: an archive within an archive is not opened.",
                "Unpack it first.",
            )


def _tunes_of_member(path: str, member: str) -> Iterator[Source]:
    try:
        tunes = list(find_tunes(io.BytesIO(_book(path, _changed(path), member))))
    except UnreadableError:
        tunes = []  # reading it as one piece says what is wrong
    yield from (Source(path, member=member, tune=tune) for tune in tunes)
    if not tunes:
        yield Source(path, member=member)


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
