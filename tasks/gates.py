"""Read a batch once, then one task a gate over the whole batch."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate.abc.reader import read as read_score
from scoregate.abc.score import Score
from scoregate.findings import Outcome
from scoregate.piece import Batch, Draft
from scoregate.progress import report
from scoregate.timing import spent
from scoregate.validators import examine as gates


@task(name="read", retries=1, cache_policy=NO_CACHE)
def read(drafts: Batch[Draft]) -> Batch[Score]:
    """Return every draft as a score; what can't be read stands in the score's findings."""
    with spent("check"):
        return Batch(read_score(draft.raw) for draft in drafts)


@task(
    name="gate",
    task_run_name="gate {gate}",
    retries=1,
    cache_policy=NO_CACHE,
)
def pass_gate(gate: str, scores: Batch[Score], style: str) -> Batch[Outcome]:
    """Return what one gate makes of every score of a batch.

    A gate that crashes over a piece gives an outcome that is not judged, which no
    verdict lets pass; so a retry of this task is for faults of the machine alone.
    """
    with spent("check"):
        outcomes = []
        for number, score in enumerate(scores, start=1):
            outcomes.append(gates.look(gate, score, style))
            report(f"gate {gate}", number, len(scores))
        return Batch(outcomes)
