"""A sweep: the pass rate at several temperatures, each measured by one round without resampling.

A run of the production line stops when it has enough pieces and resamples failing lines, which
hides how good the model is. Here each temperature is one round of ``count`` pieces, lines are not
resampled, and the table gives the share that passed with its interval.
"""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from scipy.stats import beta

from scoregate.archive.trend import figures_of
from scoregate.dashboard.markdown import escaped
from scoregate.flows.produce import produce
from scoregate.requests import ProduceRequest

LIMIT = 6 * 3600
"""Seconds that a sweep may take."""
COVERED = 0.95
"""Probability that the interval of a pass rate covers."""


@flow(name="sweep", timeout_seconds=LIMIT)
def sweep(
    request: ProduceRequest,
    temperatures: list[float] = [0.8, 0.9, 1.0, 1.1, 1.2],  # noqa: B006
) -> dict[str, float]:
    """Produce one round at each temperature and return the pass rates by temperature.

    Parameters
    ----------
    request : ProduceRequest
        Its temperature, rounds and resampling are replaced.
    temperatures : list of float
    """
    rates: dict[str, float] = {}
    rows = []
    for temperature in temperatures:
        record = produce(
            ProduceRequest.model_validate(
                request.model_dump()
                | {"temperature": temperature, "rounds": 1, "repair_lines": False}
            )
        )
        figures = figures_of(record)
        low, high = interval(figures.passed, figures.generated)
        rate = figures.rate or 0.0
        rates[f"{temperature:g}"] = rate
        reason = escaped(next(iter(figures.reasons), ""))
        rows.append(
            f"| {temperature:g} | {figures.generated} | {figures.passed} | {rate:.0%} | "
            f"{low:.0%} to {high:.0%} | {reason} | {record.run_id} |"
        )
        get_run_logger().info("Temperature %g: %.0f %% passed", temperature, 100 * rate)
    head = [
        f"# Pass rate by temperature: {escaped(request.style)}",
        "",
        "One round each, lines not resampled. The interval covers 95 % (Jeffreys).",
        "",
        "| temperature | generated | passed | rate | interval | most frequent reason | run |",
        "|---|---|---|---|---|---|---|",
    ]
    create_markdown_artifact(key="sweep", markdown="\n".join(head + rows) + "\n")
    return rates


def interval(passed: int, generated: int) -> tuple[float, float]:
    """Return Jeffreys' interval of a pass rate: Brown, Cai and DasGupta (2001)."""
    tail = (1 - COVERED) / 2
    low = float(beta.ppf(tail, passed + 0.5, generated - passed + 0.5)) if passed else 0.0
    high = (
        float(beta.ppf(1 - tail, passed + 0.5, generated - passed + 0.5))
        if passed < generated
        else 1.0
    )
    return low, high
