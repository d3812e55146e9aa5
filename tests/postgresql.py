"""A PostgreSQL server of the tests' own, on loopback, from the system's packages."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cret-of-the-tests"


class Server:
    """A server that can be stopped and started again.

    Parameters
    ----------
    folder : Path
        Of its data, already made.
    programs : Path
        Folder with ``postgres``.
    user : str or None
        Who it runs as; it refuses to run as root.
    """

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self.folder, self.programs, self.user = folder, programs, user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"postgresql://tests:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        import psycopg

        # Durability is not what these tests look at.
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        options = [word for setting in settings for word in ("-c", setting)]
        command = [self.programs / "postgres", "-D", self.folder, "-p", str(self.port), *options]
        with open(self.folder.parent / "log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, user=self.user, preexec_fn=_end_with_the_tests
            )
        for _ in range(200):
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder.parent / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("PostgreSQL did not start within 10 s")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # ends its sessions at once
            self.process.wait(20)
            self.process = None

    def dump(self) -> str:
        """Return everything that is in the database, as text."""
        done = subprocess.run(
            [self.programs / "pg_dump", "--data-only", "--inserts", self.url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def execute(self, sql: str, values: tuple = ()) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(sql, values)
            return found.fetchall() if found.description else []


def _end_with_the_tests() -> None:
    """Let Linux stop this process when the tests are killed before they can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


@contextmanager
def running() -> Iterator[Server]:
    """Yield a running server; skip the test with a word where PostgreSQL is not installed."""
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    user = None
    if os.geteuid() == 0:
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = "postgres" if "postgres" in known else "nobody"
    with tempfile.TemporaryDirectory(prefix="scoregate-postgresql-") as parent:
        data, secret = Path(parent) / "data", Path(parent) / "password"
        data.mkdir()
        secret.write_text(PASSWORD)
        if user is not None:
            for path in (Path(parent), data, secret):
                shutil.chown(path, user)
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "tests", "--auth=scram-sha-256",
             f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"],
            check=True, capture_output=True, user=user,
        )  # fmt: skip
        server = Server(data, folder, user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None where it is not installed."""
    found = shutil.which("initdb")
    # Debian keeps the programs of each version in a folder that is not on the PATH.
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None
