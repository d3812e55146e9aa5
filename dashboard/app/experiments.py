"""Folders of experiments below a root: sweeps, searches, comparisons, studies.

A folder is one where ``experiment.json`` lies in it. Links are not followed, and a page names an
experiment only by a path that was found here, so that no address leads out of the root.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scoregate.errors import UnreadableError
from scoregate.experiments.record import FILE, Experiment, read_experiment

DEEPEST = 3
"""Folders below the root that are looked into."""
MOST = 200
"""Experiments that are listed, the newest ones."""
VISITED = 5_000
"""Folders that are visited at most."""
KEPT_S = 5.0
"""Seconds for which a listing is kept."""
_SKIPPED = frozenset(("archive", "rejected", "runs", "cells", "figures", "node_modules", "build"))


@dataclass(frozen=True, slots=True)
class Entry:
    """An experiment.

    Attributes
    ----------
    name : str
        Path of its folder from the root; ``.`` for the root itself.
    folder : Path
    experiment : Experiment or None
        None where its record can't be read.
    fault : str
        Why not.
    """

    name: str
    folder: Path
    experiment: Experiment | None
    fault: str = ""

    @property
    def when(self) -> str:
        """When it was written, for the order of the list."""
        return self.experiment.created if self.experiment else ""


class Experiments:
    """The experiments below a root.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept: tuple[float, list[Entry]] = (0.0, [])

    def entries(self) -> list[Entry]:
        """Return the experiments, the newest first."""
        at, known = self._kept
        if not at or time.monotonic() - at > KEPT_S:
            known = sorted(self._found(), key=lambda entry: entry.when, reverse=True)[:MOST]
            self._kept = (time.monotonic(), known)
        return known

    def find(self, name: str) -> Entry | None:
        """Return the experiment of a name that :meth:`entries` gives; None for any other."""
        return next((entry for entry in self.entries() if entry.name == name), None)

    def _found(self) -> Iterator[Entry]:
        root = str(self.root)
        for visited, (folder, below, files) in enumerate(os.walk(root), 1):
            depth = 0 if folder == root else os.path.relpath(folder, root).count(os.sep) + 1
            below[:] = sorted(
                name
                for name in below
                if depth < DEEPEST
                and not name.startswith(".")
                and name not in _SKIPPED
                and not os.path.islink(os.path.join(folder, name))
            )
            if FILE in files:
                yield _entry(os.path.relpath(folder, root), Path(folder))
            if visited >= VISITED:
                return


def _entry(name: str, folder: Path) -> Entry:
    try:
        return Entry(name, folder, read_experiment(folder))
    except UnreadableError as error:
        return Entry(name, folder, None, error.problem)
