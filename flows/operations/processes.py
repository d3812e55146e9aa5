"""Processes that were started earlier: whether one is still the same, and ending it.

Process numbers are reused, so a number alone does not say which process it is. The number and
the moment at which the process started do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path


def start_mark(pid: int) -> str | None:
    """Return a text that no later process with the same number has, or None if none runs.

    On Linux it is the boot and the clock tick at which the process started, elsewhere the
    second. A process that has ended and that its parent has not collected does not run.
    """
    try:
        # The command in parentheses may hold spaces and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        return _start_second(pid)
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{started}"


def _start_second(pid: int) -> str | None:
    command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return None if not words or words[0].startswith("Z") else " ".join(words[1:])


def command_lines() -> list[str]:
    """Return the command lines of all processes that can be seen."""
    folders = [entry for entry in Path("/proc").glob("[0-9]*") if entry.is_dir()]
    if not folders:
        command = ["ps", "-axo", "command="]
        return subprocess.run(
            command, capture_output=True, text=True, check=False
        ).stdout.splitlines()
    lines = []
    for folder in folders:
        with contextlib.suppress(OSError):  # it has ended since the folder was listed
            content = (folder / "cmdline").read_bytes().decode(errors="replace")
            lines.append(content.replace("\0", " "))
    return lines


def is_same(pid: int, mark: str | None) -> bool:
    """Return whether ``pid`` is the process that had ``mark`` when it was started."""
    return mark is not None and start_mark(pid) == mark


def stop_group(pid: int, mark: str | None, patience: float = 25.0) -> bool:
    """End a process and its group: SIGTERM, and SIGKILL after ``patience`` seconds.

    Parameters
    ----------
    pid : int
        A process that leads its group.
    mark : str or None
        Its :func:`start_mark`; another process with this number is left alone.
    patience : float
        Seconds. A worker's runs archive what they have finished in this time.

    Returns
    -------
    bool
        Whether the process was there.
    """
    if not is_same(pid, mark):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and (is_same(pid, mark) or _group_runs(pid)):
        _collect(pid)
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # whoever of the group is left
    _collect(pid)
    return True


def _group_runs(group: int) -> bool:
    """Return whether a process group has a living member; its leader may have ended.

    Members that have ended and that nobody has collected do not count: in a container without an
    init process they stay for ever.
    """
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                return True
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False  # it is empty, or its number belongs to another user's group by now
    return True


def _collect(pid: int) -> None:
    """Collect the exit status of a child, so that it does not stay as a zombie."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
