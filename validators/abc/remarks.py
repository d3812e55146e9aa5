"""What the reader has to say, collected within bounds."""

from __future__ import annotations

from collections import Counter

from validators.findings import Finding, Severity

MAX_PER_CODE = 50
"""Findings of one code that are kept; the rest is counted. A hostile text brings millions."""


MAX_FAULTS = 5_000
"""Remarks after which a text counts as no ABC at all and is read no further."""


class Remarks:
    """The reader's findings, bounded in number, in the order they were made."""

    def __init__(self, gate: str = "syntax") -> None:
        self.gate = gate
        self.findings: list[Finding] = []
        self.count = 0
        self._seen: Counter[tuple[str, Severity]] = Counter()

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
        """Add a finding; `code` without the gate in front."""
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

    def close(self) -> list[Finding]:
        """Return the findings, with a last word on those that were only counted."""
        for (code, severity), count in self._seen.items():
            if count > MAX_PER_CODE:
                self.findings.append(
                    Finding(
                        self.gate,
                        f"{self.gate}.{code}",
                        severity,
                        f"{count - MAX_PER_CODE} more of this kind",
                    )
                )
        return self.findings
