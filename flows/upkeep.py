"""Flows that look after the archive: verifying and backing up."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from scoregate.archive.backup import backup
from scoregate.archive.store import Archive
from scoregate.archive.verify import count_pieces, verify
from scoregate.dashboard.markdown import escaped
from scoregate.errors import ScoregateError
from scoregate.tasks.watch import raise_alarm

LIMIT = 6 * 3600
"""Seconds that each may take."""
LISTED = 200
"""Most problems that the artifact lists; ``scoregate archive verify`` lists all."""


@flow(name="verify archive", timeout_seconds=LIMIT)
def verify_archive(out: str = "out") -> State:
    """Hash every file of an archive; the run is Failed, with an alarm, where one is damaged.

    Parameters
    ----------
    out : str
        Folder of the archive.
    """
    store = Archive(out)
    started = time.monotonic()
    try:
        problems = verify(store)
        listed = list(islice(problems, LISTED))
        kinds = Counter(problem.kind for problem in listed)
        kinds.update(problem.kind for problem in problems)
        pieces = count_pieces(store)
    except ScoregateError as error:
        return _failed("verify", error, out)
    seconds = time.monotonic() - started
    lines = [f"# Archive {escaped(out)}", "", f"{pieces} pieces hashed in {seconds:.0f} s.", ""]
    lines += [f"- {count} {kind}" for kind, count in kinds.most_common()] or ["No problem."]
    lines += [""] + [f"- {problem.kind}: {escaped(problem.message)}" for problem in listed]
    create_markdown_artifact(key="archive", markdown="\n".join(lines) + "\n")
    # What a writer left that was killed is no damage: `scoregate archive gc` deletes it.
    damage = sum(count for kind, count in kinds.items() if kind != "unfinished")
    if not damage:
        return Completed(message=f"{pieces} pieces are as they were written.")
    message = f"The archive {out} has {damage} problems: " + ", ".join(
        f"{count} {kind}" for kind, count in kinds.most_common()
    )
    raise_alarm("archive-damaged", message, subject=f"scoregate.archive.{Path(out).name}", out=out)
    return Failed(message=message)


@flow(name="back up archive", timeout_seconds=LIMIT)
def back_up(destination: str = "backup", out: str = "out") -> State:
    """Copy an archive to a folder or to object storage; what is there is not copied again.

    Parameters
    ----------
    destination : str
        A folder, or an address such as ``s3://bucket/scores``.
    out : str
        Folder of the archive.
    """
    log = get_run_logger()
    if not (Path(out) / "archive").is_dir():
        return Completed(message=f"There is no archive in {out} yet.")
    try:
        copied = backup(Archive(out), destination)
    except ScoregateError as error:
        return _failed("backup", error, out)
    said = f"{copied.copied} of {copied.files} files copied, {copied.bytes / 1e6:.1f} MB"
    log.info("%s", said)
    create_markdown_artifact(
        key="backup", markdown=f"# Backup of {escaped(out)}\n\nTo {escaped(destination)}: {said}.\n"
    )
    return Completed(message=said)


def _failed(what: str, error: ScoregateError, out: str) -> State:
    get_run_logger().error("%s", error)
    raise_alarm(
        f"{what}-failed", error.problem, subject=f"scoregate.archive.{Path(out).name}", out=out
    )
    return Failed(message=error.problem)
