"""Bar numbers as an engraver prints them, and the names of parts, for findings.

Bars are counted from 1 in the text. In print a pickup is bar 0, and the two halves of a bar that
a repeat or the end of a phrase splits have one number.
"""

from __future__ import annotations

from scoregate.abc.score import Score
from scoregate.findings import Finding


def printed_numbers(score: Score) -> list[int]:
    r"""Return the printed number of every bar, by its running number less 1; cached.

    Examples
    --------
    >>> from scoregate.abc.reader import read
    >>> printed_numbers(read("X:1\nL:1/4\nM:4/4\nK:C\nG|CDEF|GAB:|c|CDEF|G4|]\n"))
    [0, 1, 2, 2, 3, 4]
    """
    known = score.derived.get("printed numbers")
    if known is None:
        known = score.derived["printed numbers"] = _count(score)
    return known


def _count(score: Score) -> list[int]:
    longest = max(score.voices, key=lambda voice: len(voice.bars), default=None)
    numbers: list[int] = []
    number, before = 0, None  # length of a short bar that the next one may complete
    for bar in longest.bars if longest is not None else ():
        metre = bar.metre
        short = metre is not None and 0 < bar.duration < metre
        if not numbers and short:
            numbers.append(0)
            continue
        if before is not None and metre is not None and before + bar.duration == metre:
            before = None
        else:
            number += 1
            before = bar.duration if short else None
        numbers.append(number)
    return numbers


def placed(finding: Finding, score: Score) -> Finding:
    """Return a finding with the name of its part and the printed number of its bar."""
    part = printed = None
    if finding.voice is not None:
        voice = next((voice for voice in score.voices if voice.id == finding.voice), None)
        part = (voice.instrument.strip() or None) if voice is not None else None
    if finding.bar is not None:
        numbers = printed_numbers(score)
        if 0 < finding.bar <= len(numbers):
            printed = str(numbers[finding.bar - 1])
    if part is None and printed is None:
        return finding
    return finding.called(part, printed)
