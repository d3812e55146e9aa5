"""The list of experiments, the page of one, and its figures."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from scoregate.dashboard.app.experiments import Experiments
from scoregate.dashboard.app.site import message_page, page
from scoregate.experiments.record import MEDIA_TYPES, read_figure

router = APIRouter()
_FIGURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For a figure that is opened by itself: nothing in it may run or be fetched."""


def _experiments(request: Request) -> Experiments:
    return request.app.state.experiments


@router.get("/experiments")
def overview(request: Request) -> Response:
    """List the experiments below the root."""
    found = _experiments(request)
    return page(
        request,
        "experiments.html",
        section="/experiments",
        entries=found.entries(),
        root=str(found.root.resolve()),
    )


@router.get("/experiments/page")
def one(request: Request, name: str = "") -> Response:
    """Show one experiment: what was found, its figures and tables."""
    entry = _experiments(request).find(name)
    if entry is None or entry.experiment is None:
        text = entry.fault if entry else "No experiment of that name is below the root."
        return message_page(
            request, "No such experiment", text, status=404,
            links=(("/experiments", "All experiments"),),
        )  # fmt: skip
    return page(
        request,
        "experiment.html",
        section="/experiments",
        name=entry.name,
        experiment=entry.experiment,
    )


@router.get("/experiments/figure")
def figure(request: Request, name: str = "", file: str = "") -> Response:
    """Return a figure that the record of an experiment lists."""
    entry = _experiments(request).find(name)
    content = None
    if entry is not None and entry.experiment is not None:
        content = read_figure(entry.folder, entry.experiment, file)
    if content is None:
        return message_page(
            request, "No such figure", "The experiment has no figure of that name.", status=404,
            links=(("/experiments", "All experiments"),),
        )  # fmt: skip
    return Response(
        content,
        media_type=MEDIA_TYPES[file.rpartition(".")[2]],
        headers={"Content-Security-Policy": _FIGURE_POLICY},
    )
