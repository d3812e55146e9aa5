"""The cells of a sweep: generate, judge, and write the rows of the pieces."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.atomic import write_file
from scoregate.experiments.grid import Cell
from scoregate.findings import Status
from scoregate.pool import Pool
from scoregate.progress import report
from scoregate.requests import ProduceRequest
from scoregate.tasks.writing import generator_of, write_pieces
from scoregate.validators.checking import reasons
from scoregate.validators.examination import examine

CHUNK = 16
"""Pieces that a process generates at once."""

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
        ``refused_lines``, ``seconds`` of processor time (an equal part of the chunk's).
    """
    request = ProduceRequest.model_validate(items[0][0])
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
        "refused_lines": 0, "seconds": 0.0,
    }  # fmt: skip


def path_of(folder: Path, cell: Cell) -> Path:
    """Return the file of a finished cell."""
    return folder / "cells" / f"{cell.key}.jsonl.gz"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a finished cell."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@task(name="cells", cache_policy=NO_CACHE)
def run_cells(cells: list[Cell], folder: Path, processes: int) -> int:
    """Generate and judge the cells that are not finished, on every core; return how many.

    The chunks of all cells go to one pool, so that no core waits for the last piece of a cell.
    A cell is written when all its pieces are there, in one step: after a kill the finished ones
    are kept.
    """
    waiting = {cell.key: cell for cell in cells if not path_of(folder, cell).exists()}
    rows: dict[str, list[dict[str, Any]]] = {key: [] for key in waiting}
    chunks = list(_chunks(waiting))
    wanted = sum(cell.count for cell in waiting.values())
    done = 0
    with Pool(draw_marked, lost_marked, processes, preload=("scoregate.tasks.sweep",)) as pool:
        for finished in pool.map(chunks):
            for key, row in finished:
                rows[key].append(row)
                cell = waiting[key]
                if len(rows[key]) == cell.count:
                    _write(path_of(folder, cell), sorted(rows.pop(key), key=_seed))
            done += len(finished)
            report("pieces", done, wanted, f"{len(waiting) - len(rows)} cells finished")
    return len(waiting)


Marked = tuple[str, Item]
"""A piece with the key of its cell."""


def draw_marked(items: list[Marked]) -> list[tuple[str, dict[str, Any]]]:
    """Generate and judge a chunk; the rows keep the key of their cell."""
    return [(items[0][0], row) for row in draw([item for _, item in items])]


def lost_marked(item: Marked) -> tuple[str, dict[str, Any]]:
    """Return the row of a piece whose process died, with the key of its cell."""
    return item[0], lost(item[1])


def _chunks(waiting: dict[str, Cell]) -> Iterator[list[Marked]]:
    for key, cell in waiting.items():
        request = cell.request().model_dump(mode="json")
        seeds = cell.seeds
        for start in range(0, len(seeds), CHUNK):
            yield [(key, (request, seed)) for seed in seeds[start : start + CHUNK]]


def _seed(row: dict[str, Any]) -> int:
    return row["seed"]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(path, gzip.compress(text.encode(), mtime=0))
