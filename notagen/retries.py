"""What is resampled after a line was refused: the line itself, or lines before it as well.

A line is resampled a number of times. The fault may lie before it: a tie that the line should
continue, or a harmony from which no good line follows. So the line before is removed too after
half of the tries where it ties a note over, once for each line; and where all tries are used up.
Where the same line stays refused after that, one more line is removed each time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoregate.generator import Limits

_TIED_OVER = re.compile(r"-\s*[|:\[]")  # a note tied over the barline


@dataclass(frozen=True, slots=True)
class LineStart:
    """Where a body line begins, so that it can be removed.

    Parameters
    ----------
    at : int
        In the body's text.
    patch : int
        In the patches.
    counter : tuple of int or None
        Counter of the line before it.
    kept : int
        Characters before it that the model wrote.
    """

    at: int
    patch: int
    counter: tuple[int, int] | None
    kept: int


class Retries:
    """Counts the tries of a piece's lines.

    Parameters
    ----------
    limits : Limits

    Attributes
    ----------
    steps_back : int
        How often lines that had been accepted were removed.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.steps_back = 0
        self._tries = 0
        self._lines: list[LineStart] = []  # the accepted lines that can be removed
        self._tied = False  # whether the last of them ties a note over
        self._untied: set[int] = set()  # numbers of the lines that were removed for their tie
        self._stuck = -1  # the furthest line whose tries were used up ...
        self._depth = 0  # ... and how many lines were removed before it

    def accept(self, start: LineStart | None, line: str) -> None:
        """Note an accepted line and where it begins; None where it can't be removed."""
        self._tries = 0
        if start is None:
            self.forget()
        else:
            self._lines.append(start)
            self._tied = _TIED_OVER.search(line) is not None

    def forget(self) -> None:
        """Forget where lines begin: those so far are never removed."""
        self._lines.clear()
        self._tied = False

    def refuse(self, number: int) -> list[LineStart] | None:
        """Count a refused line.

        Parameters
        ----------
        number : int
            Of the line, from 0.

        Returns
        -------
        list of LineStart or None
            The lines before it that are to be removed with it, the first one first; None where
            the line stays although it was refused.
        """
        back = 0
        if self._tries < self.limits.line_tries:
            self._tries += 1
            half = (self.limits.line_tries + 1) // 2
            if self._tied and self._tries >= half and number - 1 not in self._untied:
                back = self._within_bounds(1)
                self._untied.add(number - 1)
        else:
            back = self._within_bounds(self._depth + 1 if number <= self._stuck else 1)
            if not back:
                return None
            self._depth = back
            self._stuck = max(self._stuck, number)
        if not back:
            return []
        removed = self._lines[-back:]
        del self._lines[-back:]
        self._tied, self._tries = False, 0
        self.steps_back += 1
        return removed

    def _within_bounds(self, back: int) -> int:
        if not self.limits.line_tries or self.steps_back >= self.limits.steps_back:
            return 0
        return min(back, len(self._lines))
