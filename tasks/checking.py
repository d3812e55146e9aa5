"""Judge one text by every gate and the thresholds: what `check` and `screen` share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from validators.findings import Finding


@dataclass(slots=True)
class Checked:
    """A judged piece.

    Parameters
    ----------
    file : str
    status : str
        ``passed``, ``rejected`` or ``could not be judged``.
    reasons : list of str
        Why it did not pass, shortest first; empty when it did.
    findings : list of Finding
    measures : dict of str to float
    bars, voices : int
    text : str
        The finished ABC.
    """

    file: str
    status: str
    reasons: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    bars: int = 0
    voices: int = 0
    text: str = ""

    def finite_measures(self) -> dict[str, float | None]:
        """Return the measures with None for what is not defined."""
        return {
            name: value if math.isfinite(value) else None for name, value in self.measures.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `scoregate check --json` prints."""
        return {
            "file": self.file,
            "passed": self.status == "passed",
            "status": self.status,
            "reasons": self.reasons,
            "findings": [finding.as_dict() for finding in self.findings],
            "measures": self.finite_measures(),
        }


def unjudged(name: str, why: str) -> Checked:
    """Return a piece that could not be judged, with the reason as its finding."""
    finding = Finding("input", "input.not-judged", "critical", why)
    return Checked(name, "could not be judged", [f"could not be judged: {why}"], [finding])
