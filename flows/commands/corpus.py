"""``scoregate corpus``: scores converted to ABC and split for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Convert scores to ABC and split them by tune, as `scoregate train` does.

    scoregate corpus bach-chorales
    scoregate corpus my-scores/ --folder converted

SOURCE is a folder of MusicXML, MXL, ABC and MIDI, or `bach-chorales`, which takes the chorales
of the installed music21 package. The pieces are written to train/, validation/ and test/ below
the folder; two settings of one tune are always on the same side. What does not convert is named.
"""


def command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of scores, or `bach-chorales`.")
    ],
    folder: Annotated[Path, typer.Option(help="Where the pieces are written.")] = Path("corpus"),
) -> None:
    """Convert, split and write; print how many pieces are on each side."""
    from scoregate.convert.files import tally
    from scoregate.errors import ArchiveError
    from scoregate.notagen.training import project

    try:
        folder.mkdir(parents=True, exist_ok=True)
        prepared = project.prepare(project.collect_scores(source, folder), project.CHORALE_STYLE)
        counts = project.write_pieces(prepared, folder)
    except OSError as error:
        raise ArchiveError(
            f"The folder {folder} can't be written: {error.strerror}.",
            "Name another with --folder.",
        ) from error
    for side, count in counts.items():
        typer.echo(f"{side:<10} {count} pieces")
    typer.echo(f"{'lost':<10} {len(prepared.losses)} scores")
    for reason, count in tally(prepared.losses).items():
        typer.echo(f"  {count} × {reason}")
