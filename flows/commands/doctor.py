"""``scoregate doctor``: check everything that a production needs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scoregate.flows.printing import printable

HELP = """Check everything that a production needs, and say what to do.

    scoregate doctor
    scoregate doctor --json

It looks at the Prefect server and its database, the work pool and its workers, deployments and
schedules, weights, abc2midi, renderers, folders, disk space and permissions. Nothing is changed.

Exit code: 0 no fault (warnings are possible), 1 there is a fault.
"""

_MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}
_COLOURS = {"ok": None, "warning": "yellow", "fault": "red"}


def command(as_json: Annotated[bool, typer.Option("--json", help="JSON.")] = False) -> None:
    """Print each check; exit with 1 where there is a fault."""
    from scoregate.flows.launch import prepare
    from scoregate.flows.operations.doctor import examine

    prepare(verbose=False)
    counted: Counter[str] = Counter()
    rows = []
    for check in examine(Path.cwd()):
        counted[check.level] += 1
        rows.append(asdict(check))
        if as_json:
            continue
        line = f"{_MARKS[check.level]} {check.name}: {printable(check.found)}"
        typer.secho(line, fg=_COLOURS[check.level])
        if check.remedy and check.level != "ok":
            typer.echo(f"    {printable(check.remedy)}")
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        typer.echo(f"faults: {counted['fault']}, warnings: {counted['warning']}")
    raise typer.Exit(1 if counted["fault"] else 0)
