"""All gates over one piece: read once, each gate by itself, none able to pass by crashing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from scoregate.abc.reader import REFUSED, read
from scoregate.abc.score import Score
from scoregate.findings import Finding, Outcome

GATES = ("syntax", "bars", "ranges", "repetition", "measures", "harmony")
"""The gates in their order, by name; each is the module ``validators.<name>``."""

PRODUCTION = (*GATES, "novelty")
"""The gates for what a model wrote: it must not be a copy. A score that somebody hands in
may well be one, of his own work or of Bach's, so `GATES` leaves that open."""


@dataclass(slots=True)
class Examination:
    """What all gates made of one piece.

    Parameters
    ----------
    score : Score
    outcomes : dict of str to Outcome
        By gate, in the gates' order.
    """

    score: Score
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """Findings of all gates."""
        return [finding for outcome in self.outcomes.values() for finding in outcome.findings]

    @property
    def measures(self) -> dict[str, float]:
        """Measures of all gates."""
        return {
            name: value
            for outcome in self.outcomes.values()
            for name, value in outcome.measures.items()
        }

    @property
    def judged(self) -> bool:
        """Whether every gate could judge the piece."""
        return all(outcome.judged for outcome in self.outcomes.values())


def examine(
    text: str | bytes, *, style: str | None = None, gates: Sequence[str] | None = None
) -> Examination:
    """Read a piece and let every gate look at it.

    Parameters
    ----------
    text : str or bytes
        ABC, as the model writes it or finished.
    style : str or None
        ``Period/Composer/Instrumentation``, for the gates whose thresholds depend on it;
        None takes it from the prompt lines, where there are any.
    gates : sequence of str or None
        Names of the gates; None for all of `GATES`.

    Returns
    -------
    Examination
        A gate that raises has an outcome that isn't ``judged``, with the reason.
    """
    score = read(text)
    if style is None and len(score.prompt) == 3:
        style = "/".join(score.prompt)
    examination = Examination(score)
    refused = any(finding.code == REFUSED for finding in score.findings)
    for name in GATES if gates is None else gates:
        if refused:
            outcome = Outcome(name, "", judged=name == "syntax", reason="the text was refused")
            outcome.findings = list(score.findings) if name == "syntax" else []
        else:
            outcome = look(name, score, style)
        examination.outcomes[name] = outcome
    return examination


def look(name: str, score: Score, style: str | None) -> Outcome:
    """Let one gate look at a score; a crash gives an outcome that isn't ``judged``."""
    version = "?"
    try:
        module = import_module(f"scoregate.validators.gates.{name}")
        version = module.VERSION
        check: Callable[..., Outcome] = module.check
        return check(score, style=style)
    except Exception as error:
        # Whatever a gate stumbles over must not end a run, and must not pass a piece.
        return Outcome(name, version, judged=False, reason=f"{type(error).__name__}: {error}")
