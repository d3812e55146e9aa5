"""Running `scoregate` as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCOREGATE = Path(sys.executable).with_name("scoregate")


def scoregate(*words: object, url: str | None = None, **more: str) -> subprocess.CompletedProcess:
    """Run a command; ``url`` is the Prefect server, ``more`` the environment's variables."""
    environment = os.environ | more
    environment.pop("PREFECT_LOGGING_LEVEL", None)  # as a user has it
    if url:
        environment["PREFECT_API_URL"] = url
    return subprocess.run(
        [SCOREGATE, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
