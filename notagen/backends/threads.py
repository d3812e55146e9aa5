"""How many threads pay at the moment.

Threads that wait for each other are only as fast as the slowest of them. On a machine with
other work two threads on two cores can be seven times slower than one, and an hour later twice
as fast. Since the kernels' texts don't depend on the number of threads, it may change at every
patch: each number is tried, the best one is used, and the others are tried again now and then,
the more seldom the slower they were.
"""

from __future__ import annotations

TRIAL_SHARE = 0.03
"""The share of the time that trying other numbers may cost, for each of them."""
NEWEST = 0.3
"""How much the newest patch counts against those before it."""


class ThreadChooser:
    """Chooses the number of threads for the next patch by how long the last ones took.

    Parameters
    ----------
    most : int
        The largest number to be tried; the others are the powers of two below it.

    Attributes
    ----------
    count : int
        The number to use now.
    """

    def __init__(self, most: int) -> None:
        self.candidates = sorted({most, *(2**n for n in range(most.bit_length()) if 2**n < most)})
        self.seconds: dict[int, float] = {}
        self.due: dict[int, float] = dict.fromkeys(self.candidates, 0.0)
        self.count = self.candidates[-1]
        self._spent, self._steps, self._clock = 0.0, 0, 0.0

    def note(self, seconds: float) -> None:
        """Take note of what one step with ``count`` threads took."""
        self._spent += seconds
        self._steps += 1

    def next_patch(self) -> int:
        """Judge the last patch and return the number of threads for the next one."""
        if self._steps:
            self._clock += self._spent
            # One patch says little where others compute as well: what was found before counts.
            found = self._spent / self._steps
            before = self.seconds.get(self.count, found)
            self.seconds[self.count] = before + NEWEST * (found - before)
            # A number that takes n times as long waits n times as long for its next trial.
            self.due[self.count] = self._clock + self._spent / TRIAL_SHARE
            self._spent, self._steps = 0.0, 0
        untried = [count for count in self.candidates if count not in self.seconds]
        if untried:
            self.count = untried[-1]
            return self.count
        best = min(self.candidates, key=lambda count: self.seconds[count])
        waiting = [c for c in self.candidates if c != best and self.due[c] <= self._clock]
        self.count = min(waiting, key=lambda count: self.due[count]) if waiting else best
        return self.count
