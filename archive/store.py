"""The archive: passing pieces by their content, rejected ones apart, runs beside them.

::

    out/
      archive/pieces/<first two hex>/<piece id>/   score.abc, raw.abc, score.mid, ..., report.json
      archive/incoming/                            folders in the making
      archive/damaged/                             set aside when a sound copy came in again
      archive/catalog.sqlite                       can be deleted: it is rebuilt
      rejected/<run id>/<piece id>/                the same files, with the findings that say why
      runs/<run id>/                               run.json, report.html
      index.html                                   all runs and pieces at a glance

A piece's id is the SHA-256 of its finished ABC text, so the same piece is one entry
however often it is drawn; the provenance of the first stays. A folder appears whole or
not at all, and its ``report.json``, written last, holds the hash of every other file and
a seal over itself. Names in the archive come from a fixed list, never from a title or
from any other text of the piece.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scoregate.archive import catalog, schema
from scoregate.archive.atomic import told_as_archive_error, write_file, write_folder
from scoregate.archive.names import name_of_summary
from scoregate.archive.records import PieceReport, RunRecord, now, parse_report, parse_run
from scoregate.errors import ArchiveError, CorruptError, RequestError
from scoregate.findings import Status
from scoregate.render import artefacts

PIECE_ID = re.compile(r"[0-9a-f]{64}")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a piece lies.

    Parameters
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


def piece_id(text: str) -> str:
    """Return the id of a finished ABC text: the SHA-256 of its bytes in UTF-8."""
    return hashlib.sha256(encoded(text)).hexdigest()


def new_run_id() -> str:
    """Return an id for a run that sorts by time: ``20261120-092128-3fa9c1``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Archive:
    """The archive below one folder.

    Parameters
    ----------
    out : str or Path
        The folder that holds ``archive/``, ``rejected/`` and ``runs/``. Nothing is
        made before something is written.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.out = Path(out)
        self.root = self.out / "archive"
        self.pieces = self.root / "pieces"
        self.incoming = self.root / "incoming"
        self.damaged = self.root / "damaged"
        self.rejected = self.out / "rejected"
        self.runs = self.out / "runs"

    # Writing

    def check_writable(self) -> None:
        """Raise ArchiveError now if nothing could be written later.

        Worth calling before an hour of generation.
        """
        probe = self.incoming / f".probe-{secrets.token_hex(6)}"
        with told_as_archive_error(self.root):
            self.incoming.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"scoregate")
            finally:
                probe.unlink(missing_ok=True)

    def add(self, files: Mapping[str, bytes | str], report: PieceReport) -> Entry:
        """Archive a piece that passed.

        Parameters
        ----------
        files : mapping of str to bytes or str
            By name: ``score.abc`` (needed: the finished text) and any of ``raw.abc``,
            ``score.mid``, ``score.musicxml``, ``score-<page>.svg``, ``preview.ogg``.
        report : PieceReport
            ``piece_id``, ``created``, ``files`` and ``seal`` are filled in here.

        Returns
        -------
        Entry

        Raises
        ------
        ArchiveError
            The piece did not pass, a name isn't allowed, or the disk won't take it.
        """
        if report.status != Status.PASSED:
            raise ArchiveError(
                f"A piece that is '{report.status}' was handed to the archive.",
                "Only passing pieces are archived; keep others with Archive.reject.",
            )
        catalog.create_if_new(self)
        identifier, contents = _prepared(files, report)
        target = self.path_of(identifier)
        while not write_folder(target, contents, self.incoming):
            if _is_sound(target, identifier):
                return Entry(identifier, target, new=False)
            self._set_aside(target)
        self._insert_rows(target)
        return Entry(identifier, target)

    def reject(self, run_id: str, files: Mapping[str, bytes | str], report: PieceReport) -> Entry:
        """Keep a piece that did not pass, apart from the archive, with its findings.

        Parameters and errors are those of :meth:`add`; the same text twice in a run is
        one entry.
        """
        if report.status == Status.PASSED:
            raise ArchiveError(
                "A passing piece was handed over as rejected.", "Archive it with Archive.add."
            )
        catalog.create_if_new(self)
        identifier, contents = _prepared(files, report)
        target = self.rejected / _safe_run_id(run_id) / identifier
        entry = Entry(identifier, target, new=write_folder(target, contents, self.incoming))
        if entry.new:
            self._insert_rows(target)
        return entry

    def write_run(self, run: RunRecord, page: str | None = None) -> Path:
        """Write ``run.json`` (and ``report.html``) of a run; return its folder.

        May be called after every round: what stood there is replaced in one step.
        """
        folder = self.run_folder(run.run_id)
        catalog.create_if_new(self)
        report = folder / "report.html"
        if page is not None:
            write_file(report, encoded(page))
        files = {report.name: hash_of(report)} if report.is_file() else {}
        write_file(folder / "run.json", run.model_copy(update={"files": files}).as_sealed_json())
        with catalog.insertion(self) as connection:
            if connection is not None:
                schema.insert_run(connection, run)
        return folder

    def write_index(self, page: str) -> Path:
        """Write the page of the whole archive, ``index.html``; return its path."""
        path = self.out / "index.html"
        write_file(path, encoded(page))
        return path

    # Reading

    def path_of(self, identifier: str) -> Path:
        """Return the folder of a passing piece with this full id."""
        return self.pieces / identifier[:2] / identifier

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, there or not."""
        return self.runs / _safe_run_id(run_id)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all archived pieces, sorted."""
        for shelf in _folders(self.pieces):
            for folder in _folders(shelf):
                if PIECE_ID.fullmatch(folder.name):
                    yield folder.name

    def find(self, beginning: str) -> Entry:
        """Return the one piece, archived or rejected, whose id begins so.

        Raises
        ------
        RequestError
            None begins so, or more than one does.
        """
        if not re.fullmatch(r"[0-9a-f]{1,64}", beginning):
            raise RequestError(
                f"{beginning!r} is no piece id.", "Ids are hexadecimal: `scoregate archive ls`."
            )
        found = {
            folder.name: folder
            for folder in [*self._rejected_folders(), *map(self.path_of, self.ids())]
            if folder.name.startswith(beginning)
        }
        if not found:
            raise RequestError(
                f"No piece in {self.out} has an id that begins with {beginning}.",
                "See what is there with `scoregate archive ls`.",
            )
        if len(found) > 1:
            raise RequestError(
                f"{len(found)} pieces have ids that begin with {beginning}.",
                "Give more of the id: " + ", ".join(name[:16] for name in sorted(found)[:5]),
            )
        (identifier, folder) = next(iter(found.items()))
        return Entry(identifier, folder, new=False)

    def report(self, entry: Entry | str) -> PieceReport:
        """Return the report of a piece, by entry or by the beginning of its id."""
        entry = self.find(entry) if isinstance(entry, str) else entry
        return read_report(entry.path)

    def reports(self) -> Iterator[PieceReport]:
        """Yield the reports of all archived pieces, sorted by id."""
        for identifier in self.ids():
            yield read_report(self.path_of(identifier))

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, sorted: oldest first."""
        return [folder.name for folder in _folders(self.runs) if (folder / "run.json").is_file()]

    def run(self, run_id: str) -> RunRecord:
        """Return the record of a run."""
        path = self.run_folder(run_id) / "run.json"
        return parse_run(read_bytes(path), str(path))

    def rejected_reports(self, run_id: str) -> list[PieceReport]:
        """Return the reports of the pieces that a run rejected, sorted by id."""
        folder = self.rejected / _safe_run_id(run_id)
        return [read_report(path) for path in _folders(folder) if PIECE_ID.fullmatch(path.name)]

    def _rejected_folders(self) -> Iterator[Path]:
        for run in _folders(self.rejected):
            for folder in _folders(run):
                if PIECE_ID.fullmatch(folder.name):
                    yield folder

    def folders(self) -> Iterator[Path]:
        """Yield the folders of all pieces: those that passed, then those that did not."""
        yield from map(self.path_of, self.ids())
        yield from self._rejected_folders()

    def _insert_rows(self, folder: Path) -> None:
        with catalog.insertion(self) as connection:
            if connection is not None:
                schema.insert_piece(connection, read_report(folder), folder.relative_to(self.out))

    def _set_aside(self, folder: Path) -> None:
        with told_as_archive_error(self.damaged):
            self.damaged.mkdir(parents=True, exist_ok=True)
            # Another process may have set it aside just now.
            with suppress(FileNotFoundError):
                os.rename(folder, self.damaged / f"{folder.name}.{secrets.token_hex(4)}")


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
    """Read a file that ought to be in the archive; CorruptError where it is not."""
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


def faults_of(folder: Path, identifier: str) -> Iterator[tuple[str, str]]:
    """Re-hash a piece's folder and yield what is wrong as (kind, sentence).

    Kinds are ``missing``, ``damaged`` and ``foreign``.
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


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file that ought to be in the archive."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def encoded(text: str | bytes) -> bytes:
    """Return text as UTF-8; lone surrogates, which it can't hold, as escapes."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def _prepared(
    files: Mapping[str, bytes | str], report: PieceReport
) -> tuple[str, dict[str, bytes]]:
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
    filled = report.model_copy(
        update={
            "piece_id": identifier,
            "created": report.created or now(),
            "name": report.name or name_of_summary(report.style, report.summary),
            "files": hashes,
            "seal": "",
        }
    )
    return identifier, {**contents, "report.json": filled.as_sealed_json()}


def _is_sound(folder: Path, identifier: str) -> bool:
    return not any(kind != "foreign" for kind, _ in faults_of(folder, identifier))


def _safe_run_id(run_id: str) -> str:
    if not RUN_ID.fullmatch(run_id):
        raise RequestError(
            f"{run_id!r} can't be the name of a run.",
            "Use letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return run_id


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArchiveError(
            f"{parent} can't be read: {error.strerror}.", "Check its permissions and the disk."
        ) from error
