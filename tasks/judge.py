"""The verdict on a batch, by Great Expectations over one row a piece."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.abc.score import Score
from scoregate.errors import GateError
from scoregate.findings import Finding, Outcome, Status, Verdict
from scoregate.piece import Batch, Draft
from scoregate.timing import spent
from scoregate.validators.checking import ordered, reasons
from scoregate.validators.verdict import suite, thresholds
from scoregate.validators.verdict.rules import row

ENDED = {
    "length": "length limit",
    "time": "time limit",
    "stopped": "stopped by hand",
    "failed": "no music",
    "broken": "could not go on",
}
"""Why the model did not come to the end of a piece, in a word or two."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Judged:
    """A draft with its verdict and everything the report says of it."""

    status: Status
    reasons: list[str]
    findings: list[Finding]
    measures: dict[str, float]
    thresholds: dict[str, Any]
    gates: dict[str, str]
    summary: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    title: str = ""

    @property
    def passed(self) -> bool:
        """True for ``passed`` only."""
        return self.status == Status.PASSED


def cut_off(draft: Draft) -> Finding | None:
    """Return what there is to say of a draft that the model did not end itself."""
    if draft.ended == "finished":
        return None
    asked = draft.provenance
    why = _why(draft)
    message = {
        "length": f"the piece was cut off after {asked.get('patches')} patches",
        "time": f"the piece was cut off at the limit of {asked.get('max_minutes')} min",
        "stopped": "the piece was being written when the run was stopped by hand",
        "failed": "the model filled its whole context without a bar of music",
        "broken": f"the model could not go on after {asked.get('bars')} bars",
    }[why]
    remarks = "".join(f"; {note}" for note in asked.get("notes", []) if why == "broken")
    return Finding("ended", f"ended.{why}", "critical", message + remarks)


def _why(draft: Draft) -> str:
    """Return the entry of ``ENDED`` for a draft: one that failed may have begun well."""
    return "broken" if draft.ended == "failed" and draft.provenance.get("bars") else draft.ended


@task(name="judge", retries=1, cache_policy=NO_CACHE)
def judge(
    drafts: Batch[Draft], scores: Batch[Score], outcomes: dict[str, Batch[Outcome]]
) -> Batch[Judged]:
    """Judge a batch in one go.

    Where the suite itself fails, every piece of the batch 'could not be judged': the
    texts are kept, and none passes.
    """
    with spent("judge"):
        by_piece = [
            {gate: batch[index] for gate, batch in outcomes.items()} for index in range(len(drafts))
        ]
        rows = [
            row(draft.id, found, draft.style) for draft, found in zip(drafts, by_piece, strict=True)
        ]
        try:
            verdicts = suite.judge(rows, gates=outcomes)
            fault = ""
        except GateError as error:
            _log.error("The suite could not judge: %s", error)
            verdicts = [Verdict(draft.id, Status.NOT_JUDGED) for draft in drafts]
            fault = f"the suite failed: {error.problem}"
        return Batch(
            _judged(draft, score, found, verdict, fault)
            for draft, score, found, verdict in zip(drafts, scores, by_piece, verdicts, strict=True)
        )


def _judged(
    draft: Draft, score: Score, outcomes: dict[str, Outcome], verdict: Verdict, fault: str
) -> Judged:
    findings = [finding for outcome in outcomes.values() for finding in outcome.findings]
    status, why = verdict.status, [fault] if fault else reasons(verdict, outcomes)
    if unfinished := cut_off(draft):
        # A piece may be cut off where its text happens to look whole.
        status = Status.REJECTED
        findings.append(unfinished)
        why.insert(0, f"{unfinished.gate}: {ENDED[_why(draft)]}")
    measures: dict[str, float] = {}
    for outcome in outcomes.values():
        measures |= outcome.measures
    return Judged(
        status=status,
        reasons=why,
        findings=ordered(findings),
        measures=measures,
        thresholds=thresholds.for_style(draft.style).as_dict(),
        gates={gate: outcome.version for gate, outcome in outcomes.items()},
        summary={
            "bars": score.bar_count,
            "voices": len(score.voices),
            "key": score.key,
            "metre": score.metre_text,
            "tempo": score.tempo_text,
        },
        text=draft.text,
        title=score.title,
    )
