"""Choice of the number of CPU threads while pieces are generated.

Threads that wait for each other are only as fast as the slowest of them. On a machine with other
work two threads on two cores can be seven times slower than one, and an hour later twice as fast.
The texts of the compiled kernels don't depend on the number of threads, so it may change at every
patch: each number is tried, the fastest is used, and the others are tried again now and then, the
slower ones less often.
"""

from __future__ import annotations

TRIAL_SHARE = 0.03
"""Share of the time that trials of another number may cost, for each number."""
SMOOTHING = 0.3
"""Weight of the newest patch in the moving average of a number's time."""


class ThreadChooser:
    """Chooses the number of threads for each patch by the time that earlier patches took.

    Parameters
    ----------
    most : int
        The largest number to try; the others are the powers of two below it.

    Attributes
    ----------
    count : int
        The number to use now.
    seconds : dict of int to float
        Moving average of the time of a call, for each number that was tried.
    """

    def __init__(self, most: int) -> None:
        self.candidates = sorted({most, *(2**n for n in range(most.bit_length()) if 2**n < most)})
        self.seconds: dict[int, float] = {}
        self.count = self.candidates[-1]
        self._next_trial: dict[int, float] = dict.fromkeys(self.candidates, 0.0)
        self._patch_seconds, self._patch_calls, self._clock = 0.0, 0, 0.0

    def add(self, seconds: float) -> None:
        """Add the time of one call of the kernels with ``count`` threads."""
        self._patch_seconds += seconds
        self._patch_calls += 1

    def next_patch(self) -> int:
        """Evaluate the last patch; return the number of threads for the next one."""
        if self._patch_calls:
            self._clock += self._patch_seconds
            # One patch says little while other programs compute as well: average over several.
            found = self._patch_seconds / self._patch_calls
            before = self.seconds.get(self.count, found)
            self.seconds[self.count] = before + SMOOTHING * (found - before)
            # A number that takes n times as long waits n times as long for its next trial.
            self._next_trial[self.count] = self._clock + self._patch_seconds / TRIAL_SHARE
            self._patch_seconds, self._patch_calls = 0.0, 0
        untried = [count for count in self.candidates if count not in self.seconds]
        if untried:
            self.count = untried[-1]
            return self.count
        best = min(self.candidates, key=lambda count: self.seconds[count])
        waiting = [
            count
            for count in self.candidates
            if count != best and self._next_trial[count] <= self._clock
        ]
        self.count = min(waiting, key=lambda n: self._next_trial[n]) if waiting else best
        return self.count
