"""Trend: a control chart of pass rates over the runs of one kind.

A run stops when it has enough pieces, so its pooled pass rate leans high. The first round is
sampled before anything is known of its outcome: its rate has no such bias, and it alone is used
here. Runs are compared with runs of the same kind only: generator, weights, style, sampling,
whether lines are resampled, and among how many drafts a piece is chosen.

The chart is a p-chart (Shewhart) whose band comes from the Beta-binomial predictive distribution:
with the pieces of the earlier runs pooled and Jeffreys' prior, it gives the number of passing
pieces that a further round of this size would have. A run outside the band that holds 99.73 % of
it, what three standard deviations hold of a normal distribution, is out of control, and so are
eight runs in a row below (or above) the centre. A few earlier runs make a wide band, so it
would be sound from the first run on; five are asked for so that it is of use.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scoregate.archive import catalog
from scoregate.archive.records import RunRecord, parse_run
from scoregate.archive.store import Archive
from scoregate.findings import Status

WINDOW = 20
"""Earlier runs that a run is compared with."""
LEAST_RUNS = 5
OUTSIDE = 0.0027
"""Probability outside the band, both sides together: three standard deviations."""
IN_A_ROW = 8
LOOKED_THROUGH = 400
"""Most runs of a style that are looked through for those of the same kind."""
_KIND = ("model", "weights", "style", "temperature", "top_k", "top_p", "repair_lines")


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What the chart needs of a run.

    Attributes
    ----------
    run_id, started : str
    kind : str
        Runs with the same kind are compared.
    generated, passed, not_judged : int
        Of the first round.
    reasons : dict of str to int
        Pieces of all rounds that did not pass, by their first reason's gate.
    seconds_per_piece : dict of str to float
        By stage, over all pieces that were generated.
    missing : int
        Pieces that the run is short of.
    """

    run_id: str
    started: str
    kind: str
    generated: int
    passed: int
    not_judged: int
    reasons: dict[str, int] = field(default_factory=dict)
    seconds_per_piece: dict[str, float] = field(default_factory=dict)
    missing: int = 0

    @property
    def rate(self) -> float | None:
        """Pass rate of the first round; None where nothing was generated."""
        return self.passed / self.generated if self.generated else None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should look at.

    Attributes
    ----------
    code : str
        ``pass-rate-low``, ``pass-rate-high``, ``pass-rate-drift``, ``not-judged``, ``nothing``
        or ``missing``.
    message : str
        One sentence with the numbers.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A run beside the runs before it.

    Attributes
    ----------
    run : RunFigures
    earlier : tuple of RunFigures
        The same kind, the oldest first, at most :data:`WINDOW`.
    centre : float or None
        Pass rate of the earlier first rounds together.
    band : (float, float) or None
        Lowest and highest pass rate within the band; None with too few earlier runs.
    alarms : tuple of Alarm
    """

    run: RunFigures
    earlier: tuple[RunFigures, ...]
    centre: float | None
    band: tuple[float, float] | None
    alarms: tuple[Alarm, ...]


def figures_of(record: RunRecord) -> RunFigures:
    """Return the figures of a run's record."""
    first = record.rounds[0] if record.rounds else None
    generated = sum(each.drawn for each in record.rounds)
    reasons: Counter[str] = Counter()
    for piece in record.pieces:
        if piece.status != Status.PASSED and piece.reasons:
            reasons[piece.reasons[0].partition(":")[0]] += 1
    return RunFigures(
        run_id=record.run_id,
        started=record.started,
        kind=kind_of(record.request),
        generated=first.drawn if first else 0,
        passed=first.passed if first else 0,
        not_judged=sum(each.not_judged for each in record.rounds),
        reasons=dict(reasons.most_common()),
        seconds_per_piece={
            stage: round(seconds / generated, 4)
            for stage, seconds in record.stage_seconds.items()
            if generated
        },
        missing=record.missing,
    )


def kind_of(request: dict[str, Any]) -> str:
    """Return the part of a request that runs must share to be compared, as JSON.

    Runs whose pieces are chosen among drafts are compared with runs of as many drafts only.
    """
    kind = {name: request.get(name) for name in _KIND}
    if request.get("quality") == "best":
        kind["drafts"] = request.get("drafts")
    return json.dumps(kind, sort_keys=True)


def run_trend(store: Archive, record: RunRecord) -> Trend:
    """Compare a run with the runs of its archive.

    Parameters
    ----------
    store : Archive
    record : RunRecord
        The run; it may stand in the archive already.
    """
    query = "SELECT record FROM runs WHERE style = ? ORDER BY started_utc DESC LIMIT ?"
    values = (record.request.get("style"), LOOKED_THROUGH)
    rows = catalog.answer(store, lambda connection: connection.execute(query, values).fetchall())
    records = (parse_run(str(row[0]).encode(), "the catalog") for row in rows)
    return trend(figures_of(record), [figures_of(each) for each in records])


def trend(run: RunFigures, others: Sequence[RunFigures]) -> Trend:
    """Compare a run with those before it.

    Parameters
    ----------
    run : RunFigures
    others : sequence of RunFigures
        In any order; those of another kind, and those that began later, are left out.
    """
    before = sorted(
        (each for each in others if each.kind == run.kind and each.started <= run.started),
        key=lambda each: each.started,
    )
    same = [each for each in before if each.run_id != run.run_id and each.generated]
    earlier = tuple(same[-WINDOW:])
    generated = sum(each.generated for each in earlier)
    passed = sum(each.passed for each in earlier)
    centre = passed / generated if generated else None
    band = None
    if len(earlier) >= LEAST_RUNS and run.generated:
        band = expected_band(passed, generated, run.generated)
    return Trend(run, earlier, centre, band, tuple(_alarms(run, earlier, centre, band)))


def expected_band(passed: int, generated: int, size: int) -> tuple[float, float]:
    """Return the band of the pass rate of a further round.

    Parameters
    ----------
    passed, generated : int
        Of the earlier rounds together.
    size : int
        Pieces of the further round.

    Returns
    -------
    (float, float)
        Lowest and highest rate; a round outside has at most 0.135 % probability on either side.
    """
    # Every command of the line imports this module, and scipy.stats takes longest of all to import.
    from scipy.stats import betabinom

    expected: Any = betabinom(size, passed + 0.5, generated - passed + 0.5)
    # The distribution is summed here: scipy's own quantiles search step by step.
    cumulative = np.cumsum(expected.pmf(np.arange(size + 1)))
    low = int(np.searchsorted(cumulative, OUTSIDE / 2))
    high = int(np.searchsorted(cumulative, 1 - OUTSIDE / 2))
    return low / size, min(high, size) / size


def _alarms(
    run: RunFigures,
    earlier: Sequence[RunFigures],
    centre: float | None,
    band: tuple[float, float] | None,
) -> list[Alarm]:
    alarms = []
    rate = run.rate
    if not run.generated:
        alarms.append(Alarm("nothing", f"Run {run.run_id} generated no piece."))
    if run.not_judged:
        alarms.append(
            Alarm("not-judged", f"{run.not_judged} pieces could not be judged: a gate failed.")
        )
    if run.generated and not run.passed:
        alarms.append(
            Alarm("pass-rate-low", f"None of the first round's {run.generated} pieces passed.")
        )
    elif rate is not None and band and not band[0] <= rate <= band[1]:
        side = "low" if rate < band[0] else "high"
        alarms.append(
            Alarm(
                f"pass-rate-{side}",
                f"{rate:.0%} of the first round's {run.generated} pieces passed; after the last "
                f"{len(earlier)} runs {band[0]:.0%} to {band[1]:.0%} is expected.",
            )
        )
    if centre is not None and rate is not None and (side := _drift(run, earlier, centre)):
        alarms.append(
            Alarm(
                "pass-rate-drift",
                f"The last {IN_A_ROW} runs all lie {side} the mean pass rate of {centre:.0%}.",
            )
        )
    if run.missing:
        alarms.append(Alarm("missing", f"The run is {run.missing} pieces short of its count."))
    return alarms


def _drift(run: RunFigures, earlier: Sequence[RunFigures], centre: float) -> str:
    """Return ``below`` or ``above`` where the last eight runs lie on one side of the centre.

    The centre is that of all earlier runs; with eight alone it would lie among them.
    """
    if len(earlier) < IN_A_ROW + LEAST_RUNS:
        return ""
    base = earlier[: -(IN_A_ROW - 1)]
    mean = sum(each.passed for each in base) / sum(each.generated for each in base)
    rates = [each.rate for each in (*earlier[-(IN_A_ROW - 1) :], run)]
    if all(rate is not None and rate < mean for rate in rates):
        return "below"
    if all(rate is not None and rate > mean for rate in rates):
        return "above"
    return ""
