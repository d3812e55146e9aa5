"""Write docs/cli.md, the reference of the command line, from the commands' own help.

A test compares the file with what this writes. ``make docs`` runs it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from scoregate.flows.cli import app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
COLUMNS = "80"

INTRODUCTION = """\
# The command line

Every command and option, as `--help` prints it. This page is written by `make docs`; a test
holds that it is up to date. [line.md](line.md) explains how a run goes and what the exit codes
mean.
"""


def command_paths() -> list[tuple[str, ...]]:
    """Return the words of every command that does something, groups before their members."""
    paths: list[tuple[str, ...]] = []

    def walk(command: Any, path: tuple[str, ...]) -> None:
        paths.append(path)
        for name, member in getattr(command, "commands", {}).items():
            walk(member, (*path, name))

    walk(typer.main.get_command(app), ())
    return paths


def help_text(path: tuple[str, ...]) -> str:
    """Return what ``scoregate PATH --help`` prints, 80 columns wide."""
    done = CliRunner().invoke(
        app, [*path, "--help"], prog_name="scoregate", env=os.environ | {"COLUMNS": COLUMNS}
    )
    if done.exit_code:
        raise RuntimeError(f"scoregate {' '.join(path)} --help failed: {done.output}")
    return "\n".join(line.rstrip() for line in done.output.strip("\n").splitlines())


def reference() -> str:
    """Return the whole page."""
    paths = command_paths()
    entries = [f"scoregate {' '.join(path)}".strip() for path in paths]
    contents = [f"- [`{entry}`](#{entry.replace(' ', '-')})" for entry in entries]
    parts = [INTRODUCTION, "\n".join(contents) + "\n"]
    for path, entry in zip(paths, entries, strict=True):
        parts.append(f"## {entry}\n\n```\n{help_text(path)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference())
