"""A search for temperature and top_p: nine coarse settings, then steps of .05 around the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.archive.run_lock import RunLock
from scoregate.cores import cores
from scoregate.errors import BusyError
from scoregate.experiments.comparison import ShiftFrom
from scoregate.experiments.grid import Cell
from scoregate.experiments.scoring import Measured, Scored, Shares, lead, score_settings
from scoregate.experiments.search import Run, Search, Setting, coarse_settings
from scoregate.experiments.search_page import TEN, Found, sentences, write_search
from scoregate.flows.typed import command_of
from scoregate.progress import report
from scoregate.requests import DEFAULT_STYLE, SearchRequest
from scoregate.tasks.search import (
    measure_cells,
    measured_setting,
    ratings_of,
    read_reference,
    reference_name,
)
from scoregate.tasks.sweep import run_cells
from scoregate.validators.checking import judge_version


class SearchRecord(BaseModel):
    """The result of a search.

    Attributes
    ----------
    runs : int
        Runs in all.
    sentences : list of str
        What was found.
    best : list of tuple of float
        Temperature and top_p of the settings, the best first.
    paths : dict of str to str
        Paths of page, table, data and figure.
    """

    runs: int
    sentences: list[str]
    best: list[tuple[float, float]]
    paths: dict[str, str]


@flow(name="search", flow_run_name="search in {request.folder}")
def search(request: SearchRequest) -> SearchRecord:
    """Measure the runs that are not measured, and write the tables, the figure and the page.

    Raises
    ------
    BusyError
        Another process searches in the same folder.
    """
    lock = RunLock(Path(request.folder))
    if not lock.acquire():
        raise BusyError(
            f"Another process searches in {request.folder} ({lock.owner()}).",
            "Wait for its end, or name another folder with --folder.",
        )
    try:
        return _search(request)
    finally:
        lock.release()


def _search(request: SearchRequest) -> SearchRecord:
    folder, processes = Path(request.folder), request.processes or cores()
    studies = Search(folder, settings_of(request), request.seed)
    reference, said = read_reference(request, processes)
    ratings, shares = ratings_of(request), shares_of(request)
    # All coarse cells at once, so that no core waits between two settings.
    coarse = [cell_of(request, setting, 0) for setting in coarse_settings()]
    run_cells(coarse, folder, processes)
    if reference is not None:
        measure_cells(coarse, folder, processes)
    while run := studies.next_run(request.fine):
        cell = cell_of(request, run.setting, run.repeat)
        run_cells([cell], folder, processes)
        if reference is not None:
            measure_cells([cell], folder, processes)
        measured = measured_setting(run.setting, [cell], folder, reference, ratings)
        (scored,) = score_settings([measured], reference, shares, resamples=0)
        studies.tell(run, scored.score.value)
        report("runs", len(studies.runs()), 9 + request.fine, f"{run.stage}, {run.setting}")
    found = _found(request, studies.runs(), reference, said, ratings)
    paths = write_search(folder, found)
    create_markdown_artifact(key="search", markdown=Path(paths["table"]).read_text("utf-8"))
    return SearchRecord(
        runs=len(found.runs),
        sentences=sentences(found),
        best=[(one.setting.temperature, one.setting.top_p) for one in found.scored],
        paths=paths,
    )


def settings_of(request: SearchRequest) -> dict[str, Any]:
    """Return what all runs of a study must have in common."""
    return {
        "style": request.style, "model": request.model, "weights": request.weights or "embedded",
        "top_k": request.top_k, "lines": request.lines, "count": request.count,
        "reference": reference_name(request) or "none", "most": request.most,
        "pass_share": request.pass_share, "likeness_share": request.likeness_share,
        "rating_share": request.rating_share, "seed": request.seed,
        "judge": judge_version(request.style or None, novelty=True),
    }  # fmt: skip


def shares_of(request: SearchRequest) -> Shares:
    """Return what each part of the score counts."""
    return Shares(request.pass_share, request.likeness_share, request.rating_share)


def cell_of(request: SearchRequest, setting: Setting, repeat: int) -> Cell:
    """Return the cell of a run; each time that a setting is measured has its own seed."""
    return Cell(
        style=request.style,
        model=request.model,
        weights=request.weights,
        temperature=setting.temperature,
        top_p=setting.top_p,
        top_k=request.top_k,
        judged=request.lines == "judged",
        seed=request.seed + repeat,
        count=request.count,
    )


def _found(
    request: SearchRequest,
    runs: list[Run],
    reference: ShiftFrom | None,
    said: str,
    ratings: dict[Setting, list[float]],
) -> Found:
    def scored(some: list[Run]) -> list[Scored]:
        times: dict[Setting, int] = {}
        for run in some:
            times[run.setting] = max(times.get(run.setting, 0), run.repeat + 1)
        measured: list[Measured] = [
            measured_setting(
                setting,
                [cell_of(request, setting, repeat) for repeat in range(count)],
                Path(request.folder),
                reference,
                ratings,
            )
            for setting, count in times.items()
        ]
        return score_settings(measured, reference, shares_of(request), seed=request.seed)

    every = scored(runs)
    by_setting = {one.setting: one for one in every}
    ten = scored(runs[:TEN])[0].setting if len(runs) > TEN else None
    best = every[0]
    return Found(
        title=f"Search: {(request.style or DEFAULT_STYLE).split('/')[-1]}, {request.lines} lines",
        command=command_of("search", request),
        facts=[
            ("style", request.style or DEFAULT_STYLE),
            ("weights", request.weights or "embedded"),
            ("pieces of a run", str(request.count)),
            ("seeds", f"from {request.seed} on, one for each time a setting is measured"),
            ("lines", request.lines),
            ("reference", said),
            ("ratings", str(sum(map(len, ratings.values())))),
            ("score", f"pass rate {request.pass_share:g}, likeness {request.likeness_share:g}, "
                      f"ratings {request.rating_share:g}"),
        ],
        runs=runs,
        scored=every,
        lead=lead(best, every[1]) if len(every) > 1 else None,
        ten=lead(best, by_setting[ten]) if ten and ten != best.setting else None,
    )  # fmt: skip
