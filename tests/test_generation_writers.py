"""Processes that generate: their pieces, their death, a stop, and faults of the machine."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import time

import httpx
import pytest

from scoregate.errors import ArchiveError, RequestError, ServerError, ToolError, WeightsError
from scoregate.faults import plain_error
from scoregate.generation.writers import Writers
from scoregate.requests import ProduceRequest

STYLE = "Baroque/Bach, Johann Sebastian/Choral"


def request(**values) -> ProduceRequest:
    return ProduceRequest(**{"style": STYLE, "batch": 2, "max_steps": 20, "threads": 1, **values})


def killed(process) -> None:
    """Kill a process as the kernel does where memory runs out."""
    os.kill(process.popen.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_process_that_dies_is_started_again_and_nothing_is_lost():
    written = []
    with Writers(request(processes=2)) as writers:
        writers.on_written = written.extend
        writers.load()
        killed(writers._processes[0])
        writers.submit([(index, 100 + index) for index in range(8)])
        writers.wait(range(8))
    assert sorted(index for index, _ in written) == list(range(8))
    assert {index: piece.seed for index, piece in written} == {i: 100 + i for i in range(8)}


@pytest.mark.slow
def test_pieces_are_the_same_however_they_are_spread():
    from scoregate.generation.writing import write_pieces

    alone, _ = write_pieces(request(), range(6))
    written = []
    with Writers(request(processes=2, batch=1)) as writers:
        writers.on_written = written.extend
        writers.load()
        writers.submit(enumerate(range(6)))
        writers.wait(range(6))
    assert [piece.raw for _, piece in sorted(written, key=lambda each: each[0])] == [
        piece.raw for piece in alone
    ]


@pytest.mark.slow
def test_a_stop_sends_what_is_finished_and_what_is_begun():
    written = []
    with Writers(request(batch=1, max_steps=None)) as writers:
        writers.on_written = written.extend
        writers.load()
        writers.submit(enumerate(range(40)))
        deadline = time.monotonic() + 60
        while not written and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        unfinished = writers.stop()
        assert time.monotonic() - began < 8
    assert 0 < len(written) < 40
    assert all(piece.ended == "finished" for _, piece in written)
    assert all(piece.ended == "stopped" and piece.bars for _, piece in unfinished)
    assert not {index for index, _ in written} & {index for index, _ in unfinished}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"weights": "no-such.pth"}, (RequestError, WeightsError)),
        ({"model": "nobody"}, RequestError),
    ],
    ids=["weights", "model"],
)
def test_an_error_of_the_process_is_raised_here(values, error):
    with Writers(request(**values)) as writers, pytest.raises(error):
        writers.load()


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_its_own_error():
    def refuse(pieces):
        raise ArchiveError("The disk is full.", "Make room.")

    with Writers(request()) as writers:
        writers.on_written = refuse
        writers.load()
        writers.submit([(0, 1)])
        with pytest.raises(ArchiveError, match="disk is full"):
            writers.wait([0])


def test_what_is_handed_out_is_not_handed_out_again():
    writers = Writers(request(processes=1))
    writers._processes = [object()]  # type: ignore[list-item]  # no process takes the work
    writers.submit([(0, 5), (1, 6)])
    writers.submit([(1, 6), (2, 7)])
    assert list(writers._queue) == [(0, 5), (1, 6), (2, 7)]


@pytest.mark.parametrize(
    ("processes", "threads", "device", "pieces", "expected"),
    [(0, 1, "cpu", 1000, 4), (0, 2, "cpu", 1000, 2), (0, 1, "cpu", 4, 1), (0, 1, "cpu", 40, 2),
     (0, 1, "cuda", 1000, 1), (3, 1, "cpu", 4, 3), (0, 8, "cpu", 1000, 1)],
)  # fmt: skip
def test_how_many_processes_generate(monkeypatch, processes, threads, device, pieces, expected):
    monkeypatch.setattr("scoregate.generation.writers.cores", lambda: 4)
    writers = Writers(request(processes=processes))
    writers.provenance = {"device": device, "threads": threads}
    writers._left = set(range(pieces))
    assert writers._wanted_processes() == expected


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (RuntimeError("can't start new thread"), ToolError, "too little memory"),
        (MemoryError(), ToolError, "too little memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ToolError, "too little memory"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), ToolError, "processes"),
        (OSError(errno.ENOSPC, "No space left on device"), ArchiveError, "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), ArchiveError, "can't be written"),
        (sqlite3.OperationalError("database is locked"), ArchiveError, "locked"),
    ],
    ids=str,
)
def test_faults_of_the_machine_are_told_with_a_remedy(error, kind, said):
    try:
        raise ValueError("on the way") from error
    except ValueError as raised:
        told = plain_error(raised)
    assert type(told) is kind
    assert said in told.problem
    assert told.remedy


@pytest.mark.parametrize(("status", "told"), [(503, ServerError), (500, ServerError), (404, None)])
def test_a_server_that_is_too_busy_is_told(status, told):
    """Prefect's server answers 503 while its SQLite file is locked."""
    from prefect.exceptions import PrefectHTTPStatusError

    request = httpx.Request("POST", "http://user:secret@127.0.0.1:4200/api/flow_runs/")
    response = httpx.Response(status, request=request, json={})
    error = PrefectHTTPStatusError("Server error", request=request, response=response)
    found = plain_error(error)
    assert (None if found is None else type(found)) is told
    if found is not None:
        assert f"http://127.0.0.1:4200 answered {status}" in found.problem


def test_a_fault_of_the_program_is_none_of_them():
    assert plain_error(KeyError("x")) is None
