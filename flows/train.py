"""Training: from scores to weights, a card and curves.

The project's folder keeps the checkpoint, so that the same command goes on after a kill.
"""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.notagen.training.project import best_of, last_validation
from scoregate.requests import TrainRequest
from scoregate.tasks.train import collect, evaluate, train, write


class TrainRecord(BaseModel):
    """The result of training.

    Attributes
    ----------
    steps : int
    validation_bits : list of float
        Bits per character on the validation pieces, by seed.
    train_pieces : int
    lost_scores : list of str
        Scores that could not be used, with the reason.
    test_bits : float
        Bits per character on the test pieces.
    raw : dict of str to float
        Figures of what the model writes, with no line resampled.
    small : bool
        True if there were too few tunes to hold any back for the test.
    paths : dict of str to str
        Paths of ``weights``, ``card``, ``figures`` and ``curve``.
    """

    steps: int
    validation_bits: list[float]
    train_pieces: int
    lost_scores: list[str]
    test_bits: float
    raw: dict[str, float]
    small: bool
    paths: dict[str, str]


@flow(name="train", flow_run_name="train {request.name} on {request.source}")
def train_flow(request: TrainRequest) -> TrainRecord:
    """Train a model and write weights that `scoregate produce --weights` takes."""
    prepared = collect(request)
    runs = [train(request, prepared, request.seed + number) for number in range(request.seeds)]
    run = best_of(runs)
    evaluation = evaluate(request, prepared, run)
    paths = write(request, prepared, run, evaluation)
    record = TrainRecord(
        steps=run.step,
        validation_bits=[last_validation(each) for each in runs],
        train_pieces=len(prepared.train),
        lost_scores=[f"{loss.name}: {loss.reason}" for loss in prepared.losses],
        test_bits=evaluation.test_bits,
        raw=evaluation.raw,
        small=prepared.small,
        paths=paths,
    )
    with open(paths["card"], encoding="utf-8") as card:
        create_markdown_artifact(key="model-card", markdown=card.read())
    return record
