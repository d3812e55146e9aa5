"""What judging a piece gives: findings, the outcome of each gate, and the verdict.

`Finding` is one remark about one place of a score. Printed, it reads like a copy-editor's
note, ``bars: voice 2, bar 33: 7/8 found, 3/4 expected (line 41, column 18)``; as JSON it
carries a stable code. `Outcome` holds the findings and measures of one gate. `Verdict` says
what becomes of the piece: its `Status`, and each `Failure` that led to it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
"""``critical`` rejects the piece; ``warning`` and ``info`` are reported and decide nothing."""


class Status(StrEnum):
    """What becomes of a piece. The values are those in records, journals and JSON output.

    Attributes
    ----------
    PASSED
        Every gate judged the piece, and no threshold was exceeded.
    REJECTED
        A gate found a critical fault, or a measure lies beyond a critical bound.
    NOT_JUDGED
        A gate crashed, reached a limit or met a NaN. Such a piece does not pass.
    """

    PASSED = "passed"
    REJECTED = "rejected"
    NOT_JUDGED = "could not be judged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark about one place of a score.

    Attributes
    ----------
    gate : str
        Name of the gate that made it: ``syntax``, ``bars``, ``ranges``, ``repetition``, ...
    code : str
        Stable, dotted, machine-readable: ``bars.voices-disagree``.
    severity : {'critical', 'warning', 'info'}
    message : str
        The sentence for people, without gate, voice, bar, line and column.
    voice : str or None
        Id of the voice in the text (``V:2`` is ``"2"``).
    bar : int or None
        Bar number, counted from 1. A line of interleaved ABC is one bar.
    line, column : int or None
        Position in the text as it was handed in, both counted from 1.
    found, expected : str or None
        What was found and what was expected, as short text (``7/8``, ``3/4``).
    part : str or None
        Name of the part to which the voice belongs: ``Violin I``.
    printed : str or None
        The bar's number as printed: a pickup is bar 0, and both halves of a split bar have one
        number.
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
    part: str | None = None
    printed: str | None = None

    def at(self, line: int | None, column: int | None) -> Finding:
        """Return the finding with another position in the text."""
        # dataclasses.replace takes five times as long, and every finding is moved.
        return Finding(
            self.gate, self.code, self.severity, self.message, self.voice, self.bar,
            line, column, self.found, self.expected, self.part, self.printed,
        )  # fmt: skip

    def called(self, part: str | None, printed: str | None) -> Finding:
        """Return the finding with the name of its part and the printed number of its bar."""
        return Finding(
            self.gate, self.code, self.severity, self.message, self.voice, self.bar,
            self.line, self.column, self.found, self.expected, part, printed,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON-ready dict."""
        return asdict(self)

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                self.part or "",
                f"voice {self.voice}" if self.voice is not None else "",
                self._bar(),
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

    def _bar(self) -> str:
        if self.bar is None:
            return ""
        other = self.printed is not None and self.printed != str(self.bar)
        return f"bar {self.bar} (printed {self.printed})" if other else f"bar {self.bar}"


@dataclass(slots=True)
class Outcome:
    """What one gate found in one score.

    Attributes
    ----------
    gate : str
        Name of the gate.
    version : str
        Version of the gate, which changes whenever it may judge differently. It is part of
        every report.
    judged : bool
        False when the gate crashed or reached a limit. A piece with such an outcome never
        passes.
    findings : list of Finding
    measures : dict of str to float
        Numbers for the report and for the thresholds, by name: ``<gate>.<measure>``.
    reason : str
        Why the gate could not judge; empty when it could.
    """

    gate: str
    version: str
    judged: bool = True
    findings: list[Finding] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that a piece does not meet.

    Attributes
    ----------
    column : str
        Column of the row that is judged: ``bars.critical``, ``repetition.loop_share``,
        ``syntax.judged``.
    rule : {'within', 'known', 'judged'}
        What is expected: the value lies within its bound, there is a value, or the gate
        could judge.
    severity : {'critical', 'warning'}
    value : float or None
        None where there is no value.
    expected : str
        ``at most 0``, ``below 0.25``, ``a number``, ``judged``.
    """

    column: str
    rule: str
    severity: Severity
    value: float | None
    expected: str

    @property
    def gate(self) -> str:
        """The gate whose value it is."""
        return self.column.partition(".")[0]

    def __str__(self) -> str:
        value = "no value" if self.value is None else f"{self.value:g}"
        return f"{self.column}: {value}, {self.expected} expected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a piece, and why.

    Attributes
    ----------
    piece_id : str
    status : Status
    failed : list of Failure
        Expectations that the piece does not meet, those that are only warnings included.
    """

    piece_id: str
    status: Status
    failed: list[Failure] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the status is `Status.PASSED`."""
        return self.status is Status.PASSED

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as a JSON-ready dict."""
        return {
            "piece_id": self.piece_id,
            "status": self.status.value,
            "failed": [{"gate": item.gate, **asdict(item)} for item in self.failed],
        }
