"""Running `scoregate`: as a user does, in a process of its own; or in this one, for less time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

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


def scoregate_here(
    *words: object, url: str | None = None, **more: str
) -> subprocess.CompletedProcess:
    """Run a command in this process, which has Prefect and the rooms imported already.

    It goes through :func:`scoregate.flows.cli.main` as the program does, from the words to the
    exit code, against the same server. What a process of its own shows as well (that it starts,
    is killed, takes its settings from the environment) needs :func:`scoregate`.
    """
    from scoregate.flows import cli

    output, errors, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (more | ({"PREFECT_API_URL": url} if url else {})).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["scoregate", *map(str, words)])
        patch.setattr(sys, "stdin", io.StringIO())
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                cli.main()
            except SystemExit as ended:
                code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())
