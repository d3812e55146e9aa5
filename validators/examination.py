"""Read a piece once and let the gates judge it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scoregate.abc.bar_numbers import placed
from scoregate.abc.finish import Finished, finish
from scoregate.abc.score import Score
from scoregate.abc.source_text import REFUSED
from scoregate.errors import GateError, ToolError
from scoregate.findings import Finding, Outcome, Verdict
from scoregate.validators import registry
from scoregate.validators.profile_guess import guess
from scoregate.validators.verdict import profiles, rules, thresholds
from scoregate.validators.verdict.profiles import Profile
from scoregate.validators.verdict.thresholds import SEVERITIES, ThresholdFile

_LEVELS = frozenset((*SEVERITIES, "info"))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a piece is judged by.

    Attributes
    ----------
    style : str or None
        ``Period/Composer/Instrumentation``, for the gates whose thresholds depend on it.
        None takes it from the piece's own prompt lines, where it has any.
    gates : sequence of str or None
        Names of the gates. None for every registered gate that is not for production only
        (:func:`scoregate.validators.registry.names`), as far as the profile lets it judge.
    production : bool
        Whether the gates for production only judge as well, where `gates` is None.
    profile : str or Profile or None
        What kind of music it is (:mod:`scoregate.validators.verdict.profiles`). None guesses
        it from the text.
    warn, off : iterable of str
        Codes of findings, or patterns of them, that only warn, and that are left out.
    limits : ThresholdFile or None
        Thresholds to judge by; None for the project's own.
    ending : str
        Of the file that the text was converted from (``.mid``), for guessing the profile.
    """

    style: str | None = None
    gates: Sequence[str] | None = None
    production: bool = False
    profile: str | Profile | None = None
    warn: Iterable[str] = ()
    off: Iterable[str] = ()
    limits: ThresholdFile | None = None
    ending: str = ""


DEFAULT_TERMS = Terms()


class Reading(NamedTuple):
    """A text that was finished and read."""

    finished: Finished
    score: Score


TOGETHER = 16
"""Texts that are read before the first of them is judged, where abc2midi hears them together."""


def read_together(texts: Iterable[str | bytes], size: int = TOGETHER) -> Iterator[Reading]:
    """Finish and read texts, and let abc2midi hear several of them in one run.

    To start the program takes most of its time. The answer of a common run counts only for a
    text that it finds nothing wrong with, so that every text is judged as it is by itself.

    Parameters
    ----------
    texts : iterable of str or bytes
        They are taken `size` at a time, so that a book of any size takes no more memory.
    size : int
        1 where abc2midi will not be asked: each text is gone before the next one is read.

    Raises
    ------
    ToolError
        When there is no abc2midi.
    """
    from scoregate.validators.gates.syntax import hear_together  # imports numpy

    remaining = iter(texts)
    while chunk := [finish(text) for text in itertools.islice(remaining, size)]:
        readings = [Reading(finished, finished.score()) for finished in chunk]
        if len(readings) > 1:
            hear_together([reading.score for reading in readings])
        yield from readings


@dataclass(slots=True)
class Examination:
    """What the gates found in one piece.

    Attributes
    ----------
    score : Score
        The finished text of the piece, as it was read; its positions are those of that text.
        ``score.findings`` are the reader's own.
    outcomes : dict of str to Outcome
        By name of the gate, in the order in which the gates ran. Positions of findings are
        those of the text as it was handed in.
    style : str or None
        Style by whose thresholds the gates judged.
    profile : Profile
        The profile by which they judged.
    guessed : bool
        Whether the profile was guessed from the text.
    thresholds : ThresholdFile or None
        The thresholds by which they judged, as the profile changes them; None for the
        project's own.
    """

    score: Score
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    style: str | None = None
    profile: Profile = field(default_factory=lambda: profiles.find(profiles.DEFAULT))
    guessed: bool = False
    thresholds: ThresholdFile | None = None

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

    def verdict(self, piece_id: str = "", thresholds: ThresholdFile | None = None) -> Verdict:
        """Return whether the piece passes, by the gates that examined it.

        Parameters
        ----------
        piece_id : str, optional
            What the verdict calls the piece.
        thresholds : ThresholdFile, optional
            Those by which the gates judged by default.
        """
        row = rules.row(piece_id, self.outcomes, self.style)
        limits = thresholds or self.thresholds
        (verdict,) = rules.judge([row], gates=self.outcomes, thresholds=limits)
        return verdict


# More than six parameters: options by name, for people who call this; they make up `Terms`.
def examine(
    text: str | bytes,
    *,
    style: str | None = None,
    gates: Sequence[str] | None = None,
    production: bool = False,
    profile: str | Profile | None = None,
    warn: Iterable[str] = (),
    off: Iterable[str] = (),
    limits: ThresholdFile | None = None,
    ending: str = "",
) -> Examination:
    """Read a piece and let the gates judge it.

    Parameters
    ----------
    text : str or bytes
        ABC, as the model writes it or finished.
    style, gates, production, profile, warn, off, limits, ending
        As in :class:`Terms`.

    Returns
    -------
    Examination
        A gate that raises has an outcome that is not ``judged``, with the reason.

    Raises
    ------
    RequestError
        No gate has one of the names, there is no such profile, or something is no code.
    """
    terms = Terms(style, gates, production, profile, warn, off, limits, ending)
    finished = finish(text)
    return examine_finished(Reading(finished, finished.score()), terms)


def examine_finished(reading: Reading, terms: Terms = DEFAULT_TERMS) -> Examination:
    """Let the gates judge a finished piece that was read.

    Parameters
    ----------
    reading : Reading
        As :func:`read_together` yields them.
    terms : Terms

    Raises
    ------
    RequestError
        No gate has one of the names, there is no such profile, or something is no code.
    """
    finished, score = reading
    profile = terms.profile
    if profile is None:
        profile = profiles.find(guess(score, terms.ending))
    elif isinstance(profile, str):
        profile = profiles.find(profile)
    profile = profiles.with_rules(profile, terms.warn, terms.off)
    examination = examine_score(score, profile, terms)
    examination.guessed = terms.profile is None
    # The gates work on the finished text; the caller knows the one that he handed in.
    for outcome in examination.outcomes.values():
        outcome.findings = [
            placed(finished.in_source(finding), score) for finding in outcome.findings
        ]
    return examination


def examine_score(score: Score, profile: Profile, terms: Terms = DEFAULT_TERMS) -> Examination:
    """Let the gates judge a finished text that was read.

    Parameters
    ----------
    score : Score
    profile : Profile
        The one that decides; that of the terms is not looked at.
    terms : Terms

    Returns
    -------
    Examination
        Positions of findings are those of the finished text, and no finding has the name of
        its part.

    Raises
    ------
    RequestError
        No gate has one of the names.
    """
    style, limits = terms.style, terms.limits
    names = names_for(profile, terms.production) if terms.gates is None else terms.gates
    chosen = [registry.find(name) for name in names]
    if not style and len(score.prompt) == 3:
        style = "/".join(score.prompt)
    changed = profile.thresholds(limits)
    examination = Examination(score, style=style, profile=profile, thresholds=changed)
    refused = any(finding.code == REFUSED for finding in score.findings)
    with thresholds.using(changed):
        for gate in chosen:
            outcome = _refused(gate, score) if refused else _judge(gate, score, style)
            profile.apply(outcome)
            examination.outcomes[gate.name] = outcome
    return examination


def names_for(profile: Profile, production: bool = False) -> tuple[str, ...]:
    """Return the names of the gates that judge a piece of a profile, in order.

    Parameters
    ----------
    profile : Profile
    production : bool
        True for a piece that a model wrote.
    """
    names = registry.names(production)
    return tuple(name for name in names if not profile.gates or name in profile.gates)


def run_gate(name: str, score: Score, style: str | None) -> Outcome:
    """Let one gate judge a score.

    Parameters
    ----------
    name : str
    score : Score
    style : str or None

    Returns
    -------
    Outcome
        Not ``judged``, with the reason, where the gate raises or its answer is not one that
        a verdict can be drawn from.

    Raises
    ------
    RequestError
        No gate has the name.
    """
    return _judge(registry.find(name), score, style)


def _refused(gate: registry.Gate, score: Score) -> Outcome:
    """Return the outcome for a text that the reader refused: only ``syntax`` judges it."""
    try:
        version = gate.version
    except ToolError:  # no abc2midi: it is not needed to refuse a text
        version = ""
    if gate.name == "syntax":
        return Outcome(gate.name, version, findings=list(score.findings))
    return Outcome(gate.name, version, judged=False, reason="the text was refused")


def _judge(gate: registry.Gate, score: Score, style: str | None) -> Outcome:
    version = "?"
    try:
        version = gate.version
        outcome = gate.check(score, style=style)
        _validate(gate, outcome)
    except Exception as error:
        # A gate that fails, for whatever reason, must not end a run and not pass a piece.
        return Outcome(gate.name, version, judged=False, reason=f"{type(error).__name__}: {error}")
    return outcome


def _validate(gate: registry.Gate, outcome: Outcome) -> None:
    """Refuse an outcome that could stand for another gate's, or hide a critical finding."""
    if not isinstance(outcome, Outcome):
        raise GateError(f"the gate answered with {type(outcome).__name__} instead of an Outcome")
    if outcome.gate != gate.name:
        raise GateError(f"the gate answered in the name of {outcome.gate!r}")
    declared = {measure.name for measure in gate.measures} if outcome.measures else set()
    undeclared = outcome.measures.keys() - declared
    if undeclared:
        raise GateError(f"the gate does not declare its measures {', '.join(sorted(undeclared))}")
    for finding in outcome.findings:
        if finding.severity not in _LEVELS:
            raise GateError(f"the finding {finding.code} has the severity {finding.severity!r}")
