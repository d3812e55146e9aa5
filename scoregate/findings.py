"""What a gate has to say: findings, and the outcome that holds them.

A finding reads like a copy-editor's note,
``bars: voice 2, bar 33: 7/8 found, 3/4 expected (line 41, column 18)``,
and is the same thing as JSON with a stable code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
"""``critical`` rejects the piece; ``warning`` and ``info`` stand in the report only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about one place of a score.

    Parameters
    ----------
    gate : str
        The gate that speaks: ``syntax``, ``bars``, ``ranges``, ``repetition``, ...
    code : str
        Stable, dotted, machine-readable: ``bars.voices-disagree``.
    severity : {'critical', 'warning', 'info'}
    message : str
        The sentence for people, without gate and place.
    voice : str or None
        The voice's id as the text names it (``V:2`` is ``"2"``).
    bar : int or None
        Bar number counted from 1; a line of interleaved ABC is one bar.
    line, column : int or None
        Place in the text as it was handed in, both counted from 1.
    found, expected : str or None
        What stands there and what should, as short text (``7/8``, ``3/4``).
    """

    gate: str
    code: str
    severity: Severity
    message: str
    voice: str | None = None
    bar: int | None = None
    line: int | None = None
    column: int | None = None
    found: str | None = None
    expected: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON-ready dict."""
        return asdict(self)

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                f"voice {self.voice}" if self.voice is not None else "",
                f"bar {self.bar}" if self.bar is not None else "",
            )
            if part
        )
        place = ", ".join(
            part
            for part in (
                f"line {self.line}" if self.line is not None else "",
                f"column {self.column}" if self.column is not None else "",
            )
            if part
        )
        text = ": ".join(part for part in (self.gate, where, self.message) if part)
        return f"{text} ({place})" if place else text


@dataclass(slots=True)
class Outcome:
    """What one gate made of one score.

    Parameters
    ----------
    gate : str
    version : str
        Changes whenever the gate may judge differently; part of every report.
    judged : bool
        False when the gate crashed, ran out of time or met a NaN. A piece with an
        outcome that isn't judged never passes.
    findings : list of Finding
    measures : dict of str to float
        Plain numbers for the report and for the suite, keyed ``gate.name``.
    reason : str
        Why the gate could not judge; empty when it did.
    """

    gate: str
    version: str
    judged: bool = True
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    reason: str = ""
