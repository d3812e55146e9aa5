"""Results of runs in Markdown, for their pages in Prefect."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from scoregate.archive.records import RunRecord
from scoregate.findings import Status


def run_report(record: RunRecord, folder: Path) -> str:
    """Return the report of a production run; ``folder`` holds its page."""
    request = record.request
    lines = [
        f"# Run {record.run_id}",
        "",
        f"{record.count(Status.PASSED)} of {request.get('count', len(record.pieces))} pieces in "
        f"the style {escaped(str(request.get('style', 'any')))}; {record.missing} missing.",
        "",
        "| round | generated | passed | rejected | not judged |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.round} | {row.drawn} | {row.passed} | {row.rejected} | {row.not_judged} |"
        for row in record.rounds
    ]
    reasons = Counter(reason for piece in record.pieces for reason in piece.reasons)
    if reasons:
        lines += ["", "## Why pieces did not pass", ""]
        lines += [f"- {count} × {escaped(reason)}" for reason, count in reasons.most_common()]
    lines += ["", f"Report with the engraved pieces: `{folder / 'report.html'}`"]
    return "\n".join(lines) + "\n"


def verdict_table(record: RunRecord) -> list[dict[str, Any]]:
    """Return the verdicts of a production run as rows of a table."""
    return [
        {
            "piece": piece.piece_id[:12],
            "status": piece.status,
            "round": piece.round,
            "seed": piece.seed,
            "bars": piece.bars,
            "why": "; ".join(piece.reasons),
        }
        for piece in record.pieces
    ]


class Screened(Protocol):
    """What the report needs of the record of a screening."""

    judged: int
    kept: int
    counts: dict[str, int]
    reasons: list[tuple[str, int]]
    table: str
    sheet: str


def screening_report(record: Screened) -> str:
    """Return the report of a screening."""
    lines = ["# Screening", "", f"{record.judged} judged, {record.kept} judged before.", ""]
    lines += [f"- {status}: {count}" for status, count in sorted(record.counts.items())]
    lines += ["", "## Most frequent reasons", ""]
    lines += [f"- {count} × `{reason.replace('`', ' ')}`" for reason, count in record.reasons]
    return "\n".join([*lines, "", f"Results: `{record.table}`, `{record.sheet}`", ""])


def escaped(text: str) -> str:
    """Return text of unknown origin with all that Markdown or HTML would act upon escaped."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", text)
