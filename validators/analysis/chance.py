"""How far a piece is from notes drawn at random: between its voices, and along each voice.

Both measures compare the piece with what its own notes would give in random order, so they
depend neither on a key nor on a style. They are 0 where the notes are in no order, and 1 where
the order is complete; a piece is taken for chance only where both are near 0.

Other music than chance may be near 0 in one of them: broken chords have as few steps as random
notes, and music without a key has as many dissonances.
"""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.chords import voice_sets
from scoregate.validators.analysis.sounding import melodies, notes

LEAST = 40
"""Pairs of notes, or steps, below which a share says nothing."""
ATONAL = 8.25
"""Different pitch classes among twelve successive notes, from which music avoids to repeat them.
Chance has 7.8 and at most 8.2, Schoenberg's and Webern's have 8.3 to 9.4, tonal music 5 to 7."""
_STEP = 2
"""Largest step of a melody in semitones."""
_LAGS = range(2, 9)
_CLASSES = np.arange(12)
_SECONDS_AND_TRITONE = (_CLASSES - np.array([[1], [2], [6]])) % 12
"""For each pitch class those a semitone, a tone and a tritone lower."""


CHROMATIC = 7.2
"""Different pitch classes among twelve successive notes, from which a piece has hardly a key."""
_NO_SIGNATURE = re.compile(r"(?:none|C|Am)?(?:aj|ajor|in|inor)?(?:\s.*)?", re.IGNORECASE)
"""Keys in which music without a key is written."""
_NOISE, _CLEAR = 1.7, 0.06
"""Order of notes at random: below 1.7 / sqrt(notes) in 95 of 100 pieces, or below .06."""


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
    minor, major, tritone = share[_SECONDS_AND_TRITONE]
    chance = 2 * share @ (minor + major + tritone / 2)
    different = 1 - share @ share
    if chance <= 0 or different <= 0:
        return math.nan
    return 1 - float(_DISSONANT[sets].sum()) / pairs / float(chance / different)


def order(score: Score, voices: NDArray[np.bool_], enough: float = math.inf) -> float:
    """Return how far a piece is from chance: the larger of its chordal and its melodic order.

    NaN where the question does not apply: for music of one voice or a few notes, for music that
    avoids to repeat pitch classes (`ATONAL`), and for music without a key signature that uses
    all twelve alike (`CHROMATIC`) with more order than the notes could have by chance.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.
    enough : float, optional
        A chordal order above this may be returned without a look at the melodies.
    """
    chords = chordal_order(score, voices)
    if chords > enough:
        return chords
    melodies = melodic_order(score, voices)
    if math.isnan(chords + melodies):
        return math.nan
    larger = float(max(chords, melodies))
    different = variety(score, voices)
    if different >= ATONAL:
        return math.nan
    lines = _lines(score, voices)
    assert lines is not None, "there is a melodic order"
    if different < CHROMATIC or not _NO_SIGNATURE.fullmatch(score.key.strip()):
        return larger
    return math.nan if larger > max(_CLEAR, _NOISE / math.sqrt(len(lines[0]))) else larger


def variety(score: Score, voices: NDArray[np.bool_]) -> float:
    """Return how many different pitch classes there are among twelve successive notes.

    The mean over all of them, in the order in which notes begin in any voice; 0 with fewer
    than `LEAST` notes. Twelve-tone music has nearly twelve, notes at random 7.8.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.
    """
    known = score.derived.get("variety")
    if known is not None:
        return known
    every = notes(score)
    chosen = np.flatnonzero(every.counted & voices[every.voice])
    if len(chosen) < LEAST:
        return 0.0
    begin = every.bar_start[every.bar[chosen]] + every.onset[chosen]
    order = np.lexsort((every.voice[chosen], np.round(begin, 6)))
    seen = np.left_shift(1, every.pitch[chosen][order] % 12)
    for width in (1, 2, 4, 4):  # sets of 2, 4, 8 and then 12 successive notes
        seen = seen[width:] | seen[:-width]
    known = score.derived["variety"] = float(np.bitwise_count(seen).mean())
    return known


def _lines(
    score: Score, voices: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return voice and pitch of each note in its voice's order, of a chord the highest."""
    every = notes(score)
    if np.count_nonzero(every.counted & voices[every.voice]) < LEAST:
        return None
    voice, pitch = melodies(score)
    pitched = voices[voice]
    return voice[pitched], pitch[pitched]


def melodic_order(score: Score, voices: NDArray[np.bool_]) -> float:
    """Return how much more often voices step, or return to a note, than in random order.

    The larger of two shares (s - e) / (1 - e). For steps, s is the share of repeated notes
    and steps of up to two semitones among successive notes of a voice (the highest of a
    chord). For figures, s is the share of notes that are the same as the one a fixed number
    of notes before, from two to eight, whichever is found most often: broken chords have few
    steps and return to their notes. In both e is the share that pairs of the same voice's
    notes have. NaN with fewer than `LEAST` successions.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.
    """
    lines = _lines(score, voices)
    if lines is None:
        return math.nan
    voice, pitch = lines
    same = voice[1:] == voice[:-1]
    total = int(np.count_nonzero(same))
    if total < LEAST:
        return math.nan
    rows = len(voices)
    counts = np.bincount(voice * 128 + (pitch & 127), minlength=rows * 128).reshape(rows, 128)
    size = counts.sum(axis=1)
    alike = (counts * counts).sum(axis=1)
    near = alike
    for width in range(1, _STEP + 1):
        near = near + 2 * (counts[:, width:] * counts[:, :-width]).sum(axis=1)
    weight = (
        np.maximum(size - 1, 0) / np.maximum(size, 1) ** 2 / max(int((size - 1).clip(0).sum()), 1)
    )
    steps = np.count_nonzero((np.abs(pitch[1:] - pitch[:-1]) <= _STEP) & same) / total
    returns = 0.0
    for lag in _LAGS:
        within = voice[lag:] == voice[:-lag]
        pairs = np.count_nonzero(within)
        if pairs >= LEAST:
            again = np.count_nonzero((pitch[lag:] == pitch[:-lag]) & within)
            returns = max(returns, again / pairs)
    by_step = _beyond(steps, float(near @ weight))
    return max(by_step, _beyond(returns, float(alike @ weight)))


def _beyond(share: float, chance: float) -> float:
    """Return by how much a share is beyond chance, 1 for all that could be."""
    return math.nan if chance >= 1 else (share - chance) / (1 - chance)
