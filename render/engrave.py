"""From MusicXML to engraved SVG pages, by Verovio, in one house style.

A page is a standalone SVG: no fonts or links from outside, black on white wherever it is
opened, a third of the size Verovio gives. :mod:`dashboard` takes the same pages apart
again to share glyphs between them (``<defs>``) and to follow the reader's light or dark
screen (everything is drawn in ``currentColor``).

A failing bar gets a box behind its notes with the finding as its tooltip: a
:class:`Mark` names the staff and the bar.
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
    """Pages, and what is worth knowing of them.

    Parameters
    ----------
    pages : list of str
        Standalone SVG.
    bars : int
        Bars engraved.
    page_count : int
        Pages the piece has; more than ``len(pages)`` where a limit was set.
    """

    pages: list[str]
    bars: int
    page_count: int


class NotEngravable(Exception):
    """Verovio can't engrave it; the message says why."""


def engrave(musicxml: bytes | str, marks: Sequence[Mark] = (), max_pages: int = 60) -> Engraving:
    """Engrave a piece.

    Parameters
    ----------
    musicxml : bytes or str
    marks : sequence of Mark
    max_pages : int
        Further pages are left out.

    Raises
    ------
    NotEngravable
        Verovio doesn't take it or draws nothing.
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
