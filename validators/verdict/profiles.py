"""Profiles: which findings reject a piece of one kind of music, and which do not.

A gate gives each finding the severity that is right for text that a model has written. A tune of
a folk collection, a motet without barlines or a performance in MIDI asks for others. A profile
(``profiles.toml``) holds rules that change severities, with a reason for each, thresholds and
settings of gates that differ, and the gates that judge where not all do.

Examples
--------
>>> folk = load()["folk"]
>>> folk.severity("syntax.tie-dangling", "critical"), folk.severity("bars.too-long", "critical")
('warning', 'critical')
>>> with_rules(folk, off=["syntax.tie-dangling"]).severity("syntax.tie-dangling", "critical")
'off'
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Literal

from scoregate.errors import GateError, RequestError
from scoregate.findings import Outcome
from scoregate.validators.verdict import thresholds
from scoregate.validators.verdict.thresholds import SEVERITIES, Bound, ThresholdFile, Thresholds

DEFAULT = "notagen"
"""The profile that changes nothing: what `scoregate produce` judges by."""

Level = Literal["critical", "warning", "off"]
LEVELS: tuple[Level, ...] = ("critical", "warning", "off")


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of findings with some codes.

    Attributes
    ----------
    codes : tuple of str
        Patterns of codes such as ``syntax.tie-*``.
    severity : {'critical', 'warning', 'off'}
        ``critical`` makes warnings critical, ``warning`` makes critical findings warnings, and
        ``off`` leaves the findings out. Findings of the severity ``info`` stay in any case,
        unless they are off.
    reason : str
    """

    codes: tuple[str, ...]
    severity: Level
    reason: str

    def applies_to(self, code: str) -> bool:
        """Return whether a code matches one of the patterns."""
        return any(fnmatchcase(code, pattern) for pattern in self.codes)


@dataclass(frozen=True, eq=False)
class Profile:
    """One profile.

    Attributes
    ----------
    name : str
    about : str
        Which music it is for.
    rules : tuple of Rule
        The last one that applies to a code decides.
    gates : tuple of str
        The gates that judge; empty for every one.
    measures : dict of str to dict
        Changes of bounds by the name of the measure, as in ``thresholds.toml``.
    settings : dict of str to float
        Settings of gates that differ from the gates' own.
    """

    name: str
    about: str = ""
    rules: tuple[Rule, ...] = ()
    gates: tuple[str, ...] = ()
    measures: Mapping[str, Mapping[str, Any]] | None = None
    settings: Mapping[str, float] | None = None

    def severity(self, code: str, found: str) -> str:
        """Return the severity of a finding with this code, or ``off``.

        Parameters
        ----------
        code : str
        found : {'critical', 'warning', 'info'}
            The severity that the gate gave it.
        """
        rule = self.rule(code)
        if rule is None:
            return found
        if rule.severity == "off" or found == "info":
            return rule.severity if rule.severity == "off" else found
        return rule.severity

    def rule(self, code: str) -> Rule | None:
        """Return the rule that decides about a code."""
        return next((rule for rule in reversed(self.rules) if rule.applies_to(code)), None)

    def apply(self, outcome: Outcome) -> None:
        """Give the findings of an outcome the severities of the profile."""
        if not self.rules:
            return
        changed = []
        for finding in outcome.findings:
            severity = self.severity(finding.code, finding.severity)
            if severity == finding.severity:
                changed.append(finding)
            elif severity != "off":
                changed.append(replace(finding, severity=severity))
        outcome.findings = changed

    def thresholds(self, file: ThresholdFile | None = None) -> ThresholdFile:
        """Return thresholds as the profile changes them.

        Parameters
        ----------
        file : ThresholdFile, optional
            Those of the project by default.
        """
        file = file or thresholds.load()
        if not self.rules and not self.measures and not self.settings:
            return file
        known = self._made.get(id(file))
        if known is None or known[0] is not file:
            changed = ThresholdFile(
                self._changed(file.general),
                tuple((pattern, self._changed(each)) for pattern, each in file.styles),
            )
            known = self._made[id(file)] = (file, changed)
        return known[1]

    @functools.cached_property
    def _made(self) -> dict[int, tuple[ThresholdFile, ThresholdFile]]:
        """Thresholds that were changed before, by the identity of those that were given."""
        return {}

    def _changed(self, given: Thresholds) -> Thresholds:
        measures = {}
        for name, bound in given.measures.items():
            changes = (self.measures or {}).get(name)
            if changes:
                own = {level: changes[level] for level in SEVERITIES if level in changes}
                bound = replace(bound, **own)
            measures[name] = self._with_severity(name, bound)
        return replace(
            given,
            version=f"{given.version}, profile {self.version}",
            measures=measures,
            settings={**given.settings, **(self.settings or {})},
        )

    def _with_severity(self, name: str, bound: Bound) -> Bound:
        """Return a bound that rejects only what the rule on its finding rejects."""
        rule = self.rule(bound.finding or name) or self.rule(name)
        if rule is None:
            return bound
        if rule.severity == "off":
            return replace(bound, critical=None, warning=None, needed=False)
        if rule.severity == "warning":
            return replace(
                bound,
                critical=None,
                warning=bound.critical if bound.warning is None else bound.warning,
                needed=False,
            )
        return replace(bound, critical=bound.warning if bound.critical is None else bound.critical)

    @functools.cached_property
    def version(self) -> str:
        """Name with a hash of what decides: equal versions judge equally."""
        if self.name == DEFAULT and not self.rules:
            return self.name
        deciding = repr(
            (
                [(rule.codes, rule.severity) for rule in self.rules],
                self.gates,
                sorted((name, sorted(row.items())) for name, row in (self.measures or {}).items()),
                sorted((self.settings or {}).items()),
            )
        )
        return f"{self.name} {hashlib.sha256(deciding.encode()).hexdigest()[:8]}"


def parse(text: str) -> dict[str, Profile]:
    """Read the text of a file of profiles.

    Raises
    ------
    GateError
        Something in it is missing or unknown.
    """
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"they are no TOML: {error}") from error
    return {name: _profile(name, row) for name, row in rows.items()}


def _profile(name: str, row: dict[str, Any]) -> Profile:
    _only(row, {"about", "gates", "rules", "measures", "settings"}, name)
    measures = row.get("measures", {})
    for measure, changes in measures.items():
        _only(changes, {*SEVERITIES, "reason"}, f"{name}.{measure}")
        _needs_reason(changes, f"{name}.{measure}")
    settings = {}
    for setting, given in row.get("settings", {}).items():
        _only(given, {"value", "reason"}, f"{name}.{setting}")
        _needs_reason(given, f"{name}.{setting}")
        settings[setting] = given["value"]
    if not row.get("about"):
        raise _wrong(f"{name} does not say what it is for")
    rules = tuple(_rule(name, each) for each in row.get("rules", []))
    return Profile(name, row["about"], rules, tuple(row.get("gates", ())), measures, settings)


def _rule(name: str, row: dict[str, Any]) -> Rule:
    _only(row, {"codes", "severity", "reason"}, f"a rule of {name}")
    _needs_reason(row, f"a rule of {name}")
    if row.get("severity") not in LEVELS or not row.get("codes"):
        raise _wrong(f"a rule of {name} needs `codes` and one of the severities {LEVELS}")
    return Rule(tuple(row["codes"]), row["severity"], row["reason"])


def _needs_reason(row: dict[str, Any], where: str) -> None:
    if not row.get("reason"):
        raise _wrong(f"{where} gives no reason")


def _only(row: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(row) - known)
    if unknown:
        raise _wrong(f"{where} has unknown keys: {', '.join(unknown)}")


def _wrong(what: str) -> GateError:
    return GateError(f"The profiles can't be used: {what}.", "docs/gate.md describes them.")


@functools.cache
def load() -> dict[str, Profile]:
    """Return the profiles of the project, by name."""
    return parse(resources.files(__package__ or "").joinpath("profiles.toml").read_text("utf-8"))


def find(name: str) -> Profile:
    """Return a profile by its name.

    Raises
    ------
    RequestError
        No profile is called so; the message names the nearest one.
    """
    known = load()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise RequestError(f"There is no profile {name!r}.", f"{hint}Profiles: {', '.join(known)}.")


def with_rules(profile: Profile, warn: Iterable[str] = (), off: Iterable[str] = ()) -> Profile:
    """Return a profile with rules of one's own behind its own.

    Parameters
    ----------
    profile : Profile
    warn, off : iterable of str
        Codes, or patterns of codes, that only warn or are left out.

    Raises
    ------
    RequestError
        A pattern is no code: it has no gate in front.
    """
    given: tuple[tuple[Iterable[str], Level], ...] = ((warn, "warning"), (off, "off"))
    own = []
    for patterns, level in given:
        if codes := _codes(patterns):
            own.append(Rule(codes, level, "asked for"))
    return replace(profile, rules=(*profile.rules, *own)) if own else profile


def _codes(given: Iterable[str]) -> tuple[str, ...]:
    codes = tuple(given)
    for code in codes:
        if "." not in code:
            raise RequestError(
                f"{code!r} is no code of a finding.",
                "A code is like syntax.tie-dangling; `scoregate check --json` shows them.",
            )
    return codes


def names() -> Sequence[str]:
    """Return the names of the profiles, the default first."""
    return tuple(load())
