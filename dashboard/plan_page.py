"""The page of a plan: its requests in one table, with links to their runs."""

from __future__ import annotations

from dataclasses import dataclass

from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.pages import fill


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A request in the table.

    Attributes
    ----------
    number : int
    name, style, settings : str
        Name and style are text of unknown origin.
    state : str
        ``finished``, ``failed`` or ``skipped``.
    wanted, passed, drawn : int or None
    rate, seconds : str
    run_id, address : str
        The run, and its page relative to this one; empty where there is none.
    problem : str
        Why it could not be finished, or was skipped.
    """

    number: int
    name: str
    style: str
    settings: str
    state: str
    wanted: int | None
    passed: int | None
    drawn: int | None
    rate: str
    seconds: str
    run_id: str
    address: str
    problem: str


def plan_page(title: str, lines: list[PlanLine]) -> str:
    """Return the HTML page of a plan; links are relative to its own folder."""
    return fill("plan.html", sheet=Sheet(), title=title, lines=lines)
