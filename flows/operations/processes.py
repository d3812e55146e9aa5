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


def descendants(pid: int) -> dict[int, str]:
    """Return the start marks of the children of a process, their children and so on, by number."""
    parents = _parents()
    found: dict[int, str] = {}
    wanted = {pid}
    while wanted:
        wanted = {child for child, parent in parents.items() if parent in wanted} - set(found)
        for child in wanted:
            mark = start_mark(child)
            if mark is not None:
                found[child] = mark
    return found


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its children, as far as it can be read."""
    total = 0.0
    for member in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            # utime and stime of proc(5), in clock ticks.
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            continue
        command = ["ps", "-o", "time=", "-p", str(member)]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        total += _seconds(said.strip())
    return total


def _seconds(clock: str) -> float:
    """Return what ps shows as ``[[days-]hours:]minutes:seconds`` in seconds; 0 for no time."""
    days, _, rest = clock.rpartition("-")
    total = 0.0
    with contextlib.suppress(ValueError):
        for part in rest.split(":"):
            total = 60 * total + float(part)
        return total + 86400 * int(days or 0)
    return 0.0


def _parents() -> dict[int, int]:
    """Return the parent of each process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    if parents:
        return parents
    command = ["ps", "-axo", "pid=,ppid="]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    pairs = (line.split() for line in listed.splitlines())
    return {int(child): int(parent) for child, parent in pairs}


def stop_group(pid: int, mark: str | None, patience: float = 25.0) -> bool:
    """End a process, its group and its children: SIGTERM, and SIGKILL after ``patience`` seconds.

    Children with a group of their own, as a worker's runs have, get SIGTERM as well. What they
    have started themselves is left to them until the time is over.

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
    family = descendants(pid)
    own = [child for child, parent in _parents().items() if parent == pid and child in family]
    for member in (pid, *own):
        _signal_group(member, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and (
        is_same(pid, mark)
        or _group_runs(pid)
        or any(is_same(child, known) for child, known in family.items())
    ):
        _collect(pid)
        time.sleep(0.1)
    _signal_group(pid, signal.SIGKILL)  # whoever of the group is left
    for child, known in family.items():
        if is_same(child, known):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
    _collect(pid)
    return True


def _signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to the group that a process leads; a process that leads none is left out."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


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
