"""The dashboard's application: routes, files that are served as they are, errors in words."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from scoregate.dashboard.app import (
    routes_compare,
    routes_experiments,
    routes_exports,
    routes_overview,
    routes_pieces,
    routes_review,
    routes_start,
)
from scoregate.dashboard.app.experiments import Experiments
from scoregate.dashboard.app.jobs import Jobs
from scoregate.dashboard.app.library import Library
from scoregate.dashboard.app.security import Guard
from scoregate.dashboard.app.site import FOLDER, Site, is_htmx, message_page
from scoregate.errors import InputError, ScoregateError


class _Kept(StaticFiles):
    """Files whose address holds their hash: a browser may keep them."""

    async def get_response(self, path: str, scope) -> Response:
        answer = await super().get_response(path, scope)
        if answer.status_code == 200:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def create_app(
    out: Path,
    *,
    port: int = 8765,
    host: str = "127.0.0.1",
    token: str = "",
    experiments: Path = Path("."),
) -> ASGIApp:
    """Return the dashboard of an archive as an ASGI application.

    Parameters
    ----------
    out : Path
        The folder that holds ``archive/``, ``rejected/`` and ``runs/``.
    port, host : int, str
        What the server is bound to; other hosts are refused.
    token : str
        Needed by every request where the server is bound to more than loopback.
    experiments : Path
        Folder below which experiments are looked for.
    """
    app = FastAPI(title="Scoregate", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(Library(out))
    app.state.jobs = Jobs(out)
    app.state.experiments = Experiments(experiments)
    for folder in ("static", "vendor"):
        app.mount(f"/{folder}", _Kept(directory=FOLDER / folder), name=folder)
    for routes in (
        routes_overview,
        routes_pieces,
        routes_review,
        routes_compare,
        routes_experiments,
        routes_start,
        routes_exports,
    ):
        app.include_router(routes.router)

    @app.exception_handler(ScoregateError)
    async def told(request: Request, error: ScoregateError) -> Response:
        status = 422 if isinstance(error, InputError) else 500
        if is_htmx(request):
            return PlainTextResponse(f"{error.problem} {error.remedy}".strip(), status)
        return message_page(request, "This did not work", f"{error.problem} {error.remedy}",
                            status=status)  # fmt: skip

    @app.exception_handler(404)
    async def unknown(request: Request, error: Exception) -> Response:
        return message_page(request, "No such page", "The dashboard has no page of that name.",
                            status=404)  # fmt: skip

    return Guard(app, port=port, host=host, token=token)
