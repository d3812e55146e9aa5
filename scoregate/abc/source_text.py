"""A text as it was handed in: its size, its encoding, its lines, and the tunes in it."""

from __future__ import annotations

import re

from scoregate.abc.finding_collector import FindingCollector
from scoregate.findings import Finding

MAX_BYTES = 16 * 2**20
"""Largest text that is read; the largest real pieces have less than 100 kB."""
MAX_LINE = 500_000
"""Longest line that is read; the longest real ones have about 2 kB."""

REFUSED = "syntax.refused"
"""Code of the finding on a text that is too large, or no ABC at all, to be judged further."""


class RefusedError(Exception):
    """A text that is too large, or no ABC, to be read; the reader catches it.

    Attributes
    ----------
    finding : Finding
        ``syntax.refused``, with the reason.
    remarks : FindingCollector or None
        What was found before the text was refused.
    """

    def __init__(self, why: str, remarks: FindingCollector | None = None) -> None:
        super().__init__(why)
        self.finding = Finding("syntax", REFUSED, "critical", f"not judged further: {why}")
        self.remarks = remarks


def open_text(text: str | bytes, remarks: FindingCollector) -> tuple[str, list[str]]:
    """Decode a text and split it into lines.

    Raises
    ------
    RefusedError
        Beyond `MAX_BYTES` or `MAX_LINE`, in UTF-16, or of another format.
    """
    if len(text) > MAX_BYTES:
        why = f"{len(text):,} characters are too many; {MAX_BYTES:,} is the limit"
        raise RefusedError(why, remarks)
    if (other := _other_format(text)) is not None:
        raise RefusedError(f"this is {other}", remarks)
    if _is_utf16(text):
        raise RefusedError("this is UTF-16; save the file as UTF-8", remarks)
    if isinstance(text, bytes):
        text = _decode(text, remarks)
    text = text.removeprefix("\ufeff")
    lines = split_lines(text)
    if max(map(len, lines)) > MAX_LINE:
        why = f"a line is longer than {MAX_LINE:,} characters"
        raise RefusedError(why, remarks)
    return text, lines


def split_lines(text: str) -> list[str]:
    """Split at line ends of every system, and at nothing else."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def split_tunes(text: str) -> list[str]:
    """Take the tunes of one text apart, at each ``X:`` behind a blank line or the beginning.

    Lines before the first ``X:`` stay with the first tune. A text with less than two
    tunes comes back whole.
    """
    starts = [match.start() for match in re.finditer(r"(?m)^\ufeff?X:", text)]
    if len(starts) < 2:
        return [text]
    starts[0] = 0
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _decode(data: bytes, remarks: FindingCollector) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        remarks.add(
            "encoding",
            "not UTF-8, read as Latin-1",
            "warning",
            line=line,
            column=error.start - data.rfind(b"\n", 0, error.start),
        )
        return data.decode("latin-1")


_FORMATS = (
    (b"PK\x03\x04", "a zip archive; call it .mxl or .zip"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first"),
    (b"%PDF-", "a PDF; a score has to be exported as MusicXML"),
    (b"MThd", "MIDI; call the file .mid"),
    (b"<!DOCTYPE html", "a web page; save the ABC that it shows as a file of its own"),
    (b"<html", "a web page; save the ABC that it shows as a file of its own"),
    (b"<?xml", "XML; call the file .musicxml"),
    (b"<score-partwise", "MusicXML; call the file .musicxml"),
)
"""How files of other formats begin, and what to do with them."""


def _other_format(text: str | bytes) -> str | None:
    """Return what a text is that begins like a file of another format; else None."""
    # A string may be made of bytes one by one.
    head = text[:64] if isinstance(text, bytes) else text[:64].encode("latin-1", "replace")
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((what for begin, what in _FORMATS if head.startswith(begin)), None)


def _is_utf16(text: str | bytes) -> bool:
    """Whether bytes (or a string made of them one by one) are UTF-16."""
    head = text[:2000] if isinstance(text, bytes) else text[:2000].encode("latin-1", "replace")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return len(head) >= 8 and max(head[::2].count(0), head[1::2].count(0)) > 0.4 * len(head)
