"""Results of runs in Markdown, for their pages in Prefect."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from scoregate.archive.records import RunRecord
from scoregate.archive.trend import Trend
from scoregate.findings import Status

REASONS = 20
"""Most reasons that a report of a run lists."""


def run_report(
    record: RunRecord, folder: Path, found: Trend | None = None, dashboard: str = ""
) -> str:
    """Return the report of a production run: the whole night on one page.

    Parameters
    ----------
    record : RunRecord
    folder : Path
        Folder of the run, which holds its page.
    found : Trend, optional
        The run beside those before it.
    dashboard : str
        Address of the review dashboard, ``""`` where none runs.
    """
    request = record.request
    wanted = request.get("count", len(record.pieces))
    seconds = "" if record.seconds is None else f" in {record.seconds:.0f} s"
    lines = [
        f"# Run {record.run_id}",
        "",
        f"{record.count(Status.PASSED)} of {wanted} pieces in "
        f"the style {escaped(str(request.get('style', 'any')))}{seconds}; "
        f"{record.missing} missing.",
        "",
    ]
    lines += [f"- {escaped(note)}" for note in record.notes]
    lines += _trend_lines(found, chosen_among(record)) if found else []
    lines += [
        "",
        f"| round | generated{chosen_among(record)} | passed | rejected | not judged |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.round} | {row.drawn} | {row.passed} | {row.rejected} | {row.not_judged} |"
        for row in record.rounds
    ]
    reasons = Counter(reason for piece in record.pieces for reason in piece.reasons)
    if reasons:
        lines += ["", "## Why pieces did not pass", ""]
        lines += [
            f"- {count} × {escaped(reason)}" for reason, count in reasons.most_common(REASONS)
        ]
        if len(reasons) > REASONS:
            lines.append(f"- {len(reasons) - REASONS} further reasons, in the report")
    lines += _stage_lines(record, found)
    lines += ["", "## Where to look", ""]
    if dashboard:
        lines.append(f"- [The run on the dashboard]({dashboard.rstrip('/')}/runs/{record.run_id})")
    lines += [
        f"- The report with the engraved pieces: `{folder / 'report.html'}`",
        f"- The pieces: `scoregate archive ls --run {record.run_id}`",
    ]
    return "\n".join(lines) + "\n"


def chosen_among(record: RunRecord) -> str:
    """Return ``, each chosen among 4 drafts`` for a run with such pieces, ``""`` for others."""
    drafts = record.request.get("drafts") if record.request.get("quality") == "best" else None
    return f", each chosen among {drafts} drafts" if drafts else ""


def _trend_lines(found: Trend, chosen: str) -> list[str]:
    """Return the run's alarms and its pass rate beside the runs before it."""
    lines = [f"- **Alarm {alarm.code}**: {escaped(alarm.message)}" for alarm in found.alarms]
    if found.run.rate is None:
        return lines
    said = f"- Pass rate of the first round{chosen}: {found.run.rate:.0%}"
    if found.band:
        low, high = found.band
        said += f"; after the last {len(found.earlier)} runs {low:.0%} to {high:.0%} is expected"
    elif found.earlier:
        said += f"; {len(found.earlier)} earlier runs are too few for a comparison"
    return [*lines, said + "."]


def _stage_lines(record: RunRecord, found: Trend | None) -> list[str]:
    """Return the seconds by stage, beside the mean of the runs before."""
    if not record.stage_seconds:
        return []
    lines = ["", "## Seconds by stage", "", "| stage | seconds | a piece | before, a piece |"]
    lines.append("|---|---|---|---|")
    for stage, seconds in record.stage_seconds.items():
        each = found.run.seconds_per_piece.get(stage) if found else None
        before = [
            run.seconds_per_piece[stage]
            for run in (found.earlier if found else ())
            if stage in run.seconds_per_piece
        ]
        mean = f"{sum(before) / len(before):.3f}" if before else ""
        lines.append(
            f"| {stage} | {seconds:.1f} | {'' if each is None else f'{each:.3f}'} | {mean} |"
        )
    return lines


def verdict_table(record: RunRecord) -> list[dict[str, Any]]:
    """Return the verdicts of a production run as rows of a table."""
    return [
        {
            "piece": piece.piece_id[:12],
            "status": piece.status,
            "round": piece.round,
            "seed": piece.seed,
            "bars": piece.bars,
            "why": in_cell("; ".join(piece.reasons)),
        }
        for piece in record.pieces
    ]


def trend_report(found: Trend) -> str:
    """Return a run beside the runs before it: pass rates, reasons, seconds, alarms."""
    lines = [f"# Trend of run {found.run.run_id}", ""]
    lines += [f"- **{alarm.code}**: {escaped(alarm.message)}" for alarm in found.alarms]
    if not found.alarms:
        lines.append("No alarm.")
    if found.band:
        low, high = found.band
        lines += ["", f"Expected pass rate of the first round: {low:.0%} to {high:.0%}."]
    else:
        lines += ["", f"Earlier runs of this kind: {len(found.earlier)}, too few for a band."]
    lines += [
        "",
        "| run | started | generated | passed | rate | seconds a piece | most frequent reason |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in (*found.earlier, found.run):
        rate = "" if run.rate is None else f"{run.rate:.0%}"
        seconds = sum(run.seconds_per_piece.values())
        reason = escaped(next(iter(run.reasons), ""))
        lines.append(
            f"| {run.run_id} | {run.started} | {run.generated} | {run.passed} | {rate} | "
            f"{seconds:.2f} | {reason} |"
        )
    lines += ["", "| stage | seconds a piece | before |", "|---|---|---|"]
    for stage, seconds in found.run.seconds_per_piece.items():
        before = [run.seconds_per_piece.get(stage, 0.0) for run in found.earlier]
        mean = f"{sum(before) / len(before):.3f}" if before else ""
        lines.append(f"| {stage} | {seconds:.3f} | {mean} |")
    return "\n".join(lines) + "\n"


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
    lines += [f"- {count} × {escaped(reason)}" for reason, count in record.reasons]
    return "\n".join([*lines, "", f"Results: `{record.table}`, `{record.sheet}`", ""])


def escaped(text: str) -> str:
    """Return text of unknown origin with all that Markdown or HTML would act upon escaped.

    It becomes one line, and addresses in it do not become links.
    """
    marked = re.sub(r"([\\`*_{}\[\]<>()#+!|~&@-]|:(?=//)|(?<=www)\.)", r"\\\1", _one_line(text))
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", marked)


def in_cell(text: str) -> str:
    """Return text of unknown origin for a cell of a table artifact.

    One version of Prefect's pages reads these cells as Markdown, another shows them as they are. So
    text with characters that Markdown acts upon is put between backticks, and other text is left.
    """
    line = _one_line(text)
    if not re.search(r"[\\`*_{}\[\]<>#!|~&@]|://|www\.", line):
        return line
    return f"`{line.replace('`', chr(39))}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
