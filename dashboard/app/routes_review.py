"""Rating pieces, comparing two blind, undoing, and the reviewer's name."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from scoregate.archive.reviews import MAX_REVIEWER
from scoregate.dashboard.app.filters import PieceFilter
from scoregate.dashboard.app.forms import form
from scoregate.dashboard.app.routes_pieces import piece_page, review_values, view_of_row
from scoregate.dashboard.app.site import (
    Site,
    is_htmx,
    message_page,
    page,
    query_of,
    remember_reviewer,
    reviewer_of,
    see,
    site_of,
)
from scoregate.errors import RequestError

router = APIRouter()
POOL = 400
"""Newest pieces of a prompt that are compared with each other."""


@router.get("/review")
def begin(request: Request) -> Response:
    """Go to the first piece under the filter; without one, to the first not rated by me."""
    site, wanted = site_of(request), PieceFilter.of(request.query_params)
    if not wanted.narrows:
        wanted = PieceFilter.of({**request.query_params, "rating": "open"})
    first = site.library.first(wanted, reviewer_of(request))
    if not first:
        return _finished(request, wanted)
    return see(f"/review/{first}{query_of(wanted.address)}")


@router.get("/review/{identifier}")
def review(request: Request, identifier: str) -> Response:
    """Show a piece in the review: a rating moves on."""
    return piece_page(request, identifier, "review")


@router.post("/pieces/{identifier}/review")
async def note(request: Request, identifier: str) -> Response:
    """Note a rating, decision, tag or note of one piece."""
    fields = await form(request)
    return await run_in_threadpool(_noted, request, identifier, fields)


def _noted(request: Request, identifier: str, fields: dict[str, str]) -> Response:
    site, reviewer = site_of(request), reviewer_of(request)
    row = site.library.row(identifier)
    if row is None:
        raise RequestError("No piece of this archive has that id.", "Open it from the list.")
    mode = "review" if fields.get("mode") == "review" else "pieces"
    wanted = PieceFilter.of(request.query_params)
    following = ""
    if mode == "review" and "rating" in fields:
        # Asked before the rating, which may take the piece out of the filter.
        following = site.library.neighbours(wanted, row, reviewer)[1]
    _append(site, reviewer, row["text_sha256"], fields)
    query = query_of(wanted.address)
    if mode == "review" and "rating" in fields:
        if not following:
            following = site.library.first(wanted, reviewer)
            following = "" if following == row["id"] else following
        target = f"/review/{following}{query}" if following else f"/review{query}"
        if not is_htmx(request):
            return see(target)
        answer = piece_page(request, following, mode) if following else _finished(request, wanted)
        answer.headers["HX-Push-Url"] = target
        return answer
    if not is_htmx(request):
        return see(f"/{mode}/{row['id']}{query}")
    if mode == "review" and "decision" in fields:
        return piece_page(request, row["id"], mode)
    view, _ = view_of_row(site, row)
    return page(
        request,
        "review_panel.html",
        piece=view,
        mode=mode,
        query=query,
        **review_values(site, row, reviewer),
    )


def _append(site: Site, reviewer: str, piece: str, fields: dict[str, str]) -> None:
    reviews = site.library.reviews
    if "rating" in fields:
        text = fields["rating"]
        reviews.rate(reviewer, piece, int(text) if text.isdecimal() and len(text) == 1 else 0)
    elif "decision" in fields:
        reviews.decide(reviewer, piece, fields["decision"])
    elif "tag" in fields:
        reviews.tag(reviewer, piece, fields["tag"])
    elif "untag" in fields:
        reviews.tag(reviewer, piece, fields["untag"], remove=True)
    elif "note" in fields:
        reviews.note(reviewer, piece, fields["note"])
    else:
        raise RequestError("The form says nothing.", "Send it from the page again.")


@router.post("/undo")
async def undo(request: Request) -> Response:
    """Take back the reviewer's last event and show its piece."""
    fields = await form(request)
    return await run_in_threadpool(_undone, request, fields)


def _undone(request: Request, fields: dict[str, str]) -> Response:
    site, reviewer = site_of(request), reviewer_of(request)
    undone = site.library.reviews.undo(reviewer)
    query = query_of(PieceFilter.of(request.query_params).address)
    if undone is None:
        return message_page(request, "Nothing to undo", "You have noted nothing that stands.")
    kind, piece = undone
    rows = site.library.rows([piece])
    mode = "review" if fields.get("mode") == "review" else "pieces"
    if kind == "comparison":
        target = "/ab"
    elif rows:
        target = f"/{mode}/{rows[0]['id']}{query}"
    else:
        return message_page(request, "Undone", "Its piece is no longer in this archive.")
    if not is_htmx(request):
        return see(target)
    answer = blind(request) if kind == "comparison" else piece_page(request, rows[0]["id"], mode)
    answer.headers["HX-Push-Url"] = target
    return answer


@router.post("/reviewer")
async def rename(request: Request) -> Response:
    """Keep the reviewer's name."""
    name = " ".join((await form(request)).get("name", "").split())[:MAX_REVIEWER]
    answer = see("/")
    if name:
        remember_reviewer(answer, name)
    return answer


@router.get("/ab")
def blind(request: Request) -> HTMLResponse:
    """Show two pieces of one prompt as A and B, without their names and verdicts."""
    return _pair_page(request, request.query_params.get("style", ""), None)


@router.post("/ab")
async def decide(request: Request) -> Response:
    """Note the result of a comparison and show the next pair."""
    fields = await form(request)
    return await run_in_threadpool(_decided, request, fields)


def _decided(request: Request, fields: dict[str, str]) -> Response:
    site = site_of(request)
    found = site.library.rows([fields.get("first", ""), fields.get("second", "")])
    seed = fields.get("seed", "")
    if len(found) != 2 or found[0]["style"] != found[1]["style"] or not seed.isdecimal():
        raise RequestError(
            "These two pieces can't be compared.", "They must be of one prompt; load the page anew."
        )
    site.library.reviews.compare(
        reviewer_of(request),
        found[0]["text_sha256"],
        found[1]["text_sha256"],
        fields.get("outcome", ""),
        prompt=found[0]["style"],
        seed=int(seed[:18]),
    )
    target = f"/ab?{urlencode({'style': found[0]['style']})}"
    if not is_htmx(request):
        return see(target)
    answer = _pair_page(request, found[0]["style"], int(seed[:18]) + 1)
    answer.headers["HX-Push-Url"] = target
    return answer


def _pair_page(request: Request, style: str, seed: int | None) -> HTMLResponse:
    site, reviewer = site_of(request), reviewer_of(request)
    prompts = site.remembered("prompts", lambda: _prompts(site))
    if not prompts:
        return message_page(
            request,
            "Nothing to compare",
            "A comparison needs two pieces of one prompt that passed.",
            links=(("/start", "Start a run"),),
        )
    prompt = style if style in prompts else prompts[0]
    done = [one for one in site.library.reviews.comparisons() if one.reviewer == reviewer]
    seed = len(done) + 1 if seed is None else seed
    pair = drawn_pair(
        [row["text_sha256"] for row in _pool(site, prompt)],
        {frozenset((one.first, one.second)) for one in done},
        seed,
    )
    if pair is None:
        return message_page(
            request,
            "Every pair is compared",
            "You have compared all pieces of this prompt with each other.",
            links=(("/exports", "Export reviews"), ("/ab", "Another prompt")),
        )
    rows = site.library.rows(list(pair))
    sides = [
        (side, {"id": row["id"], "pages": _pages(site, row)})
        for side, row in zip("AB", rows, strict=True)
    ]
    return page(
        request,
        "ab.html",
        section="/ab",
        sides=sides,
        prompt=prompt,
        prompts=prompts,
        seed=seed,
        compared=len(done),
    )


def drawn_pair(
    pieces: list[str], compared: set[frozenset[str]], seed: int
) -> tuple[str, str] | None:
    """Return a pair that was not compared yet, sides drawn; the same for the same seed.

    Parameters
    ----------
    pieces : list of str
        To choose from.
    compared : set of frozenset of str
        Pairs that are left out.
    seed : int
    """
    chosen = random.Random(seed)
    ordered = sorted(set(pieces))
    if len(ordered) < 2:
        return None
    for _ in range(200):
        first, second = chosen.sample(ordered, 2)
        if frozenset((first, second)) not in compared:
            return first, second
    left = [
        (first, second)
        for position, first in enumerate(ordered)
        for second in ordered[position + 1 :]
        if frozenset((first, second)) not in compared
    ]
    if not left:
        return None
    pair = chosen.choice(left)
    return pair if chosen.random() < 0.5 else (pair[1], pair[0])


def _prompts(site: Site) -> list[str]:
    """Return the styles in which at least two pieces passed."""
    with site.library.opened() as db:
        rows = db.execute(
            "SELECT style FROM pieces WHERE status = 'passed' AND style != '' GROUP BY style "
            "HAVING count(*) > 1 ORDER BY style"
        ).fetchall()
    return [row[0] for row in rows]


def _pool(site: Site, style: str) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        wanted = PieceFilter(style=style, verdict="passed")
        return site.library.matching(wanted, "", POOL)

    return site.remembered(("pool", style), read)


def _pages(site: Site, row: dict[str, Any]) -> int:
    return view_of_row(site, row)[0].page_count


def _finished(request: Request, wanted: PieceFilter) -> HTMLResponse:
    return message_page(
        request,
        "That was the last one",
        "No further piece is left under this filter.",
        links=(
            ("/pieces", "All pieces"),
            ("/ab", "Compare two blind"),
            ("/exports", "Export reviews"),
        ),
        query=query_of(wanted.address),
    )
