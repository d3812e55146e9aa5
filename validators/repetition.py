"""Does the piece go round in circles? Loops and recurrence of its bars.

Every bar is compared with the bars before it by dynamic time warping
(:mod:`validators.dtw`). Bars that only rest are left out.

- Loop share Ld: the longest stretch of bars that repeat those p bars before them, at
  least three periods long, over the number of bars. Over the stretch the distance from
  the bar p before is at most .17 on average, and never more than .7, so that a changed
  note here and there does not hide a loop. A model that is stuck in a decoding loop shows
  here; written-out repeats, AABB forms and strophes don't, as they come once or twice and
  not three times without a break. Periods reach up to a third of the piece.
- Recurrence R: the mean over the bars of 1 - the distance to the most similar bar before.
- Copies U: 1 - different bars / all bars, by equality.

Neither R nor U can tell a loop from form, so only Ld rejects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoregate.errors import GateError
from validators.dtw import bar_distances
from validators.findings import Finding, Outcome
from validators.score import Score
from validators.sounding import slices
from validators.thresholds import for_style

GATE = "repetition"
VERSION = "1"

ALIKE = 0.17
"""Mean distance of a loop's bars from those a period before."""
FARTHEST = 0.70
"""Largest distance of a single bar: with few notes in it, one other note is that far."""
AT_THE_ENDS = 0.50
"""Largest distance of a loop's first and last bar: a loop does not end in another bar."""
COUNTED = 0.60
"""What a bar's distance counts at most in the mean."""
_ROUNDING = 1e-6
PERIODS = 3
"""Periods that a stretch must last to be a loop: two are a repeat, as music has them."""
SHORTEST_LOOP = 4
"""Bars that a loop must have: a last chord held over three bars is none."""
PAIRS = 100_000
"""Pairs of bars compared at most; in longer pieces each bar looks back less far."""
NARROWEST = 16
LONGEST = 20_000
"""Bars of the longest piece that is judged."""


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Look for loops.

    Parameters
    ----------
    score : Score
    style : str, optional
        Whose thresholds for ``repetition.loop_share`` and ``repetition.recurrence`` decide
        the severities.

    Returns
    -------
    Outcome
        With the measures ``repetition.loop_share``, ``repetition.recurrence`` and
        ``repetition.copies``; all 0 for fewer than two sounding bars.

    Raises
    ------
    GateError
        For more than 20,000 bars.
    """
    limits = for_style(style)
    outcome = Outcome(GATE, VERSION)
    everything = slices(score)
    sounding = np.flatnonzero(everything.any(axis=(1, 2)))
    if len(sounding) > LONGEST:
        raise GateError(
            f"The piece has {len(sounding)} bars; repetition is judged up to {LONGEST}.",
            "Cut it into its movements.",
        )
    kind, different = _kinds(everything[sounding])
    found = _Distances(different, kind)
    first, last, period = _longest_loop(found, len(kind))
    count = len(kind)
    share = (last - first) / count if count else 0.0
    recurrence = found.recurrence()
    outcome.measures = {
        "repetition.loop_share": share,
        "repetition.recurrence": recurrence,
        "repetition.copies": 1 - len(different) / count if count else 0.0,
    }
    severity = limits.severity("repetition.loop_share", share)
    if period and severity:
        begin, end = int(sounding[first]) + 1, int(sounding[last - 1]) + 1
        line, column = _place(score, begin)
        bars = "the same bar" if period == 1 else f"the same {period} bars"
        outcome.findings.append(
            Finding(
                GATE,
                "repetition.loop",
                severity,
                f"bars {begin}-{end} repeat with period {period}: {bars} "
                f"{round((last - first) / period, 1):g} times, {share:.0%} of the piece",
                bar=begin,
                line=line,
                column=column,
                found=f"{share:.2f}",
                expected=f"below {limits.bound('repetition.loop_share', severity):.2f}",
            )
        )
    severity = limits.severity("repetition.recurrence", recurrence)
    if severity:
        outcome.findings.append(
            Finding(
                GATE,
                "repetition.recurrence",
                severity,
                "nearly every bar resembles an earlier one",
                found=f"{recurrence:.2f}",
                expected=f"below {limits.bound('repetition.recurrence', severity):.2f}",
            )
        )
    return outcome


def _kinds(bars: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Number the different bars: the kind of each bar, and one bar of each kind."""
    numbers: dict[bytes, int] = {}
    kind = [numbers.setdefault(bar.tobytes(), len(numbers)) for bar in bars]
    different = np.frombuffer(b"".join(numbers), dtype=np.uint64)
    return np.array(kind, dtype=np.int64), different.reshape(len(numbers), *bars.shape[1:])


class _Distances:
    """Distances of each bar from those before it, as far back as is looked."""

    def __init__(self, different: NDArray[np.uint64], kind: NDArray[np.int64]) -> None:
        self.kind = kind
        count = len(kind)
        self.reach = max(NARROWEST, min(count, PAIRS // max(count, 1)))
        later, earlier = np.meshgrid(np.arange(count), np.arange(1, self.reach + 1), indexing="ij")
        later, earlier = later.ravel(), (later - earlier).ravel()
        within = earlier >= 0
        later, earlier = later[within], earlier[within]
        low = np.minimum(kind[later], kind[earlier])
        high = np.maximum(kind[later], kind[earlier])
        pair, place = np.unique(low * len(different) + high, return_inverse=True)
        left, right = np.divmod(pair, max(len(different), 1))
        unlike = left != right
        values = np.zeros(len(pair), dtype=np.float32)
        values[unlike] = bar_distances(different, left[unlike], right[unlike])
        # Row: the later bar. Column p: its distance from the bar p before it; 2 where none.
        self.back = np.full((count, self.reach + 1), 2, dtype=np.float32)
        self.back[later, later - earlier] = values[place]

    def from_before(self, period: int) -> NDArray[np.float64]:
        """Distance of every bar from the one a period before; 2 where there is none.

        Beyond the reach bars are equal or not.
        """
        if period <= self.reach:
            return self.back[:, period].astype(np.float64)
        distance = np.full(len(self.kind), 2.0)
        distance[period:][self.kind[period:] == self.kind[:-period]] = 0
        return distance

    def recurrence(self) -> float:
        if len(self.kind) < 2:
            return 0.0
        nearest = self.back[1:].min(axis=1)
        _, first_seen = np.unique(self.kind, return_index=True)
        seen_before = np.ones(len(self.kind), dtype=bool)
        seen_before[first_seen] = False
        nearest[seen_before[1:]] = 0  # also beyond the reach
        return float(1 - np.minimum(nearest, 1).mean())


def _longest_loop(found: _Distances, count: int) -> tuple[int, int, int]:
    """Return first bar, bar after the last, and period of the longest loop; zeros if none."""
    best = (0, 0, 0)
    for period in range(1, count // PERIODS + 1):
        distance = found.from_before(period)
        near = distance <= FARTHEST + _ROUNDING
        total = np.concatenate(([0.0], np.cumsum(np.minimum(distance, COUNTED))))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], near.view(np.int8), [0])))).tolist()
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            enough = max(PERIODS * period, SHORTEST_LOOP, best[1] - best[0] + 1) - period
            # The worse end is taken off until the rest is alike.
            while end - begin >= enough and (
                max(distance[begin], distance[end - 1]) > AT_THE_ENDS
                or total[end] - total[begin] > ALIKE * (end - begin)
            ):
                if distance[begin] >= distance[end - 1]:
                    begin += 1
                else:
                    end -= 1
            if end - begin >= enough:
                best = (begin - period, end, period)
    return best


def _place(score: Score, bar: int) -> tuple[int | None, int | None]:
    for voice in score.voices:
        for candidate in voice.bars:
            if candidate.number == bar and not candidate.implied:
                return candidate.line, candidate.column
    return None, None
