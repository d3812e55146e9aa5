"""How much sooner a sharded request is done with two workers than with one.

    python benchmarks/workers.py [--count 200] [--turns 2] > benchmarks/results/workers.md

The request is cut into as many shards as workers can be at work, which run as flow runs of the
deployment ``produce/on-demand``. A worker takes one run at a time, and a run generates in one
process. One worker and two take turns, against a Prefect server of their own.

Each worker is bound to a processor of its own, as on machines with one processor each: a worker
that is alone may otherwise render on the processor that the second one would have. The server and
the command are bound to none.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from turns import QUIET, SCOREGATE, Comparison, compare

from scoregate.archive.store import Archive

PATIENCE = 20  # seconds in which a worker that has no run ends
COMPARISON = Comparison(
    "Two workers against one",
    "workers.py",
    "workers",
    "{count} chorales in two shards; each worker takes one run at a time and is bound to a "
    "processor of its own.",
)


def main() -> None:
    compare(COMPARISON, __doc__, _timed, _deploy)


def _deploy(folder: Path) -> None:
    subprocess.run([SCOREGATE, "deploy"], cwd=folder, check=True, **QUIET)


def _timed(workers: int, count: int, turn: int, folder: Path) -> float:
    """Return the seconds that a request of two shards takes with this number of workers."""
    out = folder / f"out-{turn}-{workers}"
    worker = [SCOREGATE, "worker", "--limit", "1", "--name", f"worker-{out.name}-"]
    started = [
        subprocess.Popen(
            ["taskset", "--cpu-list", str(processor), *worker[:-1], f"{worker[-1]}{processor}"],
            cwd=folder,
            **QUIET,
        )
        for processor in sorted(os.sched_getaffinity(0))[:workers]
    ]
    time.sleep(15)  # They poll for runs from now on.
    words = ["produce", "--count", str(count), "--seed", "3", "--rounds", "30", "--shards", "2"]
    words += ["--deployment", "produce/on-demand", "--processes", "1", "--threads", "1"]
    began = time.perf_counter()
    try:
        subprocess.run([SCOREGATE, *words, "--out", str(out)], check=True, **QUIET)
        taken = time.perf_counter() - began
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()  # Prefect's worker may lose a signal that comes with a run's end.
                worker.wait()
    assert len(list(Archive(out).ids())) == count
    return taken


if __name__ == "__main__":
    main()
