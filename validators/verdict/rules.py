"""From what the gates found to a verdict, in plain Python.

A piece is judged by one row: for each gate whether it could judge and how many critical
findings it has, and the measures that have a threshold. This module and
:mod:`scoregate.validators.verdict.suite` (which asks Great Expectations) follow the same rules and
are
held equal by a test; this one starts in no time.

- A critical finding too many, or a measure beyond its critical bound: ``rejected``.
- Else a gate that could not judge, a NaN or a column missing where a value is needed:
  ``could not be judged``. Not known is not passed.
- Else ``passed``. Bounds of the severity ``warning`` are reported and decide nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from scoregate.errors import GateError
from scoregate.findings import Outcome, Severity
from scoregate.validators.verdict.thresholds import SEVERITIES, ThresholdFile, Thresholds, load

PASSED = "passed"
REJECTED = "rejected"
NOT_JUDGED = "could not be judged"


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that a piece does not meet.

    Parameters
    ----------
    column : str
        Of the row: ``bars.critical``, ``repetition.loop_share``, ``syntax.judged``.
    rule : {'within', 'known', 'judged'}
        The value lies within its bound; there is a value; the gate could judge.
    severity : {'critical', 'warning'}
    value : float or None
        None where there is none.
    expected : str
        ``at most 0``, ``below 0.25``, ``a number``, ``judged``.
    """

    column: str
    rule: str
    severity: Severity
    value: float | None
    expected: str

    @property
    def gate(self) -> str:
        """The gate whose value it is."""
        return self.column.partition(".")[0]

    def __str__(self) -> str:
        value = "no value" if self.value is None else f"{self.value:g}"
        return f"{self.column}: {value}, {self.expected} expected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a piece, and why."""

    piece_id: str
    status: str
    failed: list[Failure] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True for ``passed`` only."""
        return self.status == PASSED

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as a JSON-ready dict."""
        return {
            "piece_id": self.piece_id,
            "status": self.status,
            "failed": [{"gate": item.gate, **asdict(item)} for item in self.failed],
        }


def row(
    piece_id: str, outcomes: Mapping[str, Outcome] | Iterable[Outcome], style: str | None = None
) -> dict[str, Any]:
    """Return the row that a piece is judged by.

    Parameters
    ----------
    piece_id : str
    outcomes : mapping of gate to Outcome, or Outcomes
    style : str, optional
        Whose thresholds apply.
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
        As :func:`row` makes them.
    gates : iterable of str, optional
        Those whose word is needed; by default every gate the thresholds name.
    thresholds : ThresholdFile, optional
        The project's own by default.

    Returns
    -------
    list of Verdict
        In the order of the rows.

    Raises
    ------
    GateError
        For no rows at all, which would otherwise pass for a run without fault.
    """
    if not len(rows):
        raise nothing_to_judge()
    file = thresholds or load()
    needed = tuple(gates) if gates is not None else tuple(file.general.findings)
    return [_judge_one(cells, needed, file) for cells in rows]


def nothing_to_judge() -> GateError:
    """Return the error for an empty frame."""
    return GateError("There is no piece to judge.", "Generate or name at least one piece.")


def _judge_one(cells: Mapping[str, Any], gates: tuple[str, ...], file: ThresholdFile) -> Verdict:
    lines = file.for_style(cells.get("style") or None)
    failed = []
    for gate in gates:
        failed += _judged(cells, gate) + _count(cells, gate, lines)
    for name in lines.measures:
        if name.partition(".")[0] in gates:
            failed += _measure(cells, name, lines)
    return Verdict(str(cells.get("piece_id", "")), status_of(failed), failed)


def status_of(failed: Iterable[Failure]) -> str:
    """Return the status that follows from the expectations a piece does not meet."""
    serious = [item for item in failed if item.severity == "critical"]
    if any(item.rule == "within" for item in serious):
        return REJECTED
    return NOT_JUDGED if serious else PASSED


def number(value: Any) -> float:
    """Return a cell as a float; NaN for what is none."""
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


def _count(cells: Mapping[str, Any], gate: str, lines: Thresholds) -> list[Failure]:
    value = number(cells.get(f"{gate}.critical"))
    if math.isnan(value):
        return [Failure(f"{gate}.critical", "known", "critical", None, "a number")]
    most = lines.findings.get(gate, 0)
    if value > most:
        return [Failure(f"{gate}.critical", "within", "critical", value, f"at most {most}")]
    return []


def _measure(cells: Mapping[str, Any], name: str, lines: Thresholds) -> list[Failure]:
    bound = lines.measures[name]
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
    """Return the words for a bound: ``below 0.25``."""
    return f"{'below' if side == 'high' else 'above'} {limit:g}"
