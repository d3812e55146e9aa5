"""Read a batch once, then run each gate over the whole batch, one task a gate."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.piece import Batch, Piece
from scoregate.progress import report
from scoregate.timing import spent
from scoregate.validators import examination


@task(name="read", retries=1, cache_policy=NO_CACHE)
def read(pieces: Batch[Piece]) -> Batch[Piece]:
    """Finish and read the text of every piece; what can't be read is a finding in the score.

    A piece that was judged before the run was killed is left as it is, here and by the gates.
    Gates, rendering and archive all take the finished text, so that what is archived is what
    was judged.
    """
    with spent("check"):
        for piece in pieces:
            if piece.status is None:
                piece.score = piece.generation.finished.score()
        return pieces


@task(name="gate", task_run_name="gate {gate}", retries=1, cache_policy=NO_CACHE)
def run_gate(gate: str, pieces: Batch[Piece]) -> Batch[Piece]:
    """Run one gate over every piece of a batch.

    A gate that crashes over a piece gives an outcome that is not judged, with which no
    piece passes; the task is retried for faults of the machine alone.
    """
    with spent("check"):
        for number, piece in enumerate(pieces, start=1):
            if piece.status is not None:
                continue
            assert piece.score is not None, "a gate needs a piece that was read"
            piece.outcomes[gate] = examination.run_gate(gate, piece.score, piece.style)
            report(f"gate {gate}", number, len(pieces))
        return pieces
