"""Engrave a batch and write its MIDI, pages, MusicXML and audio previews."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.piece import Batch, Piece
from scoregate.progress import report
from scoregate.render.pool import Job, Rendering, render_pieces
from scoregate.timing import spent


@task(name="render", retries=1, cache_policy=NO_CACHE)
def render(pieces: Batch[Piece], audio: bool = False) -> Batch[Piece]:
    """Render every piece, the rejected ones with their failing bars marked.

    What can't be rendered is a note in the piece's report; it changes no verdict. With
    ``audio``, the pieces that passed get a preview where the machine can make one.
    """
    with spent("render"):
        jobs = [
            Job(
                text=piece.text,
                score=piece.score,
                findings=[] if piece.passed else piece.findings,
                title=piece.title,
                audio=audio and piece.passed,
            )
            for piece in pieces
        ]
        done = 0

        def tell(index: int, rendering: Rendering) -> None:
            nonlocal done
            done += 1
            report("engraving", done, len(jobs))

        for piece, rendering in zip(pieces, render_pieces(jobs, on_done=tell), strict=True):
            piece.files, piece.notes = rendering.files, rendering.notes
            piece.score = None  # no longer needed, and most of its memory
        return pieces
