"""What the dashboard makes of a piece: findings, timelines, engraved pages, boxes."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import dashboard_archive
import pytest

from scoregate.abc.reader import read
from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.dashboard.app.engraved import bars_of, pages_of
from scoregate.dashboard.app.piece_view import view_of
from scoregate.dashboard.timeline import timeline_of_text
from scoregate.findings import Finding
from scoregate.render.pool import Job, render_pieces

SVG = "{http://www.w3.org/2000/svg}"
LOW = Finding("ranges", "ranges.out-of-range", "critical", "too low", voice="3", bar=7)


def rendered(text: str, *findings: Finding):
    (rendering,) = render_pieces([Job(text=text, score=read(text), findings=list(findings))])
    return rendering


@pytest.mark.slow
def test_a_stored_box_holds_the_low_note_that_it_means():
    page = ElementTree.fromstring(rendered(dashboard_archive.texts()[3], LOW).pages[0])
    (measure,) = [m for m in page.iter(f"{SVG}g") if m.get("class") == "measure"
                  and m.find(f"{SVG}rect[@class='mark']") is not None]  # fmt: skip
    (box,) = measure.findall(f"{SVG}rect[@class='mark']")
    staff = measure.findall(f"{SVG}g[@class='staff']")[2]
    heads = [
        float(match[1])
        for use in staff.iter(f"{SVG}use")
        if (match := re.match(r"translate\(-?[\d.]+ (-?[\d.]+)\)", use.get("transform", "")))
    ]
    top, height = float(box.get("y", 0)), float(box.get("height", 0))
    # The low F is below the staff's lines; a head is 90 units above and below its middle.
    assert top <= min(heads) - 90
    assert max(heads) + 90 <= top + height


@pytest.mark.slow
def test_every_bar_is_numbered_and_stored_boxes_go():
    pages = rendered(dashboard_archive.texts()[3], LOW).pages
    shown = "".join(pages_of(pages, "Chorale"))
    numbers = [int(number) for number in re.findall(r'data-bar="(\d+)"', shown)]
    assert numbers == list(range(1, sum(map(bars_of, pages)) + 1))
    assert 'class="mark' not in shown
    assert pages_of(["<script>alert(1)</script>", "no XML <"], "x") == []


def test_a_timeline_follows_the_repeats():
    text = "X:1\nL:1/4\nQ:1/4=60\nM:4/4\nK:C\nV:1\n|:CDEF|GABc:|\ncBAG|]\n"
    timeline = timeline_of_text(text)
    assert timeline["bars"] == [(1, 0.0), (2, 4.0), (1, 8.0), (2, 12.0), (3, 16.0)]
    assert timeline["seconds"] == 20.0
    assert timeline_of_text("") == {"bars": [], "seconds": 0.0, "staves": {}, "voices": {}}


def test_voices_that_share_a_staff_are_named_and_placed_on_it():
    timeline = timeline_of_text(dashboard_archive.CHORALE.read_text())
    assert timeline["staves"] == {"1": 0, "2": 0, "3": 1, "4": 1}
    assert len(set(timeline["voices"].values())) == 4


def test_findings_are_ranked_once_each_and_cited_by_their_line():
    def finding(**values):
        return FindingRecord(**{"gate": "bars", "message": "m", "line": 2, "bar": 3, **values})

    report = PieceReport(
        status="rejected",
        findings=[
            finding(severity="warning", bar=1),
            finding(severity="critical"),
            finding(severity="critical"),
            finding(severity="info", bar=None, line=None),
        ],
    )
    view = view_of(report, text="one\ntwo\nthree", voices={"1": "Alto"})
    assert [(one.number, one.severity) for one in view.findings] == [
        (1, "critical"), (2, "warning"), (3, "info")]  # fmt: skip
    assert view.lines[1].findings == [1, 2]
    assert view.first_fault == 1
    assert (view.criticals, view.warnings) == (1, 1)
