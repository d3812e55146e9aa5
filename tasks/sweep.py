"""The cells of a sweep: generate, judge, and write the rows of the pieces."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.atomic import write_file
from scoregate.experiments.grid import Cell
from scoregate.generation.judging import Marked, draw_marked, lost_marked
from scoregate.pool import Pool
from scoregate.progress import report

CHUNK = 16
"""Pieces that a process generates at once."""


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
    with Pool(
        draw_marked, lost_marked, processes, preload=("scoregate.generation.judging",)
    ) as pool:
        for finished in pool.map(chunks):
            for key, row in finished:
                rows[key].append(row)
                cell = waiting[key]
                if len(rows[key]) == cell.count:
                    _write(path_of(folder, cell), sorted(rows.pop(key), key=_seed))
            done += len(finished)
            report("pieces", done, wanted, f"{len(waiting) - len(rows)} cells finished")
    return len(waiting)


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
