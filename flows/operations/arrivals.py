"""What has arrived in an inbox, and telling a Prefect server of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from scoregate.flows.operations import api
from scoregate.sources import ENDINGS

DONE = "done"
"""Folder in the inbox to which files are moved once they are judged."""
ARRIVED = "scoregate.inbox.arrived"
"""Name of the event that starts the deployment ``screen-inbox``."""
SETTLED = 2.0
"""Seconds without a change after which a file counts as written."""


def waiting_files(inbox: Path) -> list[Path]:
    """Return the scores that lie in an inbox, the oldest first; those in ``done/`` are not.

    Parts of a path that begin with a point are left out, so that a program can write a file
    under such a name and rename it.
    """
    found: list[tuple[float, Path]] = []
    for folder, folders, names in os.walk(inbox):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not (here == inbox and name == DONE)
        )
        for name in names:
            path = here / name
            if name.startswith(".") or not name.lower().endswith(tuple(ENDINGS)):
                continue
            try:
                found.append((path.stat().st_mtime, path))
            except OSError:
                continue  # it was moved since the folder was listed
    return [path for _, path in sorted(found)]


def settled_files(inbox: Path) -> list[Path]:
    """Return the files of an inbox that have not changed for :data:`SETTLED` seconds."""
    now = time.time()
    settled = []
    for path in waiting_files(inbox):
        try:
            changed = path.stat().st_mtime
        except OSError:
            continue
        # A clock that was set back makes files of the future; they are taken as they are.
        if not 0 <= now - changed < SETTLED:
            settled.append(path)
    return settled


def announce(url: str, count: int) -> None:
    """Send the event that files have arrived.

    Parameters
    ----------
    url : str
        Of Prefect's API.
    count : int
        Number of files.

    Raises
    ------
    scoregate.flows.operations.api.Unanswered
        The server can't be reached; the schedule of the deployment finds the files.
    """
    api.send_event(url, ARRIVED, "scoregate.inbox", {"files": count})
