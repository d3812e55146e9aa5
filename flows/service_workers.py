"""Processes that judge scores for the service, each under limits of time and memory.

A score from a stranger may take a process with it: it can ask for more memory than there is, or
keep a C function busy. So each worker is a process of its own, which is killed when its time is
up, and replaced.
"""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue

MEMORY = 2 * 2**30
"""Bytes of address space that a worker may take."""
START_SECONDS = 120
"""Longest time in which a worker has to be ready."""
MOST_LINES = 20_000
"""Tunes of one request."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request to judge.

    Attributes
    ----------
    content : bytes
    name : str
        What the answer calls the score; its ending tells the format.
    profile, style : str or None
        None guesses the profile, and takes the style from the score's prompt lines.
    """

    content: bytes
    name: str
    profile: str | None = None
    style: str | None = None


class Workers:
    """Processes that judge one score each at a time.

    Parameters
    ----------
    count : int
    seconds : float
        Longest time that one request may take.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self.seconds = seconds
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._lock = threading.Lock()
        self._all: set[_Worker] = set()
        for _ in range(count):
            self._idle.put(self._started())

    def _started(self) -> _Worker:
        worker = _Worker(self._context)
        with self._lock:
            self._all.add(worker)
        return worker

    def judge(self, job: Job) -> list[str]:
        """Return a line of JSON for each tune; blocks until a worker is free and has judged.

        Where time or memory runs out, the last line says so.
        """
        worker = self._idle.get()
        lines, problem = worker.ask(job, self.seconds)
        if problem:
            worker.end()
            with self._lock:
                self._all.discard(worker)
            worker = self._started()
            lines.append(_not_judged(job.name, problem))
        self._idle.put(worker)
        return lines

    def close(self) -> None:
        """End every process."""
        with self._lock:
            for worker in self._all:
                worker.end()
            self._all.clear()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, context) -> None:
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        self._ready = False
        other.close()

    def ask(self, job: Job, seconds: float) -> tuple[list[str], str]:
        """Return the lines of an answer, and why it is not complete, or ``""``."""
        lines: list[str] = []
        try:
            if not self._ready:  # the time of a request does not count the imports
                if not self._pipe.poll(START_SECONDS):
                    return lines, "the process that judges did not start"
                self._ready = self._pipe.recv() is None
            end = time.monotonic() + seconds
            self._pipe.send(job)
            while self._pipe.poll(max(end - time.monotonic(), 0)):
                line = self._pipe.recv()
                if line is None:
                    return lines, ""
                lines.append(line)
        except (EOFError, OSError):
            return lines, "the process that judged it ended: too little memory"
        return lines, f"it took longer than {seconds:g} s"

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(pipe: Connection) -> None:
    """Judge what comes through the pipe until it is closed."""
    # One thread for arithmetic: on a machine of many cores their stacks alone fill the memory.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.nice(5)  # the service must answer while scores are judged
    for _ in judged_lines(Job(b"X:1\nK:C\nC|]\n", "first.abc")):
        pass  # imports the gates
    pipe.send(None)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            for line in judged_lines(job):
                pipe.send(line)
        except MemoryError:
            pipe.send(_not_judged(job.name, "there was too little memory"))
        pipe.send(None)


def judged_lines(job: Job) -> Iterator[str]:
    """Yield a line of JSON for each tune of a score; no fault of the score raises."""
    from scoregate.convert import needs_conversion, to_abc
    from scoregate.errors import ScoregateError
    from scoregate.tunebooks import tunes_of

    content = job.content
    ending = os.path.splitext(job.name)[1].lower()
    try:
        if needs_conversion(ending):
            content, tunes = to_abc(content, ending, job.name).encode(), []
        else:
            tunes = tunes_of(content)
        for number, (shift, tune) in enumerate(tunes[:MOST_LINES], 1):
            yield _line(f"{job.name}#{number}", tune, job, shift)
        if len(tunes) > MOST_LINES:
            yield _not_judged(job.name, f"it has more than {MOST_LINES} tunes")
        if not tunes:
            yield _line(job.name, content, job, 0)
    except ScoregateError as error:
        yield _not_judged(job.name, error.problem.rstrip("."))


def _line(name: str, content: bytes, job: Job, shift: int) -> str:
    """Return the line of one tune; its findings count the lines of the file."""
    from scoregate.convert import needs_conversion
    from scoregate.validators import judge_texts
    from scoregate.validators.checking import ordered

    ending = os.path.splitext(job.name)[1].lower()
    (judgement,) = judge_texts(
        [content],
        profile=job.profile,
        style=job.style,
        ending=ending if needs_conversion(ending) else "",
    )
    findings = [asdict(finding) for finding in ordered(judgement.findings)]
    for finding in findings:
        if finding["line"] is not None:
            finding["line"] = max(finding["line"] + shift, 1)
    return json.dumps(
        {
            "file": name,
            "passed": judgement.status.value == "passed",
            "status": judgement.status.value,
            "profile": judgement.profile,
            "reward": round(judgement.reward, 4),
            "findings": findings,
            "measures": {
                key: value if value == value and abs(value) != float("inf") else None
                for key, value in judgement.measures.items()
            },
        },
        ensure_ascii=False,
    )


def _not_judged(name: str, why: str) -> str:
    return json.dumps(
        {
            "file": name,
            "passed": False,
            "status": "could not be judged",
            "reasons": [why],
            "findings": [],
            "measures": {},
        },
        ensure_ascii=False,
    )
