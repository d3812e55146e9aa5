"""``scoregate train``: weights from your own scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.flows.printing import command_name

if TYPE_CHECKING:
    from scoregate.flows.train import TrainRecord

HELP = """Train on your scores, or fine-tune any NotaGen weights; goes on after a kill.

    scoregate train my-scores/ --from embedded --folder my-model
    scoregate train my-scores/ --from notagenx.pth --style 'Romantic/Chopin, Frederic/Keyboard'
    scoregate train bach-chorales --folder chorales       how the embedded model was made

A folder may hold MusicXML, MXL, ABC and MIDI. What does not convert is named. The project's
folder keeps the converted scores, the checkpoint, the curve, and at the end the weights and
their card. Start the same command again to go on after a stop.

Use what came of it: `scoregate produce --weights my-model/mine.safetensors`.

Exit code: 0 trained, 2 it could not be done.
"""


def command(
    source: Annotated[str, typer.Argument(help="A folder of scores, or `bach-chorales`.")],
    folder: Annotated[Path, typer.Option(help="The project's folder.")] = Path("training"),
    weights: Annotated[
        str | None,
        typer.Option("--from", help="Weights to go on from: a file, or `embedded`."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the weights are called.")] = "mine",
    style: Annotated[
        str, typer.Option(help="The prompt that will call for what is learnt.")
    ] = "Baroque/Bach, Johann Sebastian/Choral",
    steps: Annotated[
        int | None, typer.Option(help="With --from; else sixty passes over the pieces.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of order, keys and dropout.")] = 1,
    seeds: Annotated[
        int, typer.Option(help="Train so many times; the best by the validation pieces is kept.")
    ] = 1,
    patience: Annotated[
        int, typer.Option(help="Stop after so many validations without a better one.")
    ] = 0,
    pieces: Annotated[int, typer.Option(help="Pieces drawn for the evaluation.")] = 30,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="0 leaves it to torch.")] = 0,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Prefect's log too.")] = False,
) -> None:
    """Train, print where the weights are and what they write, and exit with 0."""
    from scoregate.flows.launch import prepare, run_flow

    prepare(verbose)
    from scoregate.flows.train import TrainRequest
    from scoregate.notagen.weights.registry import find
    from scoregate.requests import checked

    request = checked(
        TrainRequest,
        source=source,
        folder=str(folder),
        weights=None if weights is None else str(find(None if weights == "embedded" else weights)),
        name=name,
        style=style,
        steps=steps,
        seed=seed,
        seeds=seeds,
        patience=patience,
        pieces=pieces,
        device=device,
        threads=threads,
    )
    _summarise(run_flow("scoregate.flows.train:train_flow", request=request))


def _summarise(record: TrainRecord) -> None:
    typer.echo(f"{record.steps} steps on {record.train_pieces} pieces.")
    if record.lost_scores:
        typer.echo(f"{len(record.lost_scores)} scores could not be used:")
        for loss in record.lost_scores[:10]:
            typer.echo(f"  {loss}")
    if record.small:
        typer.echo("Too few tunes to hold any back: the test figures repeat training pieces.")
    if len(record.validation_bits) > 1:
        listed = ", ".join(f"{bits:.3f}" for bits in record.validation_bits)
        typer.echo(f"Bits a character on the validation pieces, by seed: {listed}")
    typer.echo(f"Bits a character on the test pieces: {record.test_bits:.3f}")
    for figure, value in record.raw.items():
        typer.echo(f"  {figure:<28} {value:.3f}")
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<8} {path}")
    typer.echo(f"\nNext: {command_name()} produce --weights {record.paths['weights']}")
