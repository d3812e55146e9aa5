"""The state folder: what `scoregate up` has started, and the logs of it.

::

    <PREFECT_HOME>/scoregate/
        parts/<name>.json    one part that was started: process, start mark, address, log
        logs/<name>.log      what it has written; the log before it is <name>.log.1
        deployed.json        names of the deployments that `up` made
        lock                 held while parts are started or stopped

The folder and all in it can be read by its owner only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scoregate.errors import ServerError
from scoregate.flows.operations.processes import is_same, start_mark, stop_group

LARGEST_LOG = 20 * 2**20
"""Bytes; a longer log is set aside when its part is started again."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was started.

    Attributes
    ----------
    name : str
    pid : int
        Leader of its process group.
    mark : str or None
        Start of that process: see :func:`scoregate.flows.operations.processes.start_mark`.
    since : str
        UTC, ISO 8601.
    folder : str
        Folder in which it runs.
    log : str
    address : str
        Where it can be reached; ``""`` where it can't.
    server : str
        Address of the Prefect server that it talks to.
    """

    name: str
    pid: int
    mark: str | None
    since: str
    folder: str
    log: str
    address: str = ""
    server: str = ""

    @property
    def runs(self) -> bool:
        """Whether the process is there and is the one that was started."""
        return is_same(self.pid, self.mark)


class State:
    """The state folder.

    Parameters
    ----------
    root : Path
        Created when something is started.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def log_of(self, name: str) -> Path:
        """Return the path of a part's log."""
        return self.root / "logs" / f"{name}.log"

    def part(self, name: str) -> Part | None:
        """Return a part that was started, whether or not it still runs."""
        try:
            return Part(**json.loads(self._note_of(name).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def start(
        self, name: str, command: Sequence[str], *, folder: Path, address: str = "",
        server: str = "", environment: Mapping[str, str] | None = None,
    ) -> Part:  # fmt: skip
        """Start a part in the background and note it down.

        Parameters
        ----------
        name : str
        command : sequence of str
        folder : Path
            In which it runs.
        address, server : str
            Where it will be reached; the Prefect server that it talks to.
        environment : mapping, optional
            Variables beside those of this process.
        """
        self.prepare()
        log = self.log_of(name)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {}), "PWD": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        since = datetime.now(UTC).isoformat(timespec="seconds")
        mark = start_mark(process.pid)
        part = Part(name, process.pid, mark, since, str(folder), str(log), address, server)
        self._note_of(name).write_text(json.dumps(asdict(part), indent=1) + "\n")
        return part

    def stop(self, name: str, patience: float = 25.0) -> bool:
        """Stop a part and forget it; return whether it ran."""
        part = self.part(name)
        ran = part is not None and stop_group(part.pid, part.mark, patience)
        with contextlib.suppress(FileNotFoundError):
            self._note_of(name).unlink()
        return ran

    def tail(self, name: str, lines: int = 8) -> str:
        """Return the last lines of a part's log."""
        try:
            content = self.log_of(name).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(content.splitlines()[-lines:])

    def prepare(self) -> None:
        """Create the folder, readable by its owner only.

        Raises
        ------
        ServerError
            It can't be written.
        """
        try:
            for folder in (self.root, self.root / "parts", self.root / "logs"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
        except OSError as error:
            raise ServerError(
                f"The state folder {self.root} can't be written: {error.strerror}.",
                "Set PREFECT_HOME to a folder that can.",
            ) from error

    @contextlib.contextmanager
    def locked(self, patience: float = 180.0) -> Iterator[None]:
        """Let one command at a time start or stop parts.

        Raises
        ------
        ServerError
            Another command holds the lock for longer than ``patience`` seconds.
        """
        self.prepare()
        deadline = time.monotonic() + patience
        with open(os.open(self.root / "lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServerError(
                            "Another command is starting or stopping the parts.",
                            f"Wait for it to end; it holds {self.root / 'lock'}.",
                        ) from None
                    time.sleep(0.2)
            yield

    def deployed(self) -> list[str]:
        """Return the names of the deployments that were made by `up`."""
        try:
            return list(json.loads((self.root / "deployed.json").read_text()))
        except (OSError, ValueError):
            return []

    def remember_deployed(self, names: Sequence[str]) -> None:
        """Note the names of the deployments that were made."""
        (self.root / "deployed.json").write_text(json.dumps(list(names)) + "\n")

    def _note_of(self, name: str) -> Path:
        return self.root / "parts" / f"{name}.json"
