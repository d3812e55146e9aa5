"""Rates with their intervals, and the distributions of measures.

A run ends as soon as enough pieces have passed, so the share of passed pieces over all its
rounds leans high: the last round ends on a success. The first round always draws as many
pieces as were asked for, whatever comes of them, so its share is an unbiased estimate; all
rates here are of first rounds. Runs that resample lines (``repair_lines``), runs that do not,
and runs that choose each piece among drafts are different procedures and are never pooled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scoregate.intervals import wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval.

    Attributes
    ----------
    passed, drawn : int
    """

    passed: int
    drawn: int

    @property
    def share(self) -> float:
        """``passed / drawn``; NaN where nothing was drawn."""
        return self.passed / self.drawn if self.drawn else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval at 95 %."""
        return wilson(self.passed, self.drawn)

    @property
    def text(self) -> str:
        """``75 % (53 to 89 %, n = 20)``."""
        if not self.drawn:
            return "nothing drawn"
        low, high = self.interval
        return f"{100 * self.share:.0f} % ({100 * low:.0f} to {100 * high:.0f} %, n = {self.drawn})"


@dataclass(slots=True)
class RunFigures:
    """What the overview needs of a run.

    Attributes
    ----------
    first : Rate
        Of its first round.
    repaired : bool
        Whether lines were resampled.
    drafts : int
        Among how many drafts each piece was chosen; 0 where it was not.
    passed, rejected, not_judged, missing : int
        Over all rounds.
    """

    id: str
    started: str
    finished: bool
    style: str
    weights: str
    temperature: float | None
    repaired: bool
    first: Rate
    passed: int
    rejected: int
    not_judged: int
    missing: int
    requested: int | None
    seconds: float | None
    request: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    drawn: int = 0
    drafts: int = 0


def run_figures(row: dict[str, Any], record: dict[str, Any]) -> RunFigures:
    """Return the figures of a run from the catalog's row and the run's record."""
    request = record.get("request") or {}
    rounds = [one for one in record.get("rounds") or [] if isinstance(one, dict)]
    first = rounds[0] if rounds else {}
    stages: dict[str, float] = {}
    for one in rounds:
        for stage, seconds in (one.get("seconds") or {}).items():
            if isinstance(seconds, int | float):
                stages[stage] = stages.get(stage, 0.0) + seconds
    engine = record.get("engine") or {}
    weights = engine.get("weights")
    name = weights.get("name") if isinstance(weights, dict) else weights
    temperature = request.get("temperature")
    return RunFigures(
        id=row["id"],
        started=row["started_utc"],
        finished=row["status"] == "finished",
        style=row["style"],
        weights=str(name or request.get("weights") or ""),
        temperature=float(temperature) if isinstance(temperature, int | float) else None,
        repaired=bool(request.get("repair_lines", request.get("resample_lines", True))),
        first=Rate(int(first.get("passed") or 0), int(first.get("drawn") or 0)),
        passed=row["passed"],
        rejected=row["rejected"],
        not_judged=row["not_judged"],
        missing=row["missing"],
        requested=row["requested"],
        seconds=row["seconds"],
        request=request,
        stages=stages,
        drawn=sum(int(one.get("drawn") or 0) for one in rounds),
        drafts=int(request.get("drafts") or 0) if request.get("quality") == "best" else 0,
    )


def pooled(runs: Sequence[RunFigures]) -> Rate:
    """Return the rate of the runs' first rounds together."""
    return Rate(sum(run.first.passed for run in runs), sum(run.first.drawn for run in runs))


@dataclass(frozen=True, slots=True)
class Distribution:
    """A measure over a group of pieces: a histogram and five quantiles.

    Attributes
    ----------
    low, high : float
        Ends of the histogram.
    counts : tuple of int
        Pieces in each of its bins, all of one width.
    n : int
    quantiles : tuple of float
        5, 25, 50, 75 and 95 %.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    n: int
    quantiles: tuple[float, ...]


BINS = 32


def distribution(
    values: Sequence[float], low: float | None = None, high: float | None = None
) -> Distribution | None:
    """Return the distribution of values; None where there is none.

    Parameters
    ----------
    values : sequence of float
        Values that are no numbers are left out.
    low, high : float, optional
        Ends of the histogram; those of the values where left out.
    """
    known = sorted(value for value in values if value is not None and math.isfinite(value))
    if not known:
        return None
    start = known[0] if low is None else low
    end = known[-1] if high is None else high
    if end <= start:
        start, end = start - 0.5, start + 0.5
    counts = [0] * BINS
    for value in known:
        position = int((value - start) / (end - start) * BINS)
        counts[min(max(position, 0), BINS - 1)] += 1
    quantiles = tuple(
        known[min(round(share * (len(known) - 1)), len(known) - 1)]
        for share in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    return Distribution(start, end, tuple(counts), len(known), quantiles)
