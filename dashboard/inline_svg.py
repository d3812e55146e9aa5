"""Engraved pages as inline SVG in a document, with shared glyphs.

All pages use the same clefs and note heads. A :class:`Sheet` collects the glyphs of the pages in
one document and writes them once, which reduces the size to about a quarter. Pages are not
trusted: only the elements and attributes that an engraving consists of are copied, so that a file
that somebody changed can't run or request anything.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup, escape

_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset(
    {"svg", "g", "path", "use", "text", "tspan", "rect", "ellipse", "circle", "polygon",
     "polyline", "line", "title"}
)  # fmt: skip
_ATTRIBUTES = frozenset(
    {"viewBox", "class", "d", "x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "cx", "cy", "r", "rx",
     "ry", "width", "height", "points", "transform", "fill", "fill-opacity", "fill-rule", "stroke",
     "stroke-width", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "stroke-opacity",
     "opacity", "font-family", "font-size", "font-style", "font-weight", "text-anchor",
     "letter-spacing", "href"}
)  # fmt: skip
_GLYPH = re.compile(r"[A-Za-z0-9_]{1,40}")
_FONT = re.compile(
    r"@font-face\s*\{\s*font-family:\s*'?([A-Za-z ]{1,40})'?;\s*"
    r"src:\s*url\((data:application/font-woff2;[a-z0-9=;-]*base64,[A-Za-z0-9+/=]+)\)\s*"
    r"format\('woff2'\)"
)
_VIEW_BOX = re.compile(r"[-0-9.]+ [-0-9.]+ ([0-9.]+) ([0-9.]+)")
_ADDRESS = re.compile(r"url\s*\(|[a-z]+:", re.IGNORECASE)


class Sheet:
    """The pages of one document, and the glyphs and fonts that they share.

    Parameters
    ----------
    budget : int
        Largest number of bytes of markup; pages that do not fit are refused.
    """

    def __init__(self, budget: int = 12_000_000) -> None:
        self.left = budget
        self._glyphs: dict[str, str] = {}
        self._fonts: dict[str, str] = {}

    def page(self, svg: str, label: str) -> Markup | None:
        """Return a page as inline SVG; None where it is no page or there is no room left.

        Parameters
        ----------
        svg : str
            A page as :mod:`scoregate.render.engrave` writes it.
        label : str
            Description for screen readers.
        """
        if len(svg) > 4 * self.left:
            return None
        try:
            root = ElementTree.fromstring(svg)
        except ElementTree.ParseError:
            return None
        if root.tag != f"{_SVG}svg":
            return None
        known = dict(self._glyphs)
        for group in root.iter(f"{_SVG}defs"):
            for glyph in group:
                name = glyph.get("id", "")
                if _GLYPH.fullmatch(name) and name not in known:
                    known[name] = "".join(_written(child) for child in glyph)
        body = "".join(_written(child) for child in root)
        added = sum(len(known[name]) for name in known.keys() - self._glyphs.keys())
        if len(body) + added > self.left:
            return None
        self.left -= len(body) + added
        self._glyphs = known
        for style in root.iter(f"{_SVG}style"):
            for family, source in _FONT.findall(style.text or ""):
                self._fonts.setdefault(family, source)
        box = _VIEW_BOX.fullmatch(root.get("viewBox", ""))
        view = f' viewBox="{box[0]}"' if box else ""
        return Markup(
            f'<svg class="engraving" role="img" aria-label="{escape(label)}" '
            f'fill="currentColor"{view}>{body}</svg>'
        )

    def has_room(self, size: int) -> bool:
        """Reserve this many bytes; return whether there was room."""
        if not 0 < size <= self.left:
            return False
        self.left -= size
        return True

    @property
    def definitions(self) -> Markup:
        """The glyphs of all pages, to stand once in the document."""
        if not self._glyphs:
            return Markup("")
        glyphs = "".join(
            f'<g id="{name}">{content}</g>' for name, content in sorted(self._glyphs.items())
        )
        return Markup(
            '<svg aria-hidden="true" width="0" height="0" class="glyphs">'
            f"<defs>{glyphs}</defs></svg>"
        )

    @property
    def fonts(self) -> Markup:
        """The rules for embedded fonts, to stand once in the style sheet."""
        return Markup(
            "".join(
                f'@font-face{{font-family:"{family}";src:url({source}) format("woff2")}}'
                for family, source in sorted(self._fonts.items())
            )
        )


def _written(element: ElementTree.Element) -> str:
    name = element.tag.removeprefix(_SVG)
    if name not in _ELEMENTS:
        return ""
    attributes = "".join(
        f' {key}="{escape(value)}"'
        for key, value in element.attrib.items()
        if key in _ATTRIBUTES and _harmless(key, value)
    )
    inside = (
        str(escape(element.text)) if element.text and name in ("tspan", "text", "title") else ""
    )
    for child in element:
        inside += _written(child)
        if child.tail and name in ("tspan", "text"):
            inside += str(escape(child.tail))
    return f"<{name}{attributes}>{inside}</{name}>" if inside else f"<{name}{attributes}/>"


def _harmless(key: str, value: str) -> bool:
    if key == "href":
        return value.startswith("#") and bool(_GLYPH.fullmatch(value[1:]))
    return key == "class" or not _ADDRESS.search(value)
