"""Tables and figures of a comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scoregate.archive.atomic import write_file
from scoregate.archive.records import jsonable
from scoregate.evaluation import Interval, Separation
from scoregate.experiments.comparison import Comparison, Estimate, PieceFigures, Row
from scoregate.experiments.drawing import as_svg, canvas, label
from scoregate.experiments.record import Experiment, Figure, Table, markdown, write_experiment

DRAWN = 12
"""Measures whose distributions are drawn: those that overlap least."""
TELLING = 12
"""Telling features in the table."""
NAMED = 5
"""Pieces that could not be read and are named in the table, for each reason."""


@dataclass(slots=True)
class ReadSet:
    """A set of pieces as it was read.

    Attributes
    ----------
    name : str
        As it was asked for.
    found : int
        Pieces that there are, before `most` of them were drawn.
    pieces : list of PieceFigures
    unreadable : list of tuple of str
        Name and reason of each piece that could not be read.
    """

    name: str
    found: int
    pieces: list[PieceFigures]
    unreadable: list[tuple[str, str]]


def write_comparison(
    folder: Path, comparison: Comparison, sets: tuple[ReadSet, ReadSet], command: str
) -> dict[str, str]:
    """Write ``results.md``, ``results.json``, the figures and the page; return paths by kind.

    Parameters
    ----------
    folder : Path
    comparison : Comparison
    sets : tuple of ReadSet
    command : str
        What makes them again.
    """
    figures = {"overlap.svg": _overlaps(comparison, sets)}
    shown = [Figure(file="overlap.svg", title="Overlap of each measure, 95 % interval")]
    if any(row.means for row in comparison.rows):
        figures["distributions.svg"] = _distributions(comparison, sets)
        shown.append(
            Figure(file="distributions.svg", title="Distributions of the measures that differ most")
        )
    experiment = Experiment(
        kind="comparison",
        title=f"{sets[0].name} beside {sets[1].name}",
        command=command,
        facts=_facts(comparison, sets),
        paragraphs=_paragraphs(comparison, sets),
        tables=[*_separation_tables(comparison, sets), _measures(comparison, sets), *_lost(sets)],
        figures=shown,
    )
    paths = write_experiment(folder, experiment, figures)
    table, data = folder / "results.md", folder / "results.json"
    write_file(table, markdown(experiment).encode("utf-8", "backslashreplace"))
    content = {
        "command": command,
        "sets": [
            {"name": s.name, "found": s.found, "read": len(s.pieces), "unreadable": s.unreadable}
            for s in sets
        ],
        "comparison": {
            **asdict(comparison),
            "rows": [_row_json(row) for row in comparison.rows],
            "separations": {n: s._asdict() for n, s in comparison.separations.items()},
        },
    }
    write_file(data, (json.dumps(jsonable(content), indent=1) + "\n").encode())
    figure = str(folder / "overlap.svg")
    return {"page": paths["page"], "table": str(table), "json": str(data), "figure": figure}


def _row_json(row: Row) -> dict:
    means = [each._asdict() for each in row.means] if row.means else None
    return {**asdict(row), "means": means}


def _facts(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> list[tuple[str, str]]:
    facts = []
    for place, one in zip(("first", "second"), sets, strict=True):
        drawn = len(one.pieces) + len(one.unreadable)
        text = f"{one.name}: {len(one.pieces)} pieces read"
        if one.unreadable:
            text += f", {len(one.unreadable)} could not be read"
        if drawn < one.found:
            text += f"; drawn from {one.found:,}"
        facts.append((f"{place} set", text))
    facts += [
        ("pieces in both sets", str(comparison.shared)),
        ("measures compared", str(len(comparison.rows))),
        ("bootstrap samples", str(comparison.resamples)),
        ("seed", str(comparison.seed)),
    ]
    for title, names in (
        ("left out, the same everywhere", comparison.constant),
        ("left out, too few pieces have a figure", comparison.left_out),
    ):
        if names:
            facts.append((title, ", ".join(names)))
    return facts


def _paragraphs(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> list[str]:
    second = sets[1].name
    lines = [
        f"Mean overlap of all measures: {shown(comparison.overlap, 3)}. It holds the distances "
        f"inside {second} against those between the sets (Yang and Lerch 2018); 1 means alike.",
        f"Mean shift from {second}: {shown(comparison.shift, 3)} of its standard deviations, 0 "
        f"means alike; two halves of {second} itself differ by "
        f"{_with_interval(comparison.chance, math.nan, math.nan, 3)}.",
    ]
    if whole := comparison.separations.get("all"):
        lines.append(
            f"A classifier tells the sets apart with an AUC of {_auc(whole)}, cross-validated; "
            ".5 is chance, 1 means that it never errs."
        )
    else:
        lines.append("A set has fewer than five pieces, so no classifier was trained.")
    if comparison.shared:
        lines.append(
            f"{comparison.shared} pieces are in both sets, which makes the sets look more alike."
        )
    return lines


def _separation_tables(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> list[Table]:
    if not comparison.separations:
        return []
    of_groups = Table(
        title="What tells the sets apart, by group of measures",
        columns=["measures", "AUC, 95 % interval"],
        rows=[[group, _auc(found)] for group, found in comparison.separations.items()],
        note="Logistic regression, five folds; the interval resamples the pieces, not the "
        "training of the classifier.",
        numeric=[1],
    )
    whole = comparison.separations["all"]
    means = {row.name: row.means for row in comparison.rows if row.means}
    rows = []
    for name, weight in whole.telling[:TELLING]:
        pair = means.get(name)
        if pair:
            rows.append([name, f"{weight:+.2f}", *(_mean(each) for each in pair)])
    telling = Table(
        title="Telling features",
        columns=["measure", "coefficient", sets[0].name, sets[1].name],
        rows=rows,
        note="Coefficients of the standardised measures; positive: larger in the second set. Of "
        "measures that vary together each has a share.",
        numeric=[1, 2, 3],
    )
    return [of_groups, telling]


def _measures(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> Table:
    first, second = (one.name for one in sets)
    rows = []
    for row in comparison.rows:
        means = [_mean(each) for each in row.means] if row.means else ["–", "–"]
        rows.append(
            [row.name, str(row.pieces[0]), str(row.pieces[1]), *means,
             shown(row.shift) if row.shift else "–", shown(row.overlap),
             shown(row.overlap_first), shown(row.kl), shown(row.kl_first)]
        )  # fmt: skip
    return Table(
        title="Measures",
        columns=["measure", "n first", "n second", f"{first}: mean", f"{second}: mean",
                 "shift", "overlap", "overlap, first set", "KL", "KL, first set"],
        rows=rows,
        note="Means, shifts (Wasserstein distance in standard deviations of the second set), "
        "overlaps and divergences (nats) with bootstrap intervals at 95 %. 'overlap' and 'KL' "
        "hold the distances between the sets against those inside the second set, "
        "the last columns of either against those inside the first. Histograms have no mean.",
        numeric=[1, 2, 3, 4, 5, 6, 7, 8, 9],
    )  # fmt: skip


def _lost(sets: Sequence[ReadSet]) -> list[Table]:
    rows = []
    for one in sets:
        by_reason: dict[str, list[str]] = {}
        for name, reason in one.unreadable:
            by_reason.setdefault(reason, []).append(name)
        for reason, names in sorted(by_reason.items(), key=lambda pair: -len(pair[1])):
            rows.append([one.name, reason, str(len(names)), ", ".join(names[:NAMED])])
    if not rows:
        return []
    return [
        Table(
            title="Pieces that could not be read",
            columns=["set", "reason", "pieces", "for example"],
            rows=rows,
            numeric=[2],
        )
    ]


def shown(estimate: Estimate, digits: int = 2) -> str:
    """Return a figure with its interval: ``.81 (.74 to .88)``."""
    return _with_interval(estimate.value, estimate.low, estimate.high, digits)


def _auc(found: Separation) -> str:
    return _with_interval(found.auc, found.low, found.high, 3)


def _mean(found: Interval) -> str:
    size = max(abs(found.mean), abs(found.low), abs(found.high))
    digits = 1 if size >= 20 else 3 if size < 0.1 else 2
    return _with_interval(found.mean, found.low, found.high, digits)


def _with_interval(value: float, low: float, high: float, digits: int) -> str:
    if math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text if math.isnan(low) else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def _overlaps(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> bytes:
    rows = comparison.rows[::-1]
    with canvas(figsize=(7, 1.2 + 0.17 * max(len(rows), 3))) as (picture, axes):
        for place, row in enumerate(rows):
            found = row.overlap
            axes.plot([found.low, found.high], [place, place], color="#7b2d3b", linewidth=1)
            axes.plot(found.value, place, "o", color="#7b2d3b", markersize=3)
        axes.set_yticks(range(len(rows)), [label(row.name) for row in rows], fontsize=7)
        axes.set_xlim(0, 1)
        axes.set_ylim(-1, max(len(rows), 1))
        names = [label(one.name) for one in sets]
        axes.set_xlabel(f"overlap: distances inside {names[1]}\nbeside those to {names[0]}")
        axes.grid(axis="x", alpha=0.3)
        return as_svg(picture)


def _distributions(comparison: Comparison, sets: tuple[ReadSet, ReadSet]) -> bytes:
    import numpy as np

    names = [row.name for row in comparison.rows if row.means][:DRAWN]
    across = 3
    down = -(-len(names) // across)
    with canvas(down, across, figsize=(8, 1.7 * down), squeeze=False) as (picture, grid):
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        for name, axes in zip(names, grid.flat, strict=False):
            values = [
                [v for p in one.pieces if math.isfinite(v := p.numbers.get(name, math.nan))]
                for one in sets
            ]
            edges = np.histogram_bin_edges(np.concatenate(values), bins=24)
            for each, color, one in zip(values, ("#7b2d3b", "#1d4e89"), sets, strict=True):
                weights = np.full(len(each), 1 / len(each))
                axes.hist(
                    each, edges, weights=weights, alpha=0.55, color=color, label=label(one.name, 24)
                )
            axes.set_title(label(name), fontsize=7)
            axes.tick_params(labelsize=6)
        grid[0, 0].legend(fontsize=6)
        picture.supylabel("share of the pieces", fontsize=8)
        picture.tight_layout()
        return as_svg(picture)
