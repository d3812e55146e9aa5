"""``scoregate styles``: what can be asked for."""

from __future__ import annotations

import json
from typing import Annotated

import typer

HELP = """List the styles that weights were trained on.

    scoregate styles                      what the embedded models write
    scoregate styles --all                NotaGen-X's 112 combinations, marked
    scoregate styles --all --find chopin
    scoregate styles --model lstm         what the embedded LSTM writes
"""


def command(
    weights: Annotated[
        str | None, typer.Option(help="Name or file of the weights; else the embedded model.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="NotaGen-X's combinations too, whatever the weights.")
    ] = False,
    model: Annotated[str, typer.Option(help="Kind of generator.")] = "notagen",
    find: Annotated[str | None, typer.Option(help="Only those that contain this text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Print one style a line, as `--style` takes it."""
    from scoregate.generator import find_generator
    from scoregate.notagen.text.styles import NOTAGEN_X

    trained = find_generator(model).trained_styles(weights)
    listed = list(trained or ()) if not every else sorted({*NOTAGEN_X, *(trained or ())})
    if find:
        listed = [style for style in listed if find.casefold() in str(style).casefold()]
    if as_json:
        typer.echo(json.dumps([str(style) for style in listed], ensure_ascii=False))
        return
    if trained is None:
        typer.echo("These weights name no styles; any prompt is taken as it is.", err=True)
    for style in listed:
        typer.echo(f"{style}{'' if trained is None or style in trained else '   (not trained on)'}")
    if not listed:
        raise typer.Exit(1)
