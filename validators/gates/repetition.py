"""The gate ``repetition``: whether the piece loops.

Every bar is compared with the bars before it by dynamic time warping
(:mod:`scoregate.validators.analysis.dtw`). Bars that only rest are left out.

- Loop share Ld: the longest stretch of bars that repeat those p bars before them, at
  least three periods and five bars long, over the number of bars. Over the stretch the
  distance from the bar p before is at most .17 on average, and never more than .7, so that
  a few changed notes do not hide a loop. The distance from the bar 2 p before is limited as
  well: bars in pairs (AABBCC, a canon on such a tune) are no loop. Because warping hides the
  rhythm, the distance of two bars is at least that of the times at which their notes begin
  (Jaccard). A model that is stuck in a decoding loop has a high loop share; written-out
  repeats, AABB forms and strophes do not, because they come once or twice and not three
  times without a break. Periods of up to a third of the piece are looked for.
- A profile may ask for longer loops, and leave out those that are strains of a form (`Form`).
- An ostinato that opens the piece and ends after eight bars at most, and four equal bars, do
  not count in the share; they are warnings.
- Recurrence R: the mean over the bars of 1 - the distance to the most similar bar before.
- Copies U: 1 - different bars / all bars, by equality.

Neither R nor U can tell a loop from musical form, so only Ld rejects.
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
"""Largest distance of a single bar: in a bar of few notes one other note makes that much."""
AT_THE_ENDS = 0.50
"""Largest distance of a loop's first and last bar: a loop does not end in another bar."""
AGAIN = 0.25
"""Mean distance of a loop's bars from those two periods before."""
COUNTED = 0.60
"""Limit of a bar's distance in the mean."""
_ROUNDING = 1e-6
PERIODS = 3
"""Periods that a stretch must last to be a loop: two are an ordinary repeat."""
SHORTEST_LOOP = 5
"""Bars that a loop must have: a phrase of four bars on one figure is not a loop."""
SHORTEST_REPORTED = 4
"""Equal bars that give a warning: a last chord held over three bars does not."""
LONGEST_OPENING = 8
"""Longest ostinato that may open a piece, in bars."""
PAIRS = 100_000
"""Pairs of bars that are compared; in longer pieces bars are compared less far back."""
NARROWEST = 16
"""Bars that each bar is compared with at least, however long the piece is."""
DENSE = 250_000
"""Pairs of different bars up to which a table of all of them is faster than sorting."""
LONGEST = 20_000
"""Bars of the longest piece that is judged."""


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Look for loops.

    Parameters
    ----------
    score : Score
    style : str, optional
        Style whose thresholds for ``repetition.loop_share`` and ``repetition.recurrence``
        decide the severities.

    Returns
    -------
    Outcome
        Measures ``repetition.loop_share``, ``repetition.recurrence`` and
        ``repetition.copies``; all 0 for fewer than two sounding bars.

    Raises
    ------
    GateError
        For more than 20,000 bars.
    """
    thresholds = for_style(style)
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
    stretch = _longest(found, count, Form.of(thresholds))
    share = stretch.length / count if stretch.loop else 0.0
    recurrence = found.recurrence()
    outcome.measures = {
        "repetition.loop_share": share,
        "repetition.recurrence": recurrence,
        "repetition.copies": 1 - len(different) / count if count else 0.0,
    }
    severity = thresholds.severity("repetition.loop_share", stretch.length / max(count, 1))
    if severity:
        severity = severity if stretch.loop else "warning"
        outcome.findings.append(_finding(score, stretch, sounding, severity, thresholds))
    severity = thresholds.severity("repetition.recurrence", recurrence)
    if severity:
        outcome.findings.append(
            Finding(
                NAME,
                "repetition.recurrence",
                severity,
                "the pitches of nearly every bar resemble those of an earlier one",
                found=f"{recurrence:.2f}",
                expected=f"below {thresholds.bound('repetition.recurrence', severity):.2f}",
            )
        )
    return outcome


def _kinds(bars: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Count the different bars; return the kind of each bar, and one bar of each kind."""
    numbers: dict[bytes, int] = {}
    kind = [numbers.setdefault(bar.tobytes(), len(numbers)) for bar in bars]
    different = np.frombuffer(b"".join(numbers), dtype=np.uint64)
    return np.array(kind, dtype=np.int64), different.reshape(len(numbers), *bars.shape[1:])


class _Distances:
    """Distances of each bar from the bars before it, as far back as they are compared.

    Attributes
    ----------
    kind : ndarray of int64, shape (bars,)
        Equal bars have the same kind.
    rhythm : ndarray of uint64, shape (bars,)
        Slices in which notes begin, as bits.
    reach : int
        How many bars back are compared.
    back : ndarray of float32, shape (bars, reach + 1)
        Column p: distance from the bar p before; 2 where there is none.
    """

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
        later, back = np.nonzero(np.arange(count)[:, None] > np.arange(self.reach))
        back += 1
        earlier = later - back
        one, other = kind[later], kind[earlier]
        low, high = np.minimum(one, other), np.maximum(one, other)
        pair, place = _sorted_set(low * len(different) + high, len(different) ** 2)
        left, right = np.divmod(pair, max(len(different), 1))
        unlike = left != right
        values = np.zeros(len(pair), dtype=np.float32)
        values[unlike] = bar_distances(different, left[unlike], right[unlike])
        self.back = np.full((count, self.reach + 1), 2, dtype=np.float32)
        self.back[later, back] = values[place]
        self._larger = self.back.astype(np.float64)
        self._larger[later, back] = np.maximum(
            values[place], _apart(rhythm[later], rhythm[earlier])
        )

    def from_before(self, period: int) -> NDArray[np.float64]:
        """Return the distance of every bar from the one a period before.

        The larger of the distances in notes and in rhythm; 2 where there is no such bar.
        Beyond the reach the distance in notes is 0 for equal bars and 2 for others.
        """
        if period <= self.reach:
            return self._larger[:, period]
        distance = np.full(len(self.kind), 2.0)
        distance[period:][self.kind[period:] == self.kind[:-period]] = 0
        apart = _apart(self.rhythm[period:], self.rhythm[:-period])
        np.maximum(distance[period:], apart, out=distance[period:])
        return distance

    def recurrence(self) -> float:
        """Return the mean of 1 - the distance to the most similar bar before."""
        if len(self.kind) < 2:
            return 0.0
        nearest = self.back[1:].min(axis=1)
        # Kinds are numbered as they appear, so a new one has the highest number so far.
        seen_before = self.kind[1:] <= np.maximum.accumulate(self.kind[:-1])
        nearest[seen_before] = 0  # equal bars beyond the reach included
        return float(1 - np.minimum(nearest, 1).mean())


def _apart(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the distance of rhythms, 1 - the share of the beginnings that both have."""
    return np.bitwise_count(one ^ other) / np.maximum(np.bitwise_count(one | other), 1)


def _sorted_set(
    values: NDArray[np.int64], bound: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the different values in ascending order, and the place among them of each value.

    Parameters
    ----------
    values : ndarray of int64
        At least 0 and below `bound`.
    bound : int
    """
    if bound > DENSE:
        return np.unique(values, return_inverse=True)
    occurs = np.zeros(bound, dtype=bool)
    occurs[values] = True
    place = np.cumsum(occurs) - 1
    return np.flatnonzero(occurs), place[values]


class Stretch(NamedTuple):
    """Bars that repeat those a period before.

    Attributes
    ----------
    first, end : int
        Index of the first bar, and of the one after the last.
    period : int
        In bars.
    loop : bool
        False for what is too short to be a loop, and for an ostinato that opens the piece.
    exact : bool
        Whether every bar equals the one a period before, and is not only similar to it.
    """

    first: int = 0
    end: int = 0
    period: int = 1
    loop: bool = False
    exact: bool = True

    @property
    def length(self) -> int:
        """Number of bars."""
        return self.end - self.first


class Form(NamedTuple):
    """What a loop must be longer than, so that a musical form does not explain it.

    Attributes
    ----------
    shortest : float
        Bars that a loop must have.
    phrase, strains : float
        A period of at least `phrase` bars that comes no more than `strains` times is a strain
        that is played again and no loop; infinite and 0 where there are no strains. A verse, of
        two phrases at least, may come twice as often.
    """

    shortest: float = SHORTEST_LOOP
    phrase: float = float("inf")
    strains: float = 0

    @classmethod
    def of(cls, thresholds: Thresholds) -> Form:
        """Return what the settings of thresholds say."""
        return cls(
            thresholds.setting("repetition.shortest_loop", SHORTEST_LOOP),
            thresholds.setting("repetition.phrase", float("inf")),
            thresholds.setting("repetition.strains", 0),
        )

    def explains(self, period: int, length: int) -> bool:
        """Return whether a stretch is too short to be a loop, or strains that are played again."""
        times = self.strains * (2 if period >= 2 * self.phrase else 1)
        strain = period >= self.phrase and length < (times + 1) * period
        return length < self.shortest or strain


def _longest(found: _Distances, count: int, form: Form) -> Stretch:
    """Return the longest loop; where there is none, the longest stretch to be reported."""
    loop = longest = Stretch()
    for period in range(1, count // PERIODS + 1):
        distance = found.from_before(period)
        near = distance <= FARTHEST + _ROUNDING
        if np.count_nonzero(near) < max(PERIODS * period, SHORTEST_REPORTED) - period:
            continue
        total = _sums(distance)
        twice = _sums(found.from_before(2 * period))
        framed = np.zeros(count + 2, dtype=bool)
        framed[1:-1] = near
        edges = np.flatnonzero(framed[1:] != framed[:-1]).tolist()
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            enough = max(PERIODS * period, SHORTEST_REPORTED, loop.length + 1) - period
            # An ostinato ends with its last repetition, not in a bar that is only similar.
            at_the_ends = ALIKE if begin == period else AT_THE_ENDS
            # The end with the larger distance is removed until the rest is similar enough.
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
            is_loop = not form.explains(period, length) and not opening
            if is_loop or length > longest.length:
                exact = not distance[begin:end].any()
                longest = Stretch(first, end, period, is_loop, exact)
                loop = longest if is_loop else loop
    return loop if loop.length else longest


def _sums(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of the distances before each bar, each limited to `COUNTED`."""
    return np.concatenate(([0.0], np.cumsum(np.minimum(distance, COUNTED))))


def _finding(
    score: Score,
    stretch: Stretch,
    sounding: NDArray[np.int64],
    severity: Severity,
    thresholds: Thresholds,
) -> Finding:
    begin, end = int(sounding[stretch.first]) + 1, int(sounding[stretch.end - 1]) + 1
    line, column = _place(score, begin)
    share = stretch.length / len(sounding)
    bars = "the same bar" if stretch.period == 1 else f"the same {stretch.period} bars"
    return Finding(
        NAME,
        "repetition.loop" if stretch.loop else "repetition.ostinato",
        severity,
        f"bars {begin}-{end} repeat with period {stretch.period}: "
        f"{'' if stretch.exact else 'nearly '}{bars} "
        f"{round(stretch.length / stretch.period, 1):g} times, {share:.0%} of the piece",
        bar=begin,
        line=line,
        column=column,
        found=f"{share:.2f}",
        expected=f"below {thresholds.bound('repetition.loop_share', severity):.2f}",
    )


def _place(score: Score, bar: int) -> tuple[int | None, int | None]:
    """Return the line and column at which a bar is written."""
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
