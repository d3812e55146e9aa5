"""The flows that look after archive and inbox, their states and alarms, without a server."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from scoregate.archive.records import PieceReport
from scoregate.archive.store import Archive
from scoregate.errors import ArchiveError
from scoregate.findings import Status

pytestmark = pytest.mark.slow  # importing Prefect and the flows takes seconds


@pytest.fixture
def upkeep(monkeypatch) -> SimpleNamespace:
    """Return the flows, with what they tell Prefect kept in lists."""
    from scoregate.flows import inbox, upkeep

    kept = SimpleNamespace(alarms=[], artifacts=[], inbox=inbox, upkeep=upkeep)
    monkeypatch.setattr(
        upkeep, "raise_alarm", lambda code, message, **_: kept.alarms.append((code, message))
    )
    monkeypatch.setattr(
        upkeep,
        "create_markdown_artifact",
        lambda key, markdown: kept.artifacts.append(markdown),
    )
    for module in (upkeep, inbox):
        monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("test"))
    return kept


@pytest.fixture
def out(tmp_path) -> Path:
    store = Archive(tmp_path / "out")
    store.check_writable()
    report = PieceReport(status=Status.PASSED, run_id="20261121-020000-aaaaaa")
    store.add_all([({"score.abc": "X:1\nK:C\nCDEF|\n", "raw.abc": "X:1\n"}, report)])
    return store.out


def test_an_archive_that_is_whole(upkeep, out):
    state = upkeep.upkeep.verify_archive.fn(str(out))
    assert (state.type.value, state.message) == ("COMPLETED", "1 pieces are as they were written.")
    assert upkeep.alarms == []
    assert "No problem." in upkeep.artifacts[0]


def test_a_damaged_file_fails_the_run_and_raises_an_alarm(upkeep, out):
    (score,) = (out / "archive" / "pieces").rglob("score.abc")
    score.write_text("X:1\nK:C\nCDEG|\n")
    state = upkeep.upkeep.verify_archive.fn(str(out))
    assert (state.type.value, "1 damaged" in state.message) == ("FAILED", True)
    ((code, message),) = upkeep.alarms
    assert (code, message) == ("archive-damaged", state.message)


def test_what_a_killed_writer_left_is_no_damage(upkeep, out):
    left = out / "archive" / "incoming" / "0000"
    left.mkdir(parents=True)
    old = time.time() - 86400
    os.utime(left, (old, old))
    assert upkeep.upkeep.verify_archive.fn(str(out)).type.value == "COMPLETED"
    assert upkeep.alarms == []


def test_an_archive_is_backed_up(upkeep, out, tmp_path):
    state = upkeep.upkeep.back_up.fn(str(tmp_path / "copy"), str(out))
    assert state.type.value == "COMPLETED"
    assert list((tmp_path / "copy").rglob("score.abc"))
    assert "files copied" in upkeep.artifacts[0]


def test_there_is_nothing_to_back_up_before_the_first_run(upkeep, tmp_path):
    state = upkeep.upkeep.back_up.fn(str(tmp_path / "copy"), str(tmp_path / "none"))
    assert (state.type.value, "no archive" in state.message) == ("COMPLETED", True)


def test_a_backup_that_fails_raises_an_alarm(upkeep, out, monkeypatch):
    def fail(*_):
        raise ArchiveError("The destination can't be written.", "Mount it.")

    monkeypatch.setattr(upkeep.upkeep, "backup", fail)
    state = upkeep.upkeep.back_up.fn("there", str(out))
    assert (state.type.value, state.message) == ("FAILED", "The destination can't be written.")
    assert upkeep.alarms == [("backup-failed", "The destination can't be written.")]


def test_the_inbox_is_emptied_in_parts_and_names_do_not_collide(upkeep, tmp_path, monkeypatch):
    inbox = tmp_path / "inbox"
    for name in ("a.abc", "b.abc", "c.abc"):
        path = inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("X:1\n")
        os.utime(path, (time.time() - 60, time.time() - 60))
    asked = []

    def screen(request):
        asked.append([Path(path).name for path in request.paths])
        return SimpleNamespace(counts={"passed": len(request.paths)})

    monkeypatch.setattr(upkeep.inbox, "screen", screen)
    monkeypatch.setattr(upkeep.inbox, "AT_ONCE", 2)
    state = upkeep.inbox.screen_inbox.fn(str(inbox), str(tmp_path / "screened"))
    assert [len(names) for names in asked] == [2, 1]
    assert state.message == "3 files: 3 passed"
    assert sorted(path.name for path in (inbox / "done").rglob("*.abc")) == [
        "a.abc", "b.abc", "c.abc"
    ]  # fmt: skip
    (inbox / "a.abc").write_text("another")
    os.utime(inbox / "a.abc", (time.time() - 60, time.time() - 60))
    upkeep.inbox.screen_inbox.fn(str(inbox), str(tmp_path / "screened"))
    moved = sorted(path.name for path in (inbox / "done").rglob("a*.abc"))
    assert len(moved) == 2
    assert upkeep.inbox.screen_inbox.fn(str(inbox), "x").message.startswith("Nothing waits")


def test_a_file_that_could_not_be_judged_stays_in_the_inbox(upkeep, tmp_path, monkeypatch):
    path = tmp_path / "inbox" / "a.abc"
    path.parent.mkdir()
    path.write_text("X:1\n")
    os.utime(path, (time.time() - 60, time.time() - 60))

    def screen(request):
        raise ArchiveError("The disk is full.")

    monkeypatch.setattr(upkeep.inbox, "screen", screen)
    with pytest.raises(ArchiveError):
        upkeep.inbox.screen_inbox.fn(str(path.parent), str(tmp_path / "screened"))
    assert path.exists()
