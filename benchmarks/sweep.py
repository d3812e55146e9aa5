"""How much sooner a sweep is done on two cores than on one.

    python benchmarks/sweep.py [--count 200] [--turns 2] > benchmarks/results/sweep.md

Two cells of raw chorales, with one process and with two in turns, as commands of their own in empty
folders, against a Prefect server that runs already. The time is that of the whole command.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from machine import describe
from workers import QUIET, SCOREGATE, start_server


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="pieces of each of the two cells")
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    head = describe("prefect", "torch")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            for turn in range(options.turns):
                for processes in (1, 2):
                    words = ["--temperature", "1.0", "--temperature", "1.6", "--count",
                             str(options.count), "--processes", str(processes),
                             "--folder", f"{turn}-{processes}"]  # fmt: skip
                    began = time.perf_counter()
                    subprocess.run([SCOREGATE, "sweep", *words], cwd=folder, check=True, **QUIET)
                    seconds[processes].append(time.perf_counter() - began)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    print("# A sweep on two cores\n")
    print(f"`python benchmarks/sweep.py --count {options.count} --turns {options.turns}`\n")
    print(head + "\n")
    print("| processes | seconds, each turn |\n|---:|---|")
    for processes, times in seconds.items():
        print(f"| {processes} | {', '.join(f'{each:.0f}' for each in times)} |")
    ratio = statistics.median(seconds[1]) / statistics.median(seconds[2])
    print(f"\nTwo processes are {ratio:.2f} times as fast as one.")


if __name__ == "__main__":
    main()
