"""What the line costs a piece beside writing and engraving, in runs too long to write in full.

    python benchmarks/orchestration.py [--count 10000] > benchmarks/results/orchestration.md

A few pieces are written by the small LSTM, judged and engraved as always. The run that is measured
takes its pieces from these, each with a field of its own so that it is another piece, by a
generator that the line finds as it finds those of other packages; and it takes their engraved files
from there. All else is done in full for every piece: the journal, reading, gates, verdict, archive
with its files, catalog, record, the run's pages, and Prefect's tasks and artifacts.

What is printed is processor time, which on a machine that does other work says more than the clock.
Orchestration is what the flow needs outside of its stages.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import describe
from production import (
    SCOREGATE,
    Memory,
    database_size,
    descendants,
    print_memory,
    server_of_its_own,
)

POOL = "SCOREGATE_BENCHMARK_POOL"
"""Environment variable with the folder of the pieces that are taken again."""
SPENT = "SCOREGATE_BENCHMARK_SPENT"
"""Environment variable with the file that the measured command writes its processor times to."""
MARK = re.compile(r"^N:(\d+) of the pool$", re.MULTILINE)
GENERATOR = """
import json, os, re
from pathlib import Path
from scoregate.generator import Generation, Progress, Provenance

TEXTS = json.loads((Path(os.environ["SCOREGATE_BENCHMARK_POOL"]) / "texts.json").read_text())


def trained_styles(weights):
    return None


class load:
    name, styles = "pool", None

    def __init__(self, *_):
        pass

    def provenance(self):
        return Provenance("pool", "pool", "0" * 64, {}, "cpu", "fp32", 1, "none", "1", "0", "0")

    def generate(self, prompts, *, seeds, on_progress=None, **_):
        return [self._piece(seed) for seed in seeds]

    def _piece(self, seed):
        number = seed % len(TEXTS)
        field = f"N:{number} of the pool\\nN:seed {seed}\\n"
        text = re.sub(r"^(?=L:)", field, TEXTS[number], count=1, flags=re.MULTILINE)
        return Generation(text, "finished", seed, 1, 1)
"""


def main() -> None:
    """Make the pieces, run the line over them, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--pool", type=int, default=32, help="pieces that are written")
    options = parser.parse_args()
    with server_of_its_own() as (home, server), tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _make_pool(here, options.pool)
        time.sleep(15)  # The server writes the last events.
        before = database_size(home), processor_time(server)
        spent, samples = _measured_run(here, options.count)
        grown = database_size(home) - before[0]
        spent["server"] = processor_time(server) - before[1]
        (record,) = (here / "out").glob("runs/*/run.json")
        run = json.loads(record.read_text())
        sizes = [path.stat().st_size for path in record.parent.glob("report*.html")]
    _print(options, run, spent, grown, sizes, samples)


def _make_pool(here: Path, count: int) -> None:
    """Write pieces, and put texts, engraved files and the generator into ``pool/``."""
    made = here / "made"
    command = [SCOREGATE, "produce", "--model", "lstm", "--count", str(count), "--seed", "1",
               "--rounds", "1", "--out", str(made)]  # fmt: skip
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    folders = sorted(path.parent for path in made.rglob("report.json"))
    pool = here / "pool"
    pool.mkdir()
    (pool / "texts.json").write_text(
        json.dumps([(each / "raw.abc").read_text() for each in folders])
    )
    (pool / "folders.json").write_text(json.dumps([str(each) for each in folders]))
    (pool / "pool_of_pieces.py").write_text(GENERATOR)
    metadata = pool / "pool_of_pieces-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pool-of-pieces\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[scoregate.generators]\npool = pool_of_pieces\n")


def _measured_run(here: Path, count: int) -> tuple[dict, list]:
    """Run the line; return seconds by kind, and samples of the memory."""
    environment = {POOL: str(here / "pool"), SPENT: str(here / "spent.json")}
    path = [environment[POOL], *filter(None, [os.environ.get("PYTHONPATH")])]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, "produce", "--model", "pool", "--count", str(count), "--seed",
         "1", "--rounds", "30", "--out", str(here / "out")],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    memory = Memory(process.pid, here / "out")
    memory.start()
    if process.wait() not in (0, 1):
        raise SystemExit(f"produce ended with {process.returncode}")
    wall = time.perf_counter() - began
    memory.ended.set()
    memory.join()
    time.sleep(15)
    spent = json.loads((here / "spent.json").read_text())
    return {"wall": wall, **spent}, memory.samples


def _print(options, run, spent, grown, sizes, samples) -> None:
    # More parameters than six would be needed for fewer lines elsewhere: all figures of the tables.
    drawn = sum(each["drawn"] for each in run["rounds"])
    tasks = spent["tasks"]
    print("# The line without writing and engraving\n")
    print(f"`python benchmarks/orchestration.py --count {options.count}`\n")
    print(describe("prefect", "great-expectations") + "\n")
    print("| | |\n|---|---:|")
    print(f"| pieces, passed | {drawn}, {options.count - run['missing']} |")
    print(f"| rounds, tasks of Prefect | {len(run['rounds'])}, {tasks} |")
    print(f"| wall time | {spent['wall']:.0f} s |")
    print(f"| Prefect's database | {grown / drawn / 1000:.2f} kB a piece |")
    print(f"| pages of the run | {len(sizes)}, the largest {max(sizes) / 1e6:.2f} MB |")
    print("\n| processor time | s | ms a piece |\n|---|---:|---:|")
    rows = {f"stage {stage}": each for stage, each in spent["stages"].items()}
    rows["orchestration: the flow's thread"] = spent["thread"]
    rows["orchestration: with its other threads"] = spent["threads"]
    rows["the server"] = spent["server"]
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.1f} | {1000 * seconds / drawn:.2f} |")
    print(f"\nOrchestration by the clock: {run['orchestration_seconds']:.1f} s, "
          f"{1000 * run['orchestration_seconds'] / drawn:.2f} ms a piece.")  # fmt: skip
    print_memory(drawn, samples)


def processor_time(pid: int) -> float:
    """Return the seconds of processor time of a process and of those it has started."""
    ticks = 0
    for each in descendants(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# The measured command


def command() -> None:
    """Run ``scoregate`` with the pool's engraved files, and write down the processor time."""
    from scoregate.flows.launch import prepare

    prepare(verbose=False)  # before anything imports Prefect, as the command itself does it
    from scoregate import timing
    from scoregate.render.pool import Rendering

    folders = json.loads((Path(os.environ[POOL]) / "folders.json").read_text())
    stored: dict[int, dict[str, bytes]] = {}

    def taken(jobs, *, on_done, **_) -> list[Rendering]:
        for index, job in enumerate(jobs):
            number = int(MARK.search(job.text)[1])
            if number not in stored:
                stored[number] = {
                    path.name: path.read_bytes()
                    for path in Path(folders[number]).iterdir()
                    if path.name not in ("score.abc", "raw.abc", "report.json")
                }
            on_done(index, Rendering(files=dict(stored[number])))
        return []

    spent = _Spent()
    timing.spent, timing.ledger = spent.stage(timing.spent), spent.flow(timing.ledger)
    from scoregate.tasks import render

    render.render_pieces = taken
    atexit.register(lambda: Path(os.environ[SPENT]).write_text(json.dumps(spent.as_dict())))
    from scoregate.flows import cli

    cli.main()


class _Spent:
    """Processor times of the flow: of its thread by stage, and of all threads outside of stages."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.tasks = 0
        self._all = self._inside = self._thread = 0.0

    def stage(self, real):
        """Return ``timing.spent`` with the processor time written down."""

        @contextmanager
        def spent(name: str) -> Iterator[None]:
            before = time.thread_time(), time.process_time()
            with real(name):
                yield
            self.tasks += 1
            self.stages[name] = self.stages.get(name, 0.0) + time.thread_time() - before[0]
            self._inside += time.process_time() - before[1]

        return spent

    def flow(self, real):
        """Return ``timing.ledger`` with the processor time written down."""

        @contextmanager
        def ledger() -> Iterator[dict[str, float]]:
            before = time.thread_time(), time.process_time()
            with real() as book:
                yield book
            self._thread = time.thread_time() - before[0]
            self._all = time.process_time() - before[1]

        return ledger

    def as_dict(self) -> dict:
        """Return the figures, JSON-ready."""
        return {
            "stages": self.stages,
            "tasks": self.tasks,
            "thread": self._thread - sum(self.stages.values()),
            "threads": self._all - self._inside,
        }


if __name__ == "__main__":
    command() if os.environ.get(SPENT) else main()
