"""Sentences that a production run's record and its page say about the whole run."""

from __future__ import annotations

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
