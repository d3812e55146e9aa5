"""What a page shows of one piece, made ready for the template.

The same view serves the dashboard, the static export and ``scoregate check --html``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scoregate.abc.source_text import split_lines
from scoregate.archive.names import name_of_summary, spoken_key
from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.archive.schema import quarters_a_minute
from scoregate.dashboard.cards import limit_of, limits_of
from scoregate.dashboard.formatting import MEASURES, duration, measure_note, measure_title, number

MOST_FINDINGS = 400
MOST_LINES = 20_000
_ORDER = {"critical": 0, "warning": 1, "info": 2}
_CONSEQUENCES = {"critical": "rejects", "warning": "warning"}
_VERDICT_WORDS = {
    "passed": "passed",
    "rejected": "rejected",
    "could not be judged": "could not be judged",
}


@dataclass(frozen=True, slots=True)
class FindingLine:
    """A finding in the list beside the score.

    Attributes
    ----------
    number : int
        From 1, in the order of the list; names the finding in the page.
    severity, gate, code, message : str
    voice : str
        Id of the voice, or ``""`` for all.
    bar, line, column : int or None
    place : str
        ``Tenor, bar 12``.
    """

    number: int
    severity: str
    gate: str
    code: str
    message: str
    voice: str
    bar: int | None
    line: int | None
    column: int | None
    place: str


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of the ABC text with the findings that cite it."""

    number: int
    text: str
    findings: list[int]


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """A measure of the piece, its limits in words and whether it is beyond one."""

    name: str
    title: str
    note: str
    value: float | None
    shown: str
    limits: dict[str, float]
    limit_text: str
    beyond: str


@dataclass(slots=True)
class PieceView:
    """One piece in a page.

    Attributes
    ----------
    id : str
        As the catalog has it; ``""`` for a piece that is not archived.
    name : str
        One that can be said.
    title : str
        The ``T:`` field; of unknown origin.
    status : str
    facts : list of str
    reasons, notes : list of str
    faults : list of str
        What is damaged or missing of its files.
    findings : list of FindingLine
    more_findings : int
        Beyond those that are listed.
    lines : list of TextLine
    measures : list of MeasureLine
    provenance : list of (str, str)
    files : list of str
        Names of its files that exist.
    page_count : int
    """

    id: str
    name: str
    title: str
    status: str
    style: str
    text_sha256: str = ""
    run_id: str = ""
    created: str = ""
    facts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    findings: list[FindingLine] = field(default_factory=list)
    more_findings: int = 0
    lines: list[TextLine] = field(default_factory=list)
    measures: list[MeasureLine] = field(default_factory=list)
    provenance: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    page_count: int = 0

    @property
    def short_id(self) -> str:
        """Twelve digits of the id."""
        return (self.text_sha256 or self.id)[:12]

    @property
    def criticals(self) -> int:
        """How many findings reject the piece."""
        return sum(one.severity == "critical" for one in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return sum(one.severity == "warning" for one in self.findings)

    @property
    def first_fault(self) -> int | None:
        """The first finding with a bar, a critical one where there is any."""
        placed = [one for one in self.findings if one.bar is not None]
        worst = [one for one in placed if one.severity == "critical"] or placed
        return min(worst, key=lambda one: one.bar or 0).number if worst else None


def view_of(
    report: PieceReport,
    *,
    identifier: str = "",
    text: str = "",
    voices: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
    faults: Sequence[str] = (),
) -> PieceView:
    """Make a piece ready for the template.

    Parameters
    ----------
    report : PieceReport
    identifier : str
        The catalog's id, where the piece is in one.
    text : str
        The ABC that the findings' lines are counted in: as it was written.
    voices : mapping of str to str, optional
        Names by id of the voice; where it is left out, places say ``voice 3``.
    files : sequence of str
        Names of the files that exist.
    faults : sequence of str
    """
    findings = _findings(report.findings, voices or {})
    return PieceView(
        id=identifier,
        name=report.name or name_of_summary(report.style, report.summary),
        title=report.title.strip()[:200],
        status=_VERDICT_WORDS[str(report.status)],
        style=report.style or "",
        text_sha256=report.piece_id,
        run_id=report.run_id,
        created=report.created,
        facts=_facts(report),
        reasons=list(report.reasons),
        notes=list(report.notes),
        faults=list(faults),
        findings=findings[:MOST_FINDINGS],
        more_findings=max(len(findings) - MOST_FINDINGS, 0),
        lines=_lines(text, findings[:MOST_FINDINGS]),
        measures=[_measure(report, name) for name in _names(report)],
        provenance=list(flat(report.provenance)),
        files=list(files),
        page_count=sum(name.startswith("score-") for name in files),
    )


def damaged_view(row: Mapping[str, Any], problem: str) -> PieceView:
    """Return what the catalog knows of a piece whose report is gone or damaged."""
    return PieceView(
        id=row["id"],
        name=row["name"],
        title=row["title"][:200],
        status=row["status"],
        style=row["style"],
        text_sha256=row["text_sha256"],
        run_id=row["run_id"],
        created=row["created_utc"],
        faults=[problem],
    )


def flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Return nested values as pairs of a dotted name and a text."""
    if isinstance(value, Mapping):
        return [
            pair
            for key, item in value.items()
            for pair in flat(item, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list | tuple):
        text = ", ".join(str(item) for item in value[:40])
        return [(name, text + (" ..." if len(value) > 40 else ""))]
    text = "–" if value is None else str(value)
    return [(name, text if len(text) <= 300 else text[:300] + " ...")]


def _findings(found: Sequence[FindingRecord], voices: Mapping[str, str]) -> list[FindingLine]:
    # A gate may say the same of one place more than once.
    once = {finding.model_dump_json(): finding for finding in found}.values()
    ranked = sorted(
        once, key=lambda one: (_ORDER.get(one.severity, 3), one.bar is None, one.bar or 0)
    )
    return [
        FindingLine(
            number=position,
            severity=one.severity if one.severity in _ORDER else "info",
            gate=one.gate,
            code=one.code or one.gate,
            message=one.message,
            voice=one.voice or "",
            bar=one.bar,
            line=one.line,
            column=one.column,
            place=_place(one, voices),
        )
        for position, one in enumerate(ranked, 1)
    ]


def _place(finding: FindingRecord, voices: Mapping[str, str]) -> str:
    parts = []
    if finding.voice is not None:
        parts.append(voices.get(finding.voice) or f"voice {finding.voice}")
    if finding.bar is not None:
        parts.append(f"bar {finding.bar}")
    return ", ".join(parts)


def _lines(text: str, findings: Sequence[FindingLine]) -> list[TextLine]:
    cited: dict[int, list[int]] = {}
    for one in findings:
        if one.line is not None:
            cited.setdefault(one.line, []).append(one.number)
    return [
        TextLine(position, line, cited.get(position, []))
        for position, line in enumerate(split_lines(text)[:MOST_LINES], 1)
    ]


def _names(report: PieceReport) -> list[str]:
    known = [name for name in MEASURES if name in report.measures]
    return [*known, *sorted(name for name in report.measures if name not in MEASURES)]


def _measure(report: PieceReport, name: str) -> MeasureLine:
    value, limits = report.measures[name], limits_of(report, name)
    limit = limit_of(report, name)
    low = isinstance(limit, Mapping) and limit.get("side") == "low"
    beyond = ""
    for kind in ("critical", "warning"):
        if value is None or kind not in limits or beyond:
            continue
        if (value <= limits[kind]) if low else (value >= limits[kind]):
            beyond = kind
    side = "above" if low else "below"
    return MeasureLine(
        name=name,
        title=measure_title(name),
        note=measure_note(name),
        value=value,
        shown=number(value),
        limits=limits,
        limit_text=", ".join(
            f"must be {side} {number(bound)} ({_CONSEQUENCES[kind]})"
            for kind, bound in limits.items()
        ),
        beyond=beyond,
    )


def _facts(report: PieceReport) -> list[str]:
    summary = report.summary
    facts = []
    if key := spoken_key(summary.get("key")):
        facts.append(key)
    if summary.get("metre"):
        facts.append(str(summary["metre"])[:20])
    if summary.get("tempo"):
        tempo = quarters_a_minute(summary["tempo"])
        facts.append(f"♩ = {tempo:g}" if tempo else str(summary["tempo"])[:20])
    for key, one, many in (("bars", "bar", "bars"), ("voices", "voice", "voices")):
        if isinstance(summary.get(key), int):
            facts.append(f"{summary[key]} {one if summary[key] == 1 else many}")
    if isinstance(summary.get("seconds"), int | float):
        facts.append(duration(float(summary["seconds"])))
    return facts
