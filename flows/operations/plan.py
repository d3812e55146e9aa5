"""prefect.yaml: read and checked before a server is asked anything.

Prefect itself finds an unknown time zone or a bad cron line when it deploys, half way through
the file and with a stack trace.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from scoregate.errors import RequestError

FILE = "prefect.yaml"
PACKAGED = Path(__file__).with_name(FILE)
POOL = "scoregate"
PRODUCTION = "scoregate.flows.scheduled."
"""Beginning of the entrypoints of productions."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A deployment of prefect.yaml.

    Attributes
    ----------
    name : str
        As in the file.
    entrypoint : str
    pool : str
    crons : tuple of (str, str)
        Cron line and time zone of each schedule that is active.
    parameters : dict
    """

    name: str
    entrypoint: str
    pool: str
    crons: tuple[tuple[str, str], ...]
    parameters: dict[str, Any]

    def longest_gap(self) -> timedelta | None:
        """Return the longest time between two runs in the next 30; None without a schedule."""
        from prefect.server.schemas.schedules import CronSchedule

        gaps = []
        for line, zone in self.crons:
            due = asyncio.run(CronSchedule(cron=line, timezone=zone).get_dates(31))
            longest = max((later - earlier).total_seconds() for earlier, later in pairwise(due))
            gaps.append(timedelta(seconds=longest))
        return min(gaps) if gaps else None


def folders(planned: Sequence[Planned]) -> tuple[str, str]:
    """Return the folders of archive and inbox that the deployments name."""
    out = inbox = ""
    for each in planned:
        request = each.parameters.get("request")
        if each.crons and isinstance(request, dict) and each.entrypoint.startswith(PRODUCTION):
            out = out or str(request.get("out") or "")
        inbox = inbox or str(each.parameters.get("inbox") or "")
    return out or "out", inbox or "inbox"


def ensure_file(folder: Path) -> tuple[Path, bool]:
    """Return prefect.yaml of a folder, and whether it had to be written.

    Where there is none, the one that comes with Scoregate is copied.
    """
    path = folder / FILE
    if path.exists():
        return path, False
    try:
        shutil.copyfile(PACKAGED, path)
    except OSError as error:
        raise RequestError(
            f"{path} can't be written: {error.strerror}.",
            "Change to a folder of your own: archive, inbox and schedules are kept there.",
        ) from error
    return path, True


def read_plan(path: Path) -> list[Planned]:
    """Read and check prefect.yaml.

    Raises
    ------
    RequestError
        It can't be read, or a schedule has a cron line or a time zone that doesn't exist.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
        return [_planned(path, each) for each in content["deployments"]]
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path} is no list of deployments: {type(error).__name__}: {error}",
            f"Compare it with {PACKAGED}.",
        ) from error


def _planned(path: Path, entry: dict[str, Any]) -> Planned:
    name = entry["name"]
    crons = []
    for schedule in entry.get("schedules") or []:
        if schedule.get("active", True) is False or "cron" not in schedule:
            continue
        zone = schedule.get("timezone") or "UTC"
        crons.append((schedule["cron"], zone))
        _check_zone(path, name, zone)
        _check_cron(path, name, schedule["cron"])
    return Planned(
        name=name,
        entrypoint=entry["entrypoint"],
        pool=(entry.get("work_pool") or {}).get("name") or POOL,
        crons=tuple(crons),
        parameters=entry.get("parameters") or {},
    )


def _check_zone(path: Path, name: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RequestError(
            f"{path}: the deployment {name} has the time zone {zone!r}, which is not known.",
            "Names are those of the IANA database, such as Europe/Berlin or UTC.",
        ) from error


def _check_cron(path: Path, name: str, line: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    try:
        CronSchedule(cron=line)
    except ValidationError as error:
        raise RequestError(
            f"{path}: the deployment {name} has the cron line {line!r}, which is not valid.",
            "It has five fields: minute, hour, day of the month, month, day of the week.",
        ) from error
