"""Starting a run from a form, following it, stopping it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from fastapi import APIRouter, Request
from pydantic.fields import FieldInfo
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from scoregate.dashboard.app.forms import form
from scoregate.dashboard.app.jobs import Job, Jobs
from scoregate.dashboard.app.site import Site, is_htmx, page, see, site_of
from scoregate.errors import ScoregateError
from scoregate.presets import presets
from scoregate.requests import DEFAULT_STYLE, ProduceRequest, checked
from scoregate.styles import parse, resolve

router = APIRouter()
_LEFT_OUT = frozenset(
    {"style", "weights", "out", "device", "threads", "allow_untrained", "preset"}
    | {"processes", "fresh", "shards", "dask", "deployment", "part_of", "forced"}
)
"""Fields with a place of their own in the form, and those that belong to the machine."""

FIRST = ("count", "rounds", "seed", "temperature", "top_k", "top_p", "repair_lines", "quality")
"""Fields that stand open; the others are folded."""

_SHOWN = 60
"""Pieces of a run under way that are listed."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of the form, derived from the request's.

    Attributes
    ----------
    name, label, note : str
    kind : {'int', 'float', 'bool', 'choice', 'text'}
    value : object
        Shown in the field.
    low, high : float or None
    step : str
    choices : tuple of str
    """

    name: str
    label: str
    note: str
    kind: str
    value: Any
    low: float | None = None
    high: float | None = None
    step: str = "1"
    choices: tuple[str, ...] = ()


@router.get("/start")
def start_form(request: Request) -> Response:
    """Show the form, with the settings of a run where one is named."""
    again = request.query_params.get("again", "")
    values: dict[str, Any] = {}
    if again:
        row = site_of(request).library.run(again)
        values = dict((row or {"record": {}})["record"].get("request") or {})
        # The same seed would write the same pieces again.
        values.pop("seed", None)
    return _form_page(request, values, again if values else "")


@router.get("/start/styles")
def style_field(request: Request) -> Response:
    """Return the field of styles for the chosen weights."""
    weights = request.query_params.get("weights", "")
    style = request.query_params.get("style", DEFAULT_STYLE)
    return page(request, "style_field.html", styles=styles_of(weights), values={"style": style})


@router.post("/start")
async def start(request: Request) -> Response:
    """Check the form and start the run."""
    fields = await form(request)
    return await run_in_threadpool(_started, request, fields)


def _started(request: Request, fields: dict[str, str]) -> Response:
    given: dict[str, Any] = {}
    for name in ProduceRequest.model_fields:
        if name in fields and name not in ("out", "device", "threads", "allow_untrained"):
            value = fields[name].strip()
            if value or name == "style":
                given[name] = {"yes": True, "no": False}.get(value, value)
    try:
        wanted = checked(ProduceRequest, **given)
        known = styles_of(wanted.weights or "")
        if known:
            # A part of a name, or a name in another script, means what it means on the line.
            style = resolve(wanted.style, trained=[parse(each) for each in known])
            wanted = wanted.model_copy(update={"style": str(style)})
        _jobs(request).start(wanted)
    except ScoregateError as error:
        return _form_page(request, given, "", f"{error.problem} {error.remedy}")
    return see("/start")


@router.get("/jobs/{identifier}")
def job(request: Request, identifier: str) -> Response:
    """Return the panel of a run under way."""
    found = _jobs(request).jobs.get(identifier)
    if found is None:
        return HTMLResponse("", 404)
    return page(request, "job.html", job=_shown(site_of(request), found))


@router.post("/jobs/{identifier}/stop")
def stop(request: Request, identifier: str) -> Response:
    """Stop a run: in good order at first, at once when asked again."""
    found = _jobs(request).jobs.get(identifier)
    if found is None:
        return HTMLResponse("", 404)
    found.place.stop(hard=found.stopping)
    found.stopping = True
    if not is_htmx(request):
        return see("/start")
    return page(request, "job.html", job=_shown(site_of(request), found))


def styles_of(weights: str) -> list[str] | None:
    """Return the styles that weights were trained on; None where they name none.

    Asked of a process of its own: reading weights needs torch, which would stay in the
    dashboard's memory.
    """
    return _styles(weights) or None


@lru_cache(maxsize=16)
def _styles(weights: str) -> list[str]:
    command = [sys.executable, "-m", "scoregate.flows.cli", "styles", "--json"]
    if weights:
        command.append(f"--weights={weights}")
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    try:
        found = json.loads(finished.stdout)
    except ValueError:
        return []
    return [str(style) for style in found] if isinstance(found, list) else []


def _form_page(request: Request, values: dict[str, Any], again: str, error: str = "") -> Response:
    site, jobs = site_of(request), _jobs(request)
    weights = str(values.get("weights") or "")
    shown = [_shown(site, one) for one in reversed(jobs.jobs.values())]
    names = {one for one in _weights_in_use(site) if one}
    return page(
        request,
        "start.html",
        section="/start",
        status=422 if error else 200,
        fields=form_fields(values),
        values={"weights": weights, "style": str(values.get("style") or DEFAULT_STYLE)},
        styles=styles_of(weights),
        weights=[
            ("", "the embedded model"),
            *((one, one) for one in sorted({*names, weights} - {""})),
        ],
        presets=[(one.title, one.values) for one in presets()],
        first=FIRST,
        jobs=shown,
        again=again,
        error=error,
        where="Runs in the Prefect deployment produce/on-demand where it has a worker, else here.",
    )


def form_fields(values: dict[str, Any]) -> list[FormField]:
    """Return the fields of the form, with the values of an earlier request."""
    found = []
    for name, info in ProduceRequest.model_fields.items():
        if name in _LEFT_OUT:
            continue
        kinds = get_args(info.annotation) or (info.annotation,)
        low = _bound(info, "ge", _bound(info, "gt"))
        high = _bound(info, "le")
        if high is None and (below := _bound(info, "lt")) is not None:
            high = below - 1
        value = values.get(name, info.get_default(call_default_factory=True))
        if bool in kinds:
            kind = "bool"
        elif int in kinds:
            kind = "int"
        elif float in kinds:
            kind, low = "float", None if low == 0 else low
        elif all(isinstance(one, str) for one in kinds):
            kind = "choice"
        else:
            kind = "text"
        found.append(
            FormField(
                name=name,
                label=name.replace("_", " ").capitalize(),
                note=info.description or "",
                kind=kind,
                value=value in (True, "yes") if kind == "bool" else value,
                low=int(low) if low is not None and kind == "int" else low,
                high=int(high) if high is not None and kind == "int" else high,
                step="any" if kind == "float" else "1",
                choices=tuple(map(str, kinds)) if kind == "choice" else (),
            )
        )
    return found


def _bound(info: FieldInfo, kind: str, default: float | None = None) -> float | None:
    """Return a bound of a field (``ge``, ``gt``, ``le`` or ``lt``), where it has one."""
    for one in info.metadata:
        if isinstance(value := getattr(one, kind, None), int | float):
            return float(value)
    return default


def _weights_in_use(site: Site) -> list[str]:
    with site.library.opened() as db:
        rows = db.execute(
            f"SELECT DISTINCT {db.dialect.json_text('record', 'request', 'weights')} FROM "
            "(SELECT record FROM runs ORDER BY started_utc DESC LIMIT 500) AS newest"
        ).fetchall()
    return [str(row[0]) for row in rows if row[0]]


def _jobs(request: Request) -> Jobs:
    return request.app.state.jobs


def _shown(site: Site, found: Job) -> dict[str, Any]:
    """Return what the panel of a run shows."""
    running, doing, error = found.place.state()
    with site.library.opened() as db:
        row = db.execute(
            "SELECT id, passed, rejected, not_judged FROM runs WHERE started_utc >= ? "
            f"AND {db.dialect.json_text('record', 'request', 'seed')} = ? "
            "ORDER BY started_utc LIMIT 1",
            (found.started[:19], str(found.request.seed)),
        ).fetchone()
        pieces = (
            db.execute(
                "SELECT id, name FROM pieces WHERE run_id = ? AND status = 'passed' "
                "ORDER BY number DESC LIMIT ?",
                (row["id"], _SHOWN),
            ).fetchall()
            if row
            else []
        )
    passed = row["passed"] if row else 0
    if running:
        heading = "Stopping" if found.stopping else "Running"
    else:
        heading = "Failed" if error else "Finished"
    return {
        "id": found.id,
        "running": running,
        "stopping": found.stopping,
        "heading": f"{heading}: {found.request.style.split('/')[-1]}, {found.request.count} wanted",
        "where": found.place.name,
        "note": f"Seed {found.request.seed}, temperature {found.request.temperature:g}.",
        "doing": doing,
        "error": error,
        "wanted": found.request.count,
        "passed": passed,
        "rejected": (row["rejected"] + row["not_judged"]) if row else 0,
        "run_id": row["id"] if row else "",
        "pieces": [dict(one) for one in pieces],
    }


def warm(out: Path) -> None:
    """Read the embedded weights' styles ahead, so that the form opens at once."""
    styles_of("")
