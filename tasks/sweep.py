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
from scoregate.generation.judging import Marked, draw, draw_marked, lost_marked
from scoregate.piece import Batch
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


class Unfinished:
    """The cells that are not finished, and the rows of their pieces so far.

    A cell is written when all its pieces are there, in one step: after a kill the finished ones
    are kept.

    Parameters
    ----------
    cells : list of Cell
    folder : Path

    Attributes
    ----------
    cells : dict of str to Cell
        Those that were not finished at the beginning, by key.
    pieces : int
        Pieces of them all.
    """

    def __init__(self, cells: list[Cell], folder: Path) -> None:
        self.cells = {cell.key: cell for cell in cells if not path_of(folder, cell).exists()}
        self.pieces = sum(cell.count for cell in self.cells.values())
        self._folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {key: [] for key in self.cells}
        self._done = 0

    def chunks(self) -> Iterator[list[Marked]]:
        """Yield the pieces in chunks, each of one cell."""
        for key, cell in self.cells.items():
            request = cell.request().model_dump(mode="json")
            seeds = cell.seeds
            for start in range(0, len(seeds), CHUNK):
                yield [(key, (request, seed)) for seed in seeds[start : start + CHUNK]]

    def add(self, finished: list[tuple[str, dict[str, Any]]]) -> None:
        """Add the rows of a chunk; write the cells that they complete."""
        for key, row in finished:
            self._rows[key].append(row)
            cell = self.cells[key]
            if len(self._rows[key]) == cell.count:
                _write(path_of(self._folder, cell), sorted(self._rows.pop(key), key=_seed))
        self._done += len(finished)
        note = f"{len(self.cells) - len(self._rows)} cells finished"
        report("pieces", self._done, self.pieces, note)


def estimated_seconds(cells: list[Cell]) -> float:
    """Return the processor time that cells may take, from two pieces of each kind drawn now.

    A kind is a generator with or without resampled lines; of its cells the hottest is drawn, whose
    pieces take the longest.
    """
    kinds: dict[tuple[str, str | None, bool], list[Cell]] = {}
    for cell in cells:
        kinds.setdefault((cell.model, cell.weights, cell.judged), []).append(cell)
    seconds = 0.0
    for alike in kinds.values():
        hottest = max(alike, key=lambda cell: cell.temperature)
        request = hottest.request().model_dump(mode="json")
        items = [(request, seed) for seed in hottest.seeds[:2]]
        draw(items[:1])  # loads the weights and the corpus, which no later piece pays for
        rows = draw(items)
        a_piece = sum(row["seconds"] for row in rows) / len(rows)
        seconds += a_piece * sum(cell.count for cell in alike)
    return seconds


@task(name="cells", cache_policy=NO_CACHE)
def run_cells(cells: list[Cell], folder: Path, processes: int) -> int:
    """Generate and judge the cells that are not finished, on every core; return how many.

    The chunks of all cells go to one pool, so that no core waits for the last piece of a cell.
    """
    unfinished = Unfinished(cells, folder)
    if unfinished.cells:
        preload = ("scoregate.generation.judging",)
        with Pool(draw_marked, lost_marked, processes, preload) as pool:
            for finished in pool.map(list(unfinished.chunks())):
                unfinished.add(finished)
    return len(unfinished.cells)


@task(name="draw chunk", retries=2, cache_policy=NO_CACHE)
def draw_chunk(chunk: Batch[Marked]) -> list[tuple[str, dict[str, Any]]]:
    """Generate and judge a chunk where the task happens to run: for a Dask cluster."""
    return draw_marked(list(chunk))


def _seed(row: dict[str, Any]) -> int:
    return row["seed"]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_file(path, gzip.compress(text.encode(), mtime=0))
