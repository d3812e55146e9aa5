"""The inbox: a folder whose files are screened and then moved to ``done/`` below it.

A file that still changes is left for the next run. The screening's journal holds what was
judged, so that a run which is killed before it has moved its files loses nothing: the next run
finds them judged and moves them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from scoregate.errors import ArchiveError
from scoregate.flows.operations.arrivals import DONE, settled_files
from scoregate.flows.screen import screen
from scoregate.requests import ScreenRequest

LIMIT = 2 * 3600
"""Seconds that a run may take."""
AT_ONCE = 1000
"""Files of one screening: their names are its parameters, of which Prefect stores 512 kB."""


@flow(name="screen inbox", timeout_seconds=LIMIT)
def screen_inbox(
    inbox: str = "inbox", out: str = "screened", style: str | None = None, novelty: bool = False
) -> State:
    """Judge the files of a folder and move each to ``done/<day>/`` below it.

    Verdicts and sorted copies are below ``out``, as those of ``scoregate screen``.

    Parameters
    ----------
    inbox : str
        Folder that is looked through, with the folders in it.
    out : str
        Folder for ``passed/``, ``rejected/`` and the tables of results.
    style : str or None
        Judge all by this style; left out, each by its own prompt.
    novelty : bool
        Reject copies of known pieces too.
    """
    folder = Path(inbox)
    judged = 0
    counts: Counter[str] = Counter()
    while files := settled_files(folder)[:AT_ONCE]:
        request = ScreenRequest(
            paths=[str(path) for path in files], out=out, style=style, novelty=novelty
        )
        counts.update(screen(request).counts)
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        for path in files:
            _move(path, folder / DONE / day / path.relative_to(folder))
        judged += len(files)
    if not judged:
        return Completed(message=f"Nothing waits in {inbox}.")
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    get_run_logger().info("%d files: %s", judged, said)
    return Completed(message=f"{judged} files: {said}")


def _move(path: Path, target: Path) -> None:
    if target.exists():
        target = target.with_name(f"{target.stem}-{time.time_ns()}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    except FileNotFoundError:
        return  # whoever put it there took it away again
    except OSError as error:
        raise ArchiveError(
            f"{path} can't be moved to {target.parent}: {error.strerror}.",
            "It was judged; it is moved when the folder can be written.",
        ) from error
