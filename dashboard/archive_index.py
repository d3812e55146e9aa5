"""The page of the whole archive: its runs and its newest pieces."""

from __future__ import annotations

from dataclasses import dataclass

from scoregate.archive import catalog, query
from scoregate.archive.store import Archive
from scoregate.dashboard.formatting import STATUS_SIGNS, moment, number, style_name
from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.pages import fill
from scoregate.errors import CorruptError
from scoregate.findings import Status

NEWEST = 500
"""Pieces in the table; the catalog has all."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in the table.

    Attributes
    ----------
    run_id, address, began, style : str
    counts : list of int
        Pieces by status, in the order of :class:`Status`.
    missing : int
    fault : str
        What is wrong with its record, where it can't be read.
    """

    run_id: str
    address: str
    began: str
    style: str
    counts: list[int]
    missing: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PieceLine:
    """A piece in the table.

    Attributes
    ----------
    short_id, address, title, style, bars, seed, archived, run_address : str
    """

    short_id: str
    address: str
    title: str
    style: str
    bars: str
    seed: str
    archived: str
    run_address: str


def index_page(store: Archive) -> str:
    """Return the HTML page of an archive; links are relative to its own folder."""
    archived = query.Filter(status=Status.PASSED)
    newest, total = catalog.answer(
        store,
        lambda connection: (
            query.rows(connection, archived, limit=NEWEST),
            query.count(connection, archived),
        ),
    )
    pieces = [_piece_line(store, row) for row in newest]
    return fill(
        "archive_index.html",
        sheet=Sheet(),
        runs=[_run_line(store, run_id) for run_id in reversed(store.run_ids())],
        pieces=pieces,
        total=total,
        statuses=list(Status),
        signs=STATUS_SIGNS,
    )


def _run_line(store: Archive, run_id: str) -> RunLine:
    folder = store.run_folder(run_id)
    address = f"runs/{run_id}/report.html" if (folder / "report.html").is_file() else ""
    try:
        run = store.run(run_id)
    except CorruptError as error:
        return RunLine(run_id, address, "–", "", [0, 0, 0], 0, error.problem)
    style = run.request.get("style")
    return RunLine(
        run_id=run_id,
        address=address,
        began=moment(run.started),
        style=style_name(style if isinstance(style, str) else None),
        counts=[run.count(status) for status in Status],
        missing=run.missing,
    )


def _piece_line(store: Archive, row: dict) -> PieceLine:
    identifier = row["id"]
    page = store.run_folder(row["run_id"]) / "report.html" if row["run_id"] else None
    anchor = f"#piece-{identifier[:12]}"
    return PieceLine(
        short_id=identifier[:12],
        address=f"archive/pieces/{identifier[:2]}/{identifier}/score-1.svg",
        title=row["title"].strip()[:120] or row["name"],
        style=style_name(row["style"]),
        bars=number(row["bars"]),
        seed=number(row["seed"]) if row["seed"] is None else str(row["seed"]),
        archived=moment(row["created_utc"]),
        run_address=f"runs/{row['run_id']}/report.html{anchor}" if page and page.is_file() else "",
    )
