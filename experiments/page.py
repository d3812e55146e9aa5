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
from scoregate.experiments.grid import Cell
from scoregate.experiments.statistics import summary

Result = tuple[Cell, list[dict[str, Any]]]
_SETTINGS = ("style", "weights", "preset", "temperature", "top_p", "top_k", "judged")


def pooled(results: Sequence[Result]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (settings, figures) with the cells that differ in their seed alone put together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for cell, pieces in results:
        values = {name: asdict(cell)[name] for name in _SETTINGS}
        name = json.dumps(values, sort_keys=True)
        settings[name] = values
        rows.setdefault(name, []).extend(pieces)
    return [(settings[name], summary(pieces)) for name, pieces in rows.items()]


def write_results(folder: Path, results: Sequence[Result], command: str) -> dict[str, str]:
    """Write ``results.md``, ``results.csv``, ``results.json`` and the figure.

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
        Paths by kind: ``table``, ``csv``, ``json``, ``figure`` where there are several
        temperatures.
    """
    figures = pooled(results)
    paths = {
        "table": folder / "results.md",
        "csv": folder / "results.csv",
        "json": folder / "results.json",
    }
    write_file(paths["table"], _markdown(figures, command).encode())
    write_file(paths["csv"], _csv(figures).encode())
    content = [{"settings": settings, "figures": found} for settings, found in figures]
    write_file(paths["json"], (json.dumps(content, indent=1) + "\n").encode())
    if len({settings["temperature"] for settings, _ in figures}) > 1:
        paths["figure"] = folder / "pass-rate.svg"
        write_file(paths["figure"], _figure(figures))
    return {kind: str(path) for kind, path in paths.items()}


def _markdown(figures: Sequence[tuple[dict[str, Any], dict[str, Any]]], command: str) -> str:
    lines = [
        "# Sweep",
        "",
        f"`{command}`",
        "",
        "Pass rates with Wilson's interval at 95 %. A piece may be rejected for several reasons. "
        "Lines 'raw': as the model wrote them; 'judged': those that break a rule are resampled.",
        "",
        "| style | weights | preset | T | top_p | top_k | lines | pieces | passed | interval "
        "| why rejected, share of all pieces | resampled lines a piece | steps a character "
        "| s a piece | s a passing piece |",
        "|---|---|---|---:|---:|---:|---|---:|---:|---|---|---:|---:|---:|---:|",
    ]
    for settings, found in figures:
        why = ", ".join(f"{gate} {share:.0%}" for gate, share in found["reasons"].items())
        cells = (
            str(settings["style"]).replace("|", "/"), settings["weights"] or "embedded",
            settings["preset"] or "–", f"{settings['temperature']:g}", f"{settings['top_p']:g}",
            settings["top_k"], "judged" if settings["judged"] else "raw", found["pieces"],
            f"{found['rate']:.1%}", f"{found['low']:.1%} to {found['high']:.1%}", why or "–",
            f"{found['resampled_lines']:.1f}", _number(found["steps_per_character"], 3),
            _number(found["seconds_per_piece"], 2), _number(found["seconds_per_passed"], 2),
        )  # fmt: skip
        lines.append("| " + " | ".join(str(each) for each in cells) + " |")
    return "\n".join(lines) + "\n"


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
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "scoregate", "svg.fonttype": "none", "font.size": 9}):
        picture, (rates, reasons) = plt.subplots(2, 1, figsize=(7, 7), sharex=True)
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
        made = io.BytesIO()
        picture.savefig(made, format="svg", metadata={"Date": None}, bbox_inches="tight")
        plt.close(picture)
    return made.getvalue()


def _curve_name(settings: dict[str, Any]) -> str:
    lines = "judged" if settings["judged"] else "raw"
    parts = [settings["style"].split("/")[-1], f"top_p {settings['top_p']:g}",
             f"top_k {settings['top_k']}", lines]  # fmt: skip
    return ", ".join([*parts, *([settings["weights"]] if settings["weights"] else [])])
