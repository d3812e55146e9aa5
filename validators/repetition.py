"""Does the piece go round in circles? Loops and recurrence of its bars.

Every bar is compared with the bars before it by dynamic time warping
(:mod:`validators.dtw`). Bars that only rest are left out.

- Loop share Ld: the longest stretch of bars that repeat those p bars before them, at
  least three periods long, over the number of bars. Every bar of it is near the one p
  bars before (distance at most .5), and a third of them are the same (at most .15), so that
  a changed note here and there does not hide a loop. A model that is stuck in a decoding
  loop shows here; written-out repeats, AABB forms and strophes don't, as they come once
  or twice and not three times without a break. Periods reach up to a third of the piece.
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

ALIKE = 0.15
"""Largest distance of two bars that count as the same."""
NEAR = 0.50
"""Largest distance of two bars of which one is the other with a note or two changed."""
SAME = 1 / 3
"""Share of a loop's bars that are the same, and not only near."""
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
        if period <= found.reach:
            same = found.back[:, period] <= ALIKE + _ROUNDING
            near = found.back[:, period] <= NEAR + _ROUNDING
        else:
            same = np.zeros(count, dtype=bool)
            same[period:] = found.kind[period:] == found.kind[:-period]
            near = same
        if np.count_nonzero(near) <= best[1] - best[0] - period:
            continue
        before = np.concatenate(([0], np.cumsum(same)))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], near.view(np.int8), [0]))))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            length = int(end - begin) + period
            if length < max(PERIODS * period, SHORTEST_LOOP) or length <= best[1] - best[0]:
                continue
            if before[end] - before[begin] >= SAME * (end - begin):
                best = (int(begin) - period, int(end), period)
    return best


def _place(score: Score, bar: int) -> tuple[int | None, int | None]:
    for voice in score.voices:
        for candidate in voice.bars:
            if candidate.number == bar and not candidate.implied:
                return candidate.line, candidate.column
    return None, None
