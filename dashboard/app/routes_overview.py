"""The overview over all runs, and the page of one run."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import Response

from scoregate.dashboard.app import drawings
from scoregate.dashboard.app.figures import Rate, RunFigures, pooled, run_figures
from scoregate.dashboard.app.piece_view import flat
from scoregate.dashboard.app.site import Site, message_page, page, site_of

router = APIRouter()
NEWEST = 2_000
"""Newest pieces whose reasons are counted where a group has more."""
SHOWN = 2_000
"""Newest runs that the overview looks at."""
STAGED = 50
"""Newest runs whose times are pooled."""
_STAGES = ("load", "generate", "check", "judge", "render", "archive")


@dataclass(frozen=True, slots=True)
class RateRow:
    """A group's rate of first rounds in a table."""

    label: str
    lines: str
    rate: Rate
    address: str

    @property
    def share(self) -> str:
        """The share in percent."""
        return f"{100 * self.rate.share:.0f} %" if self.rate.drawn else "–"

    @property
    def picture(self) -> Markup:
        """The interval as a picture."""
        return drawings.interval(self.rate)


@router.get("/")
def overview(request: Request) -> Response:
    """Show all runs at a glance."""
    site = site_of(request)
    values = site.remembered("overview", lambda: _overview(site))
    return page(request, "overview.html", section="/", **values)


def _overview(site: Site) -> dict[str, Any]:
    runs = all_runs(site)
    with site.library.opened() as db:
        total = db.execute("SELECT count(*) FROM pieces").fetchone()[0]
        runs_total = db.execute("SELECT count(*) FROM runs").fetchone()[0]
    return {
        "total": f"{total:,}".replace(",", "\u202f"),
        "runs_total": runs_total,
        "runs": runs,
        "series": _series(runs),
        "groups": [
            ("By style", _grouped(runs, "style")),
            ("By temperature", _grouped(runs, "temperature")),
            ("By weights", _grouped(runs, "weights")),
        ],
        "reasons": reasons_of(site),
        "stages": _stages(runs[:STAGED]),
        "staged": min(len(runs), STAGED),
        "alert": _alert(site),
    }


def all_runs(site: Site) -> list[RunFigures]:
    """Return the figures of the newest runs, newest first."""

    def read() -> list[RunFigures]:
        with site.library.opened() as db:
            rows = db.execute(
                "SELECT * FROM runs ORDER BY started_utc DESC LIMIT ?", (SHOWN,)
            ).fetchall()
        return [run_figures(dict(row), json.loads(row["record"])) for row in rows]

    return site.remembered("runs", read)


def lines_text(repaired: bool, drafts: int = 0) -> str:
    """Return how a group's pieces came about, in a few words."""
    lines = "lines resampled" if repaired else "as written"
    return f"{lines}, best of {drafts} drafts" if drafts else lines


def rate_rows(runs: list[RunFigures], label: str = "", address: str = "") -> list[RateRow]:
    """Return the rates of runs, apart by whether they resample lines and choose among drafts."""
    rows = []
    kinds = {(run.repaired, run.drafts) for run in runs}
    for kind in sorted(kinds, key=lambda each: (not each[0], each[1])):
        group = [run for run in runs if (run.repaired, run.drafts) == kind]
        rows.append(RateRow(label, lines_text(*kind), pooled(group), address))
    return rows


def reasons_of(
    site: Site, condition: str = "", values: tuple[Any, ...] = (), limit: int = 15
) -> list[tuple[str, int]]:
    """Return codes of rejecting findings with the number of pieces, most frequent first.

    Parameters
    ----------
    site : Site
    condition : str
        In SQL over ``pieces p``; ``""`` for all pieces.
    values : tuple
        For the condition's question marks.
    limit : int
    """
    with site.library.opened() as db:
        dialect = db.dialect
        if not condition:
            source, severity = "findings f", "f.severity"
        else:
            # The pieces first, then their findings by key, not by the index of all findings.
            source = (
                f"(SELECT p.number FROM pieces p WHERE {condition} "
                f"ORDER BY p.number DESC LIMIT {NEWEST}) q {dialect.ordered_join} findings f "
                "ON f.piece = q.number"
            )
            severity = f"{dialect.unindexed}f.severity"
        rows = db.execute(
            f"SELECT f.code, count(DISTINCT f.piece) AS n FROM {source} "
            f"WHERE {severity} = 'critical' GROUP BY f.code ORDER BY n DESC, f.code LIMIT ?",
            (*values, limit),
        ).fetchall()
    return [(row[0], row[1]) for row in rows]


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str) -> Response:
    """Show one run."""
    site = site_of(request)
    row = site.library.run(run_id)
    if row is None:
        return message_page(
            request, "No such run", "No run of this archive has that name.", status=404
        )
    record = row["record"]
    rounds = [one for one in record.get("rounds") or [] if isinstance(one, dict)]
    for one in rounds:
        one.setdefault("seconds", {})
    return page(
        request,
        "run.html",
        section="/",
        run=run_figures(row, record),
        rounds=rounds,
        stages=_ordered({stage for one in rounds for stage in one["seconds"]}),
        reasons=reasons_of(site, "p.run_id = ?", (run_id,)),
        notes=[str(note) for note in record.get("notes") or []],
        request_items=[
            *flat(record.get("request") or {}),
            *flat(record.get("engine") or {}, "engine"),
        ],
    )


def _series(runs: list[RunFigures]) -> list[dict[str, float]]:
    """Return the pass rates over time, without runs that choose their pieces among drafts."""
    series = []
    for one in reversed(runs):
        if not one.first.drawn or one.drafts:
            continue
        try:
            at = datetime.fromisoformat(one.started).timestamp()
        except ValueError:
            continue
        low, high = one.first.interval
        series.append(
            {
                "at": at,
                "share": round(100 * one.first.share, 1),
                "low": round(100 * low, 1),
                "high": round(100 * high, 1),
            }
        )
    return series


def _grouped(runs: list[RunFigures], by: str) -> list[RateRow]:
    groups: dict[Any, list[RunFigures]] = defaultdict(list)
    for one in runs:
        groups[getattr(one, by)].append(one)
    rows = []
    for value, group in sorted(groups.items(), key=lambda pair: (pair[0] is None, pair[0])):
        label = "unknown" if value in (None, "") else str(value)
        address = urlencode({by: value}) if value not in (None, "") else ""
        rows += rate_rows(group, label.replace("/", " · "), address)
    return rows


def _stages(runs: list[RunFigures]) -> list[tuple[str, float]]:
    drawn = sum(run.drawn for run in runs)
    if not drawn:
        return []
    total: dict[str, float] = defaultdict(float)
    for one in runs:
        for stage, seconds in one.stages.items():
            total[stage] += seconds if math.isfinite(seconds) else 0.0
    return [(stage, total[stage] / drawn) for stage in _ordered(set(total))]


def _ordered(stages: set[str]) -> list[str]:
    return [one for one in _STAGES if one in stages] + sorted(stages - set(_STAGES))


def _alert(site: Site) -> dict[str, str] | None:
    """Return the last alarm that a run raised; of older archives the newest run that fell short."""
    with site.library.opened() as db:
        alarm = db.dialect.json_text("record", "alarms", 0)
        row = db.execute(
            f"SELECT id, started_utc, missing, requested, {alarm} AS alarm FROM runs "
            f"WHERE {alarm} IS NOT NULL "
            "OR (missing > 0 AND status = 'finished') ORDER BY started_utc DESC LIMIT 1"
        ).fetchone()
    if row is None:
        return None
    short = f"{row['missing']} of {row['requested']} pieces are missing: the rounds were used up."
    return {"text": row["alarm"] or short, "at": row["started_utc"], "run": row["id"]}
