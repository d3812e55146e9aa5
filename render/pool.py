"""Rendering many pieces at once, so that no piece can stop the others.

Artefacts that libraries make from untrusted text (MusicXML, the engraving) come from worker
processes with limits on time and memory. A piece that brings its worker down gets a note that
says so and is without these artefacts; the worker is started again for the next piece. MIDI is
written in this process.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from queue import SimpleQueue
from typing import Any

from scoregate.abc.score import Score
from scoregate.render.artefacts import Artefact, Material, find
from scoregate.render.interleave import interleaved_text
from scoregate.render.marks import marks_of
from scoregate.render.steps import from_score, isolated, make_all, requested, titles
from scoregate.render.worker import CLOCK_FACTOR

MAX_TEXT = 2_000_000
"""Characters of a text that is still converted and engraved."""


@dataclass(slots=True)
class Job:
    """A piece to render.

    Attributes
    ----------
    text : str
        Finished ABC.
    score : Score or None
        The text as read; without it there is no MIDI.
    findings : sequence of Finding
        Their bars are marked in the engraving.
    title : str
        Name of the MIDI sequence.
    audio : bool
        Make an audio preview where the machine can.
    max_pages : int
        Largest number of pages to engrave.
    """

    text: str
    score: Score | None = None
    findings: Sequence[Any] = ()
    title: str = ""
    audio: bool = False
    max_pages: int = 60

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the artefacts that are made on request and were requested."""
        return ("audio",) if self.audio else ()


@dataclass(slots=True)
class Rendering:
    """The files that were made of a piece.

    Attributes
    ----------
    files : dict of str to bytes
        ``score.mid``, ``score.musicxml``, ``score-1.svg`` ..., ``preview.ogg``.
    notes : list of str
        What could not be made, and why.
    seconds : float
        How long it took.
    bars : int
        Bars engraved; 0 where there is no engraving.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    bars: int = 0

    @property
    def pages(self) -> list[str]:
        """The engraved pages, in order."""
        return [self.files[name].decode() for name in find("engraving").of(self.files)]


def render_pieces(
    jobs: Iterable[Job],
    *,
    workers: int | None = None,
    limit_s: float = 20.0,
    on_done: Callable[[int, Rendering], None] | None = None,
) -> list[Rendering]:
    """Render pieces, several at a time, and return one result for each job, in their order.

    Parameters
    ----------
    jobs : iterable of Job
    workers : int or None
        Number of processes; None for one per core, four at most.
    limit_s : float
        Seconds of processor time that one piece may take to convert and engrave; by the
        clock it may take eight times as long.
    on_done : callable or None
        Called with the index and the result of each piece as it is done, from any thread.
    """
    jobs = list(jobs)
    count = min(workers or min(os.cpu_count() or 1, 4), len(jobs))
    if not count:
        return []
    results = [Rendering() for _ in jobs]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    workers_started = [_Worker(limit_s) for _ in range(count)]
    for worker in workers_started:
        idle.put(worker)

    def render_one(index: int) -> None:
        worker = idle.get()
        try:
            _render(jobs[index], results[index], worker)
        finally:
            idle.put(worker)
        if on_done is not None:
            on_done(index, results[index])

    try:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(render_one, range(len(jobs))))
    finally:
        for worker in workers_started:
            worker.close()
    return results


def _render(job: Job, result: Rendering, worker: _Worker) -> None:
    began = time.monotonic()
    if len(job.text) > MAX_TEXT:
        result.notes.append(f"not rendered: longer than {MAX_TEXT} characters")
        return
    material = Material(
        texts=[text.encode("utf-8", "replace").decode() for text in _texts(job)],
        score=job.score,
        bars=job.score.bar_count if job.score else 0,
        marks=marks_of(job.score, job.findings),
        title=job.title,
        max_pages=job.max_pages,
        files=result.files,
        remarks=result.notes,
    )
    worker.send(
        {
            "texts": material.texts,
            "marks": [asdict(mark) for mark in material.marks],
            "bars": material.bars,
            "max_pages": material.max_pages,
        }
    )
    # The worker converts while the MIDI is written here.
    _make(from_score(), material)
    worker.receive(result)
    if material.marks and result.bars not in (0, material.bars):
        result.notes.append(
            f"the engraving has {result.bars} bars and the text {material.bars}: "
            "boxes may stand beside the bar they mean"
        )
    _make([one for one in requested(job.extras) if _available(one, material)], material)
    result.seconds = time.monotonic() - began


def _make(artefacts: Sequence[Artefact], material: Material) -> None:
    for _ in make_all(artefacts, material):
        pass  # The files are in the material.


def _available(artefact: Artefact, material: Material) -> bool:
    return all(find(name).of(material.files) for name in artefact.made_from)


def _texts(job: Job) -> list[str]:
    """Return the text to engrave and its interleaved form; a faulty piece's comes first."""
    if job.score is None:
        return [job.text]
    faulty = any(finding.severity == "critical" for finding in job.findings)
    texts = [job.text, interleaved_text(job.score, job.findings)]
    return [text for text in (reversed(texts) if faulty else texts) if text]


class _Worker:
    """A worker process, started again after a piece has brought it down."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.process: subprocess.Popen[bytes] | None = None
        self.buffer = b""

    def send(self, request: dict[str, Any]) -> None:
        line = json.dumps({**request, "limit_s": self.limit_s}).encode() + b"\n"
        for _ in range(2):
            process = self.process or self._start()
            assert process.stdin is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
                return
            except BrokenPipeError:
                self.close()  # It died after its last answer: once more with a new one.

    def receive(self, result: Rendering) -> None:
        deadline = time.monotonic() + self.limit_s * CLOCK_FACTOR
        missing = isolated()
        while (answer := self._line(deadline)) is not None:
            if "artefact" in answer:
                artefact = find(answer["artefact"])
                missing.remove(artefact)
                for name, content in answer["files"].items():
                    result.files[name] = (
                        base64.b64decode(content) if artefact.binary else content.encode()
                    )
            if answer.get("done"):
                result.notes.extend(answer["notes"])
                result.bars = answer["bars"]
                return
        overdue = time.monotonic() >= deadline
        code = self.close()
        overdue = overdue or code == -signal.SIGPROF
        how = f"it took longer than {self.limit_s:g} s" if overdue else _death(code)
        result.notes.append(f"no {titles(missing[0], missing)}: {how}")

    def close(self) -> int | None:
        """End the process with all it may have started; return its exit status."""
        process, self.process, self.buffer = self.process, None, b""
        if process is None:
            return None
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # Unsent bytes for a process that is gone.
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scoregate.render.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        return self.process

    def _line(self, deadline: float) -> dict[str, Any] | None:
        """Return the next answer; None when time is up or the process is gone."""
        if self.process is None or self.process.stdout is None:
            return None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                return None
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                return None
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the converter was ended by {signal.Signals(-code).name}"
    return f"the converter ended with status {code}"
