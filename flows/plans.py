"""Plans: many production requests from one file, some at once, with one joint table and page.

Each row of a plan is a production run of its own. What is finished is noted in a file for each
row, by what the row asks for, so that a plan that was killed, corrected or made longer runs only
what is missing::

    out/plans/<name>/
      rows/<row's name>-<key>.json   the run of a finished row
      results.md, results.csv, results.json, index.html
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel

from scoregate.archive.atomic import write_file
from scoregate.archive.records import RunRecord
from scoregate.archive.resuming import was_given_up
from scoregate.archive.store import Archive
from scoregate.cores import cores
from scoregate.errors import ArchiveError, RequestError, ScoregateError
from scoregate.flows.plan_results import (
    RowResult,
    failed_row,
    finished_row,
    skipped_row,
    write_plan,
)
from scoregate.flows.plan_rows import BadRow, Row, read_plan
from scoregate.flows.results import keep
from scoregate.flows.server import server_answers
from scoregate.flows.shards import run_each, runner_for
from scoregate.flows.typed import command_of
from scoregate.progress import report
from scoregate.requests import PlanRequest, ProduceRequest
from scoregate.safe_names import safe_name

SHOWN = 8
"""Rows that are not valid, in one message."""


class PlanRecord(BaseModel):
    """The result of a plan.

    Attributes
    ----------
    results : list of RowResult
        In the order of the rows.
    run : int
        How many rows were finished now, and not before.
    paths : dict of str to str
    """

    results: list[RowResult]
    run: int
    paths: dict[str, str]


@flow(name="plan", flow_run_name="plan {request.plan}")
def run_plan(request: PlanRequest) -> PlanRecord:
    """Run the requests of a plan that are not finished, and write the joint results.

    Parameters
    ----------
    request : PlanRequest
    """
    rows, bad = checked_rows(request)
    folder = folder_of(request)
    done = {} if request.fresh else finished_runs(folder, rows, Archive(request.out))
    before = len(done)
    failed = run_rows(request, rows, done)
    store = Archive(request.out)
    results = [
        finished_row(row, store.run(done[row.key])) if row.key in done else
        failed_row(row, failed[row.key])
        for row in rows
    ]  # fmt: skip
    results = sorted([*results, *map(skipped_row, bad)], key=lambda each: each.row)
    paths = write_plan(folder, Path(request.plan).name, results, typed(request))
    record = PlanRecord(results=results, run=len(done) - before, paths=paths)
    keep(record)
    if server_answers():
        text = Path(paths["table"]).read_text(encoding="utf-8")
        create_markdown_artifact(key="plan", markdown=text)
        page = Path(paths["page"]).resolve().as_uri()
        create_link_artifact(key="plan-page", link=page, link_text="The plan's page")
    return record


def checked_rows(request: PlanRequest) -> tuple[list[Row], list[BadRow]]:
    """Read a plan; refuse one with rows that are not valid, unless they are to be skipped.

    Raises
    ------
    RequestError, UnreadableError
    """
    rows, bad = read_plan(request)
    if bad and not (request.skip_bad_rows and rows):
        lines = [str(each).rstrip(".") for each in bad[:SHOWN]]
        if len(bad) > SHOWN:
            lines.append(f"and {len(bad) - SHOWN} more")
        remedy = f" --skip-bad-rows runs the others ({len(rows)})." if rows else ""
        raise RequestError(f"{request.plan}: " + "\n  ".join(lines), f"Correct the plan.{remedy}")
    return rows, bad


def folder_of(request: PlanRequest) -> Path:
    """Return the folder of a plan's results, by the name of its file."""
    return Path(request.out) / "plans" / safe_name(Path(request.plan).stem, "plan")


def finished_runs(folder: Path, rows: Sequence[Row], store: Archive) -> dict[str, str]:
    """Return the runs of finished rows by the rows' keys.

    They are in the plan's folder; a run that ended while nobody waited for it is found by its
    record.
    """
    done: dict[str, str] = {}
    if not folder.is_dir():
        return done
    for row in rows:
        for path in folder.glob(f"rows/*-{row.key}.json"):
            run_id = _run_in(path)
            if _ended(store, run_id):
                done[row.key] = run_id
    key_of = {part_of(folder, row): row.key for row in rows if row.key not in done}
    for run_id in store.run_ids() if key_of else ():
        record = _ended(store, run_id)
        key = key_of.get(record.request.get("part_of") or "") if record else None
        if key is not None:
            done[key] = run_id
            _note(folder, next(row for row in rows if row.key == key), run_id)
    return done


@task(name="run rows", cache_policy=NO_CACHE)
def run_rows(request: PlanRequest, rows: list[Row], done: dict[str, str]) -> dict[str, str]:
    """Run the rows that are not done, which are added to ``done``; return why others failed."""
    folder = folder_of(request)
    left = {row.number: row for row in rows if row.key not in done}
    report("requests", len(done), len(rows))
    if not left:
        return {}
    runner, most = runner_for(request)
    at_once = min(request.at_once or most, len(left))
    requests = {number: _asked(request, row, at_once) for number, row in left.items()}

    def finished(number: int, run_id: str) -> None:
        row = left[number]
        _note(folder, row, run_id)
        done[row.key] = run_id
        report("requests", len(done), len(rows), row.name or row.request.style)

    failed = run_each(requests, runner, at_once, finished)
    return {
        left[number].key: f"{error.problem} {error.remedy}".strip()
        for number, error in failed.items()
    }


def typed(request: PlanRequest) -> str:
    """Return the command line that asks for this plan."""
    command = command_of("produce", request.model_copy(update={"defaults": {}}))
    for name, value in request.defaults.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            command += f" --{option}" if value else f" --no-{option}"
        else:
            command += f" --{option} {shlex.quote(str(value))}"
    return command


def part_of(folder: Path, row: Row) -> str:
    """Return what the record of a row's run says that it is part of."""
    return f"plan {folder.name}/{row.key}"


def _asked(request: PlanRequest, row: Row, at_once: int) -> ProduceRequest:
    """Return the request of a row as it is run: its share of the cores, and its place."""
    values = {
        # Other workers share the disk, not the working directory.
        "out": str(Path(request.out).absolute()),
        "part_of": part_of(folder_of(request), row),
        "fresh": request.fresh,
        "processes": row.request.processes or max(cores() // at_once, 1),
    }
    return row.request.model_copy(update=values)


def _note(folder: Path, row: Row, run_id: str) -> None:
    """Note that a row is finished."""
    name = safe_name(row.name or row.request.style.replace("/", "-"), "row")
    content = {"row": row.number, "name": row.name, "run_id": run_id}
    text = json.dumps(content) + "\n"
    write_file(folder / "rows" / f"{name}-{row.key}.json", text.encode())


def _run_in(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["run_id"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ArchiveError(
            f"{path} is damaged: {error}.", "Remove it; its row is then run again."
        ) from error


def _ended(store: Archive, run_id: str) -> RunRecord | None:
    """Return the record of a run that has ended well; None where there is none."""
    try:
        record = store.run(run_id)
    except ScoregateError:
        return None  # Its row is run again.
    return record if record.finished and not was_given_up(record) else None
