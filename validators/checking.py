"""Judge one text by the gates and the thresholds, for `scoregate check` and `screen`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scoregate import __version__
from scoregate.abc.score import Score
from scoregate.convert.formats import Conversion
from scoregate.errors import ScoregateError
from scoregate.findings import Finding, Outcome, Status, Verdict
from scoregate.validators import registry
from scoregate.validators.conversion_faults import attribute
from scoregate.validators.examination import Reading, Terms, examine_finished, read_together
from scoregate.validators.verdict import profiles, thresholds


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user chose to judge by.

    Attributes
    ----------
    profile : str or None
        Name of a profile; None guesses one for each piece.
    warn, off : tuple of str
        Codes of findings that only warn, and that are left out.
    thresholds : str or None
        Path of a file of thresholds; None for the project's own.
    """

    profile: str | None = None
    warn: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    thresholds: str | None = None

    def limits(self) -> thresholds.ThresholdFile:
        """Return the thresholds that were chosen.

        Raises
        ------
        GateError
            The file is missing or wrong.
        """
        return thresholds.load_file(self.thresholds) if self.thresholds else thresholds.load()

    def check(self) -> None:
        """Raise what is wrong with the choice, before anything is judged.

        Raises
        ------
        RequestError
            There is no such profile, or something is no code.
        GateError
            The file of thresholds is missing or wrong.
        """
        profile = profiles.find(self.profile or profiles.DEFAULT)
        profiles.with_rules(profile, self.warn, self.off)
        self.limits()


GUESSED = Choice()
"""The profile is guessed for each piece, and the thresholds are the project's."""
AS_MADE = Choice(profile=profiles.DEFAULT)
"""How a piece that a model wrote is judged."""


@dataclass(slots=True)
class Checked:
    """A piece and its verdict.

    Attributes
    ----------
    file : str
        Name of the piece in reports.
    status : Status
    reasons : list of str
        Why it did not pass, in a few words each; empty when it did.
    findings : list of Finding
        Critical ones first, then by position in the text.
    measures : dict of str to float
    bars, voices : int
        How many of them the piece has.
    score : Score or None
        None where the text could not be read at all.
    text : str
        The finished ABC.
    gates : dict of str to str
        Version of each gate that judged the piece; that of ``syntax`` names abc2midi's.
    title : str
        The piece's own title; ``""`` where it has none.
    profile : str
        Name of the profile by which it was judged.
    guessed : bool
        Whether the profile was guessed from the text.
    """

    file: str
    status: Status
    reasons: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    bars: int = 0
    voices: int = 0
    text: str = ""
    score: Score | None = None
    gates: dict[str, str] = field(default_factory=dict)
    title: str = ""
    profile: str = ""
    guessed: bool = False

    def moved(self, lines: int) -> None:
        """Move the line numbers of the findings: those of a tune become those of its book."""
        self.findings = [
            finding if finding.line is None else replace(finding, line=max(finding.line + lines, 1))
            for finding in self.findings
        ]

    def finite_measures(self) -> dict[str, float | None]:
        """Return the measures, with None in place of NaN and infinity."""
        return {
            name: value if math.isfinite(value) else None for name, value in self.measures.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `scoregate check --json` prints."""
        return {
            "file": self.file,
            "title": self.title,
            "passed": self.status is Status.PASSED,
            "status": self.status.value,
            "profile": self.profile,
            "profile_guessed": self.guessed,
            "reasons": self.reasons,
            "findings": [finding.as_dict() for finding in self.findings],
            "measures": self.finite_measures(),
            "gates": self.gates,
        }


# More than six parameters: all but the first two are options.
def check_bytes(
    name: str,
    content: str | bytes | Reading,
    style: str | None = None,
    novelty: bool = False,
    choice: Choice = GUESSED,
    conversion: Conversion | None = None,
) -> Checked:
    """Judge a text by every gate and by the thresholds of its style.

    Parameters
    ----------
    name : str
        Name of the piece in reports.
    content : str or bytes or Reading
        ABC, or what was read of it before.
    style : str or None
        None takes it from the piece's own prompt lines.
    novelty : bool
        Whether the gates for production only judge as well. They reject copies, which is
        right for what a model wrote and wrong for a composer's own score.
    choice : Choice, optional
        Profile and thresholds; by default the profile is guessed.
    conversion : Conversion, optional
        Where the text was converted from another format: what it was made of.
    """
    terms = Terms(
        style=style,
        production=novelty,
        profile=choice.profile,
        warn=choice.warn,
        off=choice.off,
        limits=choice.limits(),
        ending=conversion.ending if conversion is not None else "",
    )
    if not isinstance(content, Reading):
        (content,) = read_together([content], 1)
    examination = examine_finished(content, terms)
    score = examination.score
    if conversion is not None:
        attribute(examination.outcomes, score, conversion)
    decided = examination.verdict(name)
    return Checked(
        file=name,
        status=decided.status,
        reasons=reasons(decided, examination.outcomes),
        findings=ordered(examination.findings),
        measures=examination.measures,
        bars=score.bar_count,
        voices=len(score.voices),
        text=score.text,
        score=score,
        gates={gate: outcome.version for gate, outcome in examination.outcomes.items()},
        title=score.title,
        profile=examination.profile.name,
        guessed=examination.guessed,
    )


def reasons(decided: Verdict, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return why a piece did not pass, in a few words each; empty for one that passed.

    The words are the same for the same fault, so that the reasons of a run can be counted.
    """
    if decided.passed:
        return []
    found: dict[str, None] = {}
    for failure in decided.failed:
        if failure.severity != "critical":
            continue
        if decided.status is Status.REJECTED and failure.rule != "within":
            # The findings that reject the piece are its reasons; what could not be judged
            # as well would not change the verdict.
            continue
        outcome = outcomes.get(failure.gate)
        if failure.rule == "judged" and outcome is not None:
            found[f"{failure.gate}: could not judge: {outcome.reason}"] = None
            continue
        codes = [
            finding.code.partition(".")[2].replace("-", " ")
            for finding in (outcome.findings if outcome else ())
            if finding.severity == "critical"
        ]
        for code in codes:
            found[f"{failure.gate}: {code}"] = None
        if not codes:
            found[str(failure)] = None
    return list(found)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings: critical ones first, then by position, those without one last."""
    rank = {"critical": 0, "warning": 1, "info": 2}
    return sorted(
        findings,
        key=lambda finding: (
            rank[finding.severity],
            # What has no place, such as how many more there are of a kind, is last.
            finding.line is None,
            finding.line or 0,
            finding.column or 0,
            finding.gate,
        ),
    )


def judge_version(style: str | None, novelty: bool = False, choice: Choice = GUESSED) -> str:
    """Name everything that a verdict depends on: the gates, the thresholds, the style.

    The version of each registered gate is part of it, and so is that of abc2midi, which is
    part of the version of ``syntax``.

    Parameters
    ----------
    style : str or None
        None where each piece is judged by the style of its own prompt.
    novelty : bool
        Whether the gates for production only judge as well.
    choice : Choice, optional
        Profile and thresholds.

    Raises
    ------
    ToolError
        When there is no abc2midi.
    """
    versions = registry.versions(registry.names(production=novelty))
    gates = ", ".join(f"{name} {version}" for name, version in versions.items())
    limits = choice.limits().general.version
    known = profiles.load().values() if choice.profile is None else [profiles.find(choice.profile)]
    by = ", ".join(profile.version for profile in known)
    own = "".join(f"; {what} {code}" for what in ("warn", "off") for code in getattr(choice, what))
    return (
        f"scoregate {__version__}; {gates}; thresholds {limits}; profile {by}{own}; "
        f"style {style or 'by prompt'}"
    )


def unjudged(name: str, why: str) -> Checked:
    """Return a piece that could not be judged, with the reason as its finding."""
    finding = Finding("input", "input.not-judged", "critical", why)
    return Checked(name, Status.NOT_JUDGED, [f"could not be judged: {why}"], [finding])


def plain_reason(name: str, error: ScoregateError) -> str:
    """Return what an error says without the piece's name, so that reasons can be counted."""
    return error.problem.removeprefix(f"{name}: ").rstrip(".")
