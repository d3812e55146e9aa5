"""Two runs, styles, weights or sets of parameters side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from scoregate.dashboard.app import drawings
from scoregate.dashboard.app.figures import RunFigures, distribution
from scoregate.dashboard.app.routes_overview import NEWEST, RateRow, all_runs, rate_rows, reasons_of
from scoregate.dashboard.app.site import Site, page, site_of
from scoregate.dashboard.formatting import MEASURES, measure_note, measure_title, number

router = APIRouter()
COMPARED = 1_000
"""Newest pieces of a side whose measures are compared."""

_OWN_TO_A_RUN = frozenset({"seed", "count", "out", "rounds", "threads", "device", "audio"})
"""Parameters that do not shape a piece; sets of parameters are told apart by the others."""


@dataclass(slots=True)
class Side:
    """One side of a comparison.

    Attributes
    ----------
    label : str
    runs : list of RunFigures
    condition, values : str, tuple
        Which pieces, in SQL over ``pieces p``.
    address : str
        The same as a filter of the table.
    """

    label: str
    runs: list[RunFigures]
    condition: str
    values: tuple[Any, ...]
    address: str
    rates: list[RateRow] = field(default_factory=list)
    pieces: int = 0
    sample: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """A measure's distributions on both sides."""

    title: str
    note: str
    first: str
    second: str
    picture: Markup


@router.get("/compare")
def compare(request: Request) -> Response:
    """Show two sides: what differs in their parameters, rates, reasons and measures."""
    site, query = site_of(request), request.query_params
    by = query.get("by", "run")
    by = by if by in ("run", "style", "weights", "settings") else "run"
    choices = _choices(site, by)
    known = [value for value, _ in choices]
    a = query.get("a") if query.get("a") in known else (known[0] if known else "")
    others = [value for value in known if value != a]
    b = query.get("b") if query.get("b") in known else (others[0] if others else "")
    take = query.get("take", "0")
    take = int(take) if take.isdecimal() and len(take) < 5 else 0
    values: dict[str, Any] = {"by": by, "a": a, "b": b, "take": take, "choices": choices}
    if not a or not b:
        return page(request, "compare.html", section="/compare", sides=[], **values)
    labels = dict(choices)
    sides = [_side(site, by, value, labels[value]) for value in (a, b)]
    for side in sides:
        _fill(site, side, take)
    return page(
        request,
        "compare.html",
        section="/compare",
        newest=NEWEST,
        sides=sides,
        differing=_differing(sides),
        reasons=site.remembered(("reasons", by, a, b), lambda: _reasons(site, sides)),
        measures=site.remembered(("compare", by, a, b), lambda: _measures(site, sides)),
        **values,
    )


def settings_of(run: RunFigures) -> str:
    """Return a run's set of parameters as text that is equal for equal sets."""
    shaping = {name: value for name, value in run.request.items() if name not in _OWN_TO_A_RUN}
    return json.dumps(shaping, sort_keys=True, ensure_ascii=False)


def _choices(site: Site, by: str) -> list[tuple[str, str]]:
    runs = all_runs(site)
    if by == "run":
        return [(run.id, f"{run.id}, {run.passed} passed") for run in runs[:200]]
    if by == "style":
        return [(one, one) for one in dict.fromkeys(run.style for run in runs) if one]
    if by == "weights":
        return [(one, one) for one in dict.fromkeys(run.weights for run in runs) if one]
    groups = dict.fromkeys(settings_of(run) for run in runs)
    sets = [json.loads(one) for one in groups]
    varying = _varying(sets)
    return [
        (
            str(position),
            ", ".join(f"{_words(name)} {_words(one.get(name))}" for name in varying) or "all",
        )
        for position, one in enumerate(sets)
    ]


def _side(site: Site, by: str, value: str, label: str) -> Side:
    runs = all_runs(site)
    if by == "run":
        own = [run for run in runs if run.id == value]
        return Side(label, own, "p.run_id = ?", (value,), urlencode({"run": value}))
    if by in ("style", "weights"):
        own = [run for run in runs if getattr(run, by) == value]
        return Side(label, own, f"p.{by} = ?", (value,), urlencode({by: value}))
    wanted = list(dict.fromkeys(settings_of(run) for run in runs))[int(value)]
    own = [run for run in runs if settings_of(run) == wanted]
    ids = tuple(run.id for run in own)[:500]
    marks = ",".join("?" * len(ids))
    address = urlencode({"run": ids[0]}) if len(ids) == 1 else ""
    return Side(label, own, f"p.run_id IN ({marks})", ids, address)


def _fill(site: Site, side: Side, take: int) -> None:
    side.rates = rate_rows(side.runs)
    with site.library.opened() as db:
        newest = f"SELECT 1 FROM pieces p WHERE {side.condition} LIMIT ?"
        side.pieces = db.execute(
            f"SELECT count(*) FROM ({newest}) AS found", (*side.values, NEWEST)
        ).fetchone()[0]
        passed = f"SELECT id, name FROM pieces p WHERE {side.condition} AND p.status = 'passed'"
        row = (
            db.execute(
                f"{passed} ORDER BY p.number LIMIT 1 OFFSET ?", (*side.values, take)
            ).fetchone()
            or db.execute(f"{passed} ORDER BY p.number DESC LIMIT 1", side.values).fetchone()
        )
    side.sample = dict(row) if row else None


def _differing(sides: Sequence[Side]) -> list[tuple[str, str, str]]:
    """Return only the parameters whose values differ, with those of each side."""
    found = []
    names = dict.fromkeys(name for side in sides for run in side.runs for name in run.request)
    for name in names:
        if name in ("seed", "out"):
            continue
        first, second = (_shown(side, name) for side in sides)
        if first != second:
            found.append((_words(name), first, second))
    first, second = (", ".join(sorted({run.weights for run in side.runs})) for side in sides)
    if first != second:
        found.append(("weights used", first, second))
    return found


def _shown(side: Side, name: str) -> str:
    values = sorted({_words(run.request.get(name)) for run in side.runs})
    return ", ".join(values[:4]) + (" ..." if len(values) > 4 else "")


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value).replace("_", " ")


def _varying(sets: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for one in sets for name in one)
    return [name for name in names if len({json.dumps(one.get(name)) for one in sets}) > 1]


def _reasons(site: Site, sides: Sequence[Side]) -> list[tuple[str, int, int]]:
    first, second = (
        dict(reasons_of(site, side.condition, side.values, limit=40)) for side in sides
    )
    codes = sorted({*first, *second}, key=lambda code: -(first.get(code, 0) + second.get(code, 0)))
    return [(code, first.get(code, 0), second.get(code, 0)) for code in codes]


def _measures(site: Site, sides: Sequence[Side]) -> list[MeasureRow]:
    first, second = (_values(site, side) for side in sides)
    names = [name for name in MEASURES if name in first or name in second]
    names += sorted({*first, *second} - {*names})
    rows = []
    for name in names:
        both = [*first.get(name, ()), *second.get(name, ())]
        one = distribution(first.get(name, ()), min(both), max(both))
        two = distribution(second.get(name, ()), min(both), max(both))
        if one is None or two is None:
            continue
        title = measure_title(name)
        rows.append(
            MeasureRow(
                title=title,
                note=measure_note(name),
                first=f"{number(one.quantiles[2])}",
                second=f"{number(two.quantiles[2])}",
                picture=drawings.histogram(title, one, other=two),
            )
        )
    return rows


def _values(site: Site, side: Side) -> dict[str, list[float]]:
    with site.library.opened() as db:
        rows = db.execute(
            f"SELECT m.name, m.value FROM (SELECT number FROM pieces p WHERE {side.condition} "
            "ORDER BY number DESC LIMIT ?) q JOIN measures m ON m.piece = q.number "
            "WHERE m.value IS NOT NULL",
            (*side.values, COMPARED),
        ).fetchall()
    found: dict[str, list[float]] = {}
    for name, value in rows:
        found.setdefault(name, []).append(value)
    return found
