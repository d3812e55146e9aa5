"""Parts of the line as processes: started, found, stopped, and no other; their state folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from commands import scoregate_here

from scoregate.flows.operations import processes
from scoregate.flows.operations.state import State

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_part_is_started_found_and_stopped_and_no_other(tmp_path):
    state = State(tmp_path / "state")
    other = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        part = state.start("sleeper", SLEEPER, folder=tmp_path)
        assert state.part("sleeper") == part
        assert part.runs
        assert state.stop("sleeper")
        assert not part.runs
        assert state.part("sleeper") is None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_number_that_was_used_again_is_left_alone(tmp_path):
    """The note names a living process of somebody else's; only its start mark is another."""
    state = State(tmp_path / "state")
    part = state.start("sleeper", SLEEPER, folder=tmp_path)
    time.sleep(0.05)  # The kernel counts starts in hundredths of a second.
    other = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        note = state.root / "parts" / "sleeper.json"
        note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": other.pid}))
        assert not state.part("sleeper").runs
        assert not state.stop("sleeper")
        assert other.poll() is None
    finally:
        for pid in (part.pid, other.pid):
            os.kill(pid, signal.SIGKILL)
        other.wait()


def test_a_part_that_ignores_sigterm_is_killed_with_its_children(tmp_path):
    state = State(tmp_path / "state")
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    state.start("stubborn", [sys.executable, "-c", stubborn], folder=tmp_path)
    deadline = time.monotonic() + 20
    while not (child := state.tail("stubborn")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state.stop("stubborn", patience=0.3)
    deadline = time.monotonic() + 10
    while processes.start_mark(int(child)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes.start_mark(int(child)) is None


def test_children_with_a_group_of_their_own_are_ended_in_good_order_too(tmp_path):
    """A worker's runs have sessions of their own; they write down what they have at SIGTERM."""
    run = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    pathlib.Path('ended').write_text('in good order')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    worker = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {run!r}], start_new_session=True);"
        "time.sleep(600)"
    )
    state = State(tmp_path / "state")
    part = state.start("worker", [sys.executable, "-c", worker], folder=tmp_path)
    deadline = time.monotonic() + 30
    while not state.tail("worker") and time.monotonic() < deadline:
        time.sleep(0.05)
    family = processes.descendants(part.pid)
    assert len(family) == 1
    assert state.stop("worker")
    assert (tmp_path / "ended").read_text() == "in good order"
    assert [processes.start_mark(pid) for pid in family] == [None]


def test_a_member_that_has_ended_and_was_not_collected_keeps_nobody_waiting(tmp_path):
    """Where nothing collects orphans, as in a container without an init process."""
    parent = subprocess.Popen(
        [sys.executable, "-c",
         "import subprocess, sys, time;"
         "child = subprocess.Popen([sys.executable, '-c', ''], start_new_session=True);"
         "print(child.pid, flush=True); time.sleep(600)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        while processes.start_mark(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(child, 0)  # its entry is still there
        assert not processes._group_runs(child)
        assert processes._group_runs(os.getpgrp())
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_state_and_logs_can_be_read_by_their_owner_only(tmp_path):
    state = State(tmp_path / "state")
    touch = [sys.executable, "-c", "open('made', 'w').write('x')"]
    part = state.start("touch", touch, folder=tmp_path)
    deadline = time.monotonic() + 20
    while part.runs and time.monotonic() < deadline:
        time.sleep(0.05)
    state.stop("touch")
    paths = [state.root, *state.root.rglob("*"), tmp_path / "made"]
    assert [path for path in paths if path.stat().st_mode & 0o077 and path.is_dir()] == []
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    assert state.log_of("touch").stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_down_where_nothing_runs(tmp_path):
    done = scoregate_here("down", PREFECT_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "Nothing ran that `scoregate up` had started.\n")


@pytest.mark.slow
def test_status_where_nothing_runs_exits_with_1(tmp_path):
    # Port 1 answers nobody: a server of the developer's own is left out.
    home = str(tmp_path)
    done = scoregate_here("status", "--json", url="http://127.0.0.1:1/api", PREFECT_HOME=home)
    assert done.returncode == 1
    assert [each["runs"] for each in json.loads(done.stdout)] == [False] * 4
