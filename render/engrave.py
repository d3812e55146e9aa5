"""Engraving: from MusicXML to SVG pages, by Verovio, in one style for all pieces.

A page is a standalone SVG without external fonts or links, and about 40 % of the size that
Verovio writes. Everything is drawn in ``currentColor``, so that a page that includes it can
choose the colour, and glyphs are in ``<defs>``, so that several pages can share them.

A bar with a finding gets a box behind its notes, with the message as its tooltip;
:class:`~scoregate.render.marks.Mark` names the staff and the bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoregate.render.marks import Mark
from scoregate.render.svg import finished_page

PAGE_WIDTH = 2100
"""In Verovio's tenths of a millimetre: A4, so that a page prints as it is."""

_OPTIONS: dict[str, Any] = {
    "pageWidth": PAGE_WIDTH,
    "pageHeight": 2970,
    "scale": 40,
    "adjustPageHeight": True,
    "pageMarginTop": 30,
    "pageMarginBottom": 10,
    "pageMarginLeft": 30,
    "pageMarginRight": 30,
    "breaks": "auto",
    "breaksNoWidow": True,
    "header": "none",
    "footer": "none",
    "svgViewBox": True,
    "svgFormatRaw": True,
    "svgRemoveXlink": True,
    "svgAdditionalAttribute": ["staff@n"],
    "xmlIdSeed": 1,
    "spacingSystem": 6,
    "staffLineWidth": 0.18,
}


@dataclass(slots=True)
class Engraving:
    """The engraved pages of a piece.

    Attributes
    ----------
    pages : list of str
        Standalone SVG.
    bars : int
        Bars engraved.
    page_count : int
        Number of pages of the piece; more than ``len(pages)`` where ``max_pages`` was reached.
    """

    pages: list[str]
    bars: int
    page_count: int


class NotEngravable(Exception):
    """Verovio can't engrave the piece; the message says why."""


def engrave(musicxml: bytes | str, marks: Sequence[Mark] = (), max_pages: int = 60) -> Engraving:
    """Engrave a piece.

    Parameters
    ----------
    musicxml : bytes or str
    marks : sequence of Mark
    max_pages : int
        Largest number of pages; further ones are left out.

    Raises
    ------
    NotEngravable
        Verovio can't read the MusicXML or draws no page.
    """
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    text = musicxml.decode() if isinstance(musicxml, bytes) else musicxml
    if not toolkit.loadData(text):
        raise NotEngravable("Verovio can't read the MusicXML")
    page_count = toolkit.getPageCount()
    if page_count < 1:
        raise NotEngravable("Verovio draws no page")
    pages: list[str] = []
    bars = 0
    for number in range(1, min(page_count, max_pages) + 1):
        page, drawn = finished_page(toolkit.renderToSVG(number), bars, marks)
        bars += drawn
        pages.append(page)
    return Engraving(pages, bars, page_count)
