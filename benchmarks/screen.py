"""How well screening keeps the cores at work, and whether its memory stays flat.

    python benchmarks/screen.py [--files 20000] > benchmarks/results/screen.md

The pieces are variants of the ABC files below a folder (by default the published NotaGen
pieces beside the project): a comment line makes each file's content its own, so that
nothing is answered from the journal. One process and all cores judge the same files in one
run of this script; memory is the peak resident size of the command and its children,
sampled twice a second and given for each fifth of the run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import describe


def make_files(source: Path, folder: Path, count: int) -> None:
    """Write ``count`` files that differ from one another."""
    texts = [path.read_text() for path in sorted(source.rglob("*.abc"))]
    if not texts:
        raise SystemExit(f"no .abc below {source}")
    for number in range(count):
        text = texts[number % len(texts)]
        (folder / f"{number:06d}.abc").write_text(f"% variant {number}\n{text}")


def resident(pid: int) -> int:
    """Return the resident bytes of a process and all its descendants."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(
                line.split(":", 1) for line in status.read_text().splitlines() if ":" in line
            )
        except OSError:
            continue  # ended meanwhile
        if _descends(int(fields["Pid"]), pid):
            total += int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
    return total


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def screen(files: Path, processes: int) -> tuple[float, float, list[int]]:
    """Screen all files; return wall seconds, seconds of orchestration, memory samples."""
    scoregate = Path(sys.executable).with_name("scoregate")
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        command = [scoregate, "screen", str(files), "--out", out, "--processes", str(processes)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        samples: list[int] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                samples.append(resident(running.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        text, _ = running.communicate()
        ended.set()
        watcher.join()
        wall = time.perf_counter() - start
        if running.returncode not in (0, 1):
            raise SystemExit(f"screen ended with {running.returncode}: {text}")
        record = json.loads(Path(out, "screening.json").read_text())
    return wall, record["orchestration_seconds"], samples


def main() -> None:
    """Measure and print the table."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real-notagen"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--source", type=Path, default=beside)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    print(f"# Screening {options.files} files\n")
    print(f"`python benchmarks/screen.py --files {options.files}`\n")
    print(describe("prefect", "pyarrow") + "\n")
    print("| processes | wall s | files/s | orchestration | peak MB by fifths of the run |")
    print("|---|---|---|---|---|")
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        make_files(options.source, Path(folder), options.files)
        for processes in (1, options.processes):
            wall, orchestration, samples = screen(Path(folder), processes)
            rates[processes] = options.files / wall
            fifth = max(1, len(samples) // 5)
            peaks = [max(samples[i : i + fifth]) >> 20 for i in range(0, len(samples), fifth)][:5]
            print(
                f"| {processes} | {wall:.1f} | {rates[processes]:.0f} "
                f"| {orchestration / wall:.1%} | {', '.join(map(str, peaks))} |",
                flush=True,
            )
    print(
        f"\n{options.processes} processes against one: {rates[options.processes] / rates[1]:.2f}x"
    )


if __name__ == "__main__":
    main()
