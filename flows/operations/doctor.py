"""`scoregate doctor`: check every part that a production needs, and say what to do.

A check returns one or more :class:`Check`. ``fault`` means that a production can't run or can't
be relied on; ``warning`` that something optional is missing or will run out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from scoregate.errors import ScoregateError
from scoregate.flows.operations import api, plan, supervisor
from scoregate.flows.operations.checks_of_server import server_checks

Level = Literal["ok", "warning", "fault"]
LOW_DISK = 2 * 2**30
"""Bytes: below, a night of a thousand pieces may not fit."""
NO_DISK = 200 * 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one part.

    Attributes
    ----------
    name : str
    level : {'ok', 'warning', 'fault'}
    found : str
        One sentence, or the facts.
    remedy : str
        What to do; ``""`` where nothing is to be done.
    """

    name: str
    level: Level
    found: str
    remedy: str = ""


def examine(folder: Path) -> Iterator[Check]:
    """Yield all checks of the line whose prefect.yaml is in ``folder``."""
    planned: list[plan.Planned] = []
    yield from _plan(folder, planned)
    try:
        for row in server_checks(planned):
            yield Check(*row)
    except api.Unanswered as error:
        yield Check("server", "fault", f"It stopped answering: {error}.", "Look at its log.")
    yield from _parts()
    for weights in _weights_of(planned):
        name = "weights" if weights is None else f"weights {weights}"
        yield _guarded(name, partial(_weights, name, weights))
    yield _guarded("abc2midi", _abc2midi)
    yield _kernels()
    yield from _renderers()
    out, inbox = plan.folders(planned)
    yield _guarded("catalog", partial(_catalog, folder / out))
    yield from _folders(folder, out, inbox)
    yield from _backup(folder, out, planned)
    yield _private()


def _plan(folder: Path, planned: list[plan.Planned]) -> Iterator[Check]:
    path = folder / plan.FILE
    if not path.exists():
        yield Check(
            "schedules",
            "warning",
            f"There is no {plan.FILE} in {folder}.",
            "`scoregate up` writes one; or go to the folder that holds it.",
        )
        return
    try:
        planned.extend(plan.read_plan(path))
    except ScoregateError as error:
        yield Check("schedules", "fault", error.problem, error.remedy)
        return
    scheduled = [each for each in planned if each.crons]
    said = "; ".join(
        f"{each.name} {line} {zone}" for each in scheduled for line, zone in each.crons
    )
    yield Check("schedules", "ok", said or f"{path} has no schedule.")


def _parts() -> Iterator[Check]:
    for standing in supervisor.standings()[1:]:
        yield Check(
            f"process {standing.name}",
            "ok" if standing.runs else "warning",
            standing.detail,
            "" if standing.runs else "`scoregate up` starts it, unless a service manager does.",
        )


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except ScoregateError as error:
        return Check(name, "fault", error.problem, error.remedy)


def _weights_of(planned: list[plan.Planned]) -> list[str | None]:
    """Return the weights that the deployments name; None is the embedded model."""
    names: list[str | None] = [None]
    for each in planned:
        request = each.parameters.get("request")
        if isinstance(request, dict) and request.get("model", "notagen") == "notagen":
            names.append(request.get("weights"))
    return list(dict.fromkeys(names))


def _weights(name: str, weights: str | None) -> Check:
    from scoregate.notagen.weights import hub

    found = hub.check(weights)
    size = f"{found['parameters'] / 1e6:.1f} M parameters, SHA-256 {found['sha256'][:12]}"
    return Check(name, "ok", f"{size}, {found['path']}")


def _abc2midi() -> Check:
    from scoregate.validators import abc2midi

    program = abc2midi.find()
    return Check("abc2midi", "ok", f"version {program.version}, {program.path}")


def _kernels() -> Check:
    from scoregate.notagen.backends.kernels import kernel_sets

    if found := kernel_sets():
        return Check("kernels", "ok", f"compiled: {', '.join(found)}")
    return Check(
        "kernels",
        "warning",
        "The engine's kernels are not compiled: generation takes two to three times as long.",
        "Install a C compiler and then Scoregate again.",
    )


def _renderers() -> Iterator[Check]:
    for name, package, purpose, extra in (
        ("engraving", "verovio", "engraved pages", ""),
        ("MIDI", "symusic", "MIDI files", ""),
        ("PDF", "typst", "PDF files", "pdf"),
        ("S3", "s3fs", "backups to object storage", "s3"),
        ("Dask", "prefect-dask", "work on a cluster", "dask"),
    ):
        try:
            yield Check(name, "ok", f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Check(
                name,
                "warning" if extra else "fault",
                f"{package} is not installed: no {purpose}.",
                f"pip install '{f'scoregate[{extra}]' if extra else 'scoregate'}'",
            )
    program = shutil.which("fluidsynth")
    yield Check(
        "audio",
        "ok" if program else "warning",
        program or "fluidsynth is not installed: no audio previews (`--audio`).",
        "" if program else "Install the system's packages fluidsynth and fluid-soundfont-gm.",
    )


def _catalog(out: Path) -> Check:
    from scoregate.archive import catalog, postgres
    from scoregate.archive.store import Archive

    place = catalog.of(Archive(out))
    place.check()
    kind = "PostgreSQL" if postgres.address() else "SQLite"
    return Check("catalog", "ok", f"{kind}, {place.shown}")


def _folders(folder: Path, out: str, inbox: str) -> Iterator[Check]:
    for name, path in (("archive", folder / out), ("inbox", folder / inbox)):
        parent = path if path.is_dir() else folder
        if not os.access(parent, os.W_OK | os.X_OK):
            yield Check(
                name, "fault", f"{parent} can't be written.",
                "Give it to the user that runs the worker.",
            )  # fmt: skip
            continue
        free = shutil.disk_usage(parent).free
        level: Level = "fault" if free < NO_DISK else "warning" if free < LOW_DISK else "ok"
        yield Check(
            name,
            level,
            f"{path}, {free / 2**30:.1f} GiB free",
            "" if level == "ok" else "Free some space: `scoregate archive gc --keep 30d`.",
        )


def _backup(folder: Path, out: str, planned: list[plan.Planned]) -> Iterator[Check]:
    for each in planned:
        destination = str(each.parameters.get("destination") or "")
        if not each.crons or not destination or "://" in destination:
            continue
        path = folder / destination
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        archive = folder / out if (folder / out).exists() else folder
        if there.stat().st_dev == archive.stat().st_dev:
            yield Check(
                "backup",
                "warning",
                f"{each.name} copies the archive to {destination}, on the disk that holds it.",
                f"Give it a folder on another disk, or an address, in {plan.FILE}.",
            )
        else:
            yield Check("backup", "ok", f"{each.name} copies the archive to {destination}")


def _private() -> Check:
    root = supervisor.state().root
    if not root.exists():
        return Check("state folder", "ok", f"{root} is made by `scoregate up`.")
    mode = root.stat().st_mode & 0o777
    if mode & 0o077:
        return Check(
            "state folder",
            "fault",
            f"{root} can be read by other users (mode {mode:o}).",
            f"chmod 700 {root}",
        )
    if not os.access(root, os.W_OK):
        return Check("state folder", "fault", f"{root} can't be written.", f"chown it: {root}")
    return Check("state folder", "ok", str(root))
