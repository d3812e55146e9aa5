"""Judging archived pieces again under the gates and thresholds of today."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scoregate.archive import catalog, query
from scoregate.archive.integrity import read_bytes, read_report
from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.archive.store import Archive
from scoregate.archive.verdicts import LaterVerdict
from scoregate.findings import Status
from scoregate.validators.checking import AS_MADE, Checked, check_bytes
from scoregate.validators.verdict import thresholds


def rejudged(
    store: Archive, wanted: query.Filter, progress: Callable[[int, int], None] | None = None
) -> Iterator[LaterVerdict]:
    """Judge pieces again and yield a verdict for each.

    Parameters
    ----------
    store : Archive
    wanted : Filter
        Which pieces.
    progress : callable, optional
        Called with the number of pieces judged and the number to judge.
    """
    with catalog.opened(store) as connection:
        rows = query.rows(connection, wanted, sort="oldest")
    for done, row in enumerate(rows, 1):
        folder = store.out / row["folder"]
        report = read_report(folder)
        text = read_bytes(folder / "score.abc")
        checked = check_bytes(row["id"], text, report.style, novelty=True, choice=AS_MADE)
        yield _verdict(row["id"], report, checked)
        if progress is not None:
            progress(done, len(rows))


def _verdict(entry: str, report: PieceReport, checked: Checked) -> LaterVerdict:
    # A piece that the model did not end was cut off, whatever its text looks like now.
    cut_off = [finding for finding in report.findings if finding.gate == "ended"]
    reasons = (
        [reason for reason in report.reasons if reason.startswith("ended:")] if cut_off else []
    )
    return LaterVerdict(
        entry=entry,
        status=Status.REJECTED if cut_off else checked.status,
        before=report.status,
        gates=checked.gates,
        thresholds=thresholds.for_style(report.style).as_dict()["version"],
        reasons=reasons + checked.reasons,
        findings=[
            *cut_off,
            *(FindingRecord(**finding.as_dict()) for finding in checked.findings),
        ],
        measures=checked.finite_measures(),
    )
