"""How long the production line takes, stage by stage, and what orchestration costs.

    python benchmarks/line.py [--runs 3] [--count 4] > benchmarks/results/line.md

Each run is a command of its own, as a user starts it, with a new seed and an empty output
folder; a server is started before the first one and not counted. Orchestration is the
command's wall time less generation, checking, judging, rendering, archiving and the report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe

STAGES = ("load", "generate", "check", "judge", "render", "archive", "report")


def main() -> None:
    """Run the line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count", type=int, default=4)
    options = parser.parse_args()
    scoregate = Path(sys.executable).with_name("scoregate")
    subprocess.run([scoregate, "server", "start"], check=True, stdout=subprocess.DEVNULL)

    print("# The line, from command to report\n")
    print(f"`python benchmarks/line.py --runs {options.runs} --count {options.count}`\n")
    print(describe("prefect", "torch", "great-expectations") + "\n")
    print("Seconds. 'Orchestration' is everything that is none of the stages, imports included.\n")
    print("| run | wall | " + " | ".join(STAGES) + " | orchestration | drawn | passed |")
    print("|---" * (len(STAGES) + 5) + "|")
    for number in range(1, options.runs + 1):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            done = subprocess.run(
                [scoregate, "produce", "--count", str(options.count), "--out", folder],
                stdout=subprocess.DEVNULL,
                check=False,
            )
            wall = time.perf_counter() - start
            if done.returncode not in (0, 1):
                raise SystemExit(f"produce ended with {done.returncode}")
            (record,) = Path(folder, "runs").glob("*/run.json")
            run = json.loads(record.read_text())
        spent = run["stage_seconds"]
        orchestration = wall - sum(spent.values())
        drawn = sum(row["drawn"] for row in run["rounds"])
        cells = [f"{spent.get(stage, 0):.1f}" for stage in STAGES]
        passed = options.count - run["missing"]
        print(
            f"| {number} | {wall:.1f} | "
            + " | ".join(cells)
            + f" | {orchestration:.1f} | {drawn} | {passed} of {options.count} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
