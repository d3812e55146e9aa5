"""Sentences that a production run's record and its page say about the whole run."""

from __future__ import annotations

from typing import Any

from scoregate.archive.records import RunRecord
from scoregate.evaluation.critic import critic_of

SERVER_GONE = (
    "The Prefect server does not answer any more. The run is archived; the server's pages do not "
    "show its end."
)


def untrained(style: str, trained: bool | None) -> str:
    """Say that the weights were not trained on a style; ``trained`` is None if unknown."""
    if trained is None:
        return f"These weights name no styles: whether they were trained on {style} is not known."
    return f"These weights were not trained on the style {style}."


def stopped(number: int) -> str:
    """Say that a person stopped the run while round ``number`` was being generated."""
    return (
        f"Stopped by hand in round {number}: finished pieces were judged as usual, and unfinished "
        "ones are kept among those that did not pass."
    )


def rounds_used_up(missing: int, rounds: int) -> str:
    """Say how many pieces are missing after the last round."""
    return (
        f"{missing} missing: the rounds ({rounds}) are used up. What passed is archived; allow "
        "more rounds, or try another temperature."
    )


def cut_off(count: int) -> str:
    """Say how many pieces a limit cut off, and what can be done."""
    return (
        f"{count} cut off by max-steps or max-minutes: allow more, or take a lower precision or "
        "a faster machine."
    )


def chosen(record: RunRecord) -> list[str]:
    """Say how the pieces of a run were chosen among drafts, and what it took; empty where not."""
    rows = [row.model_extra or {} for row in record.pieces]
    choices: list[dict[str, Any]] = [row["choice"] for row in rows if row.get("choice")]
    if not choices:
        return []
    drawn, passing = (sum(each[name] for each in choices) for name in ("drawn", "passing"))
    seconds = sum(each["processor_seconds"] for each in choices)
    said = [
        f"{len(choices)} pieces were chosen among {drawn} drafts. Pass rates of this run are those "
        f"of chosen pieces; of all drafts {passing} ({passing / drawn:.0%}) would pass the gates. "
        f"The drafts took {seconds:.0f} s of processor time, {seconds / len(choices):.1f} s a "
        "piece."
    ]
    scores = [(each["score"], each["scores"]) for each in choices if each["score"] is not None]
    critic = next((each["critic"] for each in choices if each["critic"]), None)
    if critic is not None and scores:
        known = [score for _, all_scores in scores for score in all_scores if score is not None]
        said.append(
            f"The critic {critic['name']} ({critic['version']}) gives the chosen pieces "
            f"{sum(score for score, _ in scores) / len(scores):+.2f} in the mean, all drafts "
            f"{sum(known) / len(known):+.2f}; 0 is as likely real as written."
        )
    unscored = sum(score is None for each in choices for score in each["scores"])
    if critic is not None and unscored:
        said.append(f"The critic could not score {unscored} of {drawn} drafts.")
    if critic is not None and (other := _learned_from(record)):
        said.append(
            f"The critic was learned against other weights ({other}). It still prefers what is "
            "like the real pieces, but its odds are those of the other weights' pieces."
        )
    equal = sum(each["decided_by"] == "order" for each in choices)
    if equal:
        said.append(f"{equal} pieces had drafts that nothing told apart; the first one was taken.")
    return said


def no_critic(style: str) -> str:
    """Say that drafts of a style are chosen without a critic."""
    return (
        f"No critic knows the style {style}: the best draft is chosen by the gates, the rules of "
        "the style and the number of warnings."
    )


def _learned_from(record: RunRecord) -> str:
    """Return the weights that the critic was learned against, where they are not the run's."""
    critic = critic_of(str(record.request.get("style", "")))
    used = (record.engine.get("weights") or {}).get("sha256")
    if critic is None or not used or used == critic.learned["weights"]["sha256"]:
        return ""
    return str(critic.learned["weights"]["name"])
