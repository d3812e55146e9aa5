"""abc2midi in a sandbox: text in, its words and its MIDI out.

The program reads text from strangers, in C, and has been seen to crash, to hang, to fill
a disk and to read files it is told to read. So it runs in a process group of its own, in
a fresh temporary folder, without environment, under limits of time, memory and output,
and the whole group is killed at the end. The text goes in through a pipe, and only after
the limits are in force. What the words mean is :mod:`scoregate.validators.gates.syntax`'s business.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scoregate.errors import ToolError

INSTALL = (
    "Install it: `apt-get install abcmidi`, `brew install abcmidi`, or `pip install symusic`, "
    "whose wheel carries a build."
)
CPU_SECONDS = 5
"""Of processor time; the longest real piece needs a fiftieth of it."""
WALL_SECONDS = 30.0
"""By the clock: generous, so that a busy machine rejects nobody."""
MEMORY_BYTES = 512 * 2**20
OUTPUT_BYTES = 16 * 2**20
"""Of each file it writes, its words included."""
TEXT_BYTES = 8 * 2**20
"""Of the text handed in."""

_LIMITS = (
    (resource.RLIMIT_AS, MEMORY_BYTES),
    (resource.RLIMIT_FSIZE, OUTPUT_BYTES),
    (resource.RLIMIT_CPU, CPU_SECONDS),
    (resource.RLIMIT_CORE, 0),
)
# Where a process can't be limited from outside (macOS), a shell does it before the start.
_SHELL = (
    "/bin/sh",
    "-c",
    f"ulimit -v {MEMORY_BYTES // 1024} 2>/dev/null; ulimit -f {OUTPUT_BYTES // 512}; "
    f'ulimit -t {CPU_SECONDS}; ulimit -c 0; exec "$0" "$@"',
)


@dataclass(frozen=True, slots=True)
class Program:
    """The abc2midi in use.

    Parameters
    ----------
    path : str
    version : str
        As the program states it, e.g. ``5.02 February 16 2025``.
    """

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one run.

    Parameters
    ----------
    words : str
        All that it printed.
    midi : bytes
        The file it wrote; empty where it wrote none.
    failure : str
        Why it did not come to its end (``crashed (SIGSEGV)``, ``took longer than ...``);
        empty when it did. The exit code is no part of it: it says nothing.
    """

    words: str
    midi: bytes
    failure: str = ""


def _bundled() -> Path | None:
    # Found without importing symusic, which takes a while.
    from importlib.util import find_spec

    spec = find_spec("symusic")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "bin" / "abc2midi"
    return path if os.access(path, os.X_OK) else None


@functools.cache
def find() -> Program:
    """Find abc2midi: the one on PATH, else the one in the symusic wheel.

    Raises
    ------
    ToolError
        When there is none, or when what is there is no abc2midi.
    """
    path = shutil.which("abc2midi") or _bundled()
    if path is None:
        raise ToolError("abc2midi is needed to check scores and is not installed.", INSTALL)
    try:
        said = subprocess.run(
            [path, "-ver"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, check=False
        ).stdout.decode("latin-1")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} does not run: {error}", INSTALL) from error
    version = re.search(r"(\d+\.\d+[^\n]*?)\s+abc2midi", said)
    if version is None:
        raise ToolError(f"{path} does not say which abc2midi it is.", INSTALL)
    return Program(str(path), version.group(1))


def run(text: str) -> Run:
    """Hand a finished piece to abc2midi.

    Parameters
    ----------
    text : str
        Finished ABC, one tune. The caller has refused what reads or writes files.

    Raises
    ------
    ToolError
        When there is no abc2midi, or when it can't be started.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > TEXT_BYTES:
        return Run("", b"", f"the text is longer than {TEXT_BYTES // 2**20} MiB")
    program = find()
    with tempfile.TemporaryDirectory(prefix="scoregate-", dir=_place()) as folder:
        return _run_in(folder, program, data)


def _place() -> str | None:
    """Where the folder lies: in memory if there is room for it, else where the system says.

    On a disk, removing a folder costs more than all else together.
    """
    memory = "/dev/shm"
    try:
        space = os.statvfs(memory)
    except OSError:
        return None
    enough = space.f_bavail * space.f_frsize > 4 * OUTPUT_BYTES
    return memory if enough and os.access(memory, os.W_OK | os.X_OK) else None


def _run_in(folder: str, program: Program, data: bytes) -> Run:
    outside = hasattr(resource, "prlimit")
    command = [program.path, "-", "-NFER", "-NFNP", "-NGRA", "-NCOM", "-o", "tune.mid"]
    words_path = os.path.join(folder, "words")
    with open(words_path, "wb") as words_file:
        try:
            process = subprocess.Popen(
                command if outside else [*_SHELL, *command],
                stdin=subprocess.PIPE,
                stdout=words_file,
                stderr=words_file,
                cwd=folder,
                env={},
                process_group=0,
            )
        except OSError as error:
            raise ToolError(f"{program.path} can't be started: {error}", INSTALL) from error
    try:
        if outside:
            for which, limit in _LIMITS:
                resource.prlimit(process.pid, which, (limit, limit))
        in_time = _feed_and_wait(process, data)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    midi_path = os.path.join(folder, "tune.mid")
    words = Path(words_path).read_bytes().decode("utf-8", "replace")
    midi = Path(midi_path).read_bytes() if os.path.isfile(midi_path) else b""
    return Run(words, midi, _failure(in_time, code, words))


def _feed_and_wait(process: subprocess.Popen, data: bytes) -> bool:
    """Write the text and wait for the end; False when the time runs out first.

    A program that stops reading must not block us, so the pipe is written as it drains.
    """
    assert process.stdin is not None
    pipe = process.stdin.fileno()
    os.set_blocking(pipe, False)
    end = time.monotonic() + WALL_SECONDS
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    rest = memoryview(data)
    while rest:
        ready = poll.poll(max(0.0, end - time.monotonic()) * 1000)
        if not ready:
            return False
        try:
            rest = rest[os.write(pipe, rest) :]
        except BlockingIOError:
            continue
        except BrokenPipeError:  # it ended before it read all
            break
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    return _wait(process, max(0.0, end - time.monotonic()))


def _wait(process: subprocess.Popen, seconds: float) -> bool:
    if hasattr(os, "pidfd_open"):  # wakes at once, where Popen.wait sleeps between looks
        handle = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(handle)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _failure(in_time: bool, code: int, words: str) -> str:
    if not in_time:
        return f"took longer than {WALL_SECONDS:.0f} s"
    if code == -signal.SIGXCPU:
        return f"used more than {CPU_SECONDS} s of processor time"
    if code == -signal.SIGXFSZ:
        return f"wrote more than {OUTPUT_BYTES // 2**20} MiB"
    if "file runaway" in words:
        return "gave up: it writes MIDI files of 500 kB at most"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    if "malloc" in words:
        return f"needed more than {MEMORY_BYTES // 2**20} MiB of memory"
    return ""
