"""From MusicXML to engraved SVG pages, by Verovio, in one house style.

A page is a standalone SVG: no fonts or links from outside, black on white wherever it is
opened, a third of the size Verovio gives. :mod:`dashboard` takes the same pages apart
again to share glyphs between them (``<defs>``) and to follow the reader's light or dark
screen (everything is drawn in ``currentColor``).

A failing bar gets a box behind its notes with the finding as its tooltip: a
:class:`Mark` names the staff and the bar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)

PAGE_WIDTH = 2100
"""In Verovio's tenths of a millimetre: A4, so that a page prints as it is."""

STYLE = (
    ".engraving path,.engraving rect,.engraving ellipse,.engraving polygon,.engraving polyline"
    "{stroke:currentColor}"
    ".engraving .tempo,.engraving .ending,.engraving .reh,.engraving .fing{font-weight:bold}"
    ".engraving .dir,.engraving .dynam,.engraving .mNum{font-style:italic}"
    ".engraving .mark{stroke:#c2341d;stroke-width:30;fill:#e5533d;fill-opacity:.18}"
    ".engraving .mark.warning{stroke:#9a6a00;fill:#e0a800;stroke-dasharray:120 60}"
)
"""The rules of a page; a document that holds many needs them once."""

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

_KEPT_CLASSES = frozenset(
    {"system", "measure", "staff", "tempo", "ending", "reh", "fing", "dir", "dynam", "mNum"}
)
_SCALED = re.compile(r"translate\((-?[\d.]+), (-?[\d.]+)\) scale\((-?[\d.]+), (-?[\d.]+)\)")
_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to box.

    Parameters
    ----------
    bar : int
        Counted from 1.
    staff : int or None
        Counted from 0 at the top of the system; None for all staves of the bar.
    severity : {'critical', 'warning'}
    text : str
        Shown as tooltip.
    """

    bar: int
    staff: int | None
    severity: str
    text: str


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
        page, drawn = _finish_page(toolkit.renderToSVG(number), bars, marks)
        bars += drawn
        pages.append(page)
    return Engraving(pages, bars, page_count)


def _finish_page(svg: str, bars_before: int, marks: Sequence[Mark]) -> tuple[str, int]:
    root = ElementTree.fromstring(svg)
    measures = [group for group in root.iter(_g) if group.get("class") == "measure"]
    for position, measure in enumerate(measures):
        number = bars_before + position + 1
        here = [mark for mark in marks if mark.bar == number]
        if here:
            _box(measure, here)
    _flatten(root)
    _name_glyphs(root)
    _house_style(root)
    return ElementTree.tostring(root, encoding="unicode"), len(measures)


_g = f"{{{SVG}}}g"
_path = f"{{{SVG}}}path"
_svg = f"{{{SVG}}}svg"


def _box(measure: ElementTree.Element, marks: Iterable[Mark]) -> None:
    by_staff: dict[int, list[Mark]] = {}
    staves = {
        int(group.get("data-n") or 0) - 1: group
        for group in measure.findall(_g)
        if group.get("class") == "staff"
    }
    for mark in marks:
        # A staff that is hidden in this system, or that the engraving joined with another.
        hit = [mark.staff] if mark.staff in staves else list(staves)
        for staff in hit:
            by_staff.setdefault(staff, []).append(mark)
    for staff, of_staff in by_staff.items():
        lines = [
            tuple(map(int, match.groups()))
            for path in staves[staff].findall(_path)
            if (match := _LINE.match(path.get("d", "")))
        ]
        if not lines:
            continue
        left = min(line[0] for line in lines)
        right = max(line[2] for line in lines)
        top = min(line[1] for line in lines)
        bottom = max(line[3] for line in lines)
        critical = any(mark.severity == "critical" for mark in of_staff)
        box = ElementTree.Element(
            f"{{{SVG}}}rect",
            {
                "class": "mark" if critical else "mark warning",
                "x": str(left + 20),
                "y": str(top - 300),
                "width": str(max(right - left - 40, 100)),
                "height": str(bottom - top + 600),
                "rx": "90",
            },
        )
        title = ElementTree.SubElement(box, f"{{{SVG}}}title")
        title.text = "\n".join(dict.fromkeys(mark.text for mark in of_staff))
        measure.insert(0, box)


def _flatten(element: ElementTree.Element) -> None:
    """Drop ids and groups that draw nothing and style nothing; join staff lines."""
    children: list[ElementTree.Element] = []
    for child in element:
        if child.tag == _g and not child.get("transform") and element.tag != f"{{{SVG}}}defs":
            classes = (child.get("class") or "").split()
            if "placeholder" in classes:
                continue  # Anchors that Verovio draws invisibly.
            _flatten(child)
            if not _KEPT_CLASSES.intersection(classes):
                if child.attrib.keys() <= {"id", "class", "data-n"}:
                    children.extend(child)
                    continue
            elif classes[0] == "staff":
                _join_lines(child)
            child.attrib.pop("id", None)
            child.attrib.pop("data-n", None)
            if len(child) or child.text:
                children.append(child)
            continue
        if element.tag != f"{{{SVG}}}defs":
            child.attrib.pop("id", None)
            _flatten(child)
        transform = child.get("transform")
        if transform:
            child.set("transform", _SCALED.sub(_shorter, transform))
        children.append(child)
    element[:] = children


def _shorter(match: re.Match[str]) -> str:
    x, y, across, down = match.groups()
    scale = across if across == down else f"{across} {down}"
    return f"translate({x} {y})scale({scale})"


def _join_lines(staff: ElementTree.Element) -> None:
    first: ElementTree.Element | None = None
    for path in staff.findall(_path):
        match = _LINE.fullmatch(path.get("d", ""))
        if not match or match[2] != match[4]:
            break
        short = f"M{match[1]} {match[2]}H{match[3]}"
        if first is None:
            first = path
            first.set("d", short)
        elif path.get("stroke-width") == first.get("stroke-width"):
            first.set("d", first.get("d", "") + short)
            staff.remove(path)


def _name_glyphs(root: ElementTree.Element) -> None:
    """Name glyphs by their code point alone, the same on every page."""
    for element in root.iter():
        for attribute in ("id", "href"):
            value = element.get(attribute)
            if value and "-" in value:
                element.set(attribute, value.split("-")[0])


def _house_style(root: ElementTree.Element) -> None:
    font = ""
    for style in [child for child in root if child.tag == f"{{{SVG}}}style"]:
        face = re.search(r"@font-face\s*\{[^}]*\}", style.text or "")
        font = face[0] if face else font
        root.remove(style)
    for child in [child for child in root if child.tag == f"{{{SVG}}}desc"]:
        root.remove(child)
    for child in root.findall(_svg):
        child.attrib.pop("color", None)
        child.attrib.pop("class", None)
    for name in ("id", "overflow", "version"):
        root.attrib.pop(name, None)
    root.set("class", "engraving")
    root.set("fill", "currentColor")
    root.set("style", "background:#fff;color:#000")
    sheet = ElementTree.Element(f"{{{SVG}}}style")
    sheet.text = STYLE + font
    root.insert(0, sheet)
