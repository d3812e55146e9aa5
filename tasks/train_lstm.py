"""The steps of training an LSTM as tasks: collect, train, evaluate, write, sample."""

from __future__ import annotations

from pathlib import Path

import torch
from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.generator import Limits
from scoregate.lstm import load, project
from scoregate.lstm.model import LstmModel
from scoregate.lstm.project import Evaluation, Prepared
from scoregate.lstm.training import Run
from scoregate.progress import report
from scoregate.requests import TrainRequest
from scoregate.sampling import Sampling
from scoregate.validators.examination import examine

MOST_EVENTS = 1000
"""Most events of a piece that is sampled for the card."""


@task(name="collect scores", cache_policy=NO_CACHE)
def collect(request: TrainRequest) -> Prepared:
    """Parse the scores into events, split them by tune, and encode them.

    Raises
    ------
    InputError
        Nothing was found, or too little can be used; the reasons are named.
    ArchiveError
        The folder can't be made.
    """
    folder = Path(request.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(
            f"The folder {folder} can't be made: {error.strerror}.", "Name another with --folder."
        ) from error
    return project.prepare(
        [name.strip() for name in request.source.split(",")],
        folder,
        request.style or None,
        lambda done, total: report("reading scores", done, total, f"{done} of {total}"),
    )


@task(name="train", task_run_name="train with seed {seed}", cache_policy=NO_CACHE)
def train(request: TrainRequest, prepared: Prepared, seed: int) -> tuple[Run, LstmModel]:
    """Train, or go on from the checkpoint in the project's folder.

    Where the request has several seeds, each has a folder of its own below the project's.
    """
    folder = Path(request.folder)
    if request.seeds > 1:
        folder /= f"seed-{seed}"
    settings = project.load_settings(
        request.settings or "tunes",
        seed=seed,
        steps=request.steps,
        patience=request.patience or None,
    )
    work = "training" if request.seeds == 1 else f"training, seed {seed}"

    def tell(run: Run) -> None:
        row = run.curve[-1]
        note = f"loss {row['loss']:.3f}, {row['validation']:.3f} nats on held-out pieces"
        report(work, run.step, settings.steps or None, note)

    before = torch.get_num_threads()
    torch.set_num_threads(request.threads or before)
    try:
        return project.train_model(prepared, settings, folder, tell, request.device)
    finally:
        torch.set_num_threads(before)


@task(name="evaluate", cache_policy=NO_CACHE)
def evaluate(prepared: Prepared, trained: tuple[Run, LstmModel]) -> Evaluation:
    """Measure the loss on the test pieces, beside models that know frequencies only."""
    return project.evaluate(trained[1], prepared)


@task(name="write weights", cache_policy=NO_CACHE)
def write(
    request: TrainRequest, prepared: Prepared, trained: tuple[Run, LstmModel], found: Evaluation
) -> dict[str, str]:
    """Write weights, card, figures and curve; return their paths."""
    paths = project.write_result(Path(request.folder), request.name, trained, prepared, found)
    return {kind: str(path) for kind, path in paths.items()}


@task(name="sample pieces", cache_policy=NO_CACHE)
def sample(request: TrainRequest, paths: dict[str, str]) -> int:
    """Sample pieces as `scoregate produce` would, add their pass rate to the card, return it."""
    generator = load(paths["weights"], request.device)
    styles = generator.styles
    written = generator.generate(
        [styles[number % len(styles)] for number in range(request.pieces)],
        seeds=range(request.pieces),
        sampling=Sampling(1.0, top_k=9, top_p=0.9),
        limits=Limits(max_steps=MOST_EVENTS),
        on_progress=lambda now: report("sampling", now.done, now.total, f"{now.done} pieces"),
    )
    passed = sum(
        piece.ended == "finished" and examine(piece.text).verdict().status is Status.PASSED
        for piece in written
    )
    with open(paths["card"], "a", encoding="utf-8") as card:
        card.write(f"\n{passed} of {request.pieces} sampled pieces pass the gates.\n")
    return passed
