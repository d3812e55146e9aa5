"""How far a piece is from notes drawn at random: between its voices, and along each voice.

Both measures compare the piece with what its own notes would give in random order, so they
depend neither on a key nor on a style. They are 0 where the notes are in no order, and 1 where
the order is complete; a piece is taken for chance only where both are near 0.

Other music than chance may be near 0 in one of them: broken chords have as few steps as random
notes, and music without a key has as many dissonances.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.chords import voice_sets
from scoregate.validators.analysis.sounding import notes

LEAST = 24
"""Pairs of notes, or steps, below which a share says nothing."""
_STEP = 2
"""Largest step of a melody in semitones."""
_CLASSES = np.arange(12)


def _counts_of_sets() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the pairs of pitch classes of each of the 4096 sets, and the dissonant ones."""
    sets = np.arange(4096)
    size = np.bitwise_count(sets).astype(np.int64)
    dissonant = np.zeros(4096)
    for interval, weight in ((1, 1.0), (2, 1.0), (6, 0.5)):  # a tritone is met from both sides
        turned = (sets << interval | sets >> (12 - interval)) & 4095
        dissonant += weight * np.bitwise_count(sets & turned)
    return size * (size - 1) // 2, dissonant


_PAIRS, _DISSONANT = _counts_of_sets()


def chordal_order(score: Score, voices: NDArray[np.bool_]) -> float:
    """Return how much rarer dissonances are than among the same pitch classes by chance.

    1 - d / e, where d is the share of dissonances (minor and major seconds, tritones, and
    their complements) among the pairs of pitch classes that sound on the same beat, and e the
    same share among pairs of pitch classes drawn by how often each sounds. NaN with fewer
    than `LEAST` pairs, as in music for one voice.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.
    """
    sets = np.bitwise_or.reduce(voice_sets(score)[0][voices], axis=0, initial=0)
    pairs = int(_PAIRS[sets].sum())
    if pairs < LEAST:
        return math.nan
    sounding = np.count_nonzero(sets[:, None] >> _CLASSES & 1, axis=0)
    share = sounding / sounding.sum()
    chance = 2 * share @ (np.roll(share, 1) + np.roll(share, 2) + np.roll(share, 6) / 2)
    different = 1 - share @ share
    if chance <= 0 or different <= 0:
        return math.nan
    return 1 - float(_DISSONANT[sets].sum()) / pairs / float(chance / different)


def melodic_order(score: Score, voices: NDArray[np.bool_]) -> float:
    """Return how much more often voices move by step than their notes would in random order.

    (s - e) / (1 - e), where s is the share of repeated notes and steps of up to two semitones
    among successive notes of a voice (the highest of a chord), and e the share that pairs of
    the same voice's notes have. NaN with fewer than `LEAST` successions.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.
    """
    every = notes(score)
    chosen = np.flatnonzero(every.starts & ~every.grace & voices[every.voice])
    if len(chosen) < LEAST:
        return math.nan
    pitch, onset = every.pitch[chosen], every.onset[chosen]
    voice, bar = every.voice[chosen], every.bar[chosen]
    order = np.lexsort((pitch, onset, bar, voice))
    pitch, onset, voice, bar = pitch[order], onset[order], voice[order], bar[order]
    highest = np.ones(len(order), dtype=bool)
    highest[:-1] = np.diff(voice) | np.diff(bar) | (np.diff(onset) != 0)
    pitch, voice = pitch[highest], voice[highest]
    same = voice[1:] == voice[:-1]
    total = int(np.count_nonzero(same))
    if total < LEAST:
        return math.nan
    steps = np.count_nonzero(np.abs(np.diff(pitch))[same] <= _STEP) / total
    rows = len(voices)
    counts = np.bincount(voice * 128 + (pitch & 127), minlength=rows * 128).reshape(rows, 128)
    size = counts.sum(axis=1)
    near = (counts * counts).sum(axis=1)
    for width in range(1, _STEP + 1):
        near = near + 2 * (counts[:, width:] * counts[:, :-width]).sum(axis=1)
    weight = np.maximum(size - 1, 0)
    chance = float((near / np.maximum(size, 1) ** 2 * weight).sum() / weight.sum())
    return math.nan if chance >= 1 else (steps - chance) / (1 - chance)
