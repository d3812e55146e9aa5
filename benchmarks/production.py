"""What a long production run costs: time, processor time, memory, database, page.

    python benchmarks/production.py [--count 1000] > benchmarks/results/production.md
    python benchmarks/production.py --model lstm [--count 10000]

The small LSTM shows what the line itself costs a piece, where the number of pieces matters and not
who writes them.

The run is a command of its own, as a user starts it, in an empty folder and against a server of its
own with an empty database. Memory is that of the command and the processes it started, each page
of memory counted once (PSS), as a maximum over each tenth of the pieces. Processor time is that of
all these processes; on a machine that does other work it says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from machine import describe

from scoregate.flows.server import is_healthy

SCOREGATE = Path(sys.executable).with_name("scoregate")


class Memory(Thread):
    """Samples the memory of a process and its descendants.

    Parameters
    ----------
    pid : int
    journal : Path
        Folder below which the run's journal is, for the number of archived pieces.
    """

    def __init__(self, pid: int, out: Path) -> None:
        super().__init__(daemon=True)
        self.pid, self.out, self.ended = pid, out, Event()
        self.samples: list[tuple[int, float, float]] = []
        self._archived = self._read = 0

    def run(self) -> None:
        """Sample until the end."""
        while not self.ended.wait(2.0):
            self._count()
            sizes = [_pss(pid) for pid in descendants(self.pid)]
            self.samples.append((self._archived, sum(sizes), sizes[0] if sizes else 0.0))

    def _count(self) -> None:
        """Count the pieces that the journal calls archived since the last look."""
        for path in self.out.glob("runs/*/work/journal.jsonl"):
            with open(path, "rb") as file:
                file.seek(self._read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._archived += whole.count(b'"event": "archived"')
            self._read += len(whole)


def main() -> None:
    """Run the line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="notagen")
    options = parser.parse_args()
    with server_of_its_own() as (home, _):
        _measure(options.count, options.seed, options.model, home)


@contextmanager
def server_of_its_own() -> Iterator[tuple[Path, int]]:
    """Start a Prefect server with an empty database; yield its folder and its process.

    A server that runs already has other work in its database.
    """
    with tempfile.TemporaryDirectory() as home:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        os.environ |= {"PREFECT_HOME": home, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not is_healthy(os.environ["PREFECT_API_URL"], timeout=5):
                time.sleep(1)
            yield Path(home), server.pid
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _measure(count: int, seed: int, model: str, home: Path) -> None:
    before = database_size(home)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        wanted = ("--count", str(count), "--seed", str(seed), "--rounds", "30")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        process = subprocess.Popen(
            [SCOREGATE, "produce", "--model", model, *wanted, "--out", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        memory = Memory(process.pid, out)
        memory.start()
        code = process.wait()
        wall = time.perf_counter() - began
        memory.ended.set()
        memory.join()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code not in (0, 1):
            raise SystemExit(f"produce ended with {code}")
        processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        (record,) = out.glob("runs/*/run.json")
        run = json.loads(record.read_text())
        time.sleep(15)  # The server writes the last events.
        grown = database_size(home) - before
        pages = {
            path.name: path.stat().st_size for path in sorted(record.parent.glob("report*.html"))
        }
    words = f"--count {count} --seed {seed} --model {model}"
    _print(words, count, run, wall, processor, grown, pages, memory.samples)


def _print(words, count, run, wall, processor, grown, pages, samples) -> None:
    # More parameters than six: every figure of the two tables.
    drawn = sum(each["drawn"] for each in run["rounds"])
    print("# A long production run\n")
    print(f"`python benchmarks/production.py {words}`\n")
    print(describe("prefect", "torch", "great-expectations", "pyparsing") + "\n")
    print("| | |\n|---|---:|")
    print(f"| pieces generated, passed | {drawn}, {count - run['missing']} |")
    print(f"| wall time | {wall:.0f} s |")
    print(f"| processor time | {processor:.0f} s, {1000 * processor / drawn:.0f} ms a piece |")
    for stage, seconds in run["stage_seconds"].items():
        print(f"| {stage}: the flow waited | {seconds:.1f} s |")
    orchestration = run["orchestration_seconds"]
    print(
        f"| orchestration | {orchestration:.1f} s, {1000 * orchestration / drawn:.2f} ms a piece |"
    )
    print(f"| Prefect's database | {grown / drawn / 1000:.2f} kB a piece |")
    largest = max(pages.values())
    print(f"| pages of the run | {len(pages)}, the largest {largest / 1e6:.2f} MB |")
    print_memory(drawn, samples)


def print_memory(drawn: int, samples: list[tuple[int, float, float]]) -> None:
    """Print the most memory in each tenth of the pieces."""
    print(
        "\n| pieces archived | memory of all processes, MB | of the command, MB |\n|---|---:|---:|"
    )
    for tenth in range(10):
        low, high = tenth * drawn / 10, (tenth + 1) * drawn / 10
        inside = [each for each in samples if low <= each[0] < high]
        if inside:
            total, own = max(each[1] for each in inside), max(each[2] for each in inside)
            print(f"| {low:.0f} to {high:.0f} | {total:.0f} | {own:.0f} |")


def database_size(home: Path) -> int:
    """Return the bytes of the Prefect database in a folder, with its log of changes."""
    return sum(path.stat().st_size for path in home.glob("prefect.db*"))


def descendants(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # It has ended since.
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(
            int(path.parent.name)
        )
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((each for each in text.splitlines() if each.startswith("Pss:")), "Pss: 0")
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    main()
