r"""Tunebooks: the tunes of one ABC file, each with the fields of the file's header.

A file may hold thousands of tunes, and each begins with an ``X:`` field. Fields and directives
before the first of them are the file's header and hold for every tune that has none of its own.
Files are read block by block, so that a book of any size takes no more memory than a tune.

Examples
--------
>>> book = b"M:6/8\nR:jig\n\nX:1\nT:One\nK:G\nGAB|\n\nX:2\nT:Two\nM:9/8\nK:D\nDEF|\n"
>>> [(tune.number, tune.line, tune.length) for tune in find_tunes(io.BytesIO(book))]
[(1, 4, 20), (2, 9, 25)]
>>> tunes_of(book)[1]
(7, b'X:2\nR:jig\nT:Two\nM:9/8\nK:D\nDEF|\n')
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 2**20
"""Bytes that are read at once."""
MAX_HEADER = 2**16
"""Longest header of a file; one that is longer is no header and is left out."""

_MARK = re.compile(rb"[\r\n](?=(X:|K:|[ \t]*[\r\n]))")
"""A line end with what begins the next line: a tune, a key, or nothing."""
_OVERLAP = 256
"""Bytes of a block that are looked at again with the next one."""
_HOLDS = re.compile(rb"(?:([ABCDFGHILMmNOQRrSUZ]):|%%[A-Za-z])[^\r\n]*")
"""A line of the header that holds for every tune: no K:, V: or T:, which are a tune's own."""
_SEVERAL = b"ImU"
"""Fields that a tune may have besides those of the header: they add up."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Tune:
    """Where a tune lies in its file.

    Attributes
    ----------
    number : int
        From 1, by its place in the file.
    offset, length : int
        In bytes.
    line : int
        Number of its first line in the file, from 1.
    header : int
        Bytes of the file's header, from the file's beginning.
    """

    number: int
    offset: int
    length: int
    line: int
    header: int


def find_tunes(file: BinaryIO) -> Iterator[Tune]:
    """Yield every tune of a file that holds several; nothing for a file with one or none.

    An ``X:`` begins a tune behind a blank line or behind the ``K:`` of the tune before.
    """
    before: tuple[int, int] | None = None
    header = number = 0
    for offset, line in _starts(file):
        if before is None:
            header = offset
        elif line or number:
            number += 1
            start, first = before
            yield Tune(number, start, offset - start, first, header)
        before = offset, line


def _starts(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield offset and line of each tune's ``X:``, and at last the file's length and 0."""
    file.seek(0)
    # A line end before the file, so that its first line is one as well.
    buffer, base = b"\n" + file.read(BLOCK), -1
    if buffer.startswith(b"\n\xef\xbb\xbf"):
        buffer, base = b"\n" + buffer[4:], 2
    # Old files of the Macintosh have no line feeds.
    ends = b"\n" if b"\n" in buffer[1:] else b"\r"
    line, counted, done = 1, 1, 1  # of the buffer: up to where lines are counted, and read
    begun = key = False
    blank, block = True, b"first"
    while True:
        limit = len(buffer) - _OVERLAP if block else len(buffer)
        for match in _MARK.finditer(buffer, done - 1):
            at, mark = match.end(), match[1]
            if at > limit:
                break
            done = at + 1
            if mark == b"K:":
                key, blank = True, False
            elif mark != b"X:":
                # Between the two characters of a line end there is no line.
                blank = blank or buffer[at - 1 : at + 1] != b"\r\n"
            elif blank or key or not begun:
                line += buffer.count(ends, counted, at)
                counted = at
                yield base + at, line
                begun, key, blank = True, False, False
        if not block:
            yield base + len(buffer), 0
            return
        rest = max(limit, done, 1) - 1
        line += buffer.count(ends, counted, rest) if rest > counted else 0
        block = file.read(BLOCK)
        buffer, base = buffer[rest:] + block, base + rest
        counted, done = max(counted - rest, 0), max(done - rest, 1)


def held_fields(header: bytes) -> list[bytes]:
    """Return the lines of a file's header that hold for every tune."""
    if len(header) > MAX_HEADER:
        return []
    lines = _LINE_END.split(header.removeprefix(b"\xef\xbb\xbf"))
    return [line for line in lines if _HOLDS.fullmatch(line)]


def with_header(tune: bytes, held: list[bytes]) -> tuple[bytes, int]:
    """Return a tune with the fields of the file's header behind its ``X:``.

    Parameters
    ----------
    tune : bytes
        Beginning with its ``X:`` field.
    held : list of bytes
        As :func:`held_fields` returns them.

    Returns
    -------
    bytes
    int
        How many lines were put in.
    """
    if not held:
        return tune, 0
    end = _LINE_END.search(tune)
    if end is None:
        return tune, 0
    own = set()
    for line in _LINE_END.split(tune[end.end() : end.end() + MAX_HEADER]):
        if line[1:2] == b":":
            own.add(line[:1])
        if line.startswith(b"K:"):
            break
    own -= {bytes([letter]) for letter in _SEVERAL}
    added = [line for line in held if line.startswith(b"%%") or line[:1] not in own]
    inserted = b"".join(line + end[0] for line in added)
    return tune[: end.end()] + inserted + tune[end.end() :], len(added)


def tunes_of(content: bytes) -> list[tuple[int, bytes]]:
    """Return each tune of a book with what its lines are to be moved by to be the book's.

    Empty for content with one tune or none. A finding on line n of a tune is on line
    n + shift of the book, but for its first line and those of the header.
    """
    found = []
    held: list[bytes] = []
    for tune in find_tunes(io.BytesIO(content)):
        if tune.number == 1:
            held = held_fields(content[: tune.header])
        text, added = with_header(content[tune.offset : tune.offset + tune.length], held)
        found.append((tune.line - 1 - added, text))
    return found
