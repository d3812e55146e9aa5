"""The folders of a screening: a copy of each judged piece, with its findings beside it.

::

    out/
      passed/<name>-<hash>.abc      <name>-<hash>.abc.findings.json
      rejected/...                  also what could not be judged
      journal.sqlite, results.parquet, results.csv, screening.json

File names are made from a piece's own name and the hash of its content, so that no text from
outside can become a path and no two pieces share a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoregate.archive.journal import Journal
from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.sources import Source

FOLDERS = {Status.PASSED: "passed", Status.REJECTED: "rejected", Status.NOT_JUDGED: "rejected"}


# More than six parameters: four of them are what is written.
def copy_piece(
    out: str,
    source: Source,
    status: Status,
    result: Mapping[str, Any],
    *,
    content: bytes = b"",
    digest: str = "",
    converted: bytes = b"",
) -> str:
    """Write a judged piece and its findings; return its path below the output folder.

    Parameters
    ----------
    out : str
        The output folder.
    source : Source
    status : Status
    result : mapping
        What the findings file holds, JSON-ready.
    content : bytes
        The piece as it was read; empty where it could not be read.
    digest : str
        SHA-256 of the content.
    converted : bytes
        For MusicXML and MIDI the ABC that was judged, since findings name its lines.

    Raises
    ------
    ArchiveError
        The files can't be written. The run has to stop: otherwise verdicts would be recorded
        whose files are missing.
    """
    name = file_name(source, digest)
    folder = Path(out, FOLDERS[status])
    findings = json.dumps(result, ensure_ascii=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if content:
            _write(folder / name, content)
        if converted:
            _write(folder / f"{name}.abc", converted)
        _write(folder / f"{name}.findings.json", findings.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ArchiveError(
            f"{folder / name} can't be written: {error.strerror}.",
            "Is the disk full? Start the same command again: what is judged stays judged.",
        ) from error
    return str(Path(folder.name) / (name if content else f"{name}.findings.json"))


def record_rows(journal: Journal, rows: Sequence[dict[str, Any]]) -> None:
    """Record judged pieces, and remove the copies of what they were before they changed."""
    stale = journal.replaced(rows)
    journal.write(rows)
    for output in stale:
        piece = journal.path.parent / output
        for path in (piece, Path(f"{piece}.findings.json"), Path(f"{piece}.abc")):
            path.unlink(missing_ok=True)


def file_name(source: Source, digest: str) -> str:
    """Return the file name of a piece's copy; see the module's docstring."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(source.member or source.path).stem)
    stem = stem.lstrip(".")[:60] or "piece"
    number = source.tune.number if source.tune else source.line
    line = f"-{number}" if number else ""
    key = digest or hashlib.sha256(source.name.encode("utf-8", "surrogateescape")).hexdigest()
    ending = source.ending if re.fullmatch(r"\.[a-z]{1,8}", source.ending) else ".abc"
    return f"{stem}{line}-{key[:12]}{ending}"


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
