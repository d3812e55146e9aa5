"""A start is waited for while the process lives and gets on, and no longer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scoregate.errors import ServerError
from scoregate.flows.operations import processes, starting, supervisor
from scoregate.flows.operations.state import State

SLEEPER = "import time; time.sleep(60)"
WRITER = "import time\nfor n in range(600): print(n, flush=True); time.sleep(0.1)"


@pytest.fixture
def quick(monkeypatch) -> None:
    """Let a second stand for a minute."""
    for name, value in (("LEAST", 0.6), ("STALLED", 0.6), ("MOST", 30.0), ("LOOK_EVERY", 0.05)):
        monkeypatch.setattr(starting, name, value)
    monkeypatch.setattr(starting, "WORD_EVERY", 0.5)


@pytest.fixture
def line(tmp_path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    state.stop("part", patience=1.0)


def start(line: State, script: str) -> None:
    line.start("part", [sys.executable, "-c", script], folder=Path.cwd())


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_part_that_gets_on_is_waited_for_beyond_the_least_time_with_a_word(line):
    start(line, WRITER)
    said: list[str] = []
    asked = 0

    def answers(_) -> bool:
        nonlocal asked
        asked += 1
        return asked > 8  # after about two seconds

    supervisor._wait_until_ready(line, "part", answers, said.append)
    assert line.part("part").runs
    assert said
    assert "The part is still starting after" in said[0]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_part_that_does_nothing_is_given_up_and_stopped(line):
    start(line, SLEEPER)
    pid = line.part("part").pid
    with pytest.raises(ServerError, match=r"did not answer within \d+ s, and has done nothing"):
        supervisor._wait_until_ready(line, "part", lambda _: False, print)
    assert processes.start_mark(pid) is None


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_a_part_that_works_for_ever_is_given_up_at_the_bound(line, monkeypatch):
    monkeypatch.setattr(starting, "MOST", 1.5)
    start(line, WRITER)
    with pytest.raises(ServerError, match="did not answer within"):
        supervisor._wait_until_ready(line, "part", lambda _: False, print)


def test_a_part_that_ends_is_told_at_once_with_what_it_said(line):
    start(line, "print('port taken'); raise SystemExit(1)")
    with pytest.raises(ServerError, match=r"it ended after \d s\.\nport taken"):
        supervisor._wait_until_ready(line, "part", lambda _: False, print)


def test_the_processor_time_of_children_counts():
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        try:
            parent.stdout.readline()
            assert processes.processor_seconds(parent.pid) >= 0.25
        finally:
            for pid in (*processes.descendants(parent.pid), parent.pid):
                subprocess.run(["kill", "-9", str(pid)], check=False)


@pytest.mark.parametrize(
    ("shown", "seconds"),
    [("00:00:01", 1), ("1-02:03:04", 93784), ("0:00.25", 0.25), ("", 0), ("TIME", 0)],
)
def test_the_clock_of_ps_is_read(shown, seconds):
    assert processes._seconds(shown) == seconds
