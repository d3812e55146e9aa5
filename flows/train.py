"""Training: from scores to weights, a card and curves.

The project's folder keeps the checkpoint, so the same command goes on after a kill.
"""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel, ConfigDict, Field

from scoregate.tasks.train import best_of, collect, evaluate, last_validation, train, write


class TrainRequest(BaseModel):
    """What to train on, from which weights, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        default="bach-chorales", description="A folder of scores, or a corpus by its name."
    )
    folder: str = Field(default="training", description="The project's folder.")
    name: str = Field(
        default="mine", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$", description="Of the weights."
    )
    style: str = Field(
        default="Baroque/Bach, Johann Sebastian/Choral",
        description="The prompt that will call for what is learnt.",
    )
    weights: str | None = Field(
        default=None, description="Weights to go on from; left out, training begins anew."
    )
    settings: str = Field(default="chorales", description="Committed settings, without weights.")
    steps: int | None = Field(default=None, ge=1, description="With weights; else by the pieces.")
    seed: int = Field(default=1, ge=0, description="Of order, keys and dropout.")
    seeds: int = Field(
        default=1, ge=1, le=64, description="Train so many times, with seeds from `seed` on."
    )
    patience: int = Field(
        default=0, ge=0, description="Stop after so many validations without a better one."
    )
    pieces: int = Field(default=30, ge=3, le=3000, description="Drawn for the evaluation.")
    device: str = "cpu"
    threads: int = Field(default=0, ge=0, description="0 leaves it to torch.")


class TrainRecord(BaseModel):
    """What training came to."""

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
