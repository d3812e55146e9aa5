"""The engraved pages of a piece, ready to stand in a page: sanitised, every bar numbered.

Boxes that an older version drew into the stored pictures are taken out. The page's script
draws them anew from the findings, so that each box is a link to its finding and encloses
the notes of its bar, however low or high they are.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from markupsafe import Markup

from scoregate.archive.records import PieceReport
from scoregate.dashboard.inline_svg import Sheet

_PAGE = re.compile(r"score-(\d+)\.svg")
_BOX = re.compile(r'<rect class="mark[^"]*"[^>]*?(?:/>|>.*?</rect>)', re.DOTALL)
_MEASURE = re.compile(r'<g class="measure"')
MOST_BYTES = 24_000_000
"""Markup of pages that is kept in memory."""


def page_names(report: PieceReport) -> list[str]:
    """Return the names of a piece's engraved pages, in order."""
    found = [name for name in report.files if _PAGE.fullmatch(name)]
    return sorted(found, key=_number)


def sanitised(svg: str, bars_before: int, label: str) -> Markup | None:
    """Return one engraved page as inline SVG with numbered bars.

    Parameters
    ----------
    svg : str
        As :mod:`scoregate.render.engrave` writes it; not trusted.
    bars_before : int
        Bars on the pages before.
    label : str
        What the picture shows, for people who don't see it.

    Returns
    -------
    Markup or None
        None when it is no engraved page.
    """
    sheet = Sheet()
    page = sheet.page(_BOX.sub("", svg), label)
    if page is None:
        return None
    number = bars_before

    def numbered(match: re.Match[str]) -> str:
        nonlocal number
        number += 1
        return f'<g class="measure" data-bar="{number}"'

    return Markup(sheet.definitions + Markup(_MEASURE.sub(numbered, page)))


def bars_of(svg: str) -> int:
    """Return how many bars an engraved page holds."""
    return len(_MEASURE.findall(svg))


def pages_of(pages: Sequence[str], name: str) -> list[Markup]:
    """Return all pages of a piece by their SVG; a page that is none is left out."""
    done: list[Markup] = []
    before = 0
    for index, svg in enumerate(pages):
        page = sanitised(svg, before, f"{name}, engraved page {index + 1} of {len(pages)}")
        before += bars_of(svg)
        if page is not None:
            done.append(page)
    return done


class Engravings:
    """Engraved pages by folder and number, the last ones kept in memory."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Markup] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def page(self, folder: Path, names: Sequence[str], number: int, name: str) -> Markup | None:
        """Return a page of a stored piece; None where it is missing or damaged.

        Parameters
        ----------
        folder : Path
        names : sequence of str
            Of all its pages, in order.
        number : int
            From 1.
        name : str
            Of the piece.
        """
        key = (str(folder), number)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        texts = [_text(folder / one) for one in names[:number]]
        if not texts or len(texts) < number:
            return None
        label = f"{name}, engraved page {number} of {len(names)}"
        page = sanitised(texts[-1], sum(map(bars_of, texts[:-1])), label)
        if page is not None:
            with self._lock:
                self._kept[key] = page
                self._size += len(page)
                while self._size > MOST_BYTES and len(self._kept) > 1:
                    self._size -= len(self._kept.popitem(last=False)[1])
        return page


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _number(name: str) -> int:
    match = _PAGE.fullmatch(name)
    return int(match[1]) if match else 0
