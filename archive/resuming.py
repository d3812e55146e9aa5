"""Which run a request goes on with: an unfinished one of the same request, or a new one."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from scoregate import __version__
from scoregate.archive.atomic import told_as_archive_error
from scoregate.archive.production import ProductionRun
from scoregate.archive.records import RunRecord, now
from scoregate.archive.run_journal import FOLDER, MOST_ATTEMPTS, RunJournal, unfinished
from scoregate.archive.run_lock import RunLock
from scoregate.archive.store import Archive
from scoregate.errors import BusyError, CorruptError, RunError
from scoregate.progress import announce
from scoregate.requests import ProduceRequest

_GIVEN_UP = "Given up"
RESUMED = "Resumed on"
"""Beginning of the remark in the record of a run that was gone on with."""


def identity_of(engine: Mapping[str, Any]) -> str:
    """Return what a run and its continuation must share: the program and the weights."""
    weights = engine.get("weights") or {}
    parts = (engine.get("generator"), weights.get("sha256"), engine.get("precision"),
             engine.get("engine"))  # fmt: skip
    return " ".join(str(part) for part in (__version__, *parts))


def open_run(request: ProduceRequest, engine: Mapping[str, Any]) -> ProductionRun:
    """Go on with an unfinished run of this request, or begin one.

    A request without a seed goes on with the oldest unfinished run of the same request, whose
    seed was chosen at random; where another process is at work on that one, it begins a run of
    its own, with another seed.

    Parameters
    ----------
    request : ProduceRequest
        With its style in full; its seed may be None.
    engine : mapping
        What identifies the generator, JSON-ready.

    Returns
    -------
    ProductionRun
        With its lock held: close it in the end.

    Raises
    ------
    BusyError
        Another process is at work on this request, which names a seed.
    RunError
        The run was taken up several times and finished nothing. It is given up here, and the
        next request begins a new one.
    ArchiveError
        The folder can't be written.
    """
    store = Archive(request.out)
    store.check_writable()
    key, identity = request.key, identity_of(engine)
    with _one_at_a_time(store):
        for run_id in unfinished(store.runs, key, identity):
            found = _taken_up(store, run_id, request)
            if found is not None:
                return found
        seed = secrets.randbits(31) if request.seed is None else request.seed
        run = ProductionRun(request.model_copy(update={"seed": seed}), engine)
        run.begin(key, identity)
        return run


def _taken_up(store: Archive, run_id: str, request: ProduceRequest) -> ProductionRun | None:
    """Return the run, or None where it can't be gone on with."""
    folder = store.run_folder(run_id) / FOLDER
    lock = RunLock(folder)
    if not lock.acquire():
        if request.seed is not None:
            raise BusyError(
                f"The run {run_id} of the same request is under way ({lock.owner()}).",
                "Wait for its end, or ask for another --seed.",
            )
        announce(
            f"The run {run_id} of the same request is under way ({lock.owner()}); "
            "this run makes other pieces."
        )
        return None
    try:
        return _gone_on_with(store, run_id, request, lock)
    except BaseException:
        lock.release()
        raise


def _gone_on_with(
    store: Archive, run_id: str, request: ProduceRequest, lock: RunLock
) -> ProductionRun | None:
    journal = RunJournal(lock.path.parent)
    try:
        record = store.run(run_id)
    except CorruptError:
        return _given_up(journal, lock)
    if record.finished and record.stage_seconds:  # It was killed after its last step.
        return _given_up(journal, lock)
    attempts = 0 if request.fresh else journal.attempts()
    if request.fresh or attempts >= MOST_ATTEMPTS:
        why = "a new one was asked for" if request.fresh else f"{attempts} attempts came no further"
        record.notes.append(f"{_GIVEN_UP}: {why}.")
        record.finished = now()
        store.write_run(record)
        _given_up(journal, lock)
        if request.fresh:
            return None
        raise RunError(
            f"The run {run_id} was taken up {attempts} times and finished nothing further; it is "
            "given up.",
            "See what ended it (memory, disk, the log of the worker). The same command begins a "
            "new run.",
        )
    settled = request.model_copy(update={"seed": record.request["seed"]})
    run = ProductionRun(settled, record.engine, record)
    run.lock = lock
    run.restore()
    done = f"{run.finished} of {request.count} are finished"
    announce(f"This resumes run {run_id}: {done}.")
    run.note(f"{RESUMED} {now()}: {done} by then.")
    store.write_run(record)  # before any time is spent: this attempt may be killed as well
    return run


def was_given_up(record: RunRecord) -> bool:
    """Return whether a run was ended without being finished, because a new one took its place."""
    return any(note.startswith(_GIVEN_UP) for note in record.notes)


def _given_up(journal: RunJournal, lock: RunLock) -> None:
    journal.remove()
    lock.release()


@contextmanager
def _one_at_a_time(store: Archive) -> Iterator[None]:
    """Let one process at a time look for a run and begin one."""
    path = store.runs / "opening.lock"
    with told_as_archive_error(path):
        store.runs.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")  # noqa: SIM115 - closed below
    with file:
        # A file system without locks: two starts in one instant are not kept apart there.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
