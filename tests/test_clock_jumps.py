"""A clock that is set forward and back while the line works: nothing is lost or made twice."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.exposition import generate_latest
from test_archive_resume import ENGINE, STYLE, begun, generated, judged, killed, request

from scoregate.archive import catalog, query, run_lock
from scoregate.archive.cleaning import collect
from scoregate.archive.records import PieceReport, RoundRecord, RunRecord, now
from scoregate.archive.resuming import open_run
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import ArchiveError
from scoregate.flows.operations import arrivals, monitor

YEAR = timedelta(days=365)
NO_DATE = datetime(1970, 1, 2, tzinfo=UTC)


class Clock:
    """The clock of this process, which can be set; the monotonic one goes on."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def set(self, moment: datetime) -> None:
        self.offset = moment - datetime.fromtimestamp(_time(), UTC)


_time = time.time


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """Set the clock of every module of the project that asks for the time."""
    clock = Clock()

    class Set(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(_time(), tz) + clock.offset

    monkeypatch.setattr(time, "time", lambda: _time() + clock.offset.total_seconds())
    for name, module in list(sys.modules.items()):
        if name.startswith("scoregate.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Set)
    return clock


def test_the_fixture_sets_every_clock(clock):
    clock.offset = YEAR
    year = (datetime.now(UTC) + YEAR).year
    assert now()[:4] == str(year)
    assert time.localtime(time.time()).tm_year == year


@pytest.mark.parametrize("jumps", [(1, -2, 3), (-1, 2, -3), (-56, 56, -56)], ids=str)
def test_a_run_that_is_killed_and_gone_on_with_keeps_every_piece_once(clock, tmp_path, jumps):
    """The clock jumps by years between generating, archiving, a kill and the resumed run."""
    run = begun(tmp_path, "C")
    clock.offset += jumps[0] * YEAR
    generated(run, "C", "D")
    clock.offset += jumps[1] * YEAR
    run.add(judged(run)[:1])
    killed(run)
    clock.offset += jumps[2] * YEAR
    again = open_run(request(tmp_path), ENGINE)
    assert again.record.run_id == run.record.run_id
    assert (again.finished, again.missing) == (1, 2)
    generated(again, "C", "D", "E")
    pieces = judged(again)
    again.add([piece for piece in pieces if piece.index in again.work.unarchived])
    again.end_round()
    again.close()
    store = Archive(tmp_path)
    assert len(list(store.ids())) == 3
    assert [row.new for row in store.run(run.record.run_id).pieces] == [True] * 3
    assert list(verify(store)) == []


def test_the_order_and_the_pages_of_the_archive_hold_each_piece_once(clock, tmp_path):
    store = Archive(tmp_path)
    for number, years in enumerate((0, 20, -40, 0, 0, 7)):
        clock.offset = years * YEAR
        text = f"X:1\nL:1/4\nK:C\nCDEF|]\n% {number}\n"
        store.add_all([({"score.abc": text}, PieceReport(status="passed", title=str(number)))])
    for _ in range(2):
        with catalog.opened(store) as connection:
            every = query.rows(connection)
            pages = [query.rows(connection, limit=2, offset=at)[0]["id"] for at in range(0, 6, 2)]
            assert query.count(connection) == len({row["id"] for row in every}) == 6
        assert [row["title"] for row in every][:2] == ["1", "5"]  # The latest by their own time.
        assert every[-1]["title"] == "2"
        assert pages == [row["id"] for row in every][::2]
        clock.offset = -30 * YEAR
        catalog.reindex(store)


def rejected(store: Archive, number: int) -> None:
    text = f"X:1\nL:1/4\nK:C\nCDEF|]\n% {number}\n"
    store.add_all([({"score.abc": text}, PieceReport(status="rejected", run_id="r"))])


def test_the_retention_deletes_nothing_young_whatever_the_clock_says(clock, tmp_path):
    store = Archive(tmp_path)
    month = timedelta(days=30)
    rejected(store, 1)
    clock.set(NO_DATE)  # as after a power cut, on a machine without a battery
    rejected(store, 2)
    assert list(collect(store, month)) == []
    clock.offset = timedelta(0)
    assert list(collect(store, month)) == []
    clock.offset = 9 * YEAR
    with pytest.raises(ArchiveError, match=r"The clock says .* nothing was deleted") as caught:
        list(collect(store, month))
    assert "--keep 0d" in caught.value.remedy
    rejected(store, 3)  # A piece that the clock dates into the future is kept until then.
    clock.offset = timedelta(0)
    assert list(collect(store, month)) == []
    clock.offset = timedelta(days=40)
    assert [removed.kind for removed in collect(store, month)] == ["rejected"]
    assert len(list(collect(store, timedelta(0)))) == 2


def test_the_lock_of_a_run_is_held_however_the_clock_jumps(clock, tmp_path):
    run = begun(tmp_path, "C")
    for years in (5, -5):
        clock.offset = years * YEAR
        assert not run_lock.RunLock(run.journal.folder).acquire()
    killed(run)
    lock = run_lock.RunLock(run.journal.folder)
    assert lock.acquire()
    lock.release()


def test_the_metrics_show_the_last_run_also_after_one_that_was_dated_into_the_future(
    clock, tmp_path
):
    store = Archive(tmp_path)

    def run(name: str, passed: int) -> None:
        first = RoundRecord(round=1, drawn=10, passed=passed, rejected=10 - passed)
        record = {"request": {"style": STYLE, "count": 10}, "rounds": [first], "seconds": 1.0}
        store.write_run(RunRecord(run_id=name, started=now(), finished=now(), **record))

    def shown() -> str:
        return generate_latest(monitor.registry_of(tmp_path, None, lambda: None)).decode()

    clock.offset = 9 * YEAR
    run("ahead", 1)
    assert "scoregate_pass_rate 0.1\n" in shown()
    clock.offset = timedelta(0)
    assert "scoregate_pass_rate 0.1\n" in shown()  # There is no other.
    run("later", 9)
    assert "scoregate_pass_rate 0.9\n" in shown()


def test_files_of_the_future_are_taken_from_the_inbox(clock, tmp_path):
    path = tmp_path / "a.abc"
    path.write_text("X:1\n")
    clock.offset = -YEAR
    assert arrivals.settled_files(tmp_path) == [path]
    clock.offset = timedelta(0)
    os.utime(path, (_time() - 60, _time() - 60))
    assert arrivals.settled_files(tmp_path) == [path]
