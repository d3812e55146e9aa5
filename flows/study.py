"""A study of the LSTM's settings: train every arm, sample from it, judge, and compare.

Each arm is a task whose result is a file, so that the same command goes on after a kill and
repeats no finished arm. The page is written from the arms that are finished.
"""

from __future__ import annotations

import time
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from scoregate.experiments.record import Experiment, Figure, tables_of, write_experiment
from scoregate.flows.typed import command_of
from scoregate.lstm.study.plan import Arm, Plan, arms_of, load_plan
from scoregate.progress import report
from scoregate.requests import StudyRequest
from scoregate.tasks.study import page, prepare, references, run_arm


class StudyRecord(BaseModel):
    """The result of a study.

    Attributes
    ----------
    arms : list of str
        Arm and seed of each finished run.
    diverged : list of str
        Those whose training diverged.
    left : int
        Runs that the time limit left out.
    paths : dict of str to str
        Paths of ``results`` and of the figures.
    """

    arms: list[str]
    diverged: list[str]
    left: int
    paths: dict[str, str]


def plan_of(request: StudyRequest) -> Plan:
    """Return the plan of a request, with what the request changes in it."""
    return load_plan(
        request.plan,
        seeds=request.seeds,
        updates=request.updates,
        seconds=request.seconds,
        pieces=request.pieces,
        arms=[name.strip() for name in request.arms.split(",")] if request.arms else None,
    )


def _write_record(
    request: StudyRequest, table: str, paths: dict[str, str], done: int, planned: int
) -> dict[str, str]:
    """Write the record by which the dashboard lists the study, and its page."""
    figures = [
        Figure(file=Path(path).name, title=kind.replace("_", " "))
        for kind, path in paths.items()
        if path.endswith(".svg")
    ]
    experiment = Experiment(
        kind="study",
        title=f"Study of the LSTM's settings, plan {request.plan}",
        command=command_of("study lstm", request),
        facts=[("runs of arms", f"{done} of {planned}")],
        tables=tables_of(table),
        figures=figures,
    )
    return {"page": write_experiment(Path(request.folder), experiment)["page"]}


@flow(name="study", flow_run_name="study {request.plan} in {request.folder}")
def study_flow(request: StudyRequest) -> StudyRecord:
    """Run the arms of a study, and write its tables and figures."""
    began = time.monotonic()
    plan, folder = plan_of(request), Path(request.folder)
    runs: list[tuple[Arm, int]] = [
        (arm, seed) for seed in range(1, plan.seeds + 1) for arm in arms_of(plan)
    ]
    prepared, reference, held = prepare(plan, folder)
    records, left = [], 0
    for number, (arm, seed) in enumerate(runs):
        report("arms", number, len(runs), f"{arm.name}, seed {seed}")
        if request.minutes and time.monotonic() - began > 60 * request.minutes:
            left = len(runs) - number
            break
        records.append(run_arm(arm, seed, plan, prepared, reference, folder))
    sets = references(plan, reference, held, folder)
    paths = page(plan, records, sets, folder)
    with open(paths["results"], encoding="utf-8") as file:
        table = file.read()
    create_markdown_artifact(key="study", markdown=table)
    paths |= _write_record(request, table, paths, len(records), len(runs))
    return StudyRecord(
        arms=[f"{record['arm']}, seed {record['seed']}" for record in records],
        diverged=[
            f"{record['arm']}, seed {record['seed']}, equal {readout}"
            for record in records
            for readout, row in record["readouts"].items()
            if row["diverged"]
        ],
        left=left,
        paths=paths,
    )
