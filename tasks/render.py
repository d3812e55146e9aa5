"""Engrave a batch and write its MIDI, pages, MusicXML and audio previews."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.production import ProductionRun
from scoregate.piece import Batch, Piece
from scoregate.progress import report
from scoregate.render.pool import Job, Rendering, render_pieces
from scoregate.timing import spent


@task(name="render", retries=1, cache_policy=NO_CACHE)
def render(run: ProductionRun, pieces: Batch[Piece], audio: bool = False) -> Batch[Piece]:
    """Render every piece, the rejected ones with their failing bars marked.

    The files of a piece are saved as soon as they are made, so that no piece is rendered again
    where the run is killed before it archives them. What can't be rendered is a note in the
    piece's report; it changes no verdict.

    Parameters
    ----------
    run : ProductionRun
    pieces : Batch of Piece
    audio : bool
        Pieces that passed get a preview where the machine can make one.
    """
    with spent("render"):
        left = [piece for piece in pieces if not run.is_rendered(piece)]
        jobs = [
            Job(
                text=piece.text,
                score=piece.score or piece.generation.finished.score(),
                findings=[] if piece.passed else piece.findings,
                title=piece.title,
                audio=audio and piece.passed,
            )
            for piece in left
        ]
        done = 0

        def save(index: int, rendering: Rendering) -> None:
            nonlocal done
            piece = left[index]
            piece.files, piece.notes = rendering.files, rendering.notes
            run.record_rendered(piece)
            rendering.files = {}
            done += 1
            report("engraving", done, len(jobs))

        render_pieces(jobs, on_done=save)
        for piece in pieces:
            piece.score = None  # No longer needed, and most of its memory.
        return pieces
