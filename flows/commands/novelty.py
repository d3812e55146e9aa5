"""The command ``scoregate novelty-index``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Make the index of known pieces that the gate `novelty` reads.

The index is made of every .abc file in FOLDER and below. A piece that shares four bars or
more with one of them is rejected as a copy, by `scoregate produce` and wherever --novelty is
given. Without --out the new index replaces the one that comes with the program.

Example:

    scoregate novelty-index my-scores/
"""


def command(
    folder: Annotated[Path, typer.Argument(help="Folder with the known pieces, as .abc files.")],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write; by default the index that the gate reads."),
    ] = None,
) -> None:
    """Make the index and say where it is."""
    from scoregate.validators.analysis import novelty_index

    path = out or novelty_index.SHIPPED
    count = novelty_index.build(folder, path)
    typer.echo(f"{count} {'piece' if count == 1 else 'pieces'} indexed in {path}")
