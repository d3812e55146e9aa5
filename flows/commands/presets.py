"""``scoregate presets``: list the sampling presets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

HELP = """List the sampling presets: what their sources say, and what was measured here.

    scoregate presets
    scoregate presets --sweep my-sweep
    scoregate produce --preset bach-polyphony --count 12

Measured with the weights `chorales-1` on Bach chorales: the share of pieces that pass, with its
95 % interval and the number of pieces, as the model wrote them and with faulty lines resampled.
With --sweep the figures are those of a sweep over presets of your own.
"""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sweep: Annotated[
        Path | None,
        typer.Option(metavar="<path>", help="Folder of a sweep whose figures are shown."),
    ] = None,
) -> None:
    """Print the presets."""
    from rich.console import Console
    from rich.table import Table

    from scoregate.presets import measured_presets, presets

    measured = measured_presets(sweep)
    if as_json:
        rows = [
            asdict(one) | {"measured": [asdict(each) for each in measured.get(one.name, [])]}
            for one in presets()
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("preset", "T", "top_p", "top_k", "what the source says", "passed, measured here")
    if sweep is None:
        table.caption = (
            "Measured on Bach chorales of the weights `chorales-1`, whatever a preset is for."
        )
    for one in presets():
        found = [
            f"{'judged' if each.judged else 'raw'} {each.text}"
            for each in measured.get(one.name, [])
        ]
        table.add_row(
            one.name,
            f"{one.temperature:g}",
            f"{one.top_p:g}",
            str(one.top_k),
            f"{one.advice} ({one.source})",
            "\n".join(found) or "–",
        )
    Console().print(table)
