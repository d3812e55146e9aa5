"""The table of pieces and the page of one piece, with its files and pictures."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from scoregate.archive.integrity import faults_of
from scoregate.archive.records import PieceReport
from scoregate.dashboard.app import drawings
from scoregate.dashboard.app.engraved import page_names
from scoregate.dashboard.app.figures import distribution
from scoregate.dashboard.app.filters import RATINGS, PieceFilter
from scoregate.dashboard.app.library import COUNTED
from scoregate.dashboard.app.piece_view import PieceView, damaged_view, view_of
from scoregate.dashboard.app.site import (
    Site,
    message_page,
    page,
    query_of,
    reviewer_of,
    site_of,
)
from scoregate.dashboard.timeline import timeline_of_text
from scoregate.errors import ArchiveError
from scoregate.render import artefacts

router = APIRouter()
COMPARED = 1_000
"""Newest pieces of a style that a piece is compared with."""

_REPORT = "report.json"


@router.get("/pieces")
def table(request: Request) -> Response:
    """Show a page of the pieces that the address's filter lets through."""
    site, wanted = site_of(request), PieceFilter.of(request.query_params)
    number = request.query_params.get("page", "1")
    found = site.library.page(
        wanted, int(number) if number.isdecimal() and len(number) < 8 else 1, reviewer_of(request)
    )
    return page(
        request,
        "pieces.html",
        section="/pieces",
        page=found,
        wanted=wanted,
        query=query_of(wanted.address),
        facets=site.library.facets(),
        ratings=RATINGS,
        counted=COUNTED,
        known_tags=site.library.reviews.tags(),
    )


@router.get("/pieces/{identifier}")
def piece(request: Request, identifier: str) -> Response:
    """Show one piece."""
    return piece_page(request, identifier, "pieces")


def piece_page(request: Request, identifier: str, mode: str) -> HTMLResponse:
    """Return the page of a piece.

    Parameters
    ----------
    request : Request
        Its address holds the filter that "next" and "previous" stay in.
    identifier : str
        An id, or the beginning of one.
    mode : {'pieces', 'review'}
        In a review a rating moves on.
    """
    site, reviewer = site_of(request), reviewer_of(request)
    row = site.library.row(identifier) if _is_id(identifier) else None
    if row is None:
        return message_page(
            request,
            "No such piece",
            "No piece of this archive has that id. It may have been removed.",
            status=404,
        )
    wanted = PieceFilter.of(request.query_params)
    view, report = view_of_row(site, row)
    previous, following = site.library.neighbours(wanted, row, reviewer)
    names = page_names(report) if report else []
    first = site.engravings.page(site.library.folder(row), names, 1, view.name) if names else None
    return page(
        request,
        "piece.html",
        section="/review" if mode == "review" else "/pieces",
        piece=view,
        mode=mode,
        wanted=wanted,
        query=query_of(wanted.address),
        previous=previous,
        next=following,
        first_page=first,
        rated=site.library.reviews.count(reviewer) if mode == "review" else 0,
        downloads=_downloads(view),
        **review_values(site, row, reviewer),
    )


def review_values(site: Site, row: dict[str, Any], reviewer: str) -> dict[str, Any]:
    """Return what the review panel shows."""
    reviews = site.library.reviews
    opinions = reviews.opinions(row["text_sha256"])
    return {
        "opinion": reviews.opinion(reviewer, row["text_sha256"]),
        "others": [one for one in opinions if one.reviewer != reviewer],
        "known_tags": reviews.tags(),
    }


def view_of_row(site: Site, row: dict[str, Any]) -> tuple[PieceView, PieceReport | None]:
    """Return what a page shows of a stored piece, and its report where it can be read."""
    folder = site.library.folder(row)
    try:
        report = site.library.report(row)
    except ArchiveError as error:
        return damaged_view(row, error.problem), None
    faults = [
        message.replace(f"{folder}/", "").replace(str(folder), "Its folder")
        for _, message in faults_of(folder, row["text_sha256"])
    ]
    present = [name for name in (*report.files, "report.json") if (folder / name).is_file()]
    finished = _text(folder / "score.abc")
    view = view_of(
        report,
        identifier=row["id"],
        # Findings count the lines of the text as the model wrote it.
        text=_text(folder / "raw.abc") or finished,
        voices=_voice_names(finished),
        files=present,
        faults=faults,
    )
    return view, report


@router.get("/pieces/{identifier}/engraving/{number}")
def engraving(request: Request, identifier: str, number: int) -> Response:
    """Return one engraved page as a part of a page."""
    site = site_of(request)
    row = site.library.row(identifier) if _is_id(identifier) else None
    try:
        report = site.library.report(row) if row else None
    except ArchiveError:
        report = None
    if row is None or report is None:
        return HTMLResponse('<p class="quiet">This page is missing.</p>', 404)
    blind = request.query_params.get("blind")
    name = f"Piece {blind}" if blind in ("A", "B") else row["name"]
    folder, names = site.library.folder(row), page_names(report)
    found = site.engravings.page(folder, names, number, name) if 1 <= number <= len(names) else None
    if found is None:
        return HTMLResponse('<p class="quiet">This page is missing or damaged.</p>')
    return HTMLResponse(str(found), headers={"Cache-Control": "private, max-age=600"})


@router.get("/pieces/{identifier}/timeline.json")
def timeline(request: Request, identifier: str) -> Response:
    """Return when each bar sounds, for the player."""
    site = site_of(request)
    row = site.library.row(identifier) if _is_id(identifier) else None
    text = _text(site.library.folder(row) / "score.abc") if row else ""
    return JSONResponse(_timeline(text))


@router.get("/pieces/{identifier}/context")
def context(request: Request, identifier: str) -> Response:
    """Return the piece's measures among those of its style, and the nearest known piece."""
    site = site_of(request)
    row = site.library.row(identifier) if _is_id(identifier) else None
    if row is None:
        return HTMLResponse('<p class="quiet">No such piece.</p>', 404)
    view, _ = view_of_row(site, row)
    values, count = style_values(site, row["style"])
    pictures = {}
    for line in view.measures:
        # The range takes in the piece itself and its thresholds where they are near.
        known = [*values.get(line.name, ()), *([line.value] if line.value is not None else [])]
        if not known:
            continue
        ends = [*known, *line.limits.values()]
        found = distribution(known, min(ends), max(ends))
        if found:
            pictures[line.name] = drawings.histogram(line.title, found, line.value, line.limits)
    text = _text(site.library.folder(row) / "score.abc")
    return page(
        request,
        "context.html",
        piece=view,
        pictures=pictures,
        compared=count,
        nearest=_nearest(text),
    )


@router.get("/pieces/{identifier}/files/{name}")
def download(request: Request, identifier: str, name: str) -> Response:
    """Return a file of a piece."""
    site = site_of(request)
    row = site.library.row(identifier) if _is_id(identifier) else None
    kind = artefacts.of_file(name)
    if row is None or (kind is None and name != _REPORT):
        return message_page(request, "No such file", "This piece has no such file.", status=404)
    try:
        content = _content(site, row, kind, name)
    except (OSError, artefacts.NotMade) as error:
        said = str(error) if isinstance(error, artefacts.NotMade) else "its folder holds none"
        return message_page(
            request, "This file is missing", f"There is no {name}: {said}.", status=404
        )
    stem, _, ending = name.rpartition(".")
    shown = f"{_file_name(row)}{'-as-written' if stem == 'raw' else ''}.{ending}"
    return Response(
        content,
        media_type=kind.media_type if kind else "application/json",
        # Never shown by the browser itself: an SVG or text of unknown origin is a document.
        headers={"Content-Disposition": f'attachment; filename="{shown}"'},
    )


def _content(site: Site, row: dict[str, Any], kind: artefacts.Artefact | None, name: str) -> bytes:
    folder = site.library.folder(row)
    if kind is None or kind.when is not artefacts.When.ON_DEMAND:
        return (folder / name).read_bytes()
    needed = [artefacts.find(one) for one in kind.made_from]
    names = [path.name for path in folder.iterdir()]
    files = {one: (folder / one).read_bytes() for artefact in needed for one in artefact.of(names)}
    return artefacts.made_on_demand(kind.name, files, row["title"] or row["name"])


def style_values(site: Site, style: str) -> tuple[dict[str, list[float]], int]:
    """Return the measures of the newest pieces of a style, by name, and how many pieces."""

    def read() -> tuple[dict[str, list[float]], int]:
        with site.library.opened() as db:
            rows = db.execute(
                "SELECT m.name, m.value FROM (SELECT number FROM pieces WHERE style = ? "
                "ORDER BY number DESC LIMIT ?) p JOIN measures m ON m.piece = p.number "
                "WHERE m.value IS NOT NULL",
                (style, COMPARED),
            ).fetchall()
            count = db.execute(
                "SELECT count(*) FROM (SELECT 1 FROM pieces WHERE style = ? LIMIT ?) AS found",
                (style, COMPARED),
            ).fetchone()[0]
        found: dict[str, list[float]] = {}
        for name, value in rows:
            found.setdefault(name, []).append(value)
        return found, count

    return site.remembered(("style values", style), read)


def _downloads(view: PieceView) -> list[tuple[str, str]]:
    """Return the files that are offered, with their labels; engraved pages are in the page."""
    found = []
    for kind in artefacts.table():
        if kind.name == "engraving":
            continue
        if kind.when is artefacts.When.ON_DEMAND:
            possible = all(artefacts.find(one).of(view.files) for one in kind.made_from)
            found += [(kind.file, kind.label)] if possible else []
        else:
            found += [(name, kind.label) for name in kind.of(view.files)]
    return [*found, (_REPORT, "Report")]


def _file_name(row: dict[str, Any]) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "-", row["name"]).strip("-").lower()[:60]
    return f"{words or 'piece'}-{row['text_sha256'][:8]}"


@lru_cache(maxsize=64)
def _timeline(text: str) -> dict[str, Any]:
    return timeline_of_text(text)


def _voice_names(text: str) -> dict[str, str]:
    """Names by voice from the header's ``V:`` lines; the score itself is read by the player."""
    found = {}
    for line in text.splitlines()[:200]:
        match = re.match(r'V:\s*([^\s]{1,40})[^\n]*?\b(?:nm|name)="([^"\n]{1,60})"', line)
        if match:
            found[match[1]] = match[2].replace("\\n", " ")
    names = list(found.values())
    return {key: name for key, name in found.items() if names.count(name) == 1}


@lru_cache(maxsize=64)
def _nearest(text: str) -> list[str]:
    from scoregate.abc.reader import read
    from scoregate.dashboard.app.nearest import nearest_known

    return nearest_known(read(text)) if text else []


def _text(path) -> str:
    try:
        return path.read_text("utf-8", "backslashreplace")
    except OSError:
        return ""


def _is_id(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{6,64}(\.[A-Za-z0-9][A-Za-z0-9._-]{0,99})?", text))
