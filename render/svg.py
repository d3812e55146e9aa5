"""Reducing a page that Verovio wrote to a small, standalone SVG.

Ids, empty groups and groups without a style are removed. The five lines of a staff become one
path, and glyphs are named by their code point. Verovio embeds a font of 60 kB for the note in a
metronome mark; here it is drawn by the outline of the glyph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from scoregate.render.marks import SVG, Mark, box

ElementTree.register_namespace("", SVG)

_g = f"{{{SVG}}}g"
_path = f"{{{SVG}}}path"
_svg = f"{{{SVG}}}svg"
_text = f"{{{SVG}}}text"
_tspan = f"{{{SVG}}}tspan"

STYLE = (
    ".engraving path,.engraving rect,.engraving ellipse,.engraving polygon,.engraving polyline"
    "{stroke:currentColor}"
    ".engraving .tempo,.engraving .ending,.engraving .reh,.engraving .fing{font-weight:bold}"
    ".engraving .dir,.engraving .dynam,.engraving .mNum{font-style:italic}"
    ".engraving .mark{stroke:#c2341d;stroke-width:30;fill:#e5533d;fill-opacity:.18}"
    ".engraving .mark.warning{stroke:#9a6a00;fill:#e0a800;stroke-dasharray:120 60}"
)
"""Style sheet of a page; a document with several pages needs it once."""

_KEPT_CLASSES = frozenset(
    {"system", "measure", "staff", "tempo", "ending", "reh", "fing", "dir", "dynam", "mNum"}
)
_SCALED = re.compile(r"translate\((-?[\d.]+), (-?[\d.]+)\) scale\((-?[\d.]+), (-?[\d.]+)\)")
_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")
_ADVANCE = re.compile(r'<g c="([0-9A-F]{4,5})"[^>]* h-a-x="(\d+)"')


def finished_page(svg: str, bars_before: int, marks: Sequence[Mark]) -> tuple[str, int]:
    """Return a page in the style of this project, and the number of its bars.

    Parameters
    ----------
    svg : str
        As Verovio wrote it.
    bars_before : int
        Bars on the pages before.
    marks : sequence of Mark
    """
    root = ElementTree.fromstring(svg)
    measures = [group for group in root.iter(_g) if group.get("class") == "measure"]
    for position, measure in enumerate(measures):
        number = bars_before + position + 1
        here = [mark for mark in marks if mark.bar == number]
        if here:
            box(measure, here)
        _lift_tempo(measure)
    _flatten(root)
    _name_glyphs(root)
    _draw_metronome_notes(root)
    _house_style(root)
    return ElementTree.tostring(root, encoding="unicode"), len(measures)


_TEMPO_GAP = 270
"""Distance from a tempo mark to the staff. With Verovio's own, the mark touches the metre."""


def _lift_tempo(measure: ElementTree.Element) -> None:
    groups = measure.findall(_g)
    lines = [
        int(match[2])
        for group in groups
        if group.get("class") == "staff"
        for path in group.findall(_path)
        if (match := _LINE.fullmatch(path.get("d", "")))
    ]
    for tempo in [group for group in groups if group.get("class") == "tempo" and lines]:
        for text in tempo.findall(_text):
            lifted = min(float(text.get("y", 0)), min(lines) - _TEMPO_GAP)
            text.set("y", f"{lifted:g}")


def _flatten(element: ElementTree.Element) -> None:
    """Remove ids, and groups that draw nothing and have no style; join staff lines."""
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
    """Name glyphs by their code point alone, so that they are the same on every page."""
    for element in root.iter():
        for attribute in ("id", "href"):
            value = element.get(attribute)
            if value and "-" in value:
                element.set(attribute, value.split("-")[0])


def _house_style(root: ElementTree.Element) -> None:
    font = ""
    for style in [child for child in root if child.tag == f"{{{SVG}}}style"]:
        face = re.search(r"@font-face\s*\{[^}]*\}", style.text or "")
        font = face[0] if face and _has_font_text(root) else font
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


def _draw_metronome_notes(root: ElementTree.Element) -> None:
    parents = {child: parent for parent in root.iter() for child in parent}
    definitions = root.find(f"{{{SVG}}}defs")
    for text in list(root.iter(_text)):
        spans = [span for span in text.iter(_tspan) if (span.text or "").strip("\n ")]
        if not spans or not spans[0].get("font-family") or definitions is None:
            continue
        notes = "".join((spans[0].text or "").split())  # A dot stands behind a thin space.
        size = float((spans[0].get("font-size") or "0").removesuffix("px"))
        glyphs = [glyph for note in notes if (glyph := _glyph(f"{ord(note):X}")) is not None]
        if (
            not size
            or len(glyphs) < len(notes)
            or any(span.get("font-family") for span in spans[1:])
        ):
            continue
        x, y = float(text.get("x", 0)), text.get("y", "0")
        place = list(parents[text]).index(text)
        known = {glyph.get("id") for glyph in definitions}
        for note, glyph in zip(notes, glyphs, strict=True):
            outline, advance = glyph
            name = f"{ord(note):X}"
            if name not in known:
                definitions.append(ElementTree.fromstring(outline))
                known.add(name)
            scaled = f"translate({x:.0f} {y})scale({size / 1000:g})"
            use = ElementTree.Element(f"{{{SVG}}}use", {"href": f"#{name}", "transform": scaled})
            parents[text].insert(place, use)
            place += 1
            x += advance * size / 1000
        spans[0].text = None
        text.set("x", f"{x:.0f}")


def _has_font_text(root: ElementTree.Element) -> bool:
    return any(span.get("font-family") and span.text for span in root.iter(_tspan))


@cache
def _glyph(name: str) -> tuple[str, int] | None:
    """Return outline and advance of a glyph of Verovio's font; None where it has none."""
    folder = _font_folder()
    file = folder / f"{name}.xml"
    if name not in _advances() or not file.is_file():
        return None
    outline = file.read_text("utf-8").replace("<g ", f'<g xmlns="{SVG}" ', 1)
    return outline, _advances()[name]


@cache
def _advances() -> dict[str, int]:
    table = _font_folder().with_suffix(".xml").read_text("utf-8")
    return {name: int(advance) for name, advance in _ADVANCE.findall(table)}


@cache
def _font_folder() -> Path:
    import verovio

    return Path(verovio.toolkit().getResourcePath()) / "Leipzig"
