"""How much sooner a sweep is done on two cores than on one.

    python benchmarks/sweep.py [--count 200] [--turns 2] > benchmarks/results/sweep.md

Two cells of raw chorales, ``--count`` pieces each, with one process and with two in turns, as
commands of their own in empty folders, against a Prefect server that runs already. The time is
that of the whole command.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from turns import QUIET, SCOREGATE, Comparison, compare


def main() -> None:
    compare(Comparison("A sweep on two cores", "sweep.py", "processes"), __doc__, _timed)


def _timed(processes: int, count: int, turn: int, folder: Path) -> float:
    """Return the seconds that a sweep takes with this number of processes."""
    words = ["--temperature", "1.0", "--temperature", "1.6", "--count", str(count)]
    words += ["--processes", str(processes), "--folder", f"{turn}-{processes}"]
    began = time.perf_counter()
    subprocess.run([SCOREGATE, "sweep", *words], cwd=folder, check=True, **QUIET)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
