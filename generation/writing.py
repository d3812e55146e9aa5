"""Generate pieces in this process, with whatever generator the request names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from scoregate import styles
from scoregate.evaluation.critic import critic_of
from scoregate.form import parse_form
from scoregate.generator import Generation, Generator, Interrupted, Limits, Progress, find_generator
from scoregate.requests import ProduceRequest
from scoregate.sampling import Sampling
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


def write_pieces(
    request: ProduceRequest,
    seeds: Sequence[int],
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[list[Generation], bool]:
    """Generate one piece for each seed; return them, and whether the work was interrupted.

    After an interruption (``KeyboardInterrupt``) those pieces are returned that are finished,
    and those of which at least one bar was written by then.

    Parameters
    ----------
    request : ProduceRequest
        With its style in full.
    seeds : sequence of int
    on_progress : callable, optional
        Called with a :class:`scoregate.generator.Progress` after each step.
    """
    judge = line_judge(request.style, request.counterpoint)
    theme = request.forced
    forced: dict[str, Any] = {}
    if theme is not None:
        forced = {"prefix": theme.text, "prefix_as": theme.forced_as}
    if request.form:
        forced["prefix"] = parse_form(request.form).lines + forced.get("prefix", "")
    tries = LINE_TRIES if isinstance(judge, CounterpointJudge) else Limits().line_tries
    try:
        written = generator_of(request).generate(
            [styles.parse(request.style)] * len(seeds),
            seeds=list(seeds),
            sampling=Sampling(request.temperature, request.top_k, request.top_p),
            limits=Limits(
                max_steps=request.max_steps,
                max_seconds=60 * request.max_minutes if request.max_minutes else None,
                batch_size=request.batch,
                line_tries=tries,
            ),
            accept_line=judge if request.repair_lines else None,
            on_progress=on_progress,
            **forced,
        )
    except Interrupted as interrupted:
        return [piece for piece in interrupted.pieces if piece.bars], True
    return written, False


def engine_of(request: ProduceRequest, provenance: dict[str, Any], trained: list[str] | None):
    """Return what identifies the generator and whether it was trained on the style.

    JSON-ready; ``trained_style`` is None where the weights name no styles.
    """
    known = None if trained is None else request.style in trained
    return provenance | {"trained_style": known}


def origin_of(request: ProduceRequest, engine: dict[str, Any]) -> dict[str, Any]:
    """Return what shaped the pieces of a run, JSON-ready.

    Generator, weights, sampling, limits and, where pieces are chosen among drafts, how many there
    are and which critic chooses; for variations, the theme.
    """
    origin = engine | {
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "max_steps": request.max_steps,
        "max_minutes": request.max_minutes,
        "repair_lines": request.repair_lines,
        "counterpoint": request.counterpoint,
        "run_seed": request.seed,
    }
    if request.form:
        origin["form"] = request.form
    if request.quality == "best":
        critic = critic_of(request.style)
        origin["quality"] = request.quality
        origin["drafts"] = request.drafts
        origin["critic"] = None if critic is None else critic.as_dict()
    if request.forced is not None:
        origin["theme"] = request.forced.model_dump()
    return origin
