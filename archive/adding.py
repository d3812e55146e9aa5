"""Adding pieces to the archive, in batches."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scoregate.archive import catalog, schema
from scoregate.archive.atomic import told_as_archive_error, write_folders
from scoregate.archive.dialects import FAULTS
from scoregate.archive.integrity import is_sound
from scoregate.archive.names import name_of_summary
from scoregate.archive.records import PieceReport, now
from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.render import artefacts

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a piece is stored.

    Attributes
    ----------
    piece_id : str
    path : Path
        Its folder.
    new : bool
        False when the same piece was there already.
    """

    piece_id: str
    path: Path
    new: bool = True


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A piece that is ready to be written."""

    identifier: str
    target: Path
    files: dict[str, bytes]
    report: PieceReport


def add_all(
    store: Archive, pieces: Iterable[tuple[Mapping[str, bytes | str], PieceReport]]
) -> list[Entry]:
    """Store a batch of pieces; see :meth:`scoregate.archive.store.Archive.add_all`."""
    prepared = [_prepared(store, files, report) for files, report in pieces]
    if not prepared:
        return []
    store.begin_writing()
    entries: dict[int, Entry] = {}
    left = list(range(len(prepared)))
    while left:
        placed = _place(store, [prepared[index] for index in left])
        again = []
        for index, new in zip(left, placed, strict=True):
            piece = prepared[index]
            if new or is_sound(piece.target, piece.identifier):
                entries[index] = Entry(piece.identifier, piece.target, new)
            else:
                _set_aside(store, piece.target)
                again.append(index)
        left = again
    return [entries[index] for index in range(len(prepared))]


def encoded(text: str | bytes) -> bytes:
    """Return text as UTF-8, with lone surrogates, which UTF-8 can't hold, as escapes."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def _prepared(store: Archive, files: Mapping[str, bytes | str], report: PieceReport) -> _Prepared:
    if "score.abc" not in files:
        raise ArchiveError("A piece without score.abc can't be archived.", "Hand in its text.")
    contents = {name: encoded(content) for name, content in files.items()}
    for name in contents:
        if artefacts.of_file(name) is None:
            raise ArchiveError(
                f"{name!r} is no name of a file in the archive.",
                "docs/render.md lists the names.",
            )
    identifier = hashlib.sha256(contents["score.abc"]).hexdigest()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    sealed = report.model_copy(
        update={
            "piece_id": identifier,
            "created": report.created or now(),
            "name": report.name or name_of_summary(report.style, report.summary),
            "files": hashes,
            "seal": "",
        }
    ).sealed()
    if report.status == Status.PASSED:
        target = store.path_of(identifier)
    else:
        target = store.rejected_folder(report.run_id) / identifier
    return _Prepared(identifier, target, {**contents, "report.json": sealed.as_json()}, sealed)


def _place(store: Archive, pieces: list[_Prepared]) -> list[bool]:
    """Write a batch and insert its rows; return which pieces were not there before."""
    placed: list[bool] = []

    def insert_rows(result: list[bool]) -> None:
        placed.extend(result)
        with catalog.insertion(store) as connection:
            if connection is not None:
                placed_now = [
                    (piece.report, piece.target.relative_to(store.out))
                    for piece, new in zip(pieces, result, strict=True)
                    if new
                ]
                schema.insert_pieces(connection, placed_now)

    folders = [piece.target.relative_to(store.out).as_posix() for piece in pieces]
    try:
        write_folders(
            [(piece.target, piece.files) for piece in pieces],
            store.incoming,
            manifest=json.dumps({"folders": folders}).encode(),
            on_placed=insert_rows,
        )
    except FAULTS as error:
        _log.warning(
            "The rows of %d pieces could not be written (%s). The pieces are in the archive, "
            "and the next reader of the catalog inserts their rows.",
            sum(placed),
            error,
        )
    return placed


def _set_aside(store: Archive, folder: Path) -> None:
    with told_as_archive_error(store.damaged):
        store.damaged.mkdir(parents=True, exist_ok=True)
        # Another process may have set it aside since.
        with suppress(FileNotFoundError):
            os.rename(folder, store.damaged / f"{folder.name}.{secrets.token_hex(4)}")
