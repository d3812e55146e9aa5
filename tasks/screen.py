"""Judge files, a batch a task, spread over processes; file them as passed or rejected."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.journal import Journal, known_row
from scoregate.convert.foreign import as_abc, is_foreign
from scoregate.errors import ArchiveError, ScoregateError, UnreadableError
from scoregate.findings import Status
from scoregate.piece import Batch
from scoregate.pool import Pool
from scoregate.progress import report
from scoregate.sources import Source, read_bytes, size_and_time
from scoregate.timing import spent
from scoregate.validators.checking import Checked, check_bytes, plain_reason, unjudged

CHUNK = 16  # pieces a process takes at a time: 100 ms of work, a thousandth of it messages
SECONDS_A_PIECE = 60
FOLDERS = {Status.PASSED: "passed", Status.REJECTED: "rejected", Status.NOT_JUDGED: "rejected"}


@dataclass(frozen=True, slots=True)
class Job:
    """One piece to judge, and where to file it."""

    source: Source
    style: str | None
    out: str
    journal: str
    judge: str
    novelty: bool = False


@task(name="judge batch", task_run_name="judge batch {number}", cache_policy=NO_CACHE)
def judge_batch(
    pool: Pool[Job, dict[str, Any]], number: int, jobs: Batch[Job], journal: Journal
) -> int:
    """Judge a batch in the pool's processes and note every piece; return how many."""
    chunks = [list(jobs[start : start + CHUNK]) for start in range(0, len(jobs), CHUNK)]
    done = 0
    with spent("judge"):
        for rows in pool.map(chunks):
            note_rows(journal, rows)
            done += len(rows)
            report(f"batch {number}", done, len(jobs), f"{done} pieces")
    return done


@task(name="judge chunk", retries=2, cache_policy=NO_CACHE)
def judge_chunk(jobs: Batch[Job]) -> list[dict[str, Any]]:
    """Judge a chunk where the task happens to run: for a Dask cluster."""
    return judge_jobs(list(jobs))


def note_rows(journal: Journal, rows: list[dict[str, Any]]) -> None:
    """Note judged pieces, and remove the copies of what they were before they changed."""
    stale = journal.replaced(rows)
    journal.write(rows)
    for output in stale:
        piece = journal.path.parent / output
        for path in (piece, Path(f"{piece}.findings.json"), Path(f"{piece}.abc")):
            path.unlink(missing_ok=True)


def judge_jobs(jobs: list[Job]) -> list[dict[str, Any]]:
    """Judge and file pieces one after another; one bad piece never stops the others."""
    return [judge_job(job) for job in jobs]


def judge_job(job: Job) -> dict[str, Any]:
    """Judge one piece, copy it to ``passed/`` or ``rejected/`` and return its row.

    Raises
    ------
    ArchiveError
        The piece's copy or its findings can't be written: the run has to stop, for
        otherwise verdicts would be noted whose files are missing.
    """
    started = time.perf_counter()
    size, changed = size_and_time(job.source)
    digest, content, converted = "", b"", b""
    try:
        content = read_bytes(job.source)
        digest = hashlib.sha256(content).hexdigest()
        known = known_row(job.journal, digest, job.judge)
        if known:
            row = known | {"file": job.source.name, "size": size, "changed": changed}
            if os.path.exists(os.path.join(job.out, known["output"])):
                return row
        with _time_limit(SECONDS_A_PIECE):
            if is_foreign(job.source.ending):
                converted = as_abc(content, job.source.ending, job.source.name).encode()
            checked = check_bytes(job.source.name, converted or content, job.style, job.novelty)
    except _TimeIsUp:
        checked = unjudged(job.source.name, f"it took longer than {SECONDS_A_PIECE} s")
    except ScoregateError as error:
        checked = unjudged(job.source.name, plain_reason(job.source.name, error))
    output = _file(job, checked, content, digest, converted)
    return _row(checked, digest, size, changed, output, time.perf_counter() - started)


def died(job: Job) -> dict[str, Any]:
    """Return the row of a piece whose judging killed its process."""
    size, changed = size_and_time(job.source)
    checked = unjudged(job.source.name, "the process that judged it died")
    return _row(checked, "", size, changed, _file(job, checked, b"", ""), 0.0)


def unread_row(error: UnreadableError) -> dict[str, Any]:
    """Return the row of a path that could not even be opened."""
    name = error.problem.split(": ")[0]
    checked = unjudged(name, plain_reason(name, error))
    return _row(checked, "", 0, 0, "", 0.0)


def _file(job: Job, checked: Checked, content: bytes, digest: str, converted: bytes = b"") -> str:
    """Copy the piece and its findings; return the copy's path below the output folder.

    Beside MusicXML and MIDI lies the ABC that was judged: findings name its lines.
    """
    name = _safe_name(job.source, digest)
    folder = Path(job.out, FOLDERS[checked.status])
    findings = json.dumps(checked.as_dict(), ensure_ascii=False, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if content:
            _write(folder / name, content)
        if converted:
            _write(folder / f"{name}.abc", converted)
        _write(folder / f"{name}.findings.json", findings.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise ArchiveError(
            f"{folder / name} can't be written: {error.strerror}.",
            "Is the disk full? Start the same command again: what is judged stays judged.",
        ) from error
    return str(Path(folder.name) / (name if content else f"{name}.findings.json"))


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _safe_name(source: Source, digest: str) -> str:
    """Return a file name that no text from outside can turn into a path, and no two share."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(source.member or source.path).stem)
    stem = stem.lstrip(".")[:60] or "piece"
    place = f"-{source.line}" if source.line else ""
    key = digest or hashlib.sha256(source.name.encode("utf-8", "surrogateescape")).hexdigest()
    ending = source.ending if re.fullmatch(r"\.[a-z]{1,8}", source.ending) else ".abc"
    return f"{stem}{place}-{key[:12]}{ending}"


def _row(
    checked: Checked, digest: str, size: int, changed: int, output: str, seconds: float
) -> dict[str, Any]:
    severities = [finding.severity for finding in checked.findings]
    return {
        "file": checked.file,
        "sha256": digest,
        "size": size,
        "changed": changed,
        "status": checked.status,
        "reasons": checked.reasons,
        "critical": severities.count("critical"),
        "warnings": severities.count("warning"),
        "bars": checked.bars,
        "voices": checked.voices,
        "measures": checked.finite_measures(),
        "output": output,
        "seconds": round(seconds, 4),
    }


class _TimeIsUp(BaseException):
    """Raised by the alarm; no ``except Exception`` of a gate swallows it."""


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise _TimeIsUp

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except ValueError:  # not the main thread, as on a Dask worker: its own limits hold
        yield
        return
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
