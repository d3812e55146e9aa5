"""How alike melodies are: runs copied from a corpus, and pieces of one set beside each other.

A melody is a sequence of steps: the interval to the note before it and its duration, so that a
transposed copy is a copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

Step = tuple[int, int]
"""Interval in semitones, and duration in 96ths of a whole note."""

GRAM = 4
"""Steps of the fragments by which pieces of a set are compared."""


class CopyIndex:
    """Finds the longest run of a melody that a corpus has too, by a suffix array.

    Parameters
    ----------
    corpus : iterable of sequence of Step
    """

    def __init__(self, corpus: Iterable[Sequence[Step]]) -> None:
        self._characters: dict[Step, str] = {}
        parts = []
        for melody in corpus:
            for step in melody:
                self._characters.setdefault(step, chr(len(self._characters) + 1))
            parts.append("".join(self._characters[step] for step in melody))
        self._text = "\0".join([*parts, ""])
        self._suffixes = _suffix_array(self._text)

    def longest(self, melody: Sequence[Step]) -> int:
        """Return the number of steps of the longest run that the corpus has too."""
        # A step that the corpus does not have gets a character that it does not have.
        text = "".join(self._characters.get(step, "\uffff") for step in melody)
        best = 0
        for start in range(len(text)):
            if len(text) - start <= best:
                break
            best = max(best, self._longest_from(text[start:]))
        return best

    def _longest_from(self, wanted: str) -> int:
        low, high = 0, len(self._suffixes)
        size = len(wanted)
        while low < high:
            middle = (low + high) // 2
            begin = self._suffixes[middle]
            if self._text[begin : begin + size] < wanted:
                low = middle + 1
            else:
                high = middle
        near = self._suffixes[max(low - 1, 0) : low + 1]
        return max((self._common(wanted, begin) for begin in near), default=0)

    def _common(self, wanted: str, begin: int) -> int:
        pairs = zip(wanted, self._text[begin : begin + len(wanted)], strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _suffix_array(text: str) -> NDArray[np.int64]:
    """Return where the suffixes of a text begin, in their order, by prefix doubling."""
    size = len(text)
    rank = np.fromiter(map(ord, text), np.int64, size)
    width = 1
    while True:
        behind = np.zeros(size, dtype=np.int64)
        behind[:-width] = rank[width:] + 1
        keys = rank * (int(rank.max(initial=0)) + 2) + behind
        _, rank = np.unique(keys, return_inverse=True)
        # Runs longer than 256 steps are not told apart: no melody has one.
        if width >= 128 or rank.max(initial=0) == size - 1:
            return np.argsort(rank, kind="stable")
        width *= 2


def similarity(melodies: Sequence[Sequence[Step]]) -> float:
    """Return how alike the pieces of a set are: the mean Jaccard index over all pairs.

    Of a pair it is the number of different fragments of four steps that both pieces have, over
    the number that either has. NaN for fewer than two pieces with a fragment.
    """
    grams = [
        {tuple(melody[i : i + GRAM]) for i in range(len(melody) - GRAM + 1)} for melody in melodies
    ]
    pairs = list(itertools.combinations([each for each in grams if each], 2))
    if not pairs:
        return float("nan")
    return float(np.mean([len(a & b) / len(a | b) for a, b in pairs]))


def transition_distance(counts: NDArray, reference: NDArray) -> float:
    """Return the Jensen-Shannon divergence of two matrices of transitions, in bits: 0 to 1.

    The matrices are taken as joint distributions of a pitch class and the one that follows.
    NaN where either has no transition. Lin, Divergence measures based on the Shannon entropy,
    IEEE Transactions on Information Theory 1991.
    """
    if not counts.sum() or not reference.sum():
        return float("nan")
    return float(jensenshannon(counts.ravel(), reference.ravel(), base=2) ** 2)
