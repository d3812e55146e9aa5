"""How much sooner a sharded request is done with two workers than with one.

    python benchmarks/workers.py [--count 200] > benchmarks/results/workers.md

The request is cut into as many shards as workers can be at work, which run as flow runs of the
deployment ``produce/on-demand``. A worker takes one run at a time, and a run generates in one
process. One worker and two take turns, against a Prefect server of their own.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe

from scoregate.archive.store import Archive
from scoregate.flows.server import is_healthy

SCOREGATE = str(Path(sys.executable).with_name("scoregate"))
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main() -> None:
    """Time both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    head = describe("prefect", "torch")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            subprocess.run([SCOREGATE, "deploy"], cwd=folder, check=True, **QUIET)
            for turn in range(options.turns):
                for workers in (1, 2):
                    out = Path(folder) / f"out-{turn}-{workers}"
                    seconds[workers].append(_timed(workers, options.count, out))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    print("# Two workers against one\n")
    print(f"`python benchmarks/workers.py --count {options.count} --turns {options.turns}`\n")
    print(head + "\n")
    print(f"{options.count} chorales in two shards; each worker takes one run at a time.\n")
    print("| workers | seconds, each turn |\n|---:|---|")
    for workers, times in seconds.items():
        print(f"| {workers} | {', '.join(f'{each:.0f}' for each in times)} |")
    ratio = statistics.median(seconds[1]) / statistics.median(seconds[2])
    print(f"\nTwo workers are {ratio:.2f} times as fast as one.")


def start_server(folder: Path) -> subprocess.Popen:
    """Start a Prefect server with a home of its own, and name it in the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    os.environ |= {"PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": url}
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        start_new_session=True,
        **QUIET,
    )
    while not is_healthy(url, timeout=5):
        time.sleep(1)
    return server


def _timed(workers: int, count: int, out: Path) -> float:
    """Return the seconds that a request of two shards takes with this number of workers."""
    command = [SCOREGATE, "worker", "--limit", "1", "--name"]
    started = [
        subprocess.Popen([*command, f"worker-{out.name}-{number}"], cwd=out.parent, **QUIET)
        for number in range(workers)
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
            worker.wait()
    assert len(list(Archive(out).ids())) == count
    return taken


if __name__ == "__main__":
    main()
