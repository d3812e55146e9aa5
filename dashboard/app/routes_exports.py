"""Downloads of the reviews, and of pieces as a folder that opens from disk."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from scoregate.dashboard.app import export_site, exports
from scoregate.dashboard.app.filters import PieceFilter
from scoregate.dashboard.app.site import message_page, page, reviewer_of, site_of

router = APIRouter()
MOST = 200
"""Pieces in a static export that is made while the browser waits."""


@router.get("/exports")
def overview(request: Request) -> Response:
    """List the exports with the number of their rows."""
    library = site_of(request).library
    comparisons = library.reviews.comparisons()
    decided = sum(one.outcome in ("a", "b") for one in comparisons)
    ratings = library.reviews.count()
    kinds = [
        ("pairs.jsonl", "Preference pairs", "TRL: prompt, chosen, rejected; from blind comparisons",
         decided),
        ("rated-pairs.jsonl", "Preference pairs from ratings",
         "TRL: two pieces of one prompt, two points or more apart", "–"),
        ("kto.jsonl", "Unpaired preferences",
         "TRL, KTO: prompt, completion, label; kept or rated 4 and more, discarded or 2 and less",
         "–"),
        ("notagen.zip", "NotaGen’s RL lists", "chosen and rejected paths, one file a style", "–"),
        ("reviews.csv", "Table (CSV)", "a row for each piece and reviewer", ratings),
        ("reviews.parquet", "Table (Parquet)", "the same", ratings),
        ("events.jsonl", "Every event", "as it was stored, undone ones too", "–"),
    ]  # fmt: skip
    return page(
        request,
        "exports.html",
        kinds=kinds,
        ratings=ratings,
        comparisons=len(comparisons),
        path=str(library.reviews.path),
    )


@router.get("/exports/{name}")
def export(request: Request, name: str) -> Response:
    """Return one export as a file."""
    library = site_of(request).library
    makers = {
        "pairs.jsonl": lambda: exports.lines(exports.pairs(library)),
        "rated-pairs.jsonl": lambda: exports.lines(exports.rated_pairs(library)),
        "kto.jsonl": lambda: exports.lines(exports.kto(library)),
        "notagen.zip": lambda: exports.notagen_zip(library),
        "reviews.csv": lambda: exports.table_csv(library),
        "reviews.parquet": lambda: exports.table_parquet(library),
        "events.jsonl": lambda: exports.lines(library.reviews.events()),
    }
    if name not in makers:
        return message_page(request, "No such export", "The list has all of them.", status=404,
                            links=(("/exports", "Exports"),))  # fmt: skip
    return _file(makers[name](), name)


@router.get("/export-site")
def static_site(request: Request) -> Response:
    """Return the filter's pieces as a ZIP of a folder that opens from disk, with sound."""
    site, wanted = site_of(request), PieceFilter.of(request.query_params)
    rows = site.library.matching(wanted, reviewer_of(request), MOST)
    if not rows:
        return message_page(request, "Nothing to export", "No piece meets this filter.", status=404)
    title = f"Run {wanted.run}" if wanted.run else "A selection of pieces"
    content = export_site.zipped(export_site.files_of(site, rows, title))
    return _file(content, "scoregate-export.zip")


def _file(content: str | bytes, name: str) -> Response:
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    kinds = {"csv": "text/csv; charset=utf-8", "zip": "application/zip"}
    kind = kinds.get(name.rpartition(".")[2], "application/octet-stream")
    return Response(
        data,
        media_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
