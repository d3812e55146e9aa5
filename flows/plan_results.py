"""The joint results of a plan: one record a row, as table, CSV, JSON and page."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from pydantic import BaseModel

from scoregate.archive.atomic import write_file
from scoregate.archive.records import RunRecord
from scoregate.dashboard.formatting import duration
from scoregate.dashboard.plan_page import PlanLine, plan_page
from scoregate.experiments.record import Experiment, Table, markdown, write_experiment
from scoregate.findings import Status
from scoregate.flows.plan_rows import BadRow, Row
from scoregate.intervals import wilson


class RowResult(BaseModel):
    """What became of a row.

    Attributes
    ----------
    row : int
    name, style, preset : str
    temperature, top_p : float or None
    top_k, seed, wanted, passed, drawn : int or None
        ``drawn`` is how many pieces were generated. ``passed`` is at most ``wanted``.
    drafts : int or None
        Among how many drafts each of the generated pieces was chosen; None where it was not.
    rate, low, high : float or None
        Share of the generated pieces that passed, with Wilson's interval at 95 %. A run stops
        when it has enough, so the share leans high.
    seconds : float or None
    state : str
        ``finished``, ``failed`` or ``skipped``.
    run_id, problem : str
    """

    row: int
    name: str = ""
    style: str = ""
    preset: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    wanted: int | None = None
    passed: int | None = None
    drawn: int | None = None
    drafts: int | None = None
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    state: str = "finished"
    run_id: str = ""
    problem: str = ""


def finished_row(row: Row, record: RunRecord) -> RowResult:
    """Return the result of a row whose run has ended."""
    drawn = sum(each.drawn for each in record.rounds)
    good = record.count(Status.PASSED)
    low, high = wilson(good, drawn)
    return _begun(row).model_copy(
        update={
            "seed": record.request["seed"],
            "passed": row.request.count - record.missing,
            "drawn": drawn,
            "rate": good / drawn if drawn else None,
            "low": low,
            "high": high,
            "seconds": record.seconds,
            "run_id": record.run_id,
        }
    )


def failed_row(row: Row, problem: str) -> RowResult:
    """Return the result of a row whose request could not be finished."""
    return _begun(row).model_copy(update={"state": "failed", "problem": problem})


def skipped_row(row: BadRow) -> RowResult:
    """Return the result of a row that is not valid."""
    return RowResult(row=row.number, name=row.name, state="skipped", problem=str(row))


def write_plan(folder: Path, title: str, results: list[RowResult], command: str) -> dict[str, str]:
    """Write the results of a plan.

    Parameters
    ----------
    folder : Path
        Two folders below the archive's.
    title : str
    results : list of RowResult
    command : str
        What makes them again.

    Returns
    -------
    dict of str to str
        Paths by kind: ``table``, ``csv``, ``json`` and ``page``.
    """
    paths = {
        "page": folder / "index.html",
        "table": folder / "results.md",
        "csv": folder / "results.csv",
        "json": folder / "results.json",
    }
    experiment = experiment_of(title, results, command)
    write_experiment(folder, experiment)
    write_file(paths["table"], markdown(experiment).encode("utf-8", "backslashreplace"))
    write_file(paths["csv"], _csv(results).encode("utf-8", "backslashreplace"))
    data = [each.model_dump() for each in results]
    text = json.dumps(data, indent=1, ensure_ascii=False)
    write_file(paths["json"], (text + "\n").encode("utf-8", "backslashreplace"))
    # In place of the record's own page: this one leads to the runs.
    page = plan_page(title, [_line(each) for each in results])
    write_file(paths["page"], page.encode("utf-8", "backslashreplace"))
    return {kind: str(path) for kind, path in paths.items()}


def experiment_of(title: str, results: list[RowResult], command: str) -> Experiment:
    """Return the results as a record of an experiment."""
    rows = []
    for one in results:
        line = _line(one)
        done = [f"{line.passed} of {line.wanted}", str(line.drawn), line.rate, line.seconds,
                line.run_id]  # fmt: skip
        if one.state != "finished":
            done = [one.state, "–", "–", "–", one.problem]
        rows.append([str(line.number), line.name, line.style, line.settings, *done])
    finished = [one for one in results if one.state == "finished"]
    table = Table(
        title="Requests",
        columns=["row", "name", "style", "sampling", "passed", "generated", "pass rate, 95 %",
                 "time", "run"],
        rows=rows,
        note="A run stops when it has enough pieces, so its pass rate leans high. That of a "
        "request for the best of several drafts is the rate of the chosen pieces.",
        numeric=[0, 4, 5],
        runs=[one.run_id for one in finished if one.run_id],
    )  # fmt: skip
    facts = [
        ("requests", str(len(results))),
        ("finished", str(len(finished))),
        ("passed", f"{sum(one.passed or 0 for one in finished):,}"),
        ("generated", f"{sum(one.drawn or 0 for one in finished):,}"),
    ]
    return Experiment(
        kind="plan", title=f"Plan {title}", command=command, facts=facts, tables=[table]
    )


def _begun(row: Row) -> RowResult:
    request = row.request
    return RowResult(
        row=row.number,
        name=row.name,
        style=request.style,
        preset=request.preset,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        seed=request.seed,
        wanted=request.count,
        drafts=request.drafts,
    )


def _line(one: RowResult) -> PlanLine:
    settings = ""
    if one.temperature is not None and one.top_p is not None:
        settings = f"T {one.temperature:g}, top_p {one.top_p:g}, top_k {one.top_k}"
        settings = f"{one.preset}: {settings}" if one.preset else settings
        settings += f", best of {one.drafts} drafts" if one.drafts else ""
    rate = "–"
    if one.rate is not None and one.low is not None and one.high is not None:
        rate = f"{one.rate:.0%} ({one.low:.0%} to {one.high:.0%})"
    return PlanLine(
        number=one.row,
        name=one.name,
        style=one.style,
        settings=settings,
        state=one.state,
        wanted=one.wanted,
        passed=one.passed,
        drawn=one.drawn,
        rate=rate,
        seconds=duration(one.seconds),
        run_id=one.run_id,
        address=f"../../runs/{one.run_id}/report.html" if one.run_id else "",
        problem=one.problem,
    )


def _csv(results: list[RowResult]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(RowResult.model_fields))
    writer.writeheader()
    writer.writerows(each.model_dump() for each in results)
    return written.getvalue()
