"""Tables and figures of a sweep."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scoregate.archive.atomic import write_file
from scoregate.experiments.drawing import as_svg, canvas, label
from scoregate.experiments.grid import Cell
from scoregate.experiments.record import Experiment, Figure, Table, write_experiment
from scoregate.experiments.statistics import summary

Result = tuple[Cell, list[dict[str, Any]]]
_SETTINGS = ("style", "weights", "preset", "temperature", "top_p", "top_k", "judged")
NOTE = (
    "Pass rates with Wilson's interval at 95 %. A piece may be rejected for several reasons. "
    "Lines 'raw': as the model wrote them; 'judged': those that break a rule are resampled."
)


def settings_of(cell: Cell) -> dict[str, Any]:
    """Return the settings of a cell; cells with the same differ in their seed alone."""
    return {name: asdict(cell)[name] for name in _SETTINGS}


def pooled(results: Sequence[Result]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (settings, figures) with the cells that differ in their seed alone put together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for cell, pieces in results:
        values = settings_of(cell)
        name = json.dumps(values, sort_keys=True)
        settings[name] = values
        rows.setdefault(name, []).extend(pieces)
    return [(settings[name], summary(pieces)) for name, pieces in rows.items()]


def write_results(folder: Path, results: Sequence[Result], command: str) -> dict[str, str]:
    """Write ``results.md``, ``results.csv``, ``results.json``, the figure and the page.

    Parameters
    ----------
    folder : Path
    results : sequence of (Cell, list of dict)
        The finished cells with the rows of their pieces.
    command : str
        What makes them again.

    Returns
    -------
    dict of str to str
        Paths by kind: ``page``, ``table``, ``csv``, ``json``, ``figure`` where there are
        several temperatures.
    """
    figures = pooled(results)
    paths = {
        "table": folder / "results.md",
        "csv": folder / "results.csv",
        "json": folder / "results.json",
    }
    write_file(paths["table"], _markdown(figures, command).encode())
    write_file(paths["csv"], _csv(figures).encode())
    content = [
        {
            "settings": settings,
            "cells": [cell.key for cell, _ in results if settings_of(cell) == settings],
            "figures": found,
        }
        for settings, found in figures
    ]
    write_file(paths["json"], (json.dumps(content, indent=1) + "\n").encode())
    experiment = Experiment(
        kind="sweep",
        title=_title(figures),
        command=command,
        facts=[
            ("pieces", f"{sum(cell.count for cell, _ in results):,}"),
            ("cells", str(len(results))),
            ("seeds", ", ".join(str(seed) for seed in sorted({c.seed for c, _ in results}))),
            *_facts(figures),
        ],
        tables=[_table(figures), *_measures(figures)],
    )
    if len({settings["temperature"] for settings, _ in figures}) > 1:
        paths["figure"] = folder / "pass-rate.svg"
        write_file(paths["figure"], _figure(figures))
        experiment.figures = [Figure(file="pass-rate.svg", title="Pass rate and reasons")]
    page = write_experiment(folder, experiment)["page"]
    return {kind: str(path) for kind, path in paths.items()} | {"page": page}


def _title(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    styles = {str(settings["style"]) for settings, _ in figures}
    named = next(iter(styles)).split("/")[-1] if len(styles) == 1 else f"{len(styles)} styles"
    return f"Sweep: {named}, {len(figures)} settings"


def _markdown(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]], command: str) -> str:
    lines = ["# Sweep", "", f"`{command}`", "", NOTE, ""]
    lines.append("| " + " | ".join(COLUMNS) + " |")
    lines.append(
        "|" + "|".join("---:" if i in NUMERIC else "---" for i in range(len(COLUMNS))) + "|"
    )
    for row in _rows(figures):
        lines.append("| " + " | ".join(each.replace("|", "/") for each in row) + " |")
    return "\n".join(lines) + "\n"


COLUMNS = (
    "style", "weights", "preset", "T", "top_p", "top_k", "lines", "pieces", "passed", "interval",
    "why rejected, share of all pieces", "resampled lines a piece", "drawn per kept",
    "s a piece", "s a passing piece",
)  # fmt: skip
NUMERIC = [3, 4, 5, 7, 8, 11, 12, 13, 14]
MEASURES_SHOWN = 12
"""Most settings beside each other in the table of measures."""


def _rows(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[list[str]]:
    rows = []
    for settings, found in figures:
        why = ", ".join(f"{gate} {share:.0%}" for gate, share in found["reasons"].items())
        cells = (
            settings["style"], settings["weights"] or "embedded",
            settings["preset"] or "–", f"{settings['temperature']:g}", f"{settings['top_p']:g}",
            settings["top_k"], "judged" if settings["judged"] else "raw", found["pieces"],
            f"{found['rate']:.1%}", f"{found['low']:.1%} to {found['high']:.1%}", why or "–",
            f"{found['resampled_lines']:.1f}", _number(found["drawn_per_kept"], 2),
            _number(found["seconds_per_piece"], 2), _number(found["seconds_per_passed"], 2),
        )  # fmt: skip
        rows.append([str(each) for each in cells])
    return rows


def _table(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Table:
    """Return the table of the page, without the settings that are the same in all rows."""
    rows = _rows(figures)
    kept = [i for i in range(len(COLUMNS)) if i not in _same(rows)]
    return Table(
        title="Pass rate, reasons and cost",
        columns=[COLUMNS[i] for i in kept],
        rows=[[row[i] for i in kept] for row in rows],
        note=NOTE,
        numeric=[place for place, i in enumerate(kept) if i in NUMERIC],
    )


def _facts(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[tuple[str, str]]:
    """Return the settings that are the same in all rows: they belong to the whole."""
    rows = _rows(figures)
    return [(COLUMNS[i], rows[0][i]) for i in _same(rows) if rows[0][i] != "–"]


def _same(rows: Sequence[Sequence[str]]) -> list[int]:
    return [i for i in range(len(_SETTINGS)) if len({row[i] for row in rows}) == 1]


def _measures(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[Table]:
    """Return the medians of all measures, novelty among them, a column for each setting."""
    shown = figures[:MEASURES_SHOWN]
    names = sorted({name for _, found in shown for name in found["measures"]})
    if not names:
        return []
    columns = [
        f"T {s['temperature']:g}, {s['top_p']:g}, {s['top_k']}, "
        + ("judged" if s["judged"] else "raw")
        for s, _ in shown
    ]
    rows = [[name, *(_number(f["measures"].get(name), 2) for _, f in shown)] for name in names]
    more = len(figures) - len(shown)
    return [
        Table(
            title="Measures, median",
            columns=["measure", *columns],
            rows=rows,
            note=f"results.csv has the other {more} settings." if more else "",
            numeric=list(range(1, len(columns) + 1)),
        )
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _csv(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    flat = [
        {
            **settings,
            **{name: value for name, value in found.items() if not isinstance(value, dict)},
            **{f"reason.{gate}": share for gate, share in found["reasons"].items()},
            **found["measures"],
        }
        for settings, found in figures
    ]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    written = io.StringIO()
    writer = csv.DictWriter(written, columns)
    writer.writeheader()
    writer.writerows(flat)
    return written.getvalue()


def _figure(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> bytes:
    """Draw pass rate against temperature, with intervals, and the reasons of raw pieces."""
    with canvas(2, 1, figsize=(7, 7), sharex=True) as (picture, (rates, reasons)):
        curves: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        for settings, found in figures:
            name = _curve_name(settings)
            curves.setdefault(name, []).append((settings["temperature"], found))
        for name, points in curves.items():
            points.sort(key=lambda point: point[0])
            x = [temperature for temperature, _ in points]
            y = [found["rate"] for _, found in points]
            below = [found["rate"] - found["low"] for _, found in points]
            above = [found["high"] - found["rate"] for _, found in points]
            rates.errorbar(x, y, [below, above], marker="o", capsize=3, label=name)
        rates.set_ylabel("pass rate, 95 % interval")
        rates.set_ylim(0, 1)
        rates.legend()
        first = next(iter(curves.values()))
        for gate in sorted({gate for _, found in first for gate in found["reasons"]}):
            reasons.plot(
                [temperature for temperature, _ in first],
                [found["reasons"].get(gate, 0.0) for _, found in first],
                marker="o",
                label=gate,
            )
        reasons.set_ylabel(f"share rejected by each gate\n({next(iter(curves))})")
        reasons.set_xlabel("temperature")
        if reasons.lines:
            reasons.legend()
        for axes in (rates, reasons):
            axes.grid(alpha=0.3)
        return as_svg(picture)


def _curve_name(settings: dict[str, Any]) -> str:
    lines = "judged" if settings["judged"] else "raw"
    parts = [settings["style"].split("/")[-1], f"top_p {settings['top_p']:g}",
             f"top_k {settings['top_k']}", lines]  # fmt: skip
    return label(", ".join([*parts, *([settings["weights"]] if settings["weights"] else [])]), 80)
