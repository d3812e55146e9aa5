"""The thresholds of the gates, read from ``thresholds.toml`` and checked.

The file gives each bound with its reason; a pattern of styles
(``Period/Composer/Instrumentation``) may override bounds. The gates, the verdict and the
report use the :class:`Thresholds` of a piece's style.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Literal

from scoregate.errors import GateError
from scoregate.findings import Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "warning")


@dataclass(frozen=True, slots=True)
class Bound:
    """The bounds of one measure.

    Attributes
    ----------
    side : {'high', 'low'}
        Whether values at or above a bound are wrong, or those at or below it.
    critical, warning : float or None
        None for no bound of that severity.
    needed : bool
        Whether a piece without a value (NaN) could not be judged.
    reason : str
        Why the bounds have these values.
    finding : str
        Code of the finding with which the gate reports a value beyond its bound; ``""`` where
        the measure's own name is used. A profile that changes the severity of the finding
        changes that of the bound.
    """

    side: Literal["high", "low"]
    critical: float | None = None
    warning: float | None = None
    needed: bool = False
    reason: str = ""
    finding: str = ""

    def crossed(self, value: float, severity: Severity) -> bool:
        """Return whether a value is wrong by the bound of that severity; NaN never is."""
        limit = self.critical if severity == "critical" else self.warning
        if limit is None or math.isnan(value):
            return False
        return value >= limit if self.side == "high" else value <= limit


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds that apply to one style.

    Attributes
    ----------
    name : str
        Pattern of the styles; ``general`` where no pattern matches.
    version : str
        Version of the file with a hash of its values: equal versions judge equally.
    findings : dict of str to int
        Critical findings that a passing piece may have, by gate.
    measures : dict of str to Bound
    settings : dict of str to float
        What a gate measures by, by name: ``repetition.shortest_loop``. A gate has a value of
        its own for each; profiles change some.
    """

    name: str
    version: str
    findings: dict[str, int]
    measures: dict[str, Bound]
    settings: dict[str, float] = field(default_factory=dict)

    def severity(self, measure: str, value: float) -> Severity | None:
        """Return the worst severity whose bound the value crosses."""
        bound = self.measures.get(measure)
        if bound is None:
            return None
        return next((level for level in SEVERITIES if bound.crossed(value, level)), None)

    def bound(self, measure: str, severity: Severity) -> float:
        """Return the bound of a measure; NaN where there is none."""
        bound = self.measures.get(measure)
        value = getattr(bound, severity, None) if bound is not None else None
        return math.nan if value is None else value

    def setting(self, name: str, default: float) -> float:
        """Return the value of a setting; `default` where the thresholds do not set it."""
        return self.settings.get(name, default)

    def as_dict(self) -> dict[str, Any]:
        """Return the thresholds as the report of a piece holds them, JSON-ready."""
        return {
            "name": self.name,
            "version": self.version,
            "findings": dict(self.findings),
            "measures": {
                name: {
                    key: value
                    for key, value in (
                        ("side", bound.side),
                        ("critical", bound.critical),
                        ("warning", bound.warning),
                        ("needed", bound.needed or None),
                    )
                    if value is not None
                }
                for name, bound in self.measures.items()
            },
        }


@dataclass(frozen=True, slots=True)
class ThresholdFile:
    """What a file of thresholds holds.

    Attributes
    ----------
    general : Thresholds
        Those that apply where no pattern matches.
    styles : tuple of (str, Thresholds)
        Pattern and thresholds, in the order of the file.
    """

    general: Thresholds
    styles: tuple[tuple[str, Thresholds], ...]

    def for_style(self, style: str | None) -> Thresholds:
        """Return the thresholds for a style; the first pattern that matches decides."""
        if style:
            for pattern, thresholds in self.styles:
                if fnmatchcase(style.lower(), pattern.lower()):
                    return thresholds
        return self.general

    @property
    def sets(self) -> tuple[Thresholds, ...]:
        """Thresholds of every pattern, the general ones first."""
        return (self.general, *(thresholds for _, thresholds in self.styles))


def parse(text: str) -> ThresholdFile:
    """Read the text of a thresholds file.

    Raises
    ------
    GateError
        Something in it is missing, unknown or contradictory.
    """
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"it is no TOML: {error}") from error
    _only(rows, {"version", "findings", "measures", "styles"}, "the file")
    findings = rows.get("findings")
    if not isinstance(findings, dict) or not findings:
        raise _wrong("it names no gate under [findings]")
    for gate, count in findings.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _wrong(f"findings.{gate} is {count!r} and should be a count")
    measures = {
        name: _bound(name, row, Bound("high")) for name, row in rows.get("measures", {}).items()
    }
    version = f"{rows.get('version', '?')}-{_hash(rows)}"
    general = Thresholds("general", version, dict(findings), measures)
    styles = []
    for row in rows.get("styles", []):
        _only(row, {"match", "reason", "measures", "findings"}, "a style")
        if not isinstance(row.get("match"), str) or not row.get("reason"):
            raise _wrong("a style needs both `match` and `reason`")
        own = dict(measures)
        for name, changes in row.get("measures", {}).items():
            if name not in measures:
                raise _wrong(f"the style {row['match']} sets {name}, which has no general entry")
            own[name] = _bound(name, {"reason": row["reason"], **changes}, measures[name])
        allowed = dict(findings)
        for gate, count in row.get("findings", {}).items():
            if gate not in findings or not isinstance(count, int) or count < 0:
                raise _wrong(f"the style {row['match']} sets findings.{gate} to {count!r}")
            allowed[gate] = count
        styles.append((row["match"], Thresholds(row["match"], version, allowed, own)))
    return ThresholdFile(general, tuple(styles))


def _hash(rows: Any) -> str:
    """Return a hash of what decides: every value but the reasons."""

    def deciding(item: Any) -> Any:
        if isinstance(item, dict):
            return {
                key: deciding(value)
                for key, value in item.items()
                if key not in ("reason", "finding")
            }
        return [deciding(value) for value in item] if isinstance(item, list) else item

    canonical = json.dumps(deciding(rows), sort_keys=True).encode()
    return hashlib.sha256(canonical).hexdigest()[:8]


def _bound(name: str, row: dict, base: Bound) -> Bound:
    _only(row, {"side", "critical", "warning", "needed", "reason", "finding"}, name)
    bound = replace(base, **row)
    if bound.side not in ("high", "low"):
        raise _wrong(f"{name}.side is {bound.side!r} and should be 'high' or 'low'")
    if not bound.reason:
        raise _wrong(f"{name} gives no reason")
    for level in SEVERITIES:
        value = getattr(bound, level)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value)
        ):
            raise _wrong(f"{name}.{level} is {value!r} and should be a number")
    if bound.critical is not None and bound.warning is not None:
        ordered = bound.warning <= bound.critical
        if ordered != (bound.side == "high") and bound.warning != bound.critical:
            raise _wrong(f"{name}: its warning comes after its critical bound")
    return bound


def _only(row: dict, known: set[str], where: str) -> None:
    unknown = sorted(set(row) - known)
    if unknown:
        raise _wrong(f"{where} has unknown keys: {', '.join(unknown)}")


def _wrong(what: str) -> GateError:
    return GateError(
        f"The thresholds can't be used: {what}.",
        "Correct the file of thresholds; docs/thresholds.md describes it.",
    )


_in_force: ContextVar[ThresholdFile | None] = ContextVar("thresholds in force", default=None)


@functools.cache
def load() -> ThresholdFile:
    """Return the thresholds of the project."""
    return parse(resources.files(__package__ or "").joinpath("thresholds.toml").read_text("utf-8"))


def load_file(path: str) -> ThresholdFile:
    """Return the thresholds of a file; it is read again only when it has changed.

    Raises
    ------
    GateError
        The file can't be read, or something in it is missing or unknown.
    """
    try:
        changed = os.stat(path).st_mtime_ns
        return _load_file(path, changed)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise GateError(
            f"The thresholds {path} can't be read: {why}.", "Check the path."
        ) from error


@functools.lru_cache(maxsize=4)
def _load_file(path: str, changed: int) -> ThresholdFile:
    with open(path, encoding="utf-8") as file:
        return parse(file.read())


def in_force() -> ThresholdFile:
    """Return the thresholds that gates judge by at the moment: `load`, unless `using` others."""
    return _in_force.get() or load()


@contextmanager
def using(file: ThresholdFile) -> Iterator[None]:
    """Let the gates that run within the block judge by these thresholds.

    Other threads are not affected.
    """
    token = _in_force.set(file)
    try:
        yield
    finally:
        _in_force.reset(token)


def for_style(style: str | None) -> Thresholds:
    """Return the thresholds for a style such as ``Baroque/Bach, Johann Sebastian/Choral``.

    They are those in force, see :func:`using`.
    """
    return in_force().for_style(style)
