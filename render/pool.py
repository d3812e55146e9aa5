"""Rendering many pieces at once, safely: nothing in a piece can stop the others.

MIDI is written here, from the Score. MusicXML and engraving come from worker processes
with limits on time and memory; what a piece does to its worker costs that piece its
picture and leaves a note saying so.
"""

from __future__ import annotations

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
from scoregate.render.aligned import aligned_text
from scoregate.render.audio import preview
from scoregate.render.marks import marks_of
from scoregate.render.midi import midi_of
from scoregate.render.worker import WAIT

MAX_TEXT = 2_000_000
"""Characters of a text that is still converted and engraved."""


@dataclass(slots=True)
class Job:
    """A piece to render.

    Parameters
    ----------
    text : str
        Finished ABC.
    score : Score or None
        The same piece, read; without it there is no MIDI.
    findings : sequence of Finding
        Their bars are boxed in the engraving.
    title : str
        Name of the MIDI sequence.
    audio : bool
        Make a preview where the machine can.
    max_pages : int
        Engrave at most so many.
    """

    text: str
    score: Score | None = None
    findings: Sequence[Any] = ()
    title: str = ""
    audio: bool = False
    max_pages: int = 60


@dataclass(slots=True)
class Rendering:
    """What came of it.

    Parameters
    ----------
    files : dict of str to bytes
        ``score.mid``, ``score.musicxml``, ``score-1.svg`` ..., ``preview.ogg``.
    notes : list of str
        What could not be made, and why.
    seconds : float
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
        names = [name for name in self.files if name.endswith(".svg")]
        return [self.files[name].decode() for name in sorted(names, key=_page_number)]


def render_pieces(
    jobs: Iterable[Job],
    *,
    workers: int | None = None,
    limit_s: float = 20.0,
    on_done: Callable[[int, Rendering], None] | None = None,
) -> list[Rendering]:
    """Render pieces, several at a time; one result a job, in their order.

    Parameters
    ----------
    jobs : iterable of Job
    workers : int or None
        Processes; None for one a core, four at most.
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
    crew = [_Worker(limit_s) for _ in range(count)]
    for worker in crew:
        idle.put(worker)

    def one(index: int) -> None:
        worker = idle.get()
        try:
            _render(jobs[index], results[index], worker)
        finally:
            idle.put(worker)
        if on_done is not None:
            on_done(index, results[index])

    try:
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(one, range(len(jobs))))
    finally:
        for worker in crew:
            worker.close()
    return results


def _render(job: Job, result: Rendering, worker: _Worker) -> None:
    began = time.monotonic()
    if len(job.text) > MAX_TEXT:
        result.notes.append(f"not rendered: longer than {MAX_TEXT} characters")
        return
    marks = marks_of(job.score, job.findings)
    worker.send(
        {
            "texts": [text.encode("utf-8", "replace").decode() for text in _texts(job)],
            "marks": [asdict(mark) for mark in marks],
            "bars": job.score.bar_count if job.score else 0,
            "max_pages": job.max_pages,
        }
    )
    # The worker converts while the MIDI is written here.
    if job.score is not None and any(voice.bars for voice in job.score.voices):
        result.files["score.mid"] = midi_of(job.score, job.title)
    else:
        result.notes.append("no MIDI: there is no music to play")
    worker.receive(result)
    if marks and job.score and result.bars not in (0, job.score.bar_count):
        result.notes.append(
            f"the engraving has {result.bars} bars and the text {job.score.bar_count}: "
            "boxes may stand beside the bar they mean"
        )
    if job.audio and "score.mid" in result.files:
        name, content, reason = preview(result.files["score.mid"])
        if content:
            result.files[name] = content
        else:
            result.notes.append(f"no audio preview: {reason}")
    result.seconds = time.monotonic() - began


def _texts(job: Job) -> list[str]:
    """The text to engrave, and the same put in rows; a faulty piece's rows come first."""
    if job.score is None:
        return [job.text]
    faulty = any(found.severity == "critical" for found in job.findings)
    texts = [job.text, aligned_text(job.score, job.findings)]
    return [text for text in (reversed(texts) if faulty else texts) if text]


class _Worker:
    """One process, started again whenever a piece has brought it down."""

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
        deadline = time.monotonic() + self.limit_s * WAIT
        while (answer := self._line(deadline)) is not None:
            if "name" in answer:
                result.files[answer["name"]] = answer["content"].encode()
            if answer.get("done"):
                result.notes.extend(answer["notes"])
                result.bars = answer.get("bars", 0)
                return
        what = "engraving" if "score.musicxml" in result.files else "MusicXML and no engraving"
        overdue = time.monotonic() >= deadline
        code = self.close()
        overdue = overdue or code == -signal.SIGPROF
        how = f"it took longer than {self.limit_s:g} s" if overdue else _death(code)
        # Half a set of pages is worse than none.
        for name in [name for name in result.files if name.endswith(".svg")]:
            del result.files[name]
        result.notes.append(f"no {what}: {how}")

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


def _page_number(name: str) -> int:
    return int(name.removeprefix("score-").removesuffix(".svg"))
