"""The steps of a training project as tasks: collect, train, evaluate, write."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.errors import ArchiveError, RequestError
from scoregate.notagen.training import mixture, project
from scoregate.notagen.training.project import Evaluation, Prepared
from scoregate.notagen.training.train import Progress, Run
from scoregate.progress import report
from scoregate.requests import TrainRequest
from scoregate.validators.counterpoint_judge import LINE_TRIES, preference_judge


@task(name="collect scores", cache_policy=NO_CACHE)
def collect(request: TrainRequest) -> Prepared:
    """Convert the scores to interleaved ABC and split them by tune.

    Raises
    ------
    InputError
        Nothing was found, or too little converts; the reasons are named.
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
    return mixture.prepare_sources(
        request.source,
        folder,
        request.style,
        on_file=lambda done: report("converting", done, None, f"{done} scores"),
    )


@task(name="train", task_run_name="train with seed {seed}", cache_policy=NO_CACHE)
def train(request: TrainRequest, prepared: Prepared, seed: int) -> Run:
    """Train, or go on from the checkpoint in the project's folder.

    Where the request has several seeds, each has a folder of its own below the project's.
    """
    folder = Path(request.folder)
    if request.seeds > 1:
        folder /= f"seed-{seed}"
        folder.mkdir(exist_ok=True)
    if request.weights:
        initial = project.read_initial(Path(request.weights))
        pieces = len(prepared.train)
        settings = project.fine_tuning(initial, pieces, request.steps, seed)
        if request.settings:
            settings = project.named_settings(request.settings, seed)
    else:
        initial = None
        settings = project.named_settings(request.settings or "chorales", seed)
        if settings.guided:
            raise RequestError(
                f"The settings {request.settings} need weights to start from.",
                "Name them with --from; `--from embedded` are the embedded ones.",
            )

    def tell(progress: Progress) -> None:
        bits = "" if progress.validation is None else f", {progress.validation:.3f} bits/char"
        left = f"loss {progress.loss:.3f}{bits}, {progress.seconds_left / 60:.0f} min left"
        work = "training" if request.seeds == 1 else f"training, seed {seed}"
        report(work, progress.step, progress.steps, left)

    guidance = None
    if request.weights:
        judge = preference_judge("/".join(prepared.style))
        guidance = project.guidance_for(
            prepared,
            settings,
            Path(request.weights),
            folder,
            judge,
            line_tries=LINE_TRIES,
            on_piece=lambda done: report("writing", done, None, f"{done} pieces to learn from"),
        )
    return project.train_model(
        prepared,
        settings,
        folder,
        initial=initial,
        guidance=guidance,
        device=request.device,
        patience=request.patience,
        threads=request.threads or None,
        on_progress=tell,
    )


@task(name="evaluate", cache_policy=NO_CACHE)
def evaluate(request: TrainRequest, prepared: Prepared, run: Run) -> Evaluation:
    """Generate pieces and measure them as written: no line is resampled."""
    return project.evaluate_model(
        run,
        prepared,
        pieces=request.pieces,
        on_piece=lambda done: report("evaluating", done, request.pieces, f"{done} pieces"),
    )


@task(name="write weights", cache_policy=NO_CACHE)
def write(
    request: TrainRequest, prepared: Prepared, run: Run, evaluation: Evaluation
) -> dict[str, str]:
    """Write weights, card, figures and curve; return their paths."""
    start = f", from {Path(request.weights).name}" if request.weights else ""
    paths = project.write_result(
        Path(request.folder),
        run,
        prepared,
        evaluation,
        request.name,
        request.trained_on or mixture.told(mixture.read_sources(request.source)) + start,
    )
    return {kind: str(path) for kind, path in paths.items()}
