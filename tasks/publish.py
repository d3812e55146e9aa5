"""Put a run's results on its page in Prefect: a table, a report in Markdown, a link."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from scoregate.archive.records import RunRecord
from scoregate.archive.store import Archive
from scoregate.findings import Status


@task(name="publish", retries=2, retry_delay_seconds=2, cache_policy=NO_CACHE)
def publish(out: str, record: RunRecord) -> None:
    """Create the run's artifacts: ``verdicts``, ``report`` and ``report-page``."""
    folder = Archive(out).run_folder(record.run_id).resolve()
    create_table_artifact(
        key="verdicts",
        table=[
            {
                "piece": piece.piece_id[:12],
                "status": piece.status,
                "round": piece.round,
                "seed": piece.seed,
                "bars": piece.bars,
                "why": "; ".join(piece.reasons),
            }
            for piece in record.pieces
        ],
        description=f"Verdicts of run {record.run_id}",
    )
    create_markdown_artifact(key="report", markdown=markdown(record, folder))
    create_link_artifact(
        key="report-page",
        link=(folder / "report.html").as_uri(),
        link_text="The run's report, with the engraved pieces",
    )


def markdown(record: RunRecord, folder: Path) -> str:
    """Return the run's report in Markdown."""
    request = record.request
    lines = [
        f"# Run {record.run_id}",
        "",
        f"{record.count(Status.PASSED)} of {request.get('count', len(record.pieces))} pieces in "
        f"the style {_escaped(str(request.get('style', 'any')))}; {record.missing} missing.",
        "",
        "| round | drawn | passed | rejected | not judged |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.round} | {row.drawn} | {row.passed} | {row.rejected} | {row.not_judged} |"
        for row in record.rounds
    ]
    reasons = Counter(reason for piece in record.pieces for reason in piece.reasons)
    if reasons:
        lines += ["", "## Why pieces did not pass", ""]
        lines += [f"- {count} × {_escaped(reason)}" for reason, count in reasons.most_common()]
    lines += ["", f"Report with the engraved pieces: `{folder / 'report.html'}`"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Take from text of unknown origin what Markdown or HTML would act upon."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~-])", r"\\\1", text)
