"""The verdict in plain Python.

A piece is judged by one row: for each gate whether it could judge and how many critical
findings it has, and the measures that have a threshold.

- More critical findings than allowed, or a measure beyond its critical bound: ``rejected``.
- Else a gate that could not judge, or a NaN or a missing column where a value is needed:
  ``could not be judged``.
- Else ``passed``. Bounds of the severity ``warning`` are reported and decide nothing.

:mod:`scoregate.validators.verdict.suite` applies the same rules by Great Expectations, and a
test holds the two equal. This module takes no time to import.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scoregate.errors import GateError
from scoregate.findings import Failure, Outcome, Status, Verdict
from scoregate.validators import registry
from scoregate.validators.verdict.thresholds import SEVERITIES, ThresholdFile, Thresholds, load


def row(
    piece_id: str, outcomes: Mapping[str, Outcome] | Iterable[Outcome], style: str | None = None
) -> dict[str, Any]:
    """Return the row that a piece is judged by.

    Parameters
    ----------
    piece_id : str
    outcomes : mapping of gate to Outcome, or iterable of Outcome
    style : str, optional
        Style whose thresholds apply.
    """
    each = outcomes.values() if isinstance(outcomes, Mapping) else outcomes
    cells: dict[str, Any] = {"piece_id": piece_id, "style": style or ""}
    for outcome in each:
        cells[f"{outcome.gate}.judged"] = 1.0 if outcome.judged else 0.0
        critical = sum(finding.severity == "critical" for finding in outcome.findings)
        cells[f"{outcome.gate}.critical"] = float(critical)
        cells.update(outcome.measures)
    return cells


def judge(
    rows: Sequence[Mapping[str, Any]],
    gates: Iterable[str] | None = None,
    thresholds: ThresholdFile | None = None,
) -> list[Verdict]:
    """Judge pieces by their rows.

    Parameters
    ----------
    rows : sequence of mappings
        As :func:`row` returns them.
    gates : iterable of str, optional
        Names of the gates that must have judged a piece for it to pass; by default every
        registered one.
    thresholds : ThresholdFile, optional
        Those of the project by default.

    Returns
    -------
    list of Verdict
        In the order of the rows.

    Raises
    ------
    GateError
        There is no row. An empty batch must not look like one without faults.
    """
    if not len(rows):
        raise nothing_to_judge()
    file = thresholds or load()
    needed = tuple(gates) if gates is not None else registry.names(production=True)
    return [_judge_one(cells, needed, file) for cells in rows]


def nothing_to_judge() -> GateError:
    """Return the error for an empty frame."""
    return GateError("There is no piece to judge.", "Generate or name at least one piece.")


def _judge_one(cells: Mapping[str, Any], gates: tuple[str, ...], file: ThresholdFile) -> Verdict:
    thresholds = file.for_style(cells.get("style") or None)
    failed = []
    for gate in gates:
        failed += _judged(cells, gate) + _count(cells, gate, thresholds)
    for name in thresholds.measures:
        if name.partition(".")[0] in gates:
            failed += _measure(cells, name, thresholds)
    return Verdict(str(cells.get("piece_id", "")), status_of(failed), failed)


def status_of(failed: Iterable[Failure]) -> Status:
    """Return the status that follows from the expectations a piece does not meet."""
    serious = [item for item in failed if item.severity == "critical"]
    if any(item.rule == "within" for item in serious):
        return Status.REJECTED
    return Status.NOT_JUDGED if serious else Status.PASSED


def number(value: Any) -> float:
    """Return a cell as a float; NaN for what is not a number."""
    try:
        return float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError):
        return math.nan


def _judged(cells: Mapping[str, Any], gate: str) -> list[Failure]:
    value = number(cells.get(f"{gate}.judged"))
    if math.isnan(value):
        return [Failure(f"{gate}.judged", "known", "critical", None, "a number")]
    if value != 1:
        return [Failure(f"{gate}.judged", "judged", "critical", value, "judged")]
    return []


def _count(cells: Mapping[str, Any], gate: str, thresholds: Thresholds) -> list[Failure]:
    value = number(cells.get(f"{gate}.critical"))
    if math.isnan(value):
        return [Failure(f"{gate}.critical", "known", "critical", None, "a number")]
    most = thresholds.findings.get(gate, 0)
    if value > most:
        return [Failure(f"{gate}.critical", "within", "critical", value, f"at most {most}")]
    return []


def _measure(cells: Mapping[str, Any], name: str, thresholds: Thresholds) -> list[Failure]:
    bound = thresholds.measures[name]
    value = number(cells.get(name))
    if math.isnan(value):
        if bound.needed:
            return [Failure(name, "known", "critical", None, "a number")]
        return []
    return [
        Failure(name, "within", level, value, expected(bound.side, limit))
        for level in SEVERITIES
        if (limit := getattr(bound, level)) is not None and bound.crossed(value, level)
    ]


def expected(side: str, limit: float) -> str:
    """Return what a bound asks for: ``below 0.25``."""
    return f"{'below' if side == 'high' else 'above'} {limit:g}"
