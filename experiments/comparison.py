"""Two sets of pieces compared: each measure, its overlap, and what tells the sets apart.

The second set is the one that the first is held against. Two figures sum a comparison up:

- the *overlap*: the mean, over all measures, of the overlap between the distances inside the
  second set and those between the sets (:mod:`scoregate.experiments.distances`);
- the *shift*: the mean, over all measures that are numbers, of the Wasserstein distance of their
  distributions in standard deviations of the second set, at most 1 for a measure. It answers to
  a difference of means, to which distances between pieces answer little. Two sets of one origin
  have a shift above 0, the larger the fewer the pieces: ``chance`` says what two halves of the
  second set have.

Intervals are a bootstrap at 95 % that resamples pieces. A resampled set holds fewer different
pieces, which moves an overlap down; the percentiles are therefore moved by as much as the mean of
the samples differs from the figure. One resampled set serves all measures, so that the intervals
of both sums take account of measures that vary together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from scoregate.evaluation import Interval, Separation, bootstrap, separation
from scoregate.evaluation.classifier import FOLDS
from scoregate.experiments.distances import Distances, Overlap
from scoregate.progress import report

Floats = NDArray[np.float64]

LEAST = 0.5
"""Share of the pieces of each set that must have a figure for a measure to be compared."""
_FIELDS = ("first", "second", "first_kl", "second_kl")
LARGEST_SHIFT = 1.0
"""Most that one measure adds to the mean shift, in standard deviations."""
HALVINGS = 10
"""How often the second set is halved to see what chance gives."""


@dataclass(slots=True)
class PieceFigures:
    """What is known of one piece.

    Attributes
    ----------
    name : str
    digest : str
        SHA-256 of its finished text, 64 hex digits.
    numbers : dict of str to float
        Measures by ``group: name``; NaN where one can't be formed.
    vectors : dict of str to list of float
        Histograms by ``group: name``.
    """

    name: str
    digest: str
    numbers: dict[str, float]
    vectors: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(slots=True)
class Row:
    """One measure of both sets.

    Attributes
    ----------
    name : str
        ``group: measure``.
    pieces : tuple of int
        Pieces of each set that have a figure.
    means : tuple of Interval or None
        Means of either set; None for a histogram.
    overlap, overlap_first : Estimate
        Overlap of the distances between the sets with those inside the second, and inside the
        first set.
    kl, kl_first : Estimate
        The divergences that belong to them, in nats.
    shift : Estimate or None
        Wasserstein distance in standard deviations of the second set; None for a histogram.
    """

    name: str
    pieces: tuple[int, int]
    means: tuple[Interval, Interval] | None
    overlap: Estimate
    overlap_first: Estimate
    kl: Estimate
    kl_first: Estimate
    shift: Estimate | None = None


@dataclass(slots=True)
class Comparison:
    """What :func:`compare_sets` found.

    Attributes
    ----------
    rows : list of Row
        Measures by their overlap, the smallest first.
    overlap, shift : Estimate
        The means over all rows: see the module.
    chance : float
        Shift of one half of the second set from the other, mean over several halvings; NaN for
        fewer than four pieces.
    separations : dict of str to Separation
        By group of measures, and ``all``; empty where a set is too small for a classifier.
    constant : list of str
        Measures left out because they are the same in all pieces of both sets.
    left_out : list of str
        Measures left out because too few pieces have a figure.
    shared : int
        Pieces that both sets have.
    seed, resamples : int
    """

    rows: list[Row]
    overlap: Estimate
    shift: Estimate
    chance: float
    separations: dict[str, Separation]
    constant: list[str]
    left_out: list[str]
    shared: int
    seed: int
    resamples: int


def compare_sets(
    first: Sequence[PieceFigures],
    second: Sequence[PieceFigures],
    *,
    resamples: int = 200,
    seed: int = 1,
) -> Comparison:
    """Compare two sets of pieces.

    Parameters
    ----------
    first, second : sequence of PieceFigures
        At least one piece each; intervals need several.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the bootstrap and of the classifier's folds.
    """
    rng = np.random.default_rng(seed)
    draws = (_draws(rng, len(first), resamples), _draws(rng, len(second), resamples))
    names = list(dict.fromkeys(n for p in (*first, *second) for n in (*p.numbers, *p.vectors)))
    rows, constant, left_out = [], [], []
    samples: list[_Sampled] = []
    for number, name in enumerate(names):
        report("measures", number, len(names), name)
        row, sampled, why = _measure(name, first, second, draws, seed)
        if row is None:
            (constant if why == "constant" else left_out).append(name)
        else:
            rows.append(row)
            samples.append(sampled)
    digests = {piece.digest for piece in first}
    return Comparison(
        rows=sorted(rows, key=lambda row: row.overlap.value),
        overlap=_mean(
            [row.overlap.value for row in rows],
            [[each.second for each in sampled.overlaps] for sampled in samples],
        ),
        shift=_mean(
            [min(row.shift.value, LARGEST_SHIFT) for row in rows if row.shift],
            [np.minimum(s.shifts, LARGEST_SHIFT) for s in samples if len(s.shifts)],
        ),
        chance=_chance(second, [row.name for row in rows if row.shift], rng),
        separations=_separations(first, second, {row.name for row in rows}, seed),
        constant=constant,
        left_out=left_out,
        shared=sum(piece.digest in digests for piece in second),
        seed=seed,
        resamples=resamples,
    )


class ShiftFrom:
    """The mean shift of sets from one reference, whose values are laid out once.

    Parameters
    ----------
    reference : sequence of PieceFigures
    names : sequence of str, optional
        The measures; left out, every number that half of the pieces have and that varies.

    Attributes
    ----------
    names : list of str
    """

    def __init__(
        self, reference: Sequence[PieceFigures], names: Sequence[str] | None = None
    ) -> None:
        wanted = names or list(dict.fromkeys(n for p in reference for n in p.numbers))
        self._reference: dict[str, Floats] = {}
        for name in wanted:
            values, known = _values(name, reference)
            if len(values) and known.mean() >= LEAST and values[:, 0].std() > 0:
                self._reference[name] = values[:, 0]
        self.names = list(self._reference)

    def table(self, pieces: Sequence[PieceFigures]) -> Floats:
        """Return the figures of pieces, NaN where there is none: shape (pieces, names)."""
        rows = [[piece.numbers.get(name, math.nan) for name in self.names] for piece in pieces]
        return np.array(rows, dtype=float).reshape(len(pieces), len(self.names))

    def shift(self, table: Floats) -> float:
        """Return the mean shift of a table's pieces; NaN where no measure can be compared."""
        return float(self.shifts(table, np.ones((1, len(table))))[0])

    def shifts(self, table: Floats, weights: Floats) -> Floats:
        """Return the mean shift of each of many bootstrap samples at once.

        Parameters
        ----------
        table : ndarray of float, shape (pieces, names)
        weights : ndarray of float, shape (samples, pieces)
            How often each piece counts.

        Returns
        -------
        ndarray of float, shape (samples,)
            NaN where no measure can be compared.
        """
        total, counted = np.zeros(len(weights)), np.zeros(len(weights))
        for column, name in zip(table.T, self.names, strict=True):
            known = np.isfinite(column)
            if not len(known) or known.mean() < LEAST:
                continue
            found = _wasserstein(column[known], self._reference[name], weights[:, known])
            there = np.isfinite(found)
            total[there] += np.minimum(found[there], LARGEST_SHIFT)
            counted += there
        return np.divide(total, counted, out=np.full(len(weights), math.nan), where=counted > 0)


def _wasserstein(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Return the shift of ``one`` from ``other`` for each row of weights of ``one``.

    The area between the two distribution functions, in standard deviations of ``other``; a test
    compares it with :func:`scipy.stats.wasserstein_distance`, which takes one row at a time.
    NaN for a row without weight.
    """
    values = np.concatenate([one, other])
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])
    own = np.zeros((len(weights), len(values)))
    own[:, : len(one)] = weights
    of_other = np.zeros(len(values))
    of_other[len(one) :] = 1 / len(other)
    whole = weights.sum(axis=1, keepdims=True)
    share = np.divide(own, whole, out=np.full_like(own, math.nan), where=whole > 0)
    between = np.cumsum(share[:, order], axis=1) - np.cumsum(of_other[order])
    return np.abs(between[:, :-1]) @ steps / float(other.std())


def _shift(one: Floats, other: Floats, left: Floats, right: Floats | None = None) -> float:
    """Return the Wasserstein distance in standard deviations of the second set.

    NaN where the second set does not vary, or a sample has no piece.
    """
    spread = float(other.std())
    if not spread or not left.sum() or (right is not None and not right.sum()):
        return math.nan
    return float(wasserstein_distance(one, other, left, right)) / spread


def _chance(
    second: Sequence[PieceFigures], names: Sequence[str], rng: np.random.Generator
) -> float:
    if len(second) < 4 or not names:
        return math.nan
    found = []
    for _ in range(HALVINGS):
        order = rng.permutation(len(second))
        halves = [[second[i] for i in part] for part in np.array_split(order, 2)]
        reference = ShiftFrom(halves[1], names)
        found.append(reference.shift(reference.table(halves[0])))
    return float(np.nanmean(found)) if np.isfinite(found).any() else math.nan


def _draws(rng: np.random.Generator, pieces: int, resamples: int) -> Floats:
    return rng.multinomial(pieces, np.full(pieces, 1 / pieces), resamples).astype(float)


@dataclass(frozen=True, slots=True)
class _Sampled:
    """The overlaps and shifts of a measure in each bootstrap sample."""

    overlaps: list[Overlap]
    shifts: Floats


def _measure(
    name: str,
    first: Sequence[PieceFigures],
    second: Sequence[PieceFigures],
    draws: tuple[Floats, Floats],
    seed: int,
) -> tuple[Row | None, _Sampled, str]:
    """Compare one measure; return its row and its samples, or why there is no row."""
    nothing = _Sampled([], np.array([]))
    one, known_one = _values(name, first)
    other, known_other = _values(name, second)
    if known_one.mean() < LEAST or known_other.mean() < LEAST:
        return None, nothing, "missing"
    if len(np.unique(np.vstack([one, other]), axis=0)) == 1:
        return None, nothing, "constant"
    distances = Distances(one, other)
    found = distances.overlap()
    if math.isnan(found.second):
        return None, nothing, "missing"
    weights = [(a[known_one], b[known_other]) for a, b in zip(*draws, strict=True)]
    overlaps = [distances.overlap(*pair) for pair in weights]
    estimates = {
        field: _estimate(
            getattr(found, field),
            np.array([getattr(each, field) for each in overlaps]),
            most=math.inf if field.endswith("kl") else 1.0,
        )
        for field in _FIELDS
    }
    means, shift, shifts = None, None, np.array([])
    if one.shape[1] == 1:
        one, other = one[:, 0], other[:, 0]
        means = (bootstrap(one.tolist(), seed), bootstrap(other.tolist(), seed))
        value = _shift(one, other, np.ones(len(one)))
        if math.isfinite(value):
            shifts = np.array([_shift(one, other, *pair) for pair in weights])
            shift = _estimate(value, shifts)
    row = Row(
        name=name,
        pieces=(len(one), len(other)),
        means=means,
        overlap=estimates["second"],
        overlap_first=estimates["first"],
        kl=estimates["second_kl"],
        kl_first=estimates["first_kl"],
        shift=shift,
    )
    return row, _Sampled(overlaps, shifts), ""


def _values(name: str, pieces: Sequence[PieceFigures]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the figures of the pieces that have one, a row each, and which pieces those are."""
    values = [piece.vectors.get(name) or [piece.numbers.get(name, math.nan)] for piece in pieces]
    known = np.array([all(map(math.isfinite, value)) for value in values])
    kept = [value for value, there in zip(values, known, strict=True) if there]
    return np.array(kept, dtype=float).reshape(len(kept), -1), known


def _estimate(value: float, sampled: Floats, most: float = math.inf) -> Estimate:
    """Return a figure with the percentiles of its samples, moved as the module says."""
    sampled = sampled[np.isfinite(sampled)]
    if not len(sampled):
        return Estimate(value, math.nan, math.nan)
    low, high = np.percentile(sampled + (value - sampled.mean()), (2.5, 97.5))
    return Estimate(value, max(float(low), 0.0), min(float(high), most))


def _mean(values: Sequence[float], sampled: Sequence[Sequence[float] | Floats]) -> Estimate:
    """Return the mean over measures with its interval from their samples."""
    if not values:
        return Estimate(math.nan, math.nan, math.nan)
    table = np.array(sampled, dtype=float)
    return _estimate(float(np.mean(values)), table.mean(axis=0) if table.size else np.array([]))


def _separations(
    first: Sequence[PieceFigures],
    second: Sequence[PieceFigures],
    names: set[str],
    seed: int,
) -> dict[str, Separation]:
    """Tell the sets apart by all numbers, and by those of each group."""
    if min(len(first), len(second)) < FOLDS:
        return {}
    numbers = sorted({name for piece in (*first, *second) for name in piece.numbers} & names)
    groups: dict[str, list[str]] = {"all": numbers}
    for name in numbers:
        groups.setdefault(name.partition(": ")[0], []).append(name)
    found = {}
    for group, chosen in groups.items():
        rows = [
            [{name: piece.numbers.get(name, math.nan) for name in chosen} for piece in pieces]
            for pieces in (first, second)
        ]
        found[group] = separation(rows[0], rows[1], seed)
    return found
