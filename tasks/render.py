"""Engrave a batch and write its MIDI, pages, MusicXML and audio previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.abc.score import Score
from scoregate.piece import Batch
from scoregate.progress import report
from scoregate.render.pool import Job, Rendering, render_pieces
from scoregate.tasks.judge import Judged
from scoregate.timing import spent

if TYPE_CHECKING:
    from scoregate.requests import ProduceRequest


@task(name="render", retries=1, cache_policy=NO_CACHE)
def render(
    request: ProduceRequest, scores: Batch[Score], verdicts: Batch[Judged]
) -> Batch[Rendering]:
    """Render every piece, the rejected ones with their failing bars marked.

    What can't be rendered is a note in the piece's report; it changes no verdict.
    """
    with spent("render"):
        jobs = [
            Job(
                text=judged.text,
                score=score,
                findings=[] if judged.passed else judged.findings,
                title=judged.title,
                audio=request.audio and judged.passed,
            )
            for score, judged in zip(scores, verdicts, strict=True)
        ]
        done = 0

        def tell(index: int, rendering: Rendering) -> None:
            nonlocal done
            done += 1
            report("engraving", done, len(jobs))

        return Batch(render_pieces(jobs, on_done=tell))
