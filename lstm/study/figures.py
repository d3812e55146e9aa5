"""The figures of a study, drawn by matplotlib as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoregate.lstm.study.effects import Estimate
from scoregate.lstm.study.plan import FACTORS


def draw_losses(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the held-out loss of every run at both readouts."""
    figure, axes = _axes(1, 2, (8, 3.6))
    for axis, readout in zip(axes, ("updates", "time"), strict=True):
        arms = list(dict.fromkeys(record["arm"] for record in records))
        for record in records:
            row = record["readouts"][readout]
            if not row["diverged"]:
                axis.plot(row["test_nats"], arms.index(record["arm"]), "o", color="#30638e")
        axis.set_yticks(range(len(arms)), arms)
        axis.invert_yaxis()
        axis.set_xlabel("held-out loss, nats a word")
        axis.set_title("equal updates" if readout == "updates" else "equal time")
        axis.grid(axis="x", alpha=0.3)
    _save(figure, path)


def draw_effects(found: Mapping[str, Mapping[str, Mapping[str, Estimate]]], path: Path) -> None:
    """Draw the effect of each factor on each response, with intervals.

    Parameters
    ----------
    found : mapping
        By readout, title of the response, and factor.
    path : Path
    """
    responses = list(next(iter(found.values())))
    figure, axes = _axes(math.ceil(len(responses) / 3), 3, (9, 7))
    for axis, response in zip(axes, responses, strict=False):
        for shift, (readout, colour) in zip(
            (-0.12, 0.12), (("updates", "#30638e"), ("time", "#d1495b")), strict=True
        ):
            estimates = found[readout][response]
            for row, factor in enumerate(FACTORS):
                each = estimates[factor]
                if math.isnan(each.value):
                    continue
                if not math.isnan(each.low):
                    axis.plot([each.low, each.high], [row + shift] * 2, color=colour)
                axis.plot(each.value, row + shift, "o", color=colour, markersize=4)
        axis.axvline(0, color="#888", linewidth=0.8)
        axis.set_yticks(range(len(FACTORS)), FACTORS)
        axis.invert_yaxis()
        axis.set_title(response, fontsize=9)
        axis.locator_params(axis="x", nbins=4)
        axis.tick_params(labelsize=7)
    figure.suptitle("Effect of each change: equal updates (blue), equal time (red)", fontsize=10)
    _save(figure, path)


def draw_temperatures(found: Mapping[str, Mapping[str, Sequence[Estimate]]], path: Path) -> None:
    """Draw each response over the temperatures, in their order, for ``original`` and ``all``.

    Parameters
    ----------
    found : mapping
        By title of the response and arm.
    path : Path
    """
    figure, axes = _axes(math.ceil(len(found) / 3), 3, (9, 4.6))
    for axis, (response, arms) in zip(axes, found.items(), strict=False):
        for (arm, estimates), colour in zip(arms.items(), ("#30638e", "#d1495b"), strict=False):
            places = range(len(estimates))
            axis.plot(places, [e.value for e in estimates], "o-", color=colour, label=arm)
            for place, each in zip(places, estimates, strict=True):
                if not math.isnan(each.low):
                    axis.plot([place] * 2, [each.low, each.high], color=colour, linewidth=0.8)
        axis.set_title(response, fontsize=9)
        axis.set_xticks([])
        axis.set_xlabel("temperature, low to high", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=8)
    _save(figure, path)


def _axes(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, list(grid.ravel())


def _save(figure: Any, path: Path) -> None:
    # Without a date and with fixed ids, so that the same numbers give the same file.
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "scoregate", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
