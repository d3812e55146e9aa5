"""Does the piece go round in circles? Loops and recurrence of its bars.

Every bar is compared with the bars before it by dynamic time warping
(:mod:`scoregate.validators.analysis.dtw`). Bars that only rest are left out.

- Loop share Ld: the longest stretch of bars that repeat those p bars before them, at
  least three periods and five bars long, over the number of bars. Over the stretch the
  distance from the bar p before is at most .17 on average, and never more than .7, so that
  a changed note here and there does not hide a loop. It is not much more from the bar 2 p
  before: bars in pairs (AABBCC, a canon on such a tune) are no loop. As warping hides the
  rhythm, two bars are also as far apart as the places at which their notes begin
  (Jaccard). A model that is stuck in a decoding loop shows here; written-out repeats, AABB
  forms and strophes don't, as they come once or twice and not three times without a break.
  Periods reach up to a third of the piece.
- An ostinato that opens the piece and is left after eight bars at most, and four bars that
  are alike, count in no share; they are warnings.
- Recurrence R: the mean over the bars of 1 - the distance to the most similar bar before.
- Copies U: 1 - different bars / all bars, by equality.

Neither R nor U can tell a loop from form, so only Ld rejects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.errors import GateError
from scoregate.findings import Finding, Outcome, Severity
from scoregate.validators.analysis.dtw import bar_distances
from scoregate.validators.analysis.sounding import beginnings, slices
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import Thresholds, for_style

NAME = "repetition"
VERSION = "2"

ALIKE = 0.17
"""Mean distance of a loop's bars from those a period before."""
FARTHEST = 0.70
"""Largest distance of a single bar: with few notes in it, one other note is that far."""
AT_THE_ENDS = 0.50
"""Largest distance of a loop's first and last bar: a loop does not end in another bar."""
AGAIN = 0.25
"""Mean distance of a loop's bars from those two periods before."""
COUNTED = 0.60
"""What a bar's distance counts at most in the mean."""
_ROUNDING = 1e-6
PERIODS = 3
"""Periods that a stretch must last to be a loop: two are a repeat, as music has them."""
SHORTEST_LOOP = 5
"""Bars that a loop must have: a phrase of four bars on one figure is none."""
SHORTEST_TOLD = 4
"""Bars alike that are worth a warning: a last chord held over three bars is not."""
LONGEST_OPENING = 8
"""Bars of an ostinato that may open a piece which then goes on to something else."""
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
    outcome = Outcome(NAME, VERSION)
    everything = slices(score)
    sounding = np.flatnonzero(everything.any(axis=(1, 2)))
    if len(sounding) > LONGEST:
        raise GateError(
            f"The piece has {len(sounding)} bars; repetition is judged up to {LONGEST}.",
            "Cut it into its movements.",
        )
    kind, different = _kinds(everything[sounding])
    found = _Distances(different, kind, beginnings(score)[sounding])
    count = len(kind)
    told = _longest(found, count)
    share = told.length / count if told.loop else 0.0
    recurrence = found.recurrence()
    outcome.measures = {
        "repetition.loop_share": share,
        "repetition.recurrence": recurrence,
        "repetition.copies": 1 - len(different) / count if count else 0.0,
    }
    severity = limits.severity("repetition.loop_share", told.length / max(count, 1))
    if severity:
        severity = severity if told.loop else "warning"
        outcome.findings.append(_finding(score, told, sounding, severity, limits))
    severity = limits.severity("repetition.recurrence", recurrence)
    if severity:
        outcome.findings.append(
            Finding(
                NAME,
                "repetition.recurrence",
                severity,
                "the pitches of nearly every bar resemble those of an earlier one",
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

    def __init__(
        self,
        different: NDArray[np.uint64],
        kind: NDArray[np.int64],
        rhythm: NDArray[np.uint64],
    ) -> None:
        self.kind = kind
        self.rhythm = rhythm
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
        """Distance of every bar from the one a period before, in notes and in rhythm.

        2 where there is none. Beyond the reach the notes are equal or not.
        """
        if period <= self.reach:
            distance = self.back[:, period].astype(np.float64)
        else:
            distance = np.full(len(self.kind), 2.0)
            distance[period:][self.kind[period:] == self.kind[:-period]] = 0
        one, other = self.rhythm[period:], self.rhythm[:-period]
        either = np.maximum(np.bitwise_count(one | other), 1)
        apart = np.bitwise_count(one ^ other) / either
        np.maximum(distance[period:], apart, out=distance[period:])
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


class Stretch(NamedTuple):
    """Bars that repeat those a period before: the first, and the one after the last."""

    first: int = 0
    end: int = 0
    period: int = 1
    loop: bool = False
    """False for what is too short to be a loop, or an ostinato that opens the piece."""
    exact: bool = True
    """Whether every bar equals the one a period before, and is not only near it."""

    @property
    def length(self) -> int:
        return self.end - self.first


def _longest(found: _Distances, count: int) -> Stretch:
    """Return the longest loop; where there is none, the longest stretch that is told."""
    loop = told = Stretch()
    for period in range(1, count // PERIODS + 1):
        distance = found.from_before(period)
        near = distance <= FARTHEST + _ROUNDING
        total = _sums(distance)
        twice = _sums(found.from_before(2 * period))
        edges = np.flatnonzero(np.diff(np.concatenate(([0], near.view(np.int8), [0])))).tolist()
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            enough = max(PERIODS * period, SHORTEST_TOLD, loop.length + 1) - period
            # An ostinato ends where it is left, not in a bar that is near it.
            at_the_ends = ALIKE if begin == period else AT_THE_ENDS
            # The worse end is taken off until the rest is alike.
            while end - begin >= enough and (
                max(distance[begin], distance[end - 1]) > at_the_ends
                or total[end] - total[begin] > ALIKE * (end - begin)
                or twice[end] - twice[begin + period] > AGAIN * (end - begin - period)
            ):
                if distance[begin] >= distance[end - 1]:
                    begin += 1
                else:
                    end -= 1
            if end - begin < enough:
                continue
            first, length = begin - period, end - begin + period
            opening = first == 0 and end < count and length <= LONGEST_OPENING
            is_loop = length >= SHORTEST_LOOP and not opening
            if is_loop or length > told.length:
                exact = not distance[begin:end].any()
                told = Stretch(first, end, period, is_loop, exact)
                loop = told if is_loop else loop
    return loop if loop.length else told


def _sums(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the distances before each bar, of which none counts for too much."""
    return np.concatenate(([0.0], np.cumsum(np.minimum(distance, COUNTED))))


def _finding(
    score: Score,
    told: Stretch,
    sounding: NDArray[np.int64],
    severity: Severity,
    limits: Thresholds,
) -> Finding:
    begin, end = int(sounding[told.first]) + 1, int(sounding[told.end - 1]) + 1
    line, column = _place(score, begin)
    share = told.length / len(sounding)
    bars = "the same bar" if told.period == 1 else f"the same {told.period} bars"
    return Finding(
        NAME,
        "repetition.loop" if told.loop else "repetition.ostinato",
        severity,
        f"bars {begin}-{end} repeat with period {told.period}: "
        f"{'' if told.exact else 'nearly '}{bars} "
        f"{round(told.length / told.period, 1):g} times, {share:.0%} of the piece",
        bar=begin,
        line=line,
        column=column,
        found=f"{share:.2f}",
        expected=f"below {limits.bound('repetition.loop_share', severity):.2f}",
    )


def _place(score: Score, bar: int) -> tuple[int | None, int | None]:
    for voice in score.voices:
        for candidate in voice.bars:
            if candidate.number == bar and not candidate.implied:
                return candidate.line, candidate.column
    return None, None


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Does the piece loop?",
    check=check,
    measures=(
        Measure(
            "repetition.loop_share", "Loop share", "share of the piece that goes round in a circle"
        ),
        Measure("repetition.recurrence", "Recurrence", "likeness of each bar to an earlier one"),
        Measure("repetition.copies", "Copied bars", "share of bars that equal an earlier one"),
    ),
)
