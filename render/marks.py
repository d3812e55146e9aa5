"""Marks at the bars that findings name, and the boxes that show them in an engraving."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from scoregate.abc.score import Score

SVG = "http://www.w3.org/2000/svg"
_g = f"{{{SVG}}}g"
_path = f"{{{SVG}}}path"
_PLACED = re.compile(r"translate\(-?[\d.]+,? (-?[\d.]+)\)")
_PATH_POINT = re.compile(r"[ML]\s*-?[\d.]+[ ,](-?[\d.]+)")
_POINT = re.compile(r"-?[\d.]+,(-?[\d.]+)")
_STAFF_LINE = re.compile(r"M(-?\d+) (-?\d+) L(-?\d+) (-?\d+)")

_PAD = 150
"""Space between the outermost note and the box: nearly two note heads high."""

MOST = 400
"""Largest number of marks on a piece; with more, nearly every bar would have one."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar to mark.

    Attributes
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


def marks_of(score: Score | None, findings: Iterable[Any]) -> list[Mark]:
    """Return a mark for each critical finding or warning that names a bar.

    Parameters
    ----------
    score : Score or None
        Tells on which staff a voice stands; without it all staves of the bar are boxed.
    findings : iterable of Finding
        Anything with ``severity``, ``message``, ``gate``, ``voice`` and ``bar``.

    Returns
    -------
    list of Mark
        Critical ones first.
    """
    staves = {voice.id: voice.staff for voice in score.voices} if score else {}
    marks = [
        Mark(
            bar=finding.bar,
            staff=staves.get(finding.voice) if finding.voice is not None else None,
            severity=finding.severity,
            text=f"{finding.gate}: {finding.message}",
        )
        for finding in findings
        if finding.bar is not None and finding.severity in ("critical", "warning")
    ]
    return sorted(marks, key=lambda mark: mark.severity != "critical")[:MOST]


def box(measure: ElementTree.Element, marks: Iterable[Mark]) -> None:
    """Put boxes behind the staves of a measure in Verovio's SVG, before its ids are gone."""
    by_staff: dict[int, list[Mark]] = {}
    staves = {
        int(group.get("data-n") or 0) - 1: group
        for group in measure.findall(_g)
        if group.get("class") == "staff"
    }
    for mark in marks:
        # All staves, where this one is hidden in the system or was joined with another.
        hit = [mark.staff] if mark.staff in staves else list(staves)
        for staff in hit:
            by_staff.setdefault(staff, []).append(mark)
    for staff, of_staff in by_staff.items():
        lines = [
            tuple(map(int, match.groups()))
            for path in staves[staff].findall(_path)
            if (match := _STAFF_LINE.match(path.get("d", "")))
        ]
        if not lines:
            continue
        left = min(line[0] for line in lines)
        right = max(line[2] for line in lines)
        top, bottom = _extent(staves[staff], lines)
        critical = any(mark.severity == "critical" for mark in of_staff)
        box = ElementTree.Element(
            f"{{{SVG}}}rect",
            {
                "class": "mark" if critical else "mark warning",
                "x": str(left + 20),
                "y": str(top - _PAD),
                "width": str(max(right - left - 40, 100)),
                "height": str(bottom - top + 2 * _PAD),
                "rx": "90",
            },
        )
        title = ElementTree.SubElement(box, f"{{{SVG}}}title")
        title.text = "\n".join(dict.fromkeys(mark.text for mark in of_staff))
        measure.insert(0, box)


def _extent(staff: ElementTree.Element, lines: list[tuple[int, ...]]) -> tuple[int, int]:
    """Return the top and bottom of a staff with all its notes, in the units of the page.

    Notes on ledger lines, stems and beams reach far beyond the staff's own lines.
    """
    heights = [float(y) for line in lines for y in (line[1], line[3])]
    for element in staff.iter():
        if match := _PLACED.match(element.get("transform", "")):
            heights.append(float(match[1]))
        heights += map(float, _PATH_POINT.findall(element.get("d", "")))
        heights += map(float, _POINT.findall(element.get("points", "")))
        if element.tag == f"{{{SVG}}}rect" and element.get("y") and element.get("height"):
            top = float(element.get("y", 0))
            heights += [top, top + float(element.get("height", 0))]
    return round(min(heights)), round(max(heights))
