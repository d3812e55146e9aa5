"""One piece in a static page: its report and files, prepared for the template."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.dashboard.formatting import (
    MEASURES,
    STATUS_SIGNS,
    measure_note,
    measure_title,
    number,
    style_name,
)
from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.timeline import timeline_of_text
from scoregate.render.artefacts import find, table

_BOX = 'class="mark'
_CRITICAL_BOX = 'class="mark"'
_CONSEQUENCES = {"critical": "rejects", "warning": "warning"}
"""What follows where a measure exceeds its threshold."""
INLINED = 4
"""Engraved pages of a piece that are in the document; the first is visible."""
_LISTED_FINDINGS = 60
"""Findings that a card lists; report.json has all."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a file.

    Attributes
    ----------
    label : str
    address : str
        Relative to the page.
    """

    label: str
    address: str


@dataclass(slots=True)
class MeasureRow:
    """A row in the table of measures.

    Attributes
    ----------
    title, note, value, limit : str
    fails : {'', 'critical', 'warning'}
        Which threshold it exceeds.
    """

    title: str
    note: str
    value: str
    limit: str
    fails: str


@dataclass(slots=True)
class Card:
    """One piece in a page, as the template takes it.

    Attributes
    ----------
    anchor : str
        Id of the element in the page.
    title, short_id, status, sign : str
    facts, reasons, notes : list of str
    findings : list of FindingRecord
        The first ones, critical ones at the beginning.
    more_findings, warnings : int
        Findings that are not listed; number of warnings.
    marked : bool
        Whether the engraving has marks.
    measures : list of MeasureRow
    provenance : list of (str, str)
    first_page : Markup or None
        The engraved page that is visible.
    first_label : str
        Which page it is, where it is not the first.
    other_pages : list of Markup
        Pages that open on demand.
    linked_pages, links : list of Link
    audio : str
        Address of the preview.
    midi, timeline : str
        MIDI in base64, played in the page; when each bar sounds, as JSON.
    """

    anchor: str
    title: str
    short_id: str
    status: str
    sign: str
    facts: list[str]
    reasons: list[str]
    notes: list[str]
    findings: list[FindingRecord]
    more_findings: int
    warnings: int
    marked: bool
    measures: list[MeasureRow]
    provenance: list[tuple[str, str]]
    first_page: Markup | None = None
    first_label: str = ""
    other_pages: list[Markup] = field(default_factory=list)
    linked_pages: list[Link] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    audio: str = ""
    midi: str = ""
    timeline: str = ""

    @property
    def limited(self) -> bool:
        """Whether any measure of the piece has a limit."""
        return any(row.limit for row in self.measures)


def card_of(  # The parts of a card come from different places.
    report: PieceReport,
    sheet: Sheet,
    *,
    pages: Sequence[str] = (),
    page_links: Sequence[Link] = (),
    links: Sequence[Link] = (),
    audio: str = "",
    midi: bytes = b"",
    text: str = "",
) -> Card:
    """Return the card of a piece.

    Parameters
    ----------
    report : PieceReport
    sheet : Sheet
        Of the document that shows the card.
    pages : sequence of str
        Engraved pages as SVG, in order.
    page_links : sequence of Link
        Where the same pages lie as files; a page that is not inlined is linked.
    links : sequence of Link
    audio : str
        Address of the preview; ``""`` where there is none.
    midi : bytes
        Included in the page and played there, where there is room.
    text : str
        The finished ABC, from which the player knows when each bar sounds.
    """
    name = title_of(report)
    findings = _ranked(report.findings)
    drawn: list[Markup] = []
    linked: list[Link] = []
    for index in _page_order(pages):
        label = f"{name}, engraved page {index + 1} of {len(pages)}"
        room = len(drawn) < INLINED and not linked
        page = sheet.page(pages[index], label) if room else None
        if page is not None:
            drawn.append(page)
        elif index < len(page_links):
            linked.append(page_links[index])
    lead = next(iter(_page_order(pages)), 0)
    played = bool(midi) and sheet.has_room(len(midi) * 4 // 3)
    return Card(
        anchor=anchor_of(report),
        title=name,
        short_id=report.piece_id[:12],
        status=report.status,
        sign=STATUS_SIGNS[report.status],
        facts=_facts(report),
        reasons=report.reasons,
        notes=report.notes,
        findings=findings[:_LISTED_FINDINGS],
        more_findings=max(len(findings) - _LISTED_FINDINGS, 0),
        warnings=sum(finding.severity == "warning" for finding in findings),
        marked=any(_BOX in svg for svg in pages),
        measures=_measure_rows(report),
        provenance=list(_flat(report.provenance)),
        first_page=drawn[0] if drawn else None,
        first_label=f"Page {lead + 1} of {len(pages)}" if drawn and lead else "",
        other_pages=drawn[1:],
        linked_pages=linked,
        links=list(links),
        audio=audio,
        midi=base64.b64encode(midi).decode() if played else "",
        timeline=json.dumps(timeline_of_text(text)) if played else "",
    )


def _page_order(pages: Sequence[str]) -> list[int]:
    """Return the indices of the pages; the page that shows why a piece was rejected comes first."""
    lead = next((i for i, svg in enumerate(pages) if _CRITICAL_BOX in svg), 0)
    return sorted(range(len(pages)), key=lambda index: index != lead)


def anchor_of(report: PieceReport) -> str:
    """Return the anchor of a piece's card on its page."""
    return f"piece-{report.piece_id[:12]}"


def stored_card(report: PieceReport, folder: Path, address: str, sheet: Sheet) -> Card:
    """Return the card of a stored piece.

    Parameters
    ----------
    folder : Path
        Of the piece.
    address : str
        The same folder relative to the page.
    """
    engraving, preview = find("engraving"), find("audio")
    names = engraving.of(report.files)
    audio = next(iter(preview.of(report.files)), "")
    links = [
        Link(artefact.label, f"{address}/{name}")
        for artefact in table()
        if artefact not in (engraving, preview)
        for name in artefact.of(report.files)
    ]
    return card_of(
        report,
        sheet,
        pages=[_bytes(folder / name).decode("utf-8", "replace") for name in names],
        page_links=[Link(f"page {engraving.page(name)}", f"{address}/{name}") for name in names],
        links=[*links, Link("Report", f"{address}/report.json")],
        audio=f"{address}/{audio}" if audio else "",
        midi=b"" if audio or "score.mid" not in report.files else _bytes(folder / "score.mid"),
        text=_bytes(folder / "score.abc").decode("utf-8", "replace"),
    )


def limits_of(report: PieceReport, measure: str) -> dict[str, float]:
    """Return the thresholds of a measure: ``critical`` and ``warning`` where there are any."""
    limit = limit_of(report, measure)
    if isinstance(limit, int | float) and not isinstance(limit, bool):
        return {"critical": float(limit)}
    if not isinstance(limit, Mapping):
        return {}
    return {
        kind: float(limit[kind])
        for kind in ("critical", "warning")
        if isinstance(limit.get(kind), int | float)
    }


def limit_of(report: PieceReport, measure: str) -> object:
    """Return what the report says of a measure's threshold, None where it says nothing."""
    measures = report.thresholds.get("measures", report.thresholds)
    return measures.get(measure) if isinstance(measures, Mapping) else None


def _measure_rows(report: PieceReport) -> list[MeasureRow]:
    known = [name for name in MEASURES if name in report.measures]
    others = sorted(name for name in report.measures if name not in MEASURES)
    return [_measure_row(report, name) for name in (*known, *others)]


def _measure_row(report: PieceReport, name: str) -> MeasureRow:
    value = report.measures[name]
    limits = limits_of(report, name)
    limit = limit_of(report, name)
    low = isinstance(limit, Mapping) and limit.get("side") == "low"
    fails = ""
    for kind in ("critical", "warning"):
        if value is None or kind not in limits or fails:
            continue
        if (value <= limits[kind]) if low else (value >= limits[kind]):
            fails = kind
    word = "above" if low else "below"
    return MeasureRow(
        title=measure_title(name),
        note=measure_note(name),
        value=number(value),
        limit=", ".join(
            f"must be {word} {number(bound)} ({_CONSEQUENCES[kind]})"
            for kind, bound in limits.items()
        ),
        fails=fails,
    )


def _facts(report: PieceReport) -> list[str]:
    summary = report.summary
    facts = [style_name(report.style)] if report.style else []
    for key, one, many in (("bars", "bar", "bars"), ("voices", "voice", "voices")):
        if isinstance(summary.get(key), int):
            facts.append(f"{summary[key]} {one if summary[key] == 1 else many}")
    if summary.get("key"):
        facts.append(f"key {summary['key']}")
    if summary.get("metre"):
        facts.append(str(summary["metre"]))
    if report.round is not None:
        facts.append(f"round {report.round}")
    if report.provenance.get("seed") is not None:
        facts.append(f"seed {report.provenance['seed']}")
    return facts


def title_of(report: PieceReport) -> str:
    """Return the title of a piece, or a name made of its id."""
    return report.title.strip()[:200] or report.name or f"Piece {report.piece_id[:8]}"


def _ranked(findings: Sequence[FindingRecord]) -> list[FindingRecord]:
    order = {"critical": 0, "warning": 1, "info": 2}
    # A gate may say the same of one place more than once.
    once = {finding.model_dump_json(): finding for finding in findings}.values()
    return sorted(once, key=lambda finding: order.get(finding.severity, 3))


def _flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Return nested provenance as (dotted name, text)."""
    if isinstance(value, Mapping):
        return [
            pair
            for key, item in value.items()
            for pair in _flat(item, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list | tuple):
        text = ", ".join(str(item) for item in value[:40])
        return [(name, text + (" ..." if len(value) > 40 else ""))]
    text = "–" if value is None else str(value)
    return [(name, text if len(text) <= 300 else text[:300] + " ...")]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # The page does without; `archive verify` says what is missing.
