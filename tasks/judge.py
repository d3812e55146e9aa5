"""The verdict on a batch, by Great Expectations over one row a piece."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.piece import Batch, Piece
from scoregate.timing import spent
from scoregate.validators.verdict.pieces import judge_pieces


@task(name="judge", retries=1, cache_policy=NO_CACHE)
def judge(pieces: Batch[Piece], gates: Sequence[str]) -> Batch[Piece]:
    """Judge a batch at once; a piece passes only if every one of ``gates`` could judge it.

    Pieces that have a verdict keep it.
    """
    with spent("judge"):
        unjudged = [piece for piece in pieces if piece.status is None]
        if unjudged:
            judge_pieces(unjudged, gates)
        return pieces
