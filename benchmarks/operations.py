"""What `scoregate up` costs: seconds to start, memory of each part, Prefect's database, latency.

    python benchmarks/operations.py > benchmarks/results/operations.md

It starts a line of its own in a temporary folder, with ports of its own, and stops it again.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe

from scoregate.flows.operations import api

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "examples" / "minuet.abc"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Line:
    """A line in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.port = free_port()
        self.ports = ["--dashboard-port", str(free_port()), "--metrics-port", str(free_port())]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = os.environ | {
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_API_PORT": str(self.port),
        }

    def run(self, *words: str) -> float:
        started = time.perf_counter()
        command = [sys.executable, "-m", "scoregate.flows.cli", *words]
        subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, capture_output=True
        )
        return time.perf_counter() - started

    def memory(self) -> dict[str, float]:
        """Return the resident megabytes of each part."""
        notes = {"server": self.home / "scoregate-server.json"}
        for name in ("worker", "dashboard", "monitor"):
            notes[name] = self.home / "scoregate" / "parts" / f"{name}.json"
        found = {}
        for name, note in notes.items():
            status = Path(f"/proc/{json.loads(note.read_text())['pid']}/status").read_text()
            found[name] = int(status.split("VmRSS:")[1].split()[0]) / 1024
        return found

    def database(self) -> int:
        """Return the bytes of Prefect's database with its write-ahead log."""
        return sum(path.stat().st_size for path in self.home.glob("prefect.db*"))

    def execute(self, name: str, **parameters: object) -> float:
        """Run a deployment once and return the seconds until it has ended."""
        started = time.perf_counter()
        deployment = api.get(self.url, f"/deployments/name/{name}")["id"]
        path = f"/deployments/{deployment}/create_flow_run"
        run = api.post(self.url, path, {"parameters": parameters})["id"]
        while True:
            state = api.get(self.url, f"/flow_runs/{run}")["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                assert state["type"] == "COMPLETED", state
                return time.perf_counter() - started
            time.sleep(0.2)


def arrival(line: Line) -> float:
    """Return the seconds from a file's arrival until it is judged and moved."""
    started = time.perf_counter()
    (line.folder / "inbox" / "minuet.abc").write_bytes(EXAMPLE.read_bytes())
    while not list((line.folder / "inbox").glob("done/*/minuet.abc")):
        assert time.perf_counter() - started < 300
        time.sleep(0.2)
    return time.perf_counter() - started


def main() -> None:
    head = describe("prefect")
    with tempfile.TemporaryDirectory() as folder:
        line = Line(Path(folder))
        rows = [("`scoregate up`, new database", f"{line.run('up', *line.ports):.0f} s")]
        try:
            rows.append(("`scoregate up`, everything runs", f"{line.run('up', *line.ports):.1f} s"))
            time.sleep(30)
            rows += [(f"memory of the {k}", f"{v:.0f} MB") for k, v in line.memory().items()]
            rows.append(("a score arrives, until it is judged", f"{arrival(line):.0f} s"))
            empty = "screen%20inbox/screen-inbox"
            before = line.database()
            seconds = [line.execute(empty) for _ in range(5)]
            rows.append(("an empty look into the inbox", f"{min(seconds):.0f} s"))
            grown = (line.database() - before) / 5 / 1000
            rows.append(("Prefect's database for it", f"{grown:.0f} kB"))
            request = {"count": 40, "rounds": 1, "seed": 7}
            before = line.database()
            seconds_of_run = line.execute("produce/nightly-production", request=request)
            rows.append(("a run of 40 chorales, one round", f"{seconds_of_run:.0f} s"))
            grown = (line.database() - before) / 1000
            rows.append(("Prefect's database for it", f"{grown:.0f} kB"))
        finally:
            rows.append(("`scoregate down`", f"{line.run('down'):.1f} s"))
    lines = ["# Operating the line", "", "`python benchmarks/operations.py`", "", head, ""]
    lines += ["| what | measured |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
