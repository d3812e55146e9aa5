"""A comparison of two sets of pieces: read both, measure, compare, write the page."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.cores import cores
from scoregate.experiments.comparison import compare_sets
from scoregate.experiments.comparison_page import write_comparison
from scoregate.flows.typed import command_of
from scoregate.requests import CompareRequest
from scoregate.tasks.compare import read_set
from scoregate.tasks.sets import list_set


class CompareRecord(BaseModel):
    """The result of a comparison.

    Attributes
    ----------
    read, unreadable : list of int
        Pieces of either set that were read, and those that could not be.
    overlap, shift : float
    auc : float or None
        None where a set is too small for a classifier.
    paths : dict of str to str
        Paths of the page, the table and the data.
    """

    read: list[int]
    unreadable: list[int]
    overlap: float
    shift: float
    auc: float | None
    paths: dict[str, str]


@flow(name="compare", flow_run_name="compare {request.first} with {request.second}")
def compare(request: CompareRequest) -> CompareRecord:
    """Read both sets, compare them, and write table, data, figures and page."""
    folder = Path(request.folder)
    # Both are looked up before either is read: a mistyped name is told at once.
    first, second = (
        list_set(name, request.out, folder).drawn(request.most, request.seed)
        for name in (request.first, request.second)
    )
    processes = request.processes or cores()
    sets = (read_set(first, processes), read_set(second, processes))
    found = compare_sets(
        sets[0].pieces, sets[1].pieces, resamples=request.resamples, seed=request.seed
    )
    paths = write_comparison(
        folder, found, sets, command_of("compare", request, ("first", "second"))
    )
    table = Path(paths["table"]).read_text(encoding="utf-8")
    create_markdown_artifact(key="comparison", markdown=table)
    whole = found.separations.get("all")
    return CompareRecord(
        read=[len(one.pieces) for one in sets],
        unreadable=[len(one.unreadable) for one in sets],
        overlap=found.overlap.value,
        shift=found.shift.value,
        auc=whole.auc if whole else None,
        paths=paths,
    )
