"""Draw docs/rooms.svg, the picture of the rooms. ``make docs`` runs it; a test compares."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from rooms import CORE, ROOMS, Room

TARGET = Path(__file__).resolve().parent.parent / "docs" / "rooms.svg"
WIDTH, MARGIN = 880, 24
HEIGHT_OF_ROOM, GAP = 66, 34
# Rooms that are drawn in one row, from the top.
ROWS = (
    ("scoregate.flows.commands",),
    ("scoregate.flows", "scoregate.dashboard.app"),
    ("scoregate.tasks",),
    ("scoregate.notagen", "scoregate.lstm", "scoregate.validators", "scoregate.render",
     "scoregate.archive", "scoregate.dashboard"),
    (CORE,),
)  # fmt: skip
STYLE = """
.page{fill:#fff}.room{fill:#eef3f8;stroke:#51708f;stroke-width:1.2}
.core{fill:#f7f1e3;stroke:#97804a}.name{font:600 15px system-ui,sans-serif;fill:#1d2a36}
.text{font:12.5px system-ui,sans-serif;fill:#3b4957}.note{font:italic 12.5px system-ui,sans-serif;
fill:#5b6670}.arrow{stroke:#51708f;stroke-width:1.4;fill:none;marker-end:url(#head)}
"""


def picture() -> str:
    """Return the picture as SVG."""
    rooms = {room.package: room for room in ROOMS}
    parts, boxes, y = [], {}, MARGIN
    for row in ROWS:
        between = 14 if len(row) > 2 else 50
        width = (WIDTH - 2 * MARGIN - (len(row) - 1) * between) / len(row)
        for place, package in enumerate(row):
            box = (MARGIN + place * (width + between), float(y), width)
            boxes[package] = box
            parts.append(_room(rooms[package], box))
        y += HEIGHT_OF_ROOM + GAP
    arrows = [_down(boxes["scoregate.flows.commands"], boxes[package]) for package in ROWS[1]]
    arrows.append(_down(boxes["scoregate.flows"], boxes["scoregate.tasks"]))
    arrows += [_down(boxes["scoregate.tasks"], boxes[package]) for package in ROWS[3]]
    arrows += [_down(boxes[package], boxes[CORE]) for package in ROWS[3]]
    arrows.append(_left(boxes["scoregate.dashboard.app"], boxes["scoregate.flows"]))
    notes = [
        "An arrow means: imports. A room may also import what lies further down in the picture.",
        "In the fourth row, lstm imports notagen; render imports validators; archive imports "
        "render; dashboard imports the three before it.",
    ]
    for line in notes:
        parts.append(f'<text class="note" x="{MARGIN}" y="{y - 4}">{escape(line)}</text>')
        y += 20
    height = y + 4
    head = ('<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#51708f"/></marker>'
            "</defs>")  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="The rooms of Scoregate">'
        f"<style>{STYLE}</style>{head}"
        f'<rect class="page" width="{WIDTH}" height="{height}"/>'
        + "\n".join([*arrows, *parts])
        + "</svg>\n"
    )


def _room(room: Room, box: tuple[float, float, float]) -> str:
    x, y, width = box
    kind = "room core" if room.package == CORE else "room"
    name = room.package if room.package == CORE else room.package.removeprefix("scoregate.")
    middle = x + width / 2
    lines = [f'<text class="name" text-anchor="middle" x="{middle:.1f}" y="{y + 22}">{name}</text>']
    lines += [
        f'<text class="text" text-anchor="middle" x="{middle:.1f}" y="{y + 40 + 16 * number}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(room.holds)
    ]
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{HEIGHT_OF_ROOM}" rx="6"/>' + "".join(lines)
    )


def _down(source: tuple[float, float, float], target: tuple[float, float, float]) -> str:
    """Draw an arrow straight down, where both boxes have room for it."""
    narrow = min(source, target, key=lambda box: box[2])
    x = narrow[0] + narrow[2] / 2
    return f'<path class="arrow" d="M{x:.1f} {source[1] + HEIGHT_OF_ROOM}V{target[1] - 1}"/>'


def _left(source: tuple[float, float, float], target: tuple[float, float, float]) -> str:
    y = source[1] + HEIGHT_OF_ROOM / 2
    return f'<path class="arrow" d="M{source[0]:.1f} {y}H{target[0] + target[2] + 1:.1f}"/>'


if __name__ == "__main__":
    TARGET.write_text(picture())
