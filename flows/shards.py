"""A big request cut into shards: runs with seeds of their own, joined into one record.

A shard is a production run like any other, with its own journal and record, in the same archive.
Its seed is derived from that of the request and its number, so the pieces depend on the number of
shards and on nothing else: not on which machine makes them, nor in which order. Shards run

- as processes here, as many at once as there are cores, or
- on the workers of a Dask cluster (``dask``), or
- as flow runs of a deployment, by the workers of its pool (``deployment``).

Workers share the disk of the archive. A shard whose worker is lost is started again elsewhere and
goes on where it was. The run that joins them has a journal too, so it can be killed as well.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import copy_context
from pathlib import Path
from typing import Any

from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL

from scoregate.archive.production import ProductionRun
from scoregate.archive.records import PieceRow, RoundRecord, RunRecord
from scoregate.archive.resuming import RESUMED, open_run, was_given_up
from scoregate.cores import cores
from scoregate.errors import (
    BusyError,
    CorruptError,
    InputError,
    RunError,
    ScoregateError,
    ToolError,
)
from scoregate.flows import notes
from scoregate.flows.run_job import read_outcome
from scoregate.generator import find_generator
from scoregate.progress import report
from scoregate.requests import PlanRequest, ProduceRequest

MOST_TRIES = 3
"""How often a shard is started."""

BUSY_SECONDS = 5.0
"""A shard whose lost worker still holds it is tried again after so long."""

AT_ONCE = 64
"""Most shards that are waited for at once; the others wait for one of these to end."""

Runner = Callable[[ProduceRequest], str]
"""Runs a shard somewhere, waits for it, and returns the id of its run."""


def shard_requests(request: ProduceRequest, run_id: str) -> list[ProduceRequest]:
    """Return the requests of all shards, of nearly equal counts.

    Parameters
    ----------
    request : ProduceRequest
        With its seed.
    run_id : str
        The run that joins them.
    """
    least, more = divmod(request.count, request.shards)
    return [
        request.model_copy(
            update={
                "count": least + (number < more),
                "seed": seed_of_shard(request.seed or 0, number),
                "shards": 1,
                "dask": None,
                "deployment": None,
                "fresh": False,
                "part_of": f"{run_id}/{number}",
            }
        )
        for number in range(min(request.shards, request.count))
    ]


def seed_of_shard(seed: int, number: int) -> int:
    """Return the seed of a shard; shards of neighbouring seeds or numbers share no piece."""
    digest = hashlib.sha256(f"{seed}/shard/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def open_sharded(request: ProduceRequest) -> ProductionRun:
    """Go on with the run that joins the shards, or begin it; raises as ``open_run`` does."""
    trained = find_generator(request.model).trained_styles(request.weights)
    request = request.in_full(trained)
    engine = {"generator": request.model, "weights": {"name": request.weights, "sha256": ""}}
    return open_run(request, engine)


def run_shards(run: ProductionRun, request: ProduceRequest) -> None:
    """Run all shards that are not finished, and join their records.

    Parameters
    ----------
    run : ProductionRun
        The run that joins them.
    request : ProduceRequest
        As it was made: it says where the shards run.

    Raises
    ------
    ScoregateError
        A shard failed again and again. The others are finished first.
    """
    shards = shard_requests(run.request, run.record.run_id)
    if request.dask or request.deployment:
        # Their workers share the disk, not the working directory.
        out = str(Path(request.out).absolute())
        shards = [shard.model_copy(update={"out": out}) for shard in shards]
    done = _finished(run, shards)
    left = [number for number in range(len(shards)) if number not in done]
    runner, at_once = runner_for(request)

    def finished(number: int, run_id: str) -> None:
        done[number] = run_id
        run.journal.append([{"event": "shard", "number": number, "run_id": run_id}])
        report("shards", len(done), len(shards))

    failed = run_each({number: shards[number] for number in left}, runner, at_once, finished)
    if failed:
        first = next(iter(failed.values()))
        raise RunError(
            f"{len(failed)} of {len(shards)} shards could not be finished: {first.problem}",
            f"{first.remedy} The same command goes on with those that are missing.",
        )
    _join(run, [run.store.run(done[number]) for number in sorted(done)])


def run_each(
    requests: Mapping[int, ProduceRequest],
    runner: Runner,
    at_once: int,
    finished: Callable[[int, str], None],
) -> dict[int, ScoregateError]:
    """Run requests side by side, and again where a worker was lost; the others go on.

    Parameters
    ----------
    requests : mapping of int to ProduceRequest
        By a number of the caller's.
    runner : callable
        See :func:`runner_for`.
    at_once : int
    finished : callable
        Called with number and id of the run when one has ended well, in the calling thread.

    Returns
    -------
    dict of int to ScoregateError
        Why requests could not be finished, in the order in which they failed.
    """
    log = get_run_logger()
    failed: dict[int, ScoregateError] = {}
    with ThreadPoolExecutor(min(at_once, max(len(requests), 1))) as threads:
        waiting: dict[Future[str], int] = {
            threads.submit(copy_context().run, _tried, runner, request): number
            for number, request in requests.items()
        }
        try:
            for future in as_completed(waiting):
                number = waiting[future]
                try:
                    run_id = future.result()
                except ScoregateError as error:
                    failed[number] = error
                    log.error("Request %d: %s", number, error.problem)
                    continue
                finished(number, run_id)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            _terminate_all()
            raise
    return failed


def _finished(run: ProductionRun, shards: list[ProduceRequest]) -> dict[int, str]:
    """Return the finished shards by number: from the journal, and from the records of runs.

    The records tell of a shard that ended while nobody waited for it.
    """
    done = {
        line["number"]: line["run_id"]
        for line in run.journal.lines()
        if line["event"] == "shard"
    }  # fmt: skip
    number_of = {shard.part_of: number for number, shard in enumerate(shards)}
    if run.resumed:
        for run_id in run.store.run_ids():
            if run_id <= run.record.run_id:
                continue
            try:
                record = run.store.run(run_id)
            except CorruptError:
                continue
            number = number_of.get(record.request.get("part_of"))
            if number is not None and record.finished and not was_given_up(record):
                done[number] = run_id
    return done


def _tried(runner: Runner, shard: ProduceRequest) -> str:
    """Run a shard, again where its worker was lost."""
    tries = 0
    while True:
        try:
            return runner(shard)
        except BusyError:
            time.sleep(BUSY_SECONDS)  # The lost worker's process may take a moment to end.
        except InputError:
            raise
        except ScoregateError:
            tries += 1
            if tries >= MOST_TRIES:
                raise


def runner_for(request: ProduceRequest | PlanRequest) -> tuple[Runner, int]:
    """Return what runs a request where this one says, and how many may run at once."""
    if request.deployment:
        return _by_deployment(request.deployment), AT_ONCE
    if request.dask:
        return _by_dask(request.dask), AT_ONCE
    return run_here, cores()


_children: set[subprocess.Popen[str]] = set()


def _terminate_all() -> None:
    """End the shards that run on this machine: they go on when they are run again."""
    for process in list(_children):
        process.terminate()


def run_here(shard: ProduceRequest, server: str | None = None) -> str:
    """Run a shard as a process of this machine and return the id of its run.

    Parameters
    ----------
    shard : ProduceRequest
    server : str, optional
        Address of Prefect's API; left out, that of this process.

    Raises
    ------
    ScoregateError
        As the process reported it; ToolError where it ended without a word.
    """
    # As many shards as cores run at once: each generates in one process.
    shard = shard.model_copy(update={"processes": shard.processes or 1})
    with subprocess.Popen(
        [sys.executable, "-m", "scoregate.flows.run_job", "--with-parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | ({"PREFECT_API_URL": server} if server else {}),
        start_new_session=True,
    ) as process:
        _children.add(process)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(shard.model_dump_json())
            process.stdin.close()
            last = ""
            for line in process.stdout:
                last = line
            return read_outcome(last, process.wait())
        finally:
            _children.discard(process)


def _by_dask(address: str) -> Runner:
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        raise ToolError(
            "Dask isn't installed.", "Install it with `pip install 'scoregate[dask]'`."
        ) from error
    if address == "local":
        client = Client(LocalCluster(n_workers=cores(), threads_per_worker=1))
    else:
        try:
            client = Client(address, timeout="20s")
        except OSError as error:
            raise ToolError(
                f"No Dask scheduler answers at {address}.", "Start it, or correct the address."
            ) from error

    server = PREFECT_API_URL.value()

    def run_there(shard: ProduceRequest) -> str:
        # A worker that is lost is no fault of the shard: Dask runs it elsewhere.
        future = client.submit(run_here, shard, server, key=f"shard {shard.part_of}", pure=False)
        try:
            return future.result()
        except KilledWorker as error:
            raise RunError(
                f"The shard {shard.part_of} lost its worker again and again.",
                "Too little memory is the usual reason.",
            ) from error

    return run_there


def _by_deployment(name: str) -> Runner:
    from prefect.deployments import run_deployment

    def run_there(shard: ProduceRequest) -> str:
        made: Any = run_deployment(
            name,
            parameters={"request": shard.model_dump(mode="json")},
            flow_run_name=f"shard {shard.part_of}",
            as_subflow=False,
            poll_interval=2,
            timeout=None,
        )
        if made.state is None or not made.state.is_completed():
            state = made.state.name if made.state else "no state"
            raise RunError(
                f"The flow run {made.name} of {name} ended as {state}.",
                f"Its page on the Prefect server says why: flow run {made.id}.",
            )
        return run_of_part(shard)

    return run_there


def run_of_part(shard: ProduceRequest) -> str:
    """Return the id of the finished run of a shard, by what its record says."""
    from scoregate.archive.store import Archive

    store = Archive(shard.out)
    for run_id in reversed(store.run_ids()):
        record = store.run(run_id)
        if record.request.get("part_of") == shard.part_of and record.finished:
            return run_id
    raise RunError(
        f"The shard {shard.part_of} left no record in {shard.out}.", "Is the disk shared?"
    )


def _join(run: ProductionRun, records: Iterable[RunRecord]) -> None:
    """Take the pieces, rounds and remarks of the shards into the record of the whole run."""
    rounds: dict[int, RoundRecord] = {}
    record = run.record
    record.pieces = []
    for part in records:
        record.engine = part.engine
        # The shard's id says where the files of a piece are that did not pass.
        record.pieces += [
            PieceRow.model_validate({**row.model_dump(), "run_id": part.run_id})
            for row in part.pieces
        ]
        for each in part.rounds:
            joined = rounds.setdefault(each.round, RoundRecord(round=each.round))
            joined.seeds += each.seeds
            for count in ("drawn", "passed", "rejected", "not_judged"):
                setattr(joined, count, getattr(joined, count) + getattr(each, count))
            for stage, seconds in each.seconds.items():
                joined.seconds[stage] = round(joined.seconds.get(stage, 0.0) + seconds, 3)
        # What a shard says of its choices, the joined run says of all.
        own = notes.chosen(part)
        for note in part.notes:
            if not note.startswith(RESUMED) and note not in own:
                run.note(note)
    record.rounds = [rounds[number] for number in sorted(rounds)]
    run.count_joined()
