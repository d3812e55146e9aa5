"""Draw a batch of drafts from the model."""

from __future__ import annotations

import secrets
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

import scoregate.notagen as notagen
from scoregate import styles
from scoregate.errors import InputError, WeightsError
from scoregate.generator import Interrupted, Limits
from scoregate.piece import Batch, Draft
from scoregate.progress import report
from scoregate.sampling import Sampling
from scoregate.timing import spent
from scoregate.validators.line_judge import accept_line

if TYPE_CHECKING:
    from scoregate.requests import ProduceRequest


@lru_cache(maxsize=2)
def engine_for(
    weights: str | None, device: str, precision: str, threads: int | None
) -> notagen.Engine:
    """Load an engine once a process."""
    return notagen.load(weights, device=device, precision=precision, threads=threads)


def _engine(request: ProduceRequest) -> notagen.Engine:
    return engine_for(request.weights, request.device, request.precision, request.threads)


def _is_trained(engine: notagen.Engine, style: styles.Style) -> bool | None:
    """Tell whether the weights were trained on a style; None where they name no styles."""
    return None if engine.styles is None else style in engine.styles


def _is_fault(task: Any, run: Any, state: Any) -> bool:
    """Retry what may go better next time; a wrong request or broken weights won't."""
    try:
        state.result()
    except (InputError, WeightsError):
        return False
    except Exception:
        return True
    return False


@task(name="load engine", cache_policy=NO_CACHE)
def load_engine(request: ProduceRequest) -> tuple[ProduceRequest, int, dict[str, Any]]:
    """Load the weights and check the request against them.

    Returns
    -------
    request : ProduceRequest
        With its style in full.
    seed : int
        The request's, or one that was drawn where it left it open.
    engine : dict
        The engine's provenance.

    Raises
    ------
    RequestError
        An unknown style, or one these weights were not trained on.
    WeightsError
    """
    with spent("load"):
        name = Path(request.weights or "embedded").name
        report("loading weights", 0, 1, name)
        engine = _engine(request)
        report("loading weights", 1, 1, name)
        style = styles.resolve(
            request.style, trained=engine.styles, allow_untrained=request.allow_untrained
        )
        seed = secrets.randbits(31) if request.seed is None else request.seed
        request = request.model_copy(update={"style": str(style), "seed": seed})
        return (
            request,
            seed,
            engine.provenance().as_dict() | {"trained_style": _is_trained(engine, style)},
        )


@task(
    name="generate",
    task_run_name="generate round {round_number}",
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=_is_fault,
    cache_policy=NO_CACHE,
)
def generate(
    request: ProduceRequest, round_number: int, seeds: list[int]
) -> tuple[Batch[Draft], bool]:
    """Return one draft a seed, written side by side, and whether Ctrl-C cut the writing short.

    A piece that the engine did not finish comes back as a draft too; no verdict lets it
    pass. After Ctrl-C the pieces come back of which at least one bar was written by then.
    """
    with spent("generate"):
        engine = _engine(request)
        style = styles.parse(request.style)
        stopped = False
        try:
            written = engine.generate(
                [style.prompt] * len(seeds),
                seeds=seeds,
                sampling=Sampling(request.temperature, request.top_k, request.top_p),
                limits=Limits(
                    max_steps=request.max_steps,
                    max_seconds=60 * request.max_minutes if request.max_minutes else None,
                    batch_size=request.batch,
                ),
                accept_line=accept_line if request.repair_lines else None,
                allow_untrained=request.allow_untrained,
                on_progress=_show,
            )
        except Interrupted as interrupted:
            stopped = True
            written = [piece for piece in interrupted.pieces if piece.bars]
    origin = engine.provenance().as_dict() | {
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "max_steps": request.max_steps,
        "max_minutes": request.max_minutes,
        "repair_lines": request.repair_lines,
        "run_seed": request.seed,
        "trained_style": _is_trained(engine, style),
    }
    drafts = Batch(
        Draft(
            raw=piece.raw,
            text=piece.text,
            ended=piece.ended,
            style=str(style),
            seed=piece.seed,
            round=round_number,
            provenance=origin
            | {
                "seed": piece.seed,
                "round": round_number,
                "ended": piece.ended,
                "patches": piece.steps,
                "bars": piece.bars,
                "notes": list(piece.notes),
                "redrawn_lines": piece.resampled_lines,
            },
        )
        for piece in written
    )
    return drafts, stopped


def _show(progress: Any) -> None:
    report("writing", progress.done, progress.total, str(progress))
