"""The journal of a production run: what is finished, so that a run that was killed can go on.

::

    runs/<run id>/work/
      journal.jsonl            one JSON object a line, only ever appended to
      owner.json               the run's lock (archive/run_lock.py)
      rendered/<round>-<index>.zip   files of pieces that are rendered and not yet archived

The folder is removed when the run has ended, so a run that has one is unfinished. Lines of the
journal, by their ``event``:

===========  =====================================================================================
event        further fields
===========  =====================================================================================
begun        ``format``, ``key`` of the request, ``identity`` of program and weights
taken up     ``pid``, ``host``, ``time``: a process began to work on the run
round        ``round``, ``size``: number of pieces of the round
draft        ``round``, ``index`` of the piece in its round, ``draft`` (its number),
             ``generation``: a draft that the piece may be chosen from
generated    ``round``, ``index``, ``generation``
judged       ``round``, ``index``, ``verdict``
rendered     ``round``, ``index``, ``notes``
archived     ``round``, ``index``, ``row`` of the run's record
round ended  ``round``, ``seconds``
shard        ``number``, ``run_id``: a shard of the run is finished
===========  =====================================================================================

A batch of lines is flushed to the disk as a whole. The last line may be incomplete after a power
cut, and is then ignored.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from scoregate.archive.atomic import told_as_archive_error, write_file
from scoregate.errors import CorruptError

FORMAT = 1
FOLDER = "work"
MOST_ATTEMPTS = 3
"""A run is taken up so often without finishing anything before it is given up."""

_PROGRESS = frozenset(
    ("draft", "generated", "judged", "rendered", "archived", "round ended", "shard")
)


class RunJournal:
    """The journal in the working folder of one run.

    Parameters
    ----------
    folder : Path
        ``runs/<run id>/work``.

    Attributes
    ----------
    path : Path
        The file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal.jsonl"
        self._rendered = folder / "rendered"
        self._file: io.FileIO | None = None
        self._size = 0
        self._lock = Lock()

    def append(self, lines: Iterable[Mapping[str, Any]], durable: bool = True) -> None:
        """Append lines; when this returns they survive a power cut, unless not ``durable``.

        Raises
        ------
        ArchiveError
            The disk is full or can't be written.
        """
        text = "".join(json.dumps(line, default=_plain) + "\n" for line in lines)
        if not text:
            return
        with self._lock, told_as_archive_error(self.path):
            if self._file is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - see `close`
                self._end_line()
            if not self.path.exists():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
            content = text.encode()
            if self._file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if durable:
                os.fsync(self._file.fileno())
            self._size += len(content)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def remove(self) -> None:
        """Remove the whole folder: the run has ended."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the file, without an incomplete last one.

        Raises
        ------
        CorruptError
            A line before the last one is no JSON object.
        """
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    read = json.loads(line)
                    read["event"]
                except (ValueError, TypeError, KeyError) as error:
                    raise CorruptError(
                        f"{self.path} is damaged in line {number}.",
                        "The run can't go on; start it anew with --fresh.",
                    ) from error
                yield read

    def is_whole(self) -> bool:
        """Return whether the file is there and what was appended is in it."""
        try:
            return self.path.stat().st_size == self._size > 0
        except OSError:
            return False

    def attempts(self) -> int:
        """Return how often the run was taken up since it last finished anything."""
        count = 0
        for line in self.lines():
            if line["event"] in _PROGRESS:
                count = 0
            elif line["event"] == "taken up":
                count += 1
        return count

    # Rendered files

    def save_rendered(self, round_number: int, index: int, files: Mapping[str, bytes]) -> None:
        """Save the rendered files of a piece until it is archived."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            for name, data in files.items():
                packed.writestr(name, data)
        path = self._path_of_rendered(round_number, index)
        with told_as_archive_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.getvalue())

    def load_rendered(self, round_number: int, index: int) -> dict[str, bytes] | None:
        """Return the rendered files of a piece, or None where they are missing or damaged."""
        try:
            with zipfile.ZipFile(self._path_of_rendered(round_number, index)) as packed:
                return {name: packed.read(name) for name in packed.namelist()}
        except (OSError, zipfile.BadZipFile):
            return None

    def drop_rendered(self, round_number: int, index: int) -> None:
        """Remove the rendered files of a piece that is archived."""
        self._path_of_rendered(round_number, index).unlink(missing_ok=True)

    def _path_of_rendered(self, round_number: int, index: int) -> Path:
        return self._rendered / f"{round_number}-{index}.zip"

    def _end_line(self) -> None:
        """Cut off an incomplete last line, so that the next one begins on its own."""
        assert self._file is not None
        self._size = os.fstat(self._file.fileno()).st_size
        if not self._size:
            return
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            self._size = file.read().rfind(b"\n") + 1
        os.ftruncate(self._file.fileno(), self._size)


def _plain(value: Any) -> Any:
    """Return a number of another library (numpy) as one of Python's."""
    return value.item()


def begin(folder: Path, key: str, identity: str) -> RunJournal:
    """Create the journal of a new run."""
    line = {"event": "begun", "format": FORMAT, "key": key, "identity": identity}
    write_file(folder / "journal.jsonl", (json.dumps(line) + "\n").encode())
    return RunJournal(folder)


def unfinished(runs: Path, key: str, identity: str) -> list[str]:
    """Return the ids of the unfinished runs of a request, oldest first.

    Parameters
    ----------
    runs : Path
        The archive's folder of runs.
    key : str
        See :attr:`scoregate.requests.ProduceRequest.key`.
    identity : str
        Program and weights; a run of another version is not gone on with.
    """
    found = []
    for path in sorted(runs.glob(f"*/{FOLDER}/journal.jsonl")):
        with open(path, "rb") as file:
            first = file.readline()
        try:
            line = json.loads(first)
        except ValueError:
            continue  # The process was killed while it began the run.
        if (line.get("format"), line.get("key"), line.get("identity")) == (FORMAT, key, identity):
            found.append(path.parent.parent.name)
    return found
