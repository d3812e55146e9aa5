"""A headless Chromium for tests, by playwright and the system's browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str | None:
    """Return the path of the system's Chromium, or None."""
    named = os.environ.get("SCOREGATE_CHROMIUM")
    return named or next((found for name in _NAMES if (found := shutil.which(name))), None)


def needed() -> str:
    """Return the path of the browser; skip the test where there is none."""
    pytest.importorskip("playwright", reason="playwright is not installed: make setup")
    found = executable()
    if not found:
        pytest.skip("no Chromium here: apt-get install chromium, or name one by SCOREGATE_CHROMIUM")
    return found


@contextmanager
def chromium() -> Iterator:
    """Start a headless browser; sound plays into nothing."""
    path = needed()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def dashboard(out: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve an archive by the command itself; give its address and the process."""
    port = free_port()
    command = [sys.executable, "-m", "scoregate.flows.cli", "dashboard", "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--no-browser", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address, process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def wait_for(address: str, process: subprocess.Popen, limit_s: float = 60) -> None:
    """Wait until a server answers; fail with what it said when it ends before."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1].decode())
        try:
            urllib.request.urlopen(f"{address}/exports", timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the dashboard did not answer")
