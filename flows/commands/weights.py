"""``scoregate weights``: list, fetch, check and convert NotaGen's weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

HELP = """List, fetch, check and convert weights.

    scoregate weights list
    scoregate weights get x
    scoregate weights get x --from ~/Downloads/notagenx.pth
    scoregate weights check notagenx.pth
    scoregate weights convert notagenx.pth notagenx.safetensors --half
    scoregate produce --weights x --style 'Romantic/Chopin, Frederic/Keyboard'

No pickled code is ever run: .pth files are read as data.
"""

app = typer.Typer(no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON.")]


@app.command("list")
def list_weights(as_json: AsJson = False) -> None:
    """List the embedded model and the releases, fetched or not."""
    from scoregate.notagen.weights import hub

    entries = hub.list_weights()
    if as_json:
        typer.echo(json.dumps([entry.as_dict() for entry in entries], ensure_ascii=False))
        return
    for entry in entries:
        size = f"{entry.parameters / 1e6:.1f} M" if entry.parameters else ""
        there = "here" if entry.path else "to fetch"
        typer.echo(f"{entry.name:<12} {size:>8}  {there:<9} {entry.about}")
    typer.echo("\nNext: scoregate weights get NAME, scoregate produce --weights NAME")


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="As `scoregate weights list` names it.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A file that is there already.")
    ] = None,
) -> None:
    """Fetch weights; a download that was begun goes on where it stopped."""
    from scoregate.notagen.weights import hub

    typer.echo(str(hub.get(name, source)))


@app.command("check")
def check(
    weights: Annotated[
        str, typer.Argument(help="A name or a file; `embedded` is the embedded model.")
    ],
    as_json: AsJson = False,
) -> None:
    """Read weights from end to end and say what they are."""
    from scoregate.notagen.weights import hub

    found = hub.check(None if weights == "embedded" else weights)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for key, value in found.items():
        if key != "card" and value is not None:
            typer.echo(f"{key:<11} {_short(value)}")


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 3} more" if len(value) > 3 else ""
        return "; ".join(map(str, value[:3])) + more
    return str(value)


@app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(help="A name or a file.")],
    target: Annotated[Path | None, typer.Argument(help="Else beside the source.")] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Store fp16: half the size, no longer exact.")
    ] = False,
) -> None:
    """Convert weights to safetensors, one tensor at a time."""
    from scoregate.notagen.weights import hub

    typer.echo(str(hub.convert(source, target, half=half)))
