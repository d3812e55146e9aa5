"""Reading the files of an entry and checking them against its report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from scoregate.archive.records import PieceReport, parse_report
from scoregate.errors import ArchiveError, CorruptError
from scoregate.render import artefacts


def read_report(folder: Path) -> PieceReport:
    """Read the ``report.json`` of a piece's folder.

    Raises
    ------
    CorruptError
        It is missing or damaged.
    """
    path = folder / "report.json"
    return parse_report(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Read a file that should be in the archive.

    Raises
    ------
    CorruptError
        It is missing.
    ArchiveError
        It can't be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptError(
            f"{path} is missing.", "Run `scoregate archive verify` to see what else is."
        ) from error
    except OSError as error:
        raise ArchiveError(
            f"{path} can't be read: {error.strerror}.", "Check its permissions and the disk."
        ) from error


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file that should be in the archive."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def faults_of(folder: Path, identifier: str) -> Iterator[tuple[str, str]]:
    """Hash the files of a piece's folder and yield what is wrong as (kind, sentence).

    Parameters
    ----------
    folder : Path
    identifier : str
        The piece id that the folder should hold.

    Yields
    ------
    tuple of (str, str)
        The kind is ``missing``, ``damaged`` or ``foreign``.
    """
    try:
        report = read_report(folder)
    except CorruptError as error:
        missing = not (folder / "report.json").exists()
        yield ("missing" if missing else "damaged"), error.problem
        return
    if report.seal != report.computed_seal():
        yield "damaged", f"{folder / 'report.json'} was changed after it was written."
    if report.piece_id != identifier:
        yield "damaged", f"{folder / 'report.json'} belongs to another piece."
    if report.files.get("score.abc") != identifier:
        yield "damaged", f"{folder} doesn't hold the text that its id stands for."
    for name, expected in sorted(report.files.items()):
        path = folder / name
        if artefacts.of_file(name) is None:
            yield "damaged", f"{folder / 'report.json'} names a file that can't be there."
        elif path.is_symlink() or not path.is_file():
            yield "missing", f"{path} is missing."
        elif hash_of(path) != expected:
            yield "damaged", f"{path} is not what was archived."
    for path in sorted(folder.iterdir()):
        if path.name != "report.json" and path.name not in report.files:
            yield "foreign", f"{path} was not put there by the archive."


def is_sound(folder: Path, identifier: str) -> bool:
    """Return whether every file of a piece is there and is what was archived."""
    return not any(kind != "foreign" for kind, _ in faults_of(folder, identifier))
