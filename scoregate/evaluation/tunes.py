"""Measures of tunes of one voice: where they end, how long their strains are, how bars recur."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from scoregate.abc.reader import read
from scoregate.abc.score import Bar
from scoregate.evaluation.lines import tonic_of

_PLAIN = ("", "|")


@dataclass(frozen=True, slots=True)
class TuneMeasures:
    """Measures of one tune.

    Attributes
    ----------
    ends_on_tonic : bool or None
        Whether the last note is the tonic of the key field; None without a note or a key.
    in_metre : float
        Share of the bars between plain barlines, the first and the last left out, that are as
        long as the metre says; 1 where there are none.
    strains : tuple of int
        Length of each strain in bars. A strain ends at a double bar, a repeat sign or the end;
        what is shorter than half a bar at its beginning is a pickup and is not counted.
    low, high : int
        MIDI pitches.
    bars : int
    """

    ends_on_tonic: bool | None
    in_metre: float
    strains: tuple[int, ...]
    low: int
    high: int
    bars: int

    @property
    def square(self) -> float | None:
        """Share of the strains of 4, 8 or 16 bars; None without a strain."""
        if not self.strains:
            return None
        return sum(length in (4, 8, 16) for length in self.strains) / len(self.strains)


def measure_tune(text: str) -> TuneMeasures | None:
    """Return the measures of a tune's first voice; None where it has no notes.

    Parameters
    ----------
    text : str
        ABC with its header.
    """
    score = read(text)
    bars = score.voices[0].bars if score.voices else []
    pitches = [pitch for bar in bars for event in bar.events for pitch in event.pitches]
    if not pitches:
        return None
    tonic = tonic_of(score.key)
    inner = [
        bar
        for before, bar in pairwise(bars[:-1])
        if before.right in _PLAIN and bar.right in _PLAIN and not bar.ending and bar.metre
    ]
    return TuneMeasures(
        ends_on_tonic=None if tonic is None else pitches[-1] % 12 == tonic,
        in_metre=sum(bar.duration == bar.metre for bar in inner) / len(inner) if inner else 1.0,
        strains=_strains(bars),
        low=min(pitches),
        high=max(pitches),
        bars=len(bars),
    )


def _strains(bars: list[Bar]) -> tuple[int, ...]:
    lengths, count = [], 0
    for bar in bars:
        # A second ending stands in the place of the first: it does not lengthen the strain.
        again = bar.ending.startswith("2")
        whole = bar.metre is None or bar.duration * 2 >= bar.metre
        # A pickup is counted by the bar that completes it.
        count += whole and not again
        if bar.right not in _PLAIN:
            if count:
                lengths.append(count)
            count = 0
    if count:
        lengths.append(count)
    return tuple(lengths)
