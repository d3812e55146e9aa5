"""Variations of a theme, made by the production line and ranked by their distance from it.

The theme becomes the opening of every piece, or its soprano from the first bar to the last. The
pieces are those of a production run like any other: judged, rendered, archived, each with the
theme's id in its provenance.
"""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.flows.produce import produce
from scoregate.flows.results import keep
from scoregate.flows.server import server_answers
from scoregate.flows.typed import command_of
from scoregate.requests import VaryRequest
from scoregate.tasks.theme import read_theme
from scoregate.tasks.variations import Variation, rank_variations


class VaryRecord(BaseModel):
    """The result of a request for variations.

    Attributes
    ----------
    run_id : str
        The production run that made them.
    wanted, missing, drawn, seed : int
        Variations asked for, those that are missing, pieces generated, and the run's seed.
    name, bars, parent : str
        The theme: where it came from, its bars, its id.
    variations : list of Variation
        Ranked; those that did not pass come last.
    notes : list of str
    paths : dict of str to str
        Paths of the page, the table, the data and the theme.
    """

    run_id: str
    wanted: int
    missing: int
    drawn: int
    seed: int
    name: str
    bars: str
    parent: str
    variations: list[Variation]
    notes: list[str]
    paths: dict[str, str]


@flow(name="vary", flow_run_name="{request.count} variations")
def vary(request: VaryRequest) -> VaryRecord:
    """Make variations of a theme, rank them, and write the ranking beside the run's record.

    Parameters
    ----------
    request : VaryRequest
    """
    theme = read_theme(request)
    run = produce(theme.request)
    command = command_of("vary", request, ("theme",))
    found, paths = rank_variations(theme, run, command)
    forced = theme.request.forced
    assert forced is not None, "the request varies a theme"
    record = VaryRecord(
        run_id=run.run_id,
        wanted=request.count,
        missing=run.missing,
        drawn=sum(each.drawn for each in run.rounds),
        seed=run.request["seed"],
        name=forced.name,
        bars=forced.bars,
        parent=forced.parent,
        variations=found,
        notes=run.notes,
        paths=paths,
    )
    keep(record)
    if server_answers():
        text = Path(paths["table"]).read_text(encoding="utf-8")
        create_markdown_artifact(key="variations", markdown=text)
    return record
