"""Generate pieces and judge them in the same process: the rows of an experiment."""

from __future__ import annotations

import time
from math import isfinite
from typing import Any

from scoregate.findings import Status
from scoregate.generation.writing import generator_of, write_pieces
from scoregate.generator import with_weights
from scoregate.requests import ProduceRequest
from scoregate.validators.checking import reasons
from scoregate.validators.examination import examine

Item = tuple[dict[str, Any], int]
"""A request as JSON, and the seed of a piece."""


def draw(items: list[Item]) -> list[dict[str, Any]]:
    """Generate and judge pieces of one request; a pool's processes run it.

    Parameters
    ----------
    items : list of (dict, int)
        All with the same request.

    Returns
    -------
    list of dict
        A row for each piece: ``seed``, ``raw``, ``status``, ``reasons``, ``gates`` that reject
        it, ``measures``, ``ended``, ``bars``, ``characters``, ``steps``, ``resampled_lines``,
        ``refused_lines``, ``steps_back``, ``characters_drawn``, ``characters_kept``, ``seconds``
        of processor time (an equal part of the chunk's).
    """
    request = ProduceRequest.model_validate(items[0][0])
    request = with_weights(request)
    request = request.in_full(generator_of(request).styles)
    began = time.process_time()
    pieces, stopped = write_pieces(request, [seed for _, seed in items])
    if stopped:
        raise KeyboardInterrupt
    rows = []
    for piece in pieces:
        seen = examine(piece.raw, style=request.style, production=True, profile="notagen")
        verdict = seen.verdict()
        rejecting = {one.gate for one in verdict.failed if one.severity == "critical"}
        rows.append(
            {
                "seed": piece.seed,
                "raw": piece.raw,
                "status": verdict.status.value,
                "reasons": reasons(verdict, seen.outcomes),
                "gates": sorted(rejecting),
                "measures": {k: v for k, v in seen.measures.items() if isfinite(v)},
                "ended": piece.ended,
                "bars": piece.bars,
                "characters": len(piece.raw),
                "steps": piece.steps,
                "resampled_lines": piece.resampled_lines,
                "refused_lines": piece.refused_lines,
                "steps_back": piece.steps_back,
                "characters_drawn": piece.characters_drawn,
                "characters_kept": piece.characters_kept,
            }
        )
    seconds = (time.process_time() - began) / max(len(rows), 1)
    return [{**row, "seconds": seconds} for row in rows]


def lost(item: Item) -> dict[str, Any]:
    """Return the row of a piece whose process died."""
    return {
        "seed": item[1], "raw": "", "status": str(Status.NOT_JUDGED),
        "reasons": ["the process that generated it died"], "gates": [], "measures": {},
        "ended": "failed", "bars": 0, "characters": 0, "steps": 0, "resampled_lines": 0,
        "refused_lines": 0, "steps_back": 0, "characters_drawn": 0, "characters_kept": 0,
        "seconds": 0.0,
    }  # fmt: skip


Marked = tuple[str, Item]
"""A piece with the key of its cell."""


def draw_marked(items: list[Marked]) -> list[tuple[str, dict[str, Any]]]:
    """Generate and judge a chunk; the rows keep the key of their cell."""
    return [(items[0][0], row) for row in draw([item for _, item in items])]


def lost_marked(item: Marked) -> tuple[str, dict[str, Any]]:
    """Return the row of a piece whose process died, with the key of its cell."""
    return item[0], lost(item[1])
