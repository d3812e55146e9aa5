"""What a search needs of the pieces: their measures, those of the reference, and ratings."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive import catalog, query
from scoregate.archive.atomic import write_file
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive
from scoregate.errors import RequestError
from scoregate.experiments.comparison import PieceFigures, ShiftFrom
from scoregate.experiments.grid import Cell
from scoregate.experiments.scoring import Measured
from scoregate.experiments.search import Setting
from scoregate.findings import Status
from scoregate.pool import Pool
from scoregate.progress import report
from scoregate.requests import DEFAULT_STYLE, SearchRequest
from scoregate.tasks.compare import CHUNK, figures_of, lost, read_set
from scoregate.tasks.sets import CHORALES, Item, list_set
from scoregate.tasks.sweep import path_of, rows_of

RATINGS = "ratings.jsonl"
"""Ratings that were given at the prompt, a line each."""


def reference_name(request: SearchRequest) -> str:
    """Return the name of the reference corpus, ``""`` where there is none."""
    if request.reference:
        return "" if request.reference == "none" else request.reference
    return f"corpus:{CHORALES}" if request.style in ("", DEFAULT_STYLE) else ""


@task(name="reference", cache_policy=NO_CACHE)
def read_reference(request: SearchRequest, processes: int) -> tuple[ShiftFrom | None, str]:
    """Read the reference corpus, once for a folder; return it and a sentence about it.

    Raises
    ------
    RequestError
        There is no such set, or no piece of it could be read.
    """
    name, folder = reference_name(request), Path(request.folder)
    if not name:
        return None, "none, so the score is of pass rate and ratings alone"
    path = folder / "reference.json.gz"
    asked = {"name": name, "most": request.most, "seed": request.seed}
    if (known := _kept_reference(path)) and known["asked"] == asked:
        pieces = [PieceFigures("", "", _with_nan(numbers)) for numbers in known["pieces"]]
        return ShiftFrom(pieces), known["said"]
    found = read_set(
        list_set(name, request.out, folder).drawn(request.most, request.seed), processes
    )
    said = f"{name}, {len(found.pieces)} pieces"
    if found.unreadable:
        said += f", {len(found.unreadable)} more could not be read"
    content = {
        "asked": asked,
        "said": said,
        "pieces": [_without_nan(piece.numbers) for piece in found.pieces],
    }
    write_file(path, gzip.compress(json.dumps(content).encode(), mtime=0))
    return ShiftFrom(found.pieces), said


def _kept_reference(path: Path) -> dict[str, Any] | None:
    """Return what an earlier search has read; None where that is not there or damaged."""
    try:
        known = json.loads(gzip.decompress(path.read_bytes()))
        return known if {"asked", "pieces", "said"} <= set(known) else None
    except (OSError, EOFError, ValueError, TypeError, zlib.error):
        return None


@task(name="measure cells", cache_policy=NO_CACHE)
def measure_cells(cells: list[Cell], folder: Path, processes: int) -> None:
    """Measure the pieces of cells that are not measured yet, and keep the figures in a file."""
    waiting = [cell for cell in cells if not _figures_path(folder, cell).exists()]
    if not waiting:
        return
    items = [
        Item(f"{cell.key} {row['seed']}", text=row["raw"])
        for cell in waiting
        for row in rows_of(path_of(folder, cell))
    ]
    placed = list(enumerate(items))
    chunks = [placed[start : start + CHUNK] for start in range(0, len(placed), CHUNK)]
    found: list[dict[str, float | None] | None] = [None] * len(items)
    done = 0
    with Pool(figures_of, lost, processes, ("scoregate.tasks.compare",)) as pool:
        for finished in pool.map(chunks):
            for place, read in finished:
                if isinstance(read, PieceFigures):
                    found[place] = _without_nan(read.numbers)
            done += len(finished)
            report("measures", done, len(items), "pieces measured")
    start = 0
    for cell in waiting:
        figures = found[start : start + cell.count]
        start += cell.count
        write_file(
            _figures_path(folder, cell), gzip.compress(json.dumps(figures).encode(), mtime=0)
        )


def measured_setting(
    setting: Setting,
    cells: list[Cell],
    folder: Path,
    reference: ShiftFrom | None,
    ratings: dict[Setting, list[float]],
) -> Measured:
    """Return the pieces of a setting, from the files of its finished and measured cells.

    Parameters
    ----------
    setting : Setting
    cells : list of Cell
        Of this setting.
    folder : Path
    reference : ShiftFrom or None
    ratings : dict of Setting to list of float
    """
    passed: list[bool] = []
    pieces: list[PieceFigures] = []
    for cell in cells:
        passed += [row["status"] == Status.PASSED for row in rows_of(path_of(folder, cell))]
        if reference is not None:
            content = json.loads(gzip.decompress(_figures_path(folder, cell).read_bytes()))
            pieces += [PieceFigures("", "", _with_nan(numbers or {})) for numbers in content]
    table = reference.table(pieces) if reference else np.empty((len(passed), 0))
    return Measured(setting, np.array(passed, dtype=bool), table, ratings.get(setting, []))


def ratings_of(request: SearchRequest) -> dict[Setting, list[float]]:
    """Return the ratings by setting: the dashboard's of archived pieces, and those of ``--ask``.

    An archived piece counts where style, top_k and, if asked for, weights are those of the
    search. Of a piece that several people rated the mean counts.
    """
    found: dict[Setting, list[float]] = {}
    store = Archive(request.out)
    if store.root.is_dir():
        given: dict[str, list[int]] = {}
        for opinion in Reviews(store.out).opinions():
            if opinion.rating is not None:
                given.setdefault(opinion.piece, []).append(opinion.rating)
        wanted = query.Filter(style=request.style or DEFAULT_STYLE, weights=request.weights or "")
        rows = catalog.answer(store, lambda db: query.rows(db, wanted)) if given else []
        for row in rows:
            marks = given.get(row["text_sha256"])
            setting = _setting_of(row)
            if marks and setting and row["top_k"] == request.top_k:
                found.setdefault(setting, []).append(sum(marks) / len(marks))
    for line in _prompted(Path(request.folder)):
        found.setdefault(_setting_of(line) or Setting(0, 0), []).append(float(line["rating"]))
    return found


def note_rating(folder: Path, setting: Setting, seed: int, rating: int) -> None:
    """Note a rating that was given at the prompt; it is on the disk before this returns.

    Raises
    ------
    RequestError
        It is no rating from 1 to 5.
    """
    if rating not in range(1, 6):
        raise RequestError(f"{rating} is no rating.", "Ratings go from 1 to 5.")
    row = {"temperature": setting.temperature, "top_p": setting.top_p, "seed": seed,
           "rating": rating}  # fmt: skip
    lines = [*_prompted(folder), row]
    write_file(folder / RATINGS, "".join(json.dumps(line) + "\n" for line in lines).encode())


def rated_seeds(folder: Path, setting: Setting) -> set[int]:
    """Return the seeds of the setting's pieces that were rated at the prompt."""
    return {line["seed"] for line in _prompted(folder) if _setting_of(line) == setting}


def _prompted(folder: Path) -> list[dict[str, Any]]:
    path = folder / RATINGS
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if line["rating"] not in range(1, 6) or _setting_of(line) is None:
                raise ValueError(line)
        return lines
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{path} holds a line that is no rating.", "Mend the line or remove the file."
        ) from error


def _setting_of(row: dict[str, Any]) -> Setting | None:
    temperature, top_p = row["temperature"], row["top_p"]
    if temperature is None or top_p is None:
        return None
    return Setting(round(float(temperature), 2), round(float(top_p), 2))


def _figures_path(folder: Path, cell: Cell) -> Path:
    return folder / "figures" / f"{cell.key}.json.gz"


def _without_nan(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}


def _with_nan(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}
