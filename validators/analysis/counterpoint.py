"""Counterpoint: crossings, and parallel fifths and octaves.

For music in voices of single notes, such as chorales. The pitch of each voice is compared at
every moment at which some voice begins a note.

- Crossing: a voice is lower than the next one below it in the score.
- Parallels: two voices move at the same moment, in the same direction, from a perfect
  fifth to a perfect fifth, or from an octave or unison to an octave or unison.

Both make it harder to hear the voices apart, which is why writers avoid them: D. Huron, Tone
and voice: a derivation of the rules of voice-leading from perceptual principles, Music
Perception 19 (2001). Good composers write them occasionally, so they are counted and not
forbidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.sounding import notes

SILENT = -1
"""Pitch of a voice that rests."""
_HIGHEST = 999


@dataclass(frozen=True, slots=True)
class Moments:
    """What each voice sounds at every moment at which a note begins.

    Attributes
    ----------
    pitch : ndarray of int64, shape (voices, moments)
        MIDI numbers, `SILENT` for a resting voice; of a chord the lowest note.
    begins : ndarray of bool, shape (voices, moments)
        Whether the voice begins a note there.
    lasts : ndarray of bool, shape (voices, moments)
        Whether what the voice sounds there lasts until the next moment.
    bar : ndarray of int64, shape (moments,)
        Index of the bar, from 0.
    """

    pitch: NDArray[np.int64]
    begins: NDArray[np.bool_]
    lasts: NDArray[np.bool_]
    bar: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clash:
    """One crossing or parallel.

    Attributes
    ----------
    kind : {'crossing', 'fifths', 'octaves'}
    upper, lower : int
        Rows of the two voices in `Moments`.
    bar : int
        Index of the bar, from 0.
    """

    kind: str
    upper: int
    lower: int
    bar: int


def moments(score: Score, voices: Sequence[int] | None = None) -> Moments:
    """Return the voices' pitches moment by moment.

    Parameters
    ----------
    score : Score
    voices : sequence of int, optional
        Indices of the voices to compare, from the highest staff down; all by default.

    Returns
    -------
    Moments
        Cached and shared: not to be changed.
    """
    chosen = list(range(len(score.voices)) if voices is None else voices)
    cached = f"moments {chosen}"
    known = score.derived.get(cached)
    if known is None:
        known = score.derived[cached] = _moments(score, chosen)
    return known


def _moments(score: Score, chosen: list[int]) -> Moments:
    every = notes(score)
    row = np.full(len(score.voices), -1)
    row[chosen] = np.arange(len(chosen))
    real = np.flatnonzero(~every.grace & (row[every.voice] >= 0))
    start = every.bar_start[every.bar[real]] if len(real) else np.zeros(0)
    onset = np.round(start + every.onset[real], 6)
    end = np.round(start + every.end[real], 6)
    times, first = np.unique(onset, return_index=True)
    begin, stop = np.searchsorted(times, onset), np.searchsorted(times, end)
    span = stop - begin
    note = np.repeat(np.arange(len(real)), span)
    moment = begin[note] + np.arange(len(note)) - np.repeat(np.cumsum(span) - span, span)
    pitch = np.full((len(chosen), len(times)), _HIGHEST, dtype=np.int64)
    np.minimum.at(pitch, (row[every.voice[real[note]]], moment), every.pitch[real[note]])
    pitch[pitch == _HIGHEST] = SILENT
    begins = np.zeros(pitch.shape, dtype=bool)
    fresh = every.starts[real]
    begins[row[every.voice[real[fresh]]], begin[fresh]] = True
    lasts = pitch != SILENT
    early = (span > 0) & (end < np.append(times, np.inf)[stop])
    lasts[row[every.voice[real[early]]], stop[early] - 1] = False
    return Moments(pitch, begins, lasts, every.bar[real][first])


def crossings(found: Moments) -> list[Clash]:
    """Return where a voice is lower than the next one, once for each bar and pair."""
    clashes = []
    for upper in range(len(found.pitch) - 1):
        one, other = found.pitch[upper], found.pitch[upper + 1]
        crossed = (one != SILENT) & (other != SILENT) & (one < other)
        if not crossed.any():
            continue
        for bar in np.unique(found.bar[crossed]).tolist():
            clashes.append(Clash("crossing", upper, upper + 1, bar))
    return clashes


def parallels(found: Moments) -> list[Clash]:
    """Return parallel fifths and octaves, each at the bar of its second interval."""
    pairs = list(combinations(range(len(found.pitch)), 2))
    if not pairs or found.pitch.shape[1] < 2:
        return []
    upper, lower = np.array(pairs).T
    sounds = found.pitch != SILENT
    joined = sounds[:, 1:] & found.lasts[:, :-1]
    step = np.diff(found.pitch, axis=1)
    direction = np.sign(step) * found.begins[:, 1:]
    one, other = direction[upper], direction[lower]
    alike = joined[upper] & joined[lower] & (one == other) & (one != 0)
    width = np.abs(found.pitch[upper] - found.pitch[lower]) % 12
    clashes = []
    same = alike & (width[:, 1:] == width[:, :-1])
    for pair, place in zip(
        *np.nonzero(same & ((width[:, 1:] == 7) | (width[:, 1:] == 0))), strict=True
    ):
        kind = "fifths" if width[pair, place + 1] == 7 else "octaves"
        clashes.append(Clash(kind, int(upper[pair]), int(lower[pair]), int(found.bar[place + 1])))
    return sorted(clashes, key=lambda it: (it.upper, it.lower, it.kind != "fifths"))
