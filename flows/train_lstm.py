"""Training the LSTM: from scores to weights with their vocabulary, a card and a curve.

The project's folder keeps the parsed scores and the checkpoint, so that the same command goes on
after a kill.
"""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.requests import TrainRequest
from scoregate.tasks.train_lstm import collect, evaluate, sample, train, write


class LstmTrainRecord(BaseModel):
    """The result of training.

    Attributes
    ----------
    steps : int
        Of the best run.
    validation_nats : list of float
        Lowest loss on the validation pieces, by seed.
    train_pieces : int
    lost_scores : list of str
        Scores that could not be used, with the reason.
    test_nats, unigram_nats, bigram_nats : float
        Loss in nats a word on the test pieces: of the weights, and of models that know
        frequencies of words and of pairs.
    pieces, passed : int
        Pieces that were sampled for the card, and how many of them pass the gates.
    paths : dict of str to str
        Paths of ``weights``, ``card``, ``figures`` and ``curve``.
    """

    steps: int
    validation_nats: list[float]
    train_pieces: int
    lost_scores: list[str]
    test_nats: float
    unigram_nats: float
    bigram_nats: float
    pieces: int
    passed: int
    paths: dict[str, str]


@flow(name="train lstm", flow_run_name="train {request.name} on {request.source}")
def train_lstm_flow(request: TrainRequest) -> LstmTrainRecord:
    """Train a model and write weights that `scoregate produce --model lstm --weights` takes."""
    prepared = collect(request)
    runs = [train(request, prepared, request.seed + number) for number in range(request.seeds)]
    best = min(runs, key=lambda run: run[0].best)
    found = evaluate(prepared, best)
    paths = write(request, prepared, best, found)
    passed = sample(request, paths)
    with open(paths["card"], encoding="utf-8") as card:
        create_markdown_artifact(key="model-card", markdown=card.read())
    return LstmTrainRecord(
        steps=best[0].step,
        validation_nats=[run.best for run, _ in runs],
        train_pieces=len(prepared.train),
        lost_scores=[f"{loss.name}: {loss.reason}" for loss in prepared.losses],
        test_nats=found.test_nats,
        unigram_nats=found.unigram_nats,
        bigram_nats=found.bigram_nats,
        pieces=request.pieces,
        passed=passed,
        paths=paths,
    )
