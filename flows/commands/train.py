"""``scoregate train``: weights from your own scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from scoregate.flows.options import Verbose, takes
from scoregate.flows.printing import command_name
from scoregate.requests import TrainRequest

if TYPE_CHECKING:
    from scoregate.flows.train import TrainRecord
    from scoregate.flows.train_lstm import LstmTrainRecord

HELP = """Train on your scores, or fine-tune any NotaGen weights; goes on after a kill.

    scoregate train my-scores/ --from embedded --folder my-model
    scoregate train my-scores/ --from notagenx.pth --style 'Romantic/Chopin, Frederic/Keyboard'
    scoregate train bach-chorales --folder chorales       how the embedded model was made
    scoregate train fiddle-tunes --settings fiddle        three collections, a style each
    scoregate train bach-chorales=0.7,my-scores=0.3       several corpora with shares
    scoregate train bach-chorales --from embedded --settings preferences    tuned by a judge
    scoregate train oneill,ryan,aird --model lstm         how the embedded LSTM was made

A folder may hold MusicXML, MXL, ABC and MIDI. What does not convert is named. The project's
folder keeps the converted scores, the checkpoint, the curve, and at the end the weights and
their card. Start the same command again to go on after a stop.

Then use the weights: `scoregate produce --weights my-model/mine.safetensors`.

Exit code: 0 trained, 2 it could not be done.
"""


@takes(TrainRequest, arguments=("source",), names={"weights": ("--from",)})
def command(request: TrainRequest, verbose: Verbose = False) -> None:
    """Train, print where the weights are and their figures, and exit with 0."""
    from scoregate.flows.launch import prepare, run_flow

    prepare(verbose)
    if request.model == "lstm":
        _summarise_lstm(run_flow("scoregate.flows.train_lstm:train_lstm_flow", request=request))
        return
    from scoregate.notagen.weights import find

    if request.weights is not None:
        # Unknown weights are refused before a server is started.
        named = None if request.weights == "embedded" else request.weights
        request = request.model_copy(update={"weights": str(find(named))})
    _summarise(run_flow("scoregate.flows.train:train_flow", request=request))


def _tell_steps(record: TrainRecord | LstmTrainRecord) -> None:
    typer.echo(f"{record.steps} steps on {record.train_pieces} pieces.")
    if record.lost_scores:
        typer.echo(f"{len(record.lost_scores)} scores could not be used:")
        for loss in record.lost_scores[:10]:
            typer.echo(f"  {loss}")


def _summarise_lstm(record: LstmTrainRecord) -> None:
    _tell_steps(record)
    if len(record.validation_nats) > 1:
        listed = ", ".join(f"{nats:.3f}" for nats in record.validation_nats)
        typer.echo(f"Nats a word on the validation pieces, by seed: {listed}")
    typer.echo(f"Nats a word on the test pieces: {record.test_nats:.3f}")
    typer.echo(f"  pairs of words               {record.bigram_nats:.3f}")
    typer.echo(f"  frequencies of words         {record.unigram_nats:.3f}")
    typer.echo(f"{record.passed} of {record.pieces} sampled pieces pass the gates.")
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<8} {path}")
    weights = record.paths["weights"]
    typer.echo(f"\nNext: {command_name()} produce --model lstm --weights {weights}")


def _summarise(record: TrainRecord) -> None:
    _tell_steps(record)
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
