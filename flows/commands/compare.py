"""``scoregate compare``: how far two sets of pieces are from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from scoregate.errors import RequestError
from scoregate.flows.options import Verbose, takes
from scoregate.requests import CompareRequest

if TYPE_CHECKING:
    from scoregate.flows.compare import CompareRecord

HELP = """Compare two sets of pieces: distributions, overlaps, and what tells them apart.

    scoregate compare my-scores/ corpus:bach-chorales
    scoregate compare run:20261121-134414-ffe082 corpus:bach-chorales
    scoregate compare tag:good status:rejected --folder good-beside-rejected
    scoregate compare sweep:sweep,temperature:1.0 sweep:sweep,temperature:2.0

A set is a folder, file or pattern of ABC, MusicXML or MIDI; a corpus of music21 by the name of its
folder, or bach-chorales; run:ID, tag:NAME, style:TEXT, weights:NAME, rated:4, status:rejected of
the archive, joined by commas; or sweep:FOLDER with settings. Name the reference second.

Exit code: 0 finished, 2 it could not be done.
"""


@takes(CompareRequest, arguments=("first", "second"))
def command(request: CompareRequest, verbose: Verbose = False) -> None:
    """Compare, and print the summary and where the tables are."""
    _need_sklearn()
    from scoregate.flows.launch import prepare, run_flow

    prepare(verbose)
    record: CompareRecord = run_flow("scoregate.flows.compare:compare", request=request)
    for place, name in enumerate((request.first, request.second)):
        lost = record.unreadable[place]
        typer.echo(
            f"{name}: {record.read[place]} pieces read"
            + (f", {lost} could not be read" if lost else "")
        )
    typer.echo(f"mean overlap {record.overlap:.3f}, mean shift {record.shift:.3f}")
    if record.auc is None:
        typer.echo("No classifier: a set has fewer than five pieces.")
    else:
        typer.echo(f"AUC of a classifier {record.auc:.3f} (.5: can't tell them apart)")
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<7} {path}")


def _need_sklearn() -> None:
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise RequestError(
            "Telling sets of pieces apart needs scikit-learn.", "pip install 'scoregate[compare]'"
        )
