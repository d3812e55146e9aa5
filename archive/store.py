"""The archive: pieces that passed by their content, the others by run, and the runs.

::

    out/
      archive/pieces/<first two hex>/<piece id>/   score.abc, raw.abc, score.mid, ..., report.json
      archive/incoming/                            folders that are being written
      archive/damaged/                             damaged folders that a sound copy replaced
      archive/catalog.sqlite                       can be deleted: it is rebuilt
      archive/catalog.json                         where the catalog is in PostgreSQL: its schema
      archive/format.json                          version of this layout
      rejected/<run id>/<piece id>/                the same files of pieces that did not pass
      runs/<run id>/                               run.json, report.html, report-2.html ...
      index.html                                   page of all runs and pieces

The id of a piece is the SHA-256 of its finished ABC text. The same piece is therefore one entry
however often it is generated, with the provenance of the first time. A folder appears complete or
not at all. Its ``report.json`` holds the hash of every other file and a seal over itself. File
names come from the table of artefacts, never from the text of a piece.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from scoregate.archive import adding, catalog, schema
from scoregate.archive.adding import Entry, encoded
from scoregate.archive.atomic import announced, told_as_archive_error, write_file
from scoregate.archive.dialects import FAULTS
from scoregate.archive.integrity import hash_of, read_bytes, read_report
from scoregate.archive.records import FORMAT, PieceReport, RunRecord, parse_run
from scoregate.errors import ArchiveError, RequestError
from scoregate.findings import Status

PIECE_ID = re.compile(r"[0-9a-f]{64}")
RUN_PAGE = re.compile(r"report(-[0-9]{1,6})?\.html")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_log = logging.getLogger(__name__)


def new_run_id() -> str:
    """Return an id for a run that sorts by time: ``20261120-092128-3fa9c1``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class Archive:
    """The archive in one folder.

    Parameters
    ----------
    out : str or Path
        The folder that holds ``archive/``, ``rejected/`` and ``runs/``. Nothing is created
        before something is written.

    Attributes
    ----------
    out, root, pieces, incoming, damaged, rejected, runs : Path
        ``out`` and the folders in it; see the module.
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

        Call it before a long generation.
        """
        self.check_version()
        probe = self.incoming / f".probe-{secrets.token_hex(6)}"
        with told_as_archive_error(self.root):
            self.incoming.mkdir(parents=True, exist_ok=True)
            try:
                probe.write_bytes(b"scoregate")
            finally:
                probe.unlink(missing_ok=True)
        catalog.of(self).check()

    def add(self, files: Mapping[str, bytes | str], report: PieceReport) -> Entry:
        """Archive a piece that passed.

        Parameters
        ----------
        files : mapping of str to bytes or str
            By name: ``score.abc``, which is needed, and any of the table of artefacts
            (docs/render.md).
        report : PieceReport
            ``piece_id``, ``name``, ``created``, ``files`` and ``seal`` are filled in here.

        Returns
        -------
        Entry

        Raises
        ------
        ArchiveError
            The piece did not pass, a file name isn't allowed, or the disk can't be written.
        """
        if report.status != Status.PASSED:
            raise ArchiveError(
                f"A piece that is '{report.status}' was handed to the archive.",
                "Only passing pieces are archived; keep others with Archive.reject.",
            )
        return self.add_all([(files, report)])[0]

    def reject(self, run_id: str, files: Mapping[str, bytes | str], report: PieceReport) -> Entry:
        """Keep a piece that did not pass, apart from those that passed, with its findings.

        The same text twice in a run is one entry.

        Parameters
        ----------
        run_id : str
            Run that it belongs to.
        files, report
            As for :meth:`add`.
        """
        if report.status == Status.PASSED:
            raise ArchiveError(
                "A passing piece was handed over as rejected.", "Archive it with Archive.add."
            )
        return self.add_all([(files, report.model_copy(update={"run_id": run_id}))])[0]

    def add_all(
        self, pieces: Iterable[tuple[Mapping[str, bytes | str], PieceReport]]
    ) -> list[Entry]:
        """Store a batch of pieces: each where its status and run say that it belongs.

        The batch is made durable as a whole, so that a hundred pieces take little longer than
        one. Every piece appears complete or not at all, whatever happens on the way.

        Parameters
        ----------
        pieces : iterable of (files, report)
            As for :meth:`add` and :meth:`reject`.

        Returns
        -------
        list of Entry
            In the order of the pieces.

        Raises
        ------
        ArchiveError
            A file name isn't allowed or the disk can't be written.
        """
        return adding.add_all(self, pieces)

    def write_run(self, run: RunRecord, pages: Mapping[str, str] | None = None) -> Path:
        """Write ``run.json`` of a run, and its pages where given; return its folder.

        It may be called after every round: each file is replaced in one step.

        Parameters
        ----------
        run : RunRecord
        pages : mapping of str to str, optional
            The run's pages as HTML by file name: ``report.html``, ``report-2.html`` and so on.
            They replace all earlier ones.

        Raises
        ------
        ArchiveError
            A page has another name, or the disk can't be written.
        """
        folder = self.run_folder(run.run_id)
        self.begin_writing()
        if pages is not None:
            if wrong := [name for name in pages if not RUN_PAGE.fullmatch(name)]:
                raise ArchiveError(f"{wrong[0][:100]} is no name of a run's page.", "")
            for name, page in pages.items():
                write_file(folder / name, encoded(page))
        files = {}
        for path in sorted(folder.glob("report*.html")):
            if pages is not None and path.name not in pages:
                path.unlink(missing_ok=True)  # The run had more pages when it was written before.
            elif RUN_PAGE.fullmatch(path.name):
                files[path.name] = hash_of(path)
        record = run.model_copy(update={"files": files}).sealed().as_json()
        manifest = json.dumps({"folders": [], "runs": [run.run_id]}).encode()
        try:
            with announced(self.incoming, manifest):
                write_file(folder / "run.json", record)
                with catalog.insertion(self) as connection:
                    if connection is not None:
                        schema.insert_run(connection, run)
        except FAULTS as error:
            _log.warning(
                "The row of run %s could not be written (%s); the next reader of the catalog "
                "inserts it.",
                run.run_id,
                error,
            )
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

    def rejected_folder(self, run_id: str) -> Path:
        """Return the folder of the pieces that a run rejected, there or not."""
        return self.rejected / checked_run_id(run_id)

    def run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, there or not."""
        return self.runs / checked_run_id(run_id)

    def is_entry(self, folder: Path) -> bool:
        """Return whether this is the folder of a piece, in its place in the archive."""
        if not PIECE_ID.fullmatch(folder.name) or not folder.is_dir():
            return False
        if folder == self.path_of(folder.name):
            return True
        return folder.parent.parent == self.rejected and bool(RUN_ID.fullmatch(folder.parent.name))

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
        folder = self.rejected_folder(run_id)
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

    def check_version(self) -> None:
        """Raise ArchiveError if a newer Scoregate wrote the archive in another layout."""
        path = self.root / "format.json"
        try:
            version = json.loads(path.read_bytes())["format"]
        except (FileNotFoundError, NotADirectoryError):
            return  # Archives up to 0.1 have no such file; the layout is the same.
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ArchiveError(
                f"{path} is damaged: {error}.",
                f'Write {{"format": {FORMAT}}} into it if no newer Scoregate was in use here.',
            ) from error
        if version > FORMAT:
            raise ArchiveError(
                f"{self.root} was written by a newer Scoregate (format {version}).",
                "Update Scoregate to use this archive.",
            )

    def begin_writing(self) -> None:
        """Create what an archive needs before its first piece: version and catalog."""
        self.check_version()
        marker = self.root / "format.json"
        if not marker.exists():
            write_file(marker, json.dumps({"format": FORMAT}).encode() + b"\n")
        catalog.create_if_new(self)


def checked_run_id(run_id: str) -> str:
    """Return a run's id; RequestError where it could be a path or an empty name."""
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
