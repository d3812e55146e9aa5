"""What every test may ask for: real pieces, and a Prefect server of the tests' own."""

from __future__ import annotations

import fcntl
import os
import shutil
import socketserver
import sqlite3
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "real-notagen"

# Before anything imports Prefect: a home of the tests' own, and no server of anybody else's.
_home = tempfile.TemporaryDirectory(prefix="scoregate-tests-")
os.environ["PREFECT_HOME"] = _home.name
for _name in ("PREFECT_API_URL", "PREFECT_PROFILE", "SCOREGATE_DATABASE"):
    os.environ.pop(_name, None)
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")

from scoregate.flows import server as server_module  # noqa: E402

server_module.apply_settings()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that the processes of `make test` end together.

    A file's tests stay together and in their order. How long a file takes is judged by its marks:
    roughly 30 s for a test with a server, 3 s for another slow one.
    """
    seconds: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        seconds[item.path] += 30 if "server" in marks else 3 if "slow" in marks else 0.1
    items.sort(key=lambda item: -seconds[item.path])


@pytest.fixture(scope="module", autouse=True)
def no_server_without_a_socket() -> Iterator[None]:
    """Fail where a test has closed an HTTP server's socket and left the server's thread running.

    Such a thread polls without a pause: with a few of them every later test of the process took
    five times as long.
    """
    yield
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None)
        server = getattr(target, "__self__", None)
        if isinstance(server, socketserver.TCPServer) and target.__name__ == "serve_forever":
            assert server.fileno() >= 0, f"{server} was closed before its shutdown()"


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread for models too small to share out: several would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def real_pieces() -> list[Path]:
    """Pieces that NotaGen really wrote, where they lie beside the project."""
    files = sorted(REAL.rglob("*.abc"))
    if not files:
        pytest.skip("the published NotaGen pieces are not beside the project")
    return files


@pytest.fixture(scope="session")
def dashboard_folder(tmp_path_factory) -> Path:
    """Make the archive of tests/dashboard_archive.py once; who changes it takes a copy."""
    import dashboard_archive

    folder = tmp_path_factory.mktemp("dashboard") / "out"
    dashboard_archive.fill(folder)
    return folder


@pytest.fixture(scope="session")
def postgresql():
    """Start a real PostgreSQL server on loopback: tests/postgresql.py."""
    from postgresql import running

    with running() as server:
        yield server


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory) -> Iterator[server_module.Server]:
    """Start a real Prefect server on loopback, as `scoregate` does."""
    patch = pytest.MonkeyPatch()
    # Port 0 of the list is never healthy: a developer's own server is left alone.
    patch.setattr(server_module, "DEFAULT_PORT", 0)
    try:
        with _migrated_database(tmp_path_factory.getbasetemp().parent):
            server = server_module.ensure_server()
        del os.environ["PREFECT_API_URL"]  # tests say themselves which server they mean
        yield server
    finally:
        server_module.stop_server()
        patch.undo()


@contextmanager
def _migrated_database(shared: Path) -> Iterator[None]:
    """Let the first of several processes of tests migrate a database; the others take a copy.

    Migrating is most of what the start of a server costs.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        yield
        return
    template, own = shared / f"prefect-{run}.db", server_module.prefect_home() / "prefect.db"
    with open(shared / f"prefect-{run}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if template.exists():
            shutil.copyfile(template, own)
        yield
        if not template.exists():
            partial = template.with_suffix(".partial")
            with closing(sqlite3.connect(own)) as source, closing(sqlite3.connect(partial)) as copy:
                source.backup(copy)
            partial.rename(template)
