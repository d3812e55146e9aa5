"""A judge of lines for tunes of one voice: bars that fill the metre, and an end on the tonic.

The rules of the gates come first (:mod:`scoregate.validators.line_judge`). They let a bar be short
where the next one completes it, as in a chorale whose phrase ends within a bar. A dance tune has
such bars beside double bars and repeat signs only.
"""

from __future__ import annotations

from dataclasses import dataclass

from scoregate.evaluation.lines import tonic_of
from scoregate.validators.line_judge import beginning, chance, judge
from scoregate.validators.line_state import LineState

FIDDLE = "Fiddle"
"""Instrumentation of the styles whose lines are judged so."""
FINAL = 0.8
"""Share of the pieces that must end on their tonic. Raw, .85 of the embedded model's tunes do; of
the real ones .83, and in a part of the others the key field is inexact."""


@dataclass(frozen=True, slots=True)
class TuneJudge:
    """Judges lines by the rules of the gates and, beyond them, by those of dance tunes.

    Attributes
    ----------
    final : float
        Share of the pieces, 0 to 1, that must end on the tonic of their key field. It is drawn for
        a whole piece, from its text: the same seed gives the same piece.
    """

    final: float = FINAL

    def __call__(self, text_so_far: str, line: str) -> bool:
        """Tell whether a finished line may stay.

        See :func:`~scoregate.validators.line_judge.accept_line` for the parameters.
        """
        judged = judge(text_so_far, line)
        if judged.rule is not None or self.broken_rule(judged.after, text_so_far) is not None:
            return False
        judged.remember()
        return True

    def broken_rule(self, after: LineState | None, text_so_far: str) -> str | None:
        """Return the first rule for which a line is refused that breaks none of the gates'."""
        if after is None or not after.row:
            return None
        if short_bar(after):
            return "short bar"
        if off_tonic(after) and chance("final", beginning(text_so_far)) < self.final:
            return "final"
        return None


def short_bar(after: LineState) -> bool:
    """Whether the line lacks a part of its metre between plain barlines.

    The first and the last line may, and so may lines beside other barlines.
    """
    return after.lacking is not None and not after.excused


def off_tonic(after: LineState) -> bool:
    """Whether the line is the last one, by its counter, and ends on another note than the tonic."""
    if after.counter is None or after.counter[1]:
        return False
    tonic = tonic_of(after.head.key)
    notes = [event for _, bar in after.row for event in bar.events if event.pitches]
    return tonic is not None and bool(notes) and min(notes[-1].pitches) % 12 != tonic
