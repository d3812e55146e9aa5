"""Tables and figures of a search: what is best, how sure that is, and what ten runs would give."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoregate.archive.atomic import write_file
from scoregate.archive.records import jsonable
from scoregate.experiments.comparison_page import shown
from scoregate.experiments.drawing import as_svg, canvas
from scoregate.experiments.record import Experiment, Figure, Table, markdown, write_experiment
from scoregate.experiments.scoring import Lead, Scored
from scoregate.experiments.search import COARSE, FINE, STEP, Run, full_grid, is_at_edge

TEN = 10
"""Runs within which the source of the method claims that the best interval is found."""


@dataclass(slots=True)
class Found:
    """What a search has found so far.

    Attributes
    ----------
    title, command : str
    facts : list of tuple of str
        Style, weights, reference and so on.
    runs : list of Run
        In their order.
    scored : list of Scored
        Settings, the best first.
    lead : Lead or None
        Of the best over the runner-up; None for a single setting.
    ten : Lead or None
        Of the best over the setting that was best after ten runs; None where fewer were made
        or it is the same.
    """

    title: str
    command: str
    facts: list[tuple[str, str]]
    runs: list[Run]
    scored: list[Scored]
    lead: Lead | None
    ten: Lead | None


def write_search(folder: Path, found: Found) -> dict[str, str]:
    """Write ``results.md``, ``results.json``, the figure and the page; return paths by kind."""
    experiment = Experiment(
        kind="search",
        title=found.title,
        command=found.command,
        facts=found.facts,
        paragraphs=sentences(found),
        tables=[_settings(found.scored), _runs(found.runs)],
        figures=[Figure(file="search.svg", title="Scores by setting, and the best one run by run")],
    )
    paths = write_experiment(folder, experiment, {"search.svg": _figure(found)})
    table, data = folder / "results.md", folder / "results.json"
    write_file(table, markdown(experiment).encode("utf-8", "backslashreplace"))
    write_file(data, (json.dumps(jsonable(_content(found)), indent=1) + "\n").encode())
    return {
        "page": paths["page"],
        "table": str(table),
        "json": str(data),
        "figure": str(folder / "search.svg"),
    }


def sentences(found: Found) -> list[str]:
    """Say what is best, how sure that is, how many runs it took, and what ten runs gave."""
    if not found.scored:
        return ["Nothing is measured yet."]
    best = found.scored[0]
    lines = [
        f"Best: {best.setting}, score {shown(best.score, 3)}, {best.passed} of {best.pieces} "
        f"pieces passed."
    ]
    if is_at_edge(found.runs, best.setting):
        lines.append(
            "It lies at the edge of what the search covers: better settings may lie beyond it."
        )
    if found.lead:
        sure = (
            ""
            if math.isnan(found.lead.surety)
            else f" In {found.lead.surety:.0%} of the bootstrap samples the best one is better."
        )
        lines.append(f"It leads the runner-up, {found.lead.other}, by {_signed(found.lead)}.{sure}")
    coarse = sum(run.stage == COARSE for run in found.runs)
    lines.append(
        f"{len(found.runs)} runs ({coarse} coarse, {len(found.runs) - coarse} fine) against "
        f"{len(full_grid())} of the full grid in steps of {STEP:g}."
    )
    if len(found.runs) > TEN:
        lines.append(_within_ten(found))
    return lines


def _within_ten(found: Found) -> str:
    if found.ten is None:
        return f"The best setting was the best after {TEN} runs already."
    low = found.ten.difference.low
    known = "; the difference is within chance" if low <= 0 else ""
    return (
        f"After {TEN} runs {found.ten.other} was the best; {found.ten.best} leads it by "
        f"{_signed(found.ten)}{known}."
    )


def _signed(lead: Lead) -> str:
    found = lead.difference
    if math.isnan(found.low):
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _settings(scored: Sequence[Scored]) -> Table:
    rows = [
        [f"{one.setting.temperature:g}", f"{one.setting.top_p:g}", str(one.pieces),
         f"{one.passed / one.pieces:.1%}", f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
         _known(one.shift, 3), _rating(one), shown(one.score, 3)]
        for one in scored
    ]  # fmt: skip
    return Table(
        title="Settings, the best first",
        columns=["T", "top_p", "pieces", "passed", "interval", "shift", "rating", "score"],
        rows=rows,
        note="Passed with Wilson's interval, the score with its bootstrap interval, both at 95 %. "
        "Shift: mean distance of the measures from the reference in its standard deviations.",
        numeric=[0, 1, 2, 3, 4, 5, 6, 7],
    )


def _rating(one: Scored) -> str:
    return f"{one.rating:.1f} (n {one.ratings})" if one.ratings else "–"


def _known(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _runs(runs: Sequence[Run]) -> Table:
    rows, best = [], -math.inf
    for number, run in enumerate(runs, 1):
        best = max(best, run.score if run.score is not None else -math.inf)
        rows.append(
            [str(number), run.stage, f"{run.setting.temperature:g}", f"{run.setting.top_p:g}",
             str(run.repeat + 1), _known(math.nan if run.score is None else run.score, 3),
             f"{best:.3f}"]
        )  # fmt: skip
    return Table(
        title="Runs in their order",
        columns=["run", "stage", "T", "top_p", "time measured", "score of the run", "best so far"],
        rows=rows,
        note="A setting that is measured again has other seeds; the table above pools its runs.",
        numeric=[0, 2, 3, 4, 5, 6],
    )


def _content(found: Found) -> dict[str, Any]:
    return {
        "command": found.command,
        "facts": dict(found.facts),
        "runs": [
            {"stage": run.stage, "temperature": run.setting.temperature,
             "top_p": run.setting.top_p, "repeat": run.repeat, "score": run.score}
            for run in found.runs
        ],
        "settings": [
            {"temperature": one.setting.temperature, "top_p": one.setting.top_p,
             "pieces": one.pieces, "passed": one.passed, "low": one.interval[0],
             "high": one.interval[1], "shift": one.shift, "rating": one.rating,
             "ratings": one.ratings, "score": one.score.value, "score_low": one.score.low,
             "score_high": one.score.high}
            for one in found.scored
        ],
        "lead": _lead_content(found.lead),
        "ten": _lead_content(found.ten),
        "full_grid": len(full_grid()),
    }  # fmt: skip


def _lead_content(lead: Lead | None) -> dict[str, Any] | None:
    if lead is None:
        return None
    return {
        "best": str(lead.best), "other": str(lead.other), "difference": lead.difference.value,
        "low": lead.difference.low, "high": lead.difference.high, "surety": lead.surety,
    }  # fmt: skip


def _figure(found: Found) -> bytes:
    with canvas(1, 2, figsize=(9, 3.4)) as (picture, (settings, course)):
        if found.scored:
            dots = settings.scatter(
                [one.setting.temperature for one in found.scored],
                [one.setting.top_p for one in found.scored],
                c=[one.score.value for one in found.scored],
                s=[20 + one.pieces / 2 for one in found.scored],
                cmap="viridis",
            )
            picture.colorbar(dots, ax=settings, label="score")
            best = found.scored[0].setting
            settings.plot(
                best.temperature, best.top_p, "o", markersize=14, fillstyle="none", color="#7b2d3b"
            )
        settings.set_xlabel("temperature")
        settings.set_ylabel("top_p")
        scores = [math.nan if run.score is None else run.score for run in found.runs]
        for stage, color in ((COARSE, "#6d655a"), (FINE, "#1d4e89")):
            places = [i for i, run in enumerate(found.runs, 1) if run.stage == stage]
            course.plot(places, [scores[i - 1] for i in places], "o", color=color, label=stage)
        best_so_far = [max(scores[: i + 1]) for i in range(len(scores))]
        course.step(range(1, len(scores) + 1), best_so_far, where="post", color="#7b2d3b")
        course.axvline(TEN, color="#999999", linewidth=0.8, linestyle=":")
        course.set_xlabel("run")
        course.set_ylabel("score")
        course.legend()
        for axes in (settings, course):
            axes.grid(alpha=0.3)
        picture.tight_layout()
        return as_svg(picture)
