"""The page of one piece: what `scoregate check --html` writes."""

from __future__ import annotations

from collections.abc import Sequence

from scoregate.archive.records import PieceReport
from scoregate.dashboard.cards import Link, card_of
from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.pages import fill

PAGES = 40
"""Engraved pages that go into the document."""


def piece_page(
    report: PieceReport,
    pages: Sequence[str] = (),
    *,
    source: str = "",
    midi: bytes = b"",
    links: Sequence[Link] = (),
) -> str:
    """Return the HTML page of one piece, with its failing bars marked.

    Parameters
    ----------
    report : PieceReport
        Need not be archived: status, findings and measures are enough.
    pages : sequence of str
        Engraved pages as SVG (``Rendering.pages``).
    source : str
        Name of the file that was checked, as text.
    midi : bytes
        ``Rendering.files["score.mid"]``, to listen to the piece in the page.
    links : sequence of Link
        Files to offer, by addresses relative to the page.
    """
    sheet = Sheet()
    card = card_of(report, sheet, pages=pages, links=links, midi=midi, inlined=PAGES)
    if source and not report.title.strip():
        card.title = source
    return fill("piece.html", sheet=sheet, card=card, source=source)
