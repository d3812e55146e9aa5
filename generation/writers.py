"""Processes that generate side by side, while the pieces before are judged and rendered.

The pieces of a round are handed out in chunks. What a process has written is reported at once, so
that it can be put on the disk. A process that dies (memory runs out) is started again, and its
chunk is generated anew.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import Any

from scoregate import errors
from scoregate.cores import cores
from scoregate.errors import InputError, ScoregateError, ToolError, WeightsError
from scoregate.faults import plain_error
from scoregate.generator import Generation, Progress
from scoregate.progress import report
from scoregate.requests import ProduceRequest

PIECES_PER_PROCESS = 16
"""A second process pays from twice so many pieces on: it has to import torch first."""

CHUNK_ROUNDS = 4
"""A chunk holds so many times the pieces that are generated side by side, so that few of these
places are empty at its end."""

MOST_TRIES = 3
"""How often a chunk is tried."""

STOP_SECONDS = 8.0
"""How long processes may take to send what they have after they were told to stop."""

Written = Callable[[list[tuple[int, Generation]]], None]


@dataclass(slots=True)
class _Chunk:
    """Pieces that a process generates at once: (index, seed) of each."""

    items: list[tuple[int, int]]
    tries: int = 0


@dataclass(slots=True, eq=False)
class _Process:
    """A generating process as its thread sees it."""

    popen: subprocess.Popen[bytes] | None = None
    chunk: _Chunk | None = None
    progress: dict[str, Any] = field(default_factory=dict)


class Writers:
    """Generating processes for one request.

    Parameters
    ----------
    request : ProduceRequest

    Attributes
    ----------
    request : ProduceRequest
        Sent with each chunk; set it once its style and seed are settled.
    on_written : callable
        Called with a list of (index, generation) as pieces are finished, from any thread.
    styles : list of str or None
        What the weights were trained on; None where they name no styles. Set by :meth:`load`.
    provenance : dict
        What identifies the generator. Set by :meth:`load`.
    """

    def __init__(self, request: ProduceRequest) -> None:
        self.request = request
        self.on_written: Written = lambda pieces: None
        self.styles: list[str] | None = None
        self.provenance: dict[str, Any] = {}
        self._processes: list[_Process] = []
        self._threads: list[Thread] = []
        self._queue: deque[tuple[int, int]] = deque()
        self._again: list[_Chunk] = []
        self._left: set[int] = set()
        self._unfinished: list[tuple[int, Generation]] = []
        self._changed = Condition()
        self._failure: BaseException | None = None
        self._stopping = False
        self._done = self._bars = self._steps = 0
        self._began = 0.0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object

    def __enter__(self) -> Writers:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.close()

    def load(self) -> None:
        """Start the first process and wait until it has loaded the weights.

        Raises
        ------
        RequestError, WeightsError, ...
            As the generator raised it.
        """
        first = _Process()
        first.popen = self._started()
        ready = self._answer(first.popen)
        if ready is None:
            raise self._death(first.popen)
        if "error" in ready:
            raise _error(ready["error"])
        self.styles = ready["ready"]["styles"]
        self.provenance = ready["ready"]["provenance"]
        self._serve(first)

    def submit(self, items: Iterable[tuple[int, int]]) -> None:
        """Hand out more pieces, each by its index and its seed, unless they are handed out."""
        with self._changed:
            items = [each for each in items if each[0] not in self._left]
            self._queue.extend(items)
            self._left.update(index for index, _ in items)
            self._began = self._began or time.monotonic()
            wanted = self._wanted_processes()
            self._changed.notify_all()
        while len(self._processes) < wanted:
            self._serve(_Process())

    def wait(self, indexes: Sequence[int]) -> None:
        """Wait until these pieces are written.

        Raises
        ------
        ScoregateError
            A process reported an error, or died again and again.
        """
        while True:
            with self._changed:
                if self._failure is not None:
                    raise self._failure
                if self._left.isdisjoint(indexes):
                    return
                self._changed.wait(0.5)
                progress = self._progress()
            report("writing", progress.done, progress.total, str(progress))

    def stop(self, seconds: float = STOP_SECONDS) -> list[tuple[int, Generation]]:
        """End the work under way; return the pieces that are not finished, with their index.

        Finished ones are reported to :attr:`on_written` as always.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            if self._stopping:
                return []
            self._stopping = True
            self._queue.clear()
            self._again.clear()
            self._changed.notify_all()
            for process in self._busy():
                assert process.popen is not None
                if process.popen.poll() is None:
                    process.popen.send_signal(signal.SIGINT)
            while self._busy() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return sorted(self._unfinished, key=lambda each: each[0])

    def close(self) -> None:
        """End the processes."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for process in self._processes:
            _end(process.popen)
        self._errors.close()

    def _wanted_processes(self) -> int:
        if self.request.processes:
            most = self.request.processes
        elif self.provenance.get("device") != "cpu":
            return 1
        else:
            most = max(cores() // max(int(self.provenance.get("threads") or 1), 1), 1)
            most = min(most, max(len(self._left) // PIECES_PER_PROCESS, 1))
        return most

    def _serve(self, process: _Process) -> None:
        self._processes.append(process)
        thread = Thread(target=self._work, args=(process,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, process: _Process) -> None:
        """Serve one process with chunks until the end."""
        try:
            while (chunk := self._next(process)) is not None:
                self._write(process, chunk)
        except BaseException as error:  # It ends the run, in the thread that waits.
            with self._changed:
                self._failure = self._failure or plain_error(error) or error
                process.chunk = None
                self._changed.notify_all()

    def _next(self, process: _Process) -> _Chunk | None:
        with self._changed:
            while not self._stopping:
                if self._again:
                    process.chunk = self._again.pop()
                    return process.chunk
                if self._queue:
                    batch = self.request.batch
                    share = -(-len(self._queue) // (2 * max(len(self._processes), 1)))
                    size = min(max(share, batch), CHUNK_ROUNDS * batch)
                    items = [self._queue.popleft() for _ in range(min(size, len(self._queue)))]
                    process.chunk = _Chunk(items)
                    return process.chunk
                self._changed.wait()
        return None

    def _write(self, process: _Process, chunk: _Chunk) -> None:
        chunk.tries += 1
        try:
            if process.popen is None:
                process.popen = self._started()
                ready = self._answer(process.popen)
                if ready is None:
                    raise self._death(process.popen)
                if "error" in ready:
                    raise _error(ready["error"])
            _send(process.popen, request=self.request.model_dump(mode="json"),
                  seeds=[seed for _, seed in chunk.items])  # fmt: skip
            while (answer := self._answer(process.popen)) is not None and "progress" in answer:
                process.progress = answer["progress"]
            if answer is None:
                raise self._death(process.popen)
            if "error" in answer:
                raise _error(answer["error"])
        except Exception as error:
            self._retry(process, chunk, error)
            return
        self._take(process, chunk, answer)

    def _retry(self, process: _Process, chunk: _Chunk, error: Exception) -> None:
        """Put a chunk back after a fault that may pass; raise one that will not."""
        _end(process.popen)
        with self._changed:
            process.popen, process.chunk, process.progress = None, None, {}
            self._changed.notify_all()
            if self._stopping:
                return
            if isinstance(error, InputError | WeightsError) or chunk.tries >= MOST_TRIES:
                raise error
            self._again.append(chunk)

    def _take(self, process: _Process, chunk: _Chunk, answer: dict[str, Any]) -> None:
        index_of = {seed: index for index, seed in reversed(chunk.items)}
        pieces = [
            Generation(**{**each, "notes": tuple(each["notes"])}) for each in answer["pieces"]
        ]
        if answer["stopped"]:
            found = [(index_of[piece.seed], piece) for piece in pieces]
        else:
            found = [(index, piece) for (index, _), piece in zip(chunk.items, pieces, strict=True)]
        whole = [each for each in found if each[1].ended != "stopped"]
        self.on_written(whole)
        with self._changed:
            self._unfinished += [each for each in found if each[1].ended == "stopped"]
            self._left.difference_update(index for index, _ in whole)
            self._done += len(whole)
            self._bars += sum(piece.bars for _, piece in whole)
            self._steps += sum(piece.steps for _, piece in whole)
            process.chunk, process.progress = None, {}
            self._changed.notify_all()

    def _busy(self) -> list[_Process]:
        return [each for each in self._processes if each.chunk is not None and each.popen]

    def _progress(self) -> Progress:
        told = [each.progress for each in self._processes if each.progress]
        done = self._done + sum(each["done"] for each in told)
        total = self._done + len(self._left)
        seconds = time.monotonic() - self._began
        left = [each["left"] for each in told if each["left"] is not None]
        return Progress(
            done=done,
            total=total,
            bars=self._bars + sum(each["bars"] for each in told),
            steps=self._steps + sum(each["steps"] for each in told),
            seconds=seconds,
            left=seconds / done * (total - done) if done else max(left, default=None),
            unit=told[0]["unit"] if told else "steps",
        )

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "scoregate.generation.writer_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C reaches this process alone, which tells the others.
        )
        _send(process, request=self.request.model_dump(mode="json"))
        return process

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
        """Return the next answer; None where the process is gone."""
        assert process.stdout is not None
        line = process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _death(self, process: subprocess.Popen[bytes]) -> ScoregateError:
        code = process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
        return ToolError(
            f"The process that generates ended {how}{': ' if said else '.'}{''.join(said)}",
            "Too little memory is the usual reason: take fewer --processes, a smaller --batch, or "
            "a lower --precision. The same command goes on where it was.",
        )


def _send(process: subprocess.Popen[bytes], **message: Any) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return  # It is gone: the missing answer says so.


def _end(process: subprocess.Popen[bytes] | None) -> None:
    """End a process: it may finish its last answer."""
    if process is None:
        return
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue  # Unsent bytes for a process that is gone.
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _error(told: dict[str, str]) -> Exception:
    """Return the error that a process reported, as it was raised there."""
    kind = getattr(errors, told["kind"], None)
    if isinstance(kind, type) and issubclass(kind, ScoregateError):
        return kind(told["problem"], told["remedy"])
    return plain_error(RuntimeError(told["problem"])) or RuntimeError(
        f"{told['kind']} in the process that generates:\n{told['trace']}"
    )
