"""The page of one checked piece, for `scoregate check --html`."""

from __future__ import annotations

from pathlib import Path

from scoregate.archive.records import FindingRecord, PieceReport
from scoregate.dashboard.app.export_site import write_piece
from scoregate.render.pool import Job, render_pieces
from scoregate.validators.checking import Checked


def write_page(checked: Checked, path: Path, source: str | bytes) -> None:
    """Write the page of a checked piece: engraved, with its findings marked, and playable.

    The page opens at the first finding that rejects the piece. Downloads, the player and the
    sound font are written into a folder beside it that is called like it.

    Parameters
    ----------
    checked : Checked
    path : Path
    source : str or bytes
        The text as it was handed in: findings count its lines.

    Raises
    ------
    ArchiveError
        Something can't be written.
    """
    score = checked.score
    job = Job(text=checked.text, score=score, findings=checked.findings)
    (rendering,) = render_pieces([job], workers=1)
    written = source if isinstance(source, str) else source.decode("utf-8", "replace")
    prompt = "/".join(score.prompt) if score and len(score.prompt) == 3 else None
    report = PieceReport(
        status=checked.status,
        style=prompt,
        title=(score.title if score else "") or Path(checked.file).name,
        findings=[FindingRecord(**finding.as_dict()) for finding in checked.findings],
        measures=checked.finite_measures(),
        reasons=checked.reasons,
        notes=rendering.notes,
        summary=_summary(checked),
        gates=checked.gates,
    )
    write_piece(
        path,
        report,
        text=checked.text,
        source=written,
        pages=rendering.pages,
        files={
            "raw.abc": written.encode("utf-8", "backslashreplace"),
            "score.abc": checked.text.encode("utf-8", "backslashreplace"),
            **rendering.files,
        },
        score=score,
    )


def _summary(checked: Checked) -> dict[str, int | str]:
    summary: dict[str, int | str] = {"bars": checked.bars, "voices": checked.voices}
    if checked.score:
        summary |= {"key": checked.score.key, "metre": checked.score.metre_text}
        summary |= {"tempo": checked.score.tempo_text} if checked.score.tempo_text else {}
    return summary
