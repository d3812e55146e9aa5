"""What arrives in an inbox: which files count, and when they are announced."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Event, Thread

from scoregate.flows.operations import api, arrivals, monitor


def fill(folder: Path, *names: str, age: float = 60.0) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("X:1\nK:C\nCDEF|\n")
        os.utime(path, (time.time() - age, time.time() - age))


def test_what_waits_in_an_inbox(tmp_path):
    fill(
        tmp_path, "a.abc", "deep/b.musicxml", "notes.pdf", ".part.abc", "done/old.abc", ".git/c.abc"
    )
    found = [path.relative_to(tmp_path).as_posix() for path in arrivals.waiting_files(tmp_path)]
    assert sorted(found) == ["a.abc", "deep/b.musicxml"]


def test_a_file_that_is_still_written_is_left_for_later(tmp_path):
    fill(tmp_path, "old.abc")
    fill(tmp_path, "new.abc", age=0.0)
    fill(tmp_path, "future.abc", age=-86400.0)  # the clock was set back
    assert {path.name for path in arrivals.settled_files(tmp_path)} == {"old.abc", "future.abc"}


def test_an_arrival_is_announced_once_and_the_next_one_again(tmp_path, monkeypatch):
    announced = []
    monkeypatch.setattr(monitor, "announce", lambda url, count: announced.append(count))
    over = Event()
    watcher = Thread(target=monitor.watch, args=(tmp_path, lambda: "url", over, 0.02), daemon=True)
    watcher.start()

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 10
        while len(announced) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)

    fill(tmp_path, "a.abc")
    wait_for(1)
    fill(tmp_path, "b.abc")
    wait_for(2)
    over.set()
    watcher.join(timeout=10)
    assert announced == [1, 2]


def test_an_arrival_is_announced_when_the_server_is_back(tmp_path, monkeypatch):
    tries = []

    def announce(url, count):
        tries.append(count)
        if len(tries) < 3:
            raise api.Unanswered("away")

    monkeypatch.setattr(monitor, "announce", announce)
    fill(tmp_path, "a.abc")
    over = Event()
    watcher = Thread(target=monitor.watch, args=(tmp_path, lambda: "url", over, 0.02), daemon=True)
    watcher.start()
    deadline = time.monotonic() + 10
    while len(tries) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    over.set()
    watcher.join(timeout=10)
    assert tries == [1, 1, 1]
