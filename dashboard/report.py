"""The pages of a run: HTML files that open from disk, made from the archive alone.

``report.html`` has the figures of the whole run, a list of all its pieces and the first of them
in full; ``report-2.html`` and so on have the others.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from scoregate.archive.integrity import read_report
from scoregate.archive.records import PieceReport, PieceRow, RunRecord
from scoregate.archive.store import Archive
from scoregate.dashboard.cards import (
    INLINED,
    Card,
    anchor_of,
    card_of,
    limits_of,
    stored_card,
    title_of,
)
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

CARDS = 40
"""Most pieces in full on one page."""

BUDGET = 1_200_000
"""Bytes of engravings and MIDI on one page. Engraved pages of a single piece beyond it are
linked."""

LISTED = 1_500_000
"""Most bytes of the list of all pieces on the first page. It counts as a part of the first page's
budget, so that no page has more than 2 MB."""

LONGEST_TITLE = 60
"""Most characters of a title in that list."""

PLAYER = "../../player/"
"""Address of the player's files from a run's folder: all runs of an archive share them."""


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
class ListedPiece:
    """A piece in the list on the first page.

    Attributes
    ----------
    anchor, title, sign, page : str
        ``page`` is the file that shows it in full.
    """

    anchor: str
    title: str
    sign: str
    page: str


@dataclass(frozen=True, slots=True)
class _Row:
    """A piece of the run: its report, where it lies, and whether its report is gone or damaged."""

    report: PieceReport
    place: Path
    address: str
    fault: bool


@dataclass(slots=True)
class _Page:
    """A page before it is written: its pieces, and the bytes that they will add."""

    name: str
    rows: list[_Row]
    size: int = 0


class RunPages(Mapping[str, str]):
    """The HTML pages of a run by file name, each made when it is asked for.

    All pages of a run of 10,000 pieces together are a gigabyte, so they are not held in memory.

    Parameters
    ----------
    run : RunRecord
    pages : list of _Page
    """

    def __init__(self, run: RunRecord, pages: list[_Page]) -> None:
        self._run = run
        self._pages = {page.name: page for page in pages}

    def __getitem__(self, name: str) -> str:
        page = self._pages[name]
        sheet = Sheet(BUDGET)
        cards = [_card(row, sheet) for row in page.rows]
        names = list(self._pages)
        if name == names[0]:
            return _first_page(self._run, sheet, cards, list(self._pages.values()))
        return fill(
            "run_pieces.html",
            sheet=sheet,
            player=PLAYER,
            run=self._run,
            heading=_heading(self._run),
            style=style_name(_style(self._run)),
            cards=cards,
            names=names,
            name=name,
        )

    def __contains__(self, name: object) -> bool:
        return name in self._pages  # Mapping's own would make the page.

    def __iter__(self) -> Iterator[str]:
        return iter(self._pages)

    def __len__(self) -> int:
        return len(self._pages)


def run_pages(store: Archive, run: RunRecord) -> RunPages:
    """Return the HTML pages of a run by file name; ``report.html`` is the first.

    Parameters
    ----------
    store : Archive
        Holds the run's pieces, those that passed and those that did not.
    run : RunRecord
        Its record, finished or not.

    Returns
    -------
    RunPages
        Pages that request nothing from outside. Links to files are relative to the run's own
        folder.
    """
    pages = [_new_page(1)]
    folder = store.run_folder(run.run_id)
    rows = sorted(_unique(run.pieces), key=lambda row: list(Status).index(row.status))
    if len(rows) > CARDS:
        # A piece without a title is listed by a name, which is shorter than this.
        titles = (row.title[:LONGEST_TITLE] or "x" * LONGEST_TITLE for row in rows)
        pages[0].size = min(sum(map(_listed_size, titles)), LISTED)
    for row in rows:
        place, address = _place(store, run, row, folder)
        report, fault = _report(place, row)
        size = 0 if fault else _size(place, report)
        page = pages[-1]
        if page.rows and (len(page.rows) >= CARDS or page.size + size > BUDGET):
            page = _new_page(len(pages) + 1)
            pages.append(page)
        page.size += size
        page.rows.append(_Row(report, place, address, fault))
    return RunPages(run, pages)


def _card(row: _Row, sheet: Sheet) -> Card:
    if row.fault:
        return card_of(row.report, sheet)
    return stored_card(row.report, row.place, row.address, sheet)


def _new_page(number: int) -> _Page:
    name = "report.html" if number == 1 else f"report-{number}.html"
    return _Page(name, [])


def _listed_size(title: str) -> int:
    """Return an upper bound for the bytes of a piece in the list of all pieces."""
    return 95 + len(escape(title).encode("utf-8", "backslashreplace"))


def _size(place: Path, report: PieceReport) -> int:
    """Return an upper bound for the bytes that a stored piece adds to a page."""
    engraved = sorted(name for name in report.files if name.endswith(".svg"))[:INLINED]
    midi = [name for name in report.files if name == "score.mid"]
    total = 0
    for name in (*engraved, *midi):
        with suppress(OSError):  # A file that is gone adds nothing; its card says so.
            total += (place / name).stat().st_size
    return total


def _first_page(run: RunRecord, sheet: Sheet, cards: list[Card], pages: Sequence[_Page]) -> str:
    rows = [(page.name, row.report) for page in pages for row in page.rows]
    reports = [report for _, report in rows]
    names = [page.name for page in pages]
    listed = [
        ListedPiece(
            anchor_of(report), title_of(report)[:LONGEST_TITLE], STATUS_SIGNS[report.status], name
        )
        for name, report in rows
    ]
    size = sum(_listed_size(piece.title) for piece in listed)
    return fill(
        "run.html",
        sheet=sheet,
        player=PLAYER,
        run=run,
        heading=_heading(run),
        style=style_name(_style(run)),
        counts={status: run.count(status) for status in Status},
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
        plots=_plots(reports, {piece.anchor: piece.page for piece in listed}),
        banded=any(name in bands() for name in PLOTTED),
        cards=cards,
        names=names,
        name=names[0],
        listed=listed if len(names) > 1 and size <= LISTED else [],
        duration=duration,
    )


def _place(store: Archive, run: RunRecord, row: PieceRow, folder: Path) -> tuple[Path, str]:
    """Return the folder of a piece, and the same relative to the page."""
    if row.status == Status.PASSED:
        place = store.path_of(row.piece_id)
    else:
        # The record of a run that joins shards names the shard of each piece.
        owner = (row.model_extra or {}).get("run_id") or run.run_id
        place = store.rejected_folder(owner) / row.piece_id
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


def _plots(reports: Sequence[PieceReport], pages: Mapping[str, str]) -> list[Plot]:
    plots = []
    for name in PLOTTED:
        dots = [
            Dot(value, report.status, _short(report), _target(report, pages))
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


def _target(report: PieceReport, pages: Mapping[str, str]) -> str:
    anchor = f"piece-{report.piece_id[:12]}"
    page = pages.get(anchor, "report.html")
    return f"#{anchor}" if page == "report.html" else f"{page}#{anchor}"


def _short(report: PieceReport) -> str:
    return f"{report.piece_id[:8]}, {report.status}"
