"""Judge files, a batch a task, spread over processes; file them as passed or rejected."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.archive.journal import Journal, known_row
from scoregate.archive.screened import copy_piece, record_rows
from scoregate.errors import UnreadableError
from scoregate.piece import Batch
from scoregate.pool import Pool
from scoregate.progress import report
from scoregate.sources import Source, read_bytes, size_and_time
from scoregate.timing import spent
from scoregate.validators.checking import GUESSED, Choice, unjudged
from scoregate.validators.screening import judge_content, row_of, unreadable

CHUNK = 16  # pieces a process takes at a time: 100 ms of work, a thousandth of it messages


@dataclass(frozen=True, slots=True)
class FileJob:
    """A file to judge, as it is sent to another process.

    Attributes
    ----------
    source : Source
    style : str or None
        Style to judge by; None takes it from the piece's own prompt lines.
    out : str
        Output folder of the screening.
    journal : str
        Path of the journal, in which content that was judged before is found.
    judge : str
        Versions of the gates and whatever else a verdict depends on.
    novelty : bool
        Whether a copy of a known piece is a fault.
    choice : Choice
        Profile and thresholds.
    """

    source: Source
    style: str | None
    out: str
    journal: str
    judge: str
    novelty: bool = False
    choice: Choice = GUESSED


@task(name="judge batch", task_run_name="judge batch {number}", cache_policy=NO_CACHE)
def judge_batch(
    pool: Pool[FileJob, dict[str, Any]], number: int, jobs: Batch[FileJob], journal: Journal
) -> int:
    """Judge a batch in the pool's processes and record every piece; return how many.

    Parameters
    ----------
    pool : Pool
    number : int
        Number of the batch, for the name of the task run.
    jobs : Batch of FileJob
    journal : Journal
    """
    chunks = [list(jobs[start : start + CHUNK]) for start in range(0, len(jobs), CHUNK)]
    done = 0
    with spent("judge"):
        for rows in pool.map(chunks):
            record_rows(journal, rows)
            done += len(rows)
            report(f"batch {number}", done, len(jobs), f"{done} pieces")
    return done


@task(name="judge chunk", retries=2, cache_policy=NO_CACHE)
def judge_chunk(jobs: Batch[FileJob]) -> list[dict[str, Any]]:
    """Judge a chunk where the task happens to run: for a Dask cluster."""
    return judge_files(list(jobs))


def judge_files(jobs: list[FileJob]) -> list[dict[str, Any]]:
    """Judge and file pieces one after another; a piece that can't be judged stops no other."""
    return [judge_file(job) for job in jobs]


def judge_file(job: FileJob) -> dict[str, Any]:
    """Judge one piece, copy it to ``passed/`` or ``rejected/`` and return its row.

    Raises
    ------
    ArchiveError
        The piece's copy or its findings can't be written.
    """
    started = time.perf_counter()
    size, changed = size_and_time(job.source)
    content, digest, converted = b"", "", b""
    try:
        content = read_bytes(job.source)
    except UnreadableError as error:
        checked = unreadable(job.source.name, error)
    else:
        digest = hashlib.sha256(content).hexdigest()
        known = known_row(job.journal, digest, job.judge)
        if known and os.path.exists(os.path.join(job.out, known["output"])):
            return known | {"file": job.source.name, "size": size, "changed": changed}
        checked, converted = judge_content(job.source, content, job.style, job.novelty, job.choice)
    output = copy_piece(
        job.out,
        job.source,
        checked.status,
        checked.as_dict(),
        content=content,
        digest=digest,
        converted=converted,
    )
    seconds = time.perf_counter() - started
    return row_of(
        checked, digest=digest, size=size, changed=changed, output=output, seconds=seconds
    )


def row_of_dead(job: FileJob) -> dict[str, Any]:
    """Return the row of a piece whose judging killed its process."""
    size, changed = size_and_time(job.source)
    checked = unjudged(job.source.name, "the process that judged it died")
    output = copy_piece(job.out, job.source, checked.status, checked.as_dict())
    return row_of(checked, size=size, changed=changed, output=output)
