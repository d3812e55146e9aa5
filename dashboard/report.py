"""The page of a run: one self-contained HTML file, made from the archive alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from scoregate.archive.integrity import read_report
from scoregate.archive.records import PieceReport, PieceRow, RunRecord
from scoregate.archive.store import Archive
from scoregate.dashboard.cards import Card, card_of, limits_of, stored_card
from scoregate.dashboard.formatting import (
    MEASURES,
    STATUS_SIGNS,
    duration,
    measure_note,
    measure_title,
    moment,
    number,
    style_name,
)
from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.pages import fill
from scoregate.dashboard.plots import Dot, Line, strip
from scoregate.dashboard.reference import bands
from scoregate.errors import ArchiveError
from scoregate.findings import Status

PLOTTED = tuple(
    name for name in MEASURES if name.startswith(("measures.", "repetition.", "novelty."))
)
SHOWN_AT_ONCE = frozenset(
    {"measures.pitch_entropy", "measures.groove_consistency", "measures.scale_consistency"}
)
"""Plots that are open even without a threshold; the others are folded."""

CARDS = 100
"""Pieces of each status that are shown in full; further ones are in a table."""

BUDGET = 12_000_000
"""Bytes of engraving that a page includes; further pages are linked."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason why pieces did not pass.

    Attributes
    ----------
    code : str
        Code of the finding, or the reason in words.
    pieces, findings : int
        How many pieces have it, and how often.
    example : str
    share : float
        Of the pieces that did not pass.
    """

    code: str
    pieces: int
    findings: int
    example: str
    share: float


@dataclass(frozen=True, slots=True)
class Plot:
    """The distribution of a measure.

    Attributes
    ----------
    title, note : str
    picture : Markup
    main : bool
        Shown at once; the others are folded.
    """

    title: str
    note: str
    picture: Markup
    main: bool


@dataclass(frozen=True, slots=True)
class MoreRow:
    """A piece beyond those that are shown in full.

    Attributes
    ----------
    anchor, title, status, reasons, address : str
    """

    anchor: str
    title: str
    status: str
    reasons: str
    address: str


def run_page(store: Archive, run: RunRecord) -> str:
    """Return the HTML page of a run.

    Parameters
    ----------
    store : Archive
        Holds the run's pieces, those that passed and those that did not.
    run : RunRecord
        Its record, finished or not.

    Returns
    -------
    str
        A page that requests nothing from outside. Links to files are relative to the
        run's own folder.
    """
    sheet = Sheet(BUDGET)
    folder = store.run_folder(run.run_id)
    cards: list[Card] = []
    more: list[MoreRow] = []
    reports: list[PieceReport] = []
    shown: Counter[str] = Counter()
    for row in sorted(_unique(run.pieces), key=lambda row: list(Status).index(row.status)):
        place, address = _place(store, run, row, folder)
        report, fault = _report(place, row)
        reports.append(report)
        shown[row.status] += 1
        if fault:
            cards.append(card_of(report, sheet))
        elif shown[row.status] <= CARDS:
            cards.append(stored_card(report, place, address, sheet))
        else:
            anchor = f"piece-{row.piece_id[:12]}"
            title = report.title.strip()[:80] or f"Piece {row.piece_id[:8]}"
            more.append(MoreRow(anchor, title, row.status, "; ".join(row.reasons[:3]), address))
    counts = {status: run.count(status) for status in Status}
    return fill(
        "run.html",
        sheet=sheet,
        run=run,
        heading=_heading(run),
        style=style_name(_style(run)),
        counts=counts,
        signs=STATUS_SIGNS,
        total=len(run.pieces),
        began=moment(run.started),
        took=duration(run.seconds),
        orchestration=duration(run.orchestration_seconds),
        request=[(name, _shown(value)) for name, value in run.request.items()],
        engine=[(name, _shown(value)) for name, value in run.engine.items()],
        rounds=run.rounds,
        steps=_steps(run),
        reasons=_reasons(reports),
        plots=_plots(reports),
        banded=any(name in bands() for name in PLOTTED),
        cards=cards,
        more=more,
        duration=duration,
    )


def _place(store: Archive, run: RunRecord, row: PieceRow, folder: Path) -> tuple[Path, str]:
    """Return the folder of a piece, and the same relative to the page."""
    if row.status == Status.PASSED:
        place = store.path_of(row.piece_id)
    else:
        place = store.rejected / run.run_id / row.piece_id
    return place, Path(os.path.relpath(place, folder)).as_posix()


def _report(place: Path, row: PieceRow) -> tuple[PieceReport, bool]:
    """Return a piece's report; in place of one that is gone or damaged, what is wrong with it."""
    try:
        return read_report(place), False
    except ArchiveError as error:
        report = PieceReport(
            piece_id=row.piece_id,
            status=row.status,
            style=row.style,
            title=row.title,
            round=row.round,
            reasons=row.reasons,
            notes=[error.problem],
        )
        return report, True


def _unique(pieces: Sequence[PieceRow]) -> list[PieceRow]:
    """Keep one of the pieces that a run generated twice."""
    return list({row.piece_id: row for row in reversed(pieces)}.values())[::-1]


def _heading(run: RunRecord) -> str:
    passed = run.count(Status.PASSED)
    if not run.pieces:
        return "No piece was drawn"
    noun = "piece" if len(run.pieces) == 1 else "pieces"
    return f"{passed} of {len(run.pieces)} {noun} passed"


def _style(run: RunRecord) -> str | None:
    style = run.request.get("style")
    return style if isinstance(style, str) else next((p.style for p in run.pieces), None)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value) or "–"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value) if isinstance(value, float) else str(value)
    return "–" if value is None else str(value)


def _steps(run: RunRecord) -> list[str]:
    """Names of the steps that any round was timed for, in the line's order."""
    order = ["load", "generate", "check", "judge", "render", "archive"]
    seen = {step for record in run.rounds for step in record.seconds}
    return [step for step in order if step in seen] + sorted(seen - set(order))


def _reasons(reports: Sequence[PieceReport]) -> list[Reason]:
    pieces: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    examples: dict[str, str] = {}
    failed = [report for report in reports if report.status != Status.PASSED]
    for report in failed:
        critical = [finding for finding in report.findings if finding.severity == "critical"]
        for finding in critical:
            code = finding.code or finding.gate
            findings[code] += 1
            where = f"{finding.place}: " if finding.place else ""
            examples.setdefault(code, f"{where}{finding.message}")
        pieces.update({finding.code or finding.gate for finding in critical})
        if not critical:
            for reason in report.reasons[:1] or ["no reason was noted"]:
                pieces[reason] += 1
                examples.setdefault(reason, "")
    return [
        Reason(code, count, findings[code], examples[code], count / len(failed))
        for code, count in sorted(pieces.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _plots(reports: Sequence[PieceReport]) -> list[Plot]:
    plots = []
    for name in PLOTTED:
        dots = [
            Dot(value, report.status, _short(report), f"piece-{report.piece_id[:12]}")
            for report in reports
            if (value := report.measures.get(name)) is not None
        ]
        if not dots:
            continue
        limits = next((found for r in reports if (found := limits_of(r, name))), {})
        lines = [Line(value, kind) for kind, value in limits.items()]
        band = bands().get(name)
        title = measure_title(name)
        main = bool(lines) or name in SHOWN_AT_ONCE
        plots.append(Plot(title, measure_note(name), strip(title, dots, lines, band), main))
    return plots


def _short(report: PieceReport) -> str:
    return f"{report.piece_id[:8]}, {report.status}"
