"""One process against two, or one worker against two: commands timed in turns, as a table."""

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machine import describe

from scoregate.flows.server import is_healthy

SCOREGATE = str(Path(sys.executable).with_name("scoregate"))
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, in the words of its page.

    Attributes
    ----------
    title : str
    script : str
        Name of the benchmark's file.
    unit : str
        What there are one or two of, in the plural.
    note : str
        A sentence above the table, with ``{count}``; may be empty.
    """

    title: str
    script: str
    unit: str
    note: str = ""


def compare(
    comparison: Comparison,
    description: str | None,
    timed: Callable[[int, int, int, Path], float],
    prepare: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Time one and two in turns against a Prefect server of their own, and print the table.

    Parameters
    ----------
    comparison : Comparison
    description : str or None
        Of the script, for its help.
    timed : callable
        ``timed(how_many, count, turn, folder)`` returns seconds; ``folder`` is a temporary one.
    prepare : callable
        Called with the folder once the server answers.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    head = describe("prefect", "torch")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, _server(Path(name)):
        prepare(Path(name))
        for turn in range(options.turns):
            for how_many in seconds:
                taken = timed(how_many, options.count, turn, Path(name))
                seconds[how_many].append(taken)
    command = f"python benchmarks/{comparison.script}"
    print(f"# {comparison.title}\n")
    print(f"`{command} --count {options.count} --turns {options.turns}`\n")
    print(head + "\n")
    if comparison.note:
        print(comparison.note.format(count=options.count) + "\n")
    print(f"| {comparison.unit} | seconds, each turn |\n|---:|---|")
    for how_many, times in seconds.items():
        print(f"| {how_many} | {', '.join(f'{each:.0f}' for each in times)} |")
    ratio = statistics.median(seconds[1]) / statistics.median(seconds[2])
    print(f"\nTwo {comparison.unit} are {ratio:.2f} times as fast as one.")


@contextmanager
def _server(folder: Path) -> Iterator[None]:
    """Run a Prefect server with a home of its own, named in the environment."""
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
    try:
        while not is_healthy(url, timeout=5):
            time.sleep(1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
