"""``scoregate presets``: list the sampling presets."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

HELP = """List the sampling presets with what their sources say.

    scoregate presets
    scoregate produce --preset bach-polyphony --count 12
"""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the presets."""
    from rich.console import Console
    from rich.table import Table

    from scoregate.presets import presets

    if as_json:
        typer.echo(json.dumps([asdict(preset) for preset in presets()], indent=1))
        return
    table = Table("preset", "T", "top_p", "top_k", "what the source says", "source")
    for one in presets():
        table.add_row(
            one.name,
            f"{one.temperature:g}",
            f"{one.top_p:g}",
            str(one.top_k),
            one.advice,
            one.source,
        )
    Console().print(table)
