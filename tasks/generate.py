"""Generate a batch of pieces, with whatever generator the request names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate import styles
from scoregate.errors import InputError, WeightsError
from scoregate.generator import Generator, Interrupted, Limits, Progress, find_generator
from scoregate.piece import Batch, Piece
from scoregate.progress import report
from scoregate.requests import ProduceRequest
from scoregate.sampling import Sampling
from scoregate.timing import spent
from scoregate.validators.counterpoint_judge import LINE_TRIES, CounterpointJudge, line_judge


@lru_cache(maxsize=2)
def _loaded(
    model: str, weights: str | None, device: str, precision: str, threads: int | None
) -> Generator:
    """Load a generator once a process."""
    return find_generator(model).load(weights, device, precision, threads)


def generator_of(request: ProduceRequest) -> Generator:
    """Return the generator that a request names; it is loaded once a process."""
    return _loaded(
        request.model, request.weights, request.device, request.precision, request.threads
    )


def origin_of(request: ProduceRequest, generator: Generator) -> dict[str, Any]:
    """Return what identifies the generator and whether it was trained on the style.

    JSON-ready; ``trained_style`` is None where the weights name no styles.
    """
    trained = generator.styles
    known = None if trained is None else styles.parse(request.style) in trained
    return generator.provenance().as_dict() | {"trained_style": known}


def _is_fault(task: Any, run: Any, state: Any) -> bool:
    """Return whether a retry may help: not where the request or the weights are wrong."""
    try:
        state.result()
    except (InputError, WeightsError):
        return False
    except Exception:
        return True
    return False


@task(name="load generator", cache_policy=NO_CACHE)
def load_generator(request: ProduceRequest) -> tuple[ProduceRequest, int, dict[str, Any]]:
    """Load the weights and check the request against them.

    Returns
    -------
    request : ProduceRequest
        With its style in full and its seed.
    seed : int
        The request's, or one chosen at random where it has none.
    engine : dict
        What identifies the generator: see :func:`origin_of`.

    Raises
    ------
    RequestError
        An unknown generator or style, or a style that these weights were not trained on.
    WeightsError
    """
    with spent("load"):
        name = Path(request.weights or "embedded").name
        report("loading weights", 0, 1, name)
        generator = generator_of(request)
        report("loading weights", 1, 1, name)
        request = request.settled(generator.styles)
        assert request.seed is not None, "a settled request has a seed"
        return request, request.seed, origin_of(request, generator)


@task(
    name="generate",
    task_run_name="generate round {number}",
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=_is_fault,
    cache_policy=NO_CACHE,
)
def generate(request: ProduceRequest, number: int, seeds: list[int]) -> tuple[Batch[Piece], bool]:
    """Generate one piece for each seed; return them, and whether Ctrl-C cut the work short.

    A piece that the model did not end is returned too; no verdict lets it pass. After Ctrl-C
    those pieces are returned of which at least one bar was written by then.
    """
    with spent("generate"):
        generator = generator_of(request)
        judge = line_judge(request.style, request.counterpoint)
        tries = LINE_TRIES if isinstance(judge, CounterpointJudge) else Limits().line_tries
        stopped = False
        try:
            written = generator.generate(
                [styles.parse(request.style)] * len(seeds),
                seeds=seeds,
                sampling=Sampling(request.temperature, request.top_k, request.top_p),
                limits=Limits(
                    max_steps=request.max_steps,
                    max_seconds=60 * request.max_minutes if request.max_minutes else None,
                    batch_size=request.batch,
                    line_tries=tries,
                ),
                accept_line=judge if request.repair_lines else None,
                on_progress=_show,
            )
        except Interrupted as interrupted:
            stopped = True
            written = [piece for piece in interrupted.pieces if piece.bars]
        origin = origin_of(request, generator) | {
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "max_steps": request.max_steps,
            "max_minutes": request.max_minutes,
            "repair_lines": request.repair_lines,
            "counterpoint": request.counterpoint,
            "run_seed": request.seed,
        }
        return Batch(Piece(request.style, number, each, origin) for each in written), stopped


def _show(progress: Progress) -> None:
    report("writing", progress.done, progress.total, str(progress))
