"""The page of one checked piece, for `scoregate check --html`."""

from __future__ import annotations

from pathlib import Path

from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.dashboard.piece import piece_page
from scoregate.errors import ArchiveError
from scoregate.render.pool import Job, render_pieces
from scoregate.validators.checking import Checked


def write_page(checked: Checked, path: Path) -> None:
    """Engrave a checked piece with its findings marked and write it as one HTML file.

    Raises
    ------
    ArchiveError
        The file can't be written.
    """
    job = Job(text=checked.text, score=checked.score, findings=checked.findings)
    (rendering,) = render_pieces([job], workers=1)
    report = PieceReport(
        status=checked.status,
        title=checked.score.title if checked.score else "",
        findings=[FindingRecord(**finding.as_dict()) for finding in checked.findings],
        measures=checked.finite_measures(),
        reasons=checked.reasons,
        notes=rendering.notes,
        summary={"bars": checked.bars, "voices": checked.voices},
        gates=checked.gates,
    )
    page = piece_page(
        report,
        rendering.pages,
        source=Path(checked.file).name,
        midi=rendering.files.get("score.mid", b""),
    )
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ArchiveError(
            f"The page {path} can't be written: {error.strerror}.", "Name another file."
        ) from error
