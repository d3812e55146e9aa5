"""Findings, collected with a limit for each code."""

from __future__ import annotations

from collections import Counter

from scoregate.findings import Finding, Severity

MAX_PER_CODE = 8
"""At most so many findings with the same code and severity are kept; the rest are counted,
because a hostile text causes millions."""


MAX_FAULTS = 5_000
"""Findings after which a text counts as no ABC at all and is read no further."""

NOT_MUSIC = "syntax.not-music"
"""Code of the finding on words and noise where music should stand."""


class FindingCollector:
    """Findings in the order in which they are made, at most `MAX_PER_CODE` of each code.

    Parameters
    ----------
    gate : str
        Gate in whose name they are made.

    Attributes
    ----------
    findings : list of Finding
    count : int
        Findings made, those that were only counted included.
    symbols : Counter of str
        Letters without a meaning before notes, by how often they occur.
    """

    def __init__(self, gate: str = "syntax") -> None:
        self.gate = gate
        self.findings: list[Finding] = []
        self.count = 0
        self.symbols: Counter[str] = Counter()
        self._seen: Counter[tuple[str, Severity]] = Counter()

    # More than six parameters: those of a finding, which is made here.
    def add(
        self,
        code: str,
        message: str,
        severity: Severity = "critical",
        voice: str | None = None,
        bar: int | None = None,
        line: int | None = None,
        column: int | None = None,
        found: str | None = None,
        expected: str | None = None,
    ) -> None:
        """Add a finding, or count it where there are enough with its code.

        It has a parameter for each field of :class:`~scoregate.findings.Finding`; `code` is
        given without the gate in front.
        """
        kind = (code, severity)
        self._seen[kind] += 1
        self.count += 1
        if self._seen[kind] > MAX_PER_CODE:
            return
        self.findings.append(
            Finding(
                self.gate,
                f"{self.gate}.{code}",
                severity,
                message,
                voice,
                bar,
                line,
                column,
                found,
                expected,
            )
        )

    def seen(self, code: str, severity: Severity) -> int:
        """Return how often a finding was made, kept or not."""
        return self._seen[code, severity]

    def withdraw(self, code: str, severity: Severity) -> None:
        """Forget the findings with this code and severity, those only counted included."""
        self.count -= self._seen.pop((code, severity), 0)
        full = f"{self.gate}.{code}"
        self.findings = [
            finding
            for finding in self.findings
            if finding.code != full or finding.severity != severity
        ]

    def close(self) -> list[Finding]:
        """Return the findings; one more for each code says how many were only counted."""
        for (code, severity), count in self._seen.items():
            if count > MAX_PER_CODE:
                self.findings.append(
                    Finding(
                        self.gate,
                        f"{self.gate}.{code}",
                        severity,
                        f"{count - MAX_PER_CODE} more of the kind {code} "
                        f"{'follow' if count > MAX_PER_CODE + 1 else 'follows'}",
                    )
                )
        return self.findings


def abridge(findings: list[Finding], most: int = MAX_PER_CODE) -> list[Finding]:
    """Return the findings on a text that is no music: that it is none, and a few more."""
    first = [finding for finding in findings if finding.code == NOT_MUSIC][:3]
    others = [finding for finding in findings if finding.code != NOT_MUSIC]
    left = len(findings) - len(first) - min(len(others), most)
    if left > 1:
        first.append(Finding("syntax", NOT_MUSIC, "critical", f"{left} more findings follow"))
    return first + others[:most]
