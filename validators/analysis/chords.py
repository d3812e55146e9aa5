"""Which beats sound as chords: the share that fits a triad or a seventh chord.

On every beat the pitch classes that sound are compared with the chords of common practice:
the four triads (major, minor, diminished, augmented) and five seventh chords (dominant,
major, minor, half-diminished, diminished). A sound fits when some chord has all its pitch
classes, so single fifths and thirds fit as well.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.compiled import loops
from scoregate.errors import GateError
from scoregate.theory import SEVENTHS, TRIADS, parts_of_chords
from scoregate.validators.analysis.sounding import notes

CHORDS = parts_of_chords((*TRIADS.values(), *SEVENTHS.values()))
"""Of each set of pitch classes, whether a triad or a seventh chord has all of them."""
SHORTEST = 64
"""Denominator of the shortest beat."""
MOST_BEATS = 1_000_000
"""Beats of the longest piece that is judged. A text can ask for a bar of any length."""
MOST_CELLS = 20_000_000
"""Beats times voices: the sets of all voices take 40 MB at most, and the lowest pitches as much."""
SILENT = 999
"""Pitch of a voice that rests."""


def voice_sets(score: Score) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return the pitch classes that each voice sounds on each beat; they are cached.

    The beat is the metre's denominator, or three of them in 6/8, 9/8 and 12/8 and their
    like; a bar without metre counts quarter notes. Beats count from the bar's beginning.

    Returns
    -------
    sets : ndarray of int16, shape (voices, beats)
        Bits of the pitch classes; 0 where the voice is silent.
    bars : ndarray of int64, shape (beats,)
        Index of the bar, from 0.

    Raises
    ------
    GateError
        For more than a million beats, or `MOST_CELLS` of all voices together.
    """
    known = score.derived.get("voice_sets")
    if known is not None:
        return known
    sounding = notes(score)
    lengths = sounding.bar_length
    steps = np.full(len(lengths), 0.25)
    for voice in score.voices[:1]:
        for bar in voice.bars:
            steps[bar.number - 1] = beat_length(bar.metre_text)
    counts = np.ceil(lengths / steps - 1e-6).astype(np.int64)
    first = np.concatenate(([0], np.cumsum(counts)))
    beats, voices = int(first[-1]), max(len(score.voices), 1)
    if beats > MOST_BEATS or beats * voices > MOST_CELLS:
        raise GateError(
            f"The piece has {beats} beats of {voices} voices; harmony is judged up to "
            f"{min(MOST_BEATS, MOST_CELLS // voices)} beats.",
            "Cut it into its movements.",
        )
    sets = np.zeros((voices, beats), dtype=np.int16)
    lows = np.full((voices, beats), SILENT, dtype=np.int16)
    real = ~sounding.grace
    notes_of = sounding.voice[real], sounding.bar[real], sounding.pitch[real]
    times = sounding.onset[real], sounding.end[real]
    if loops is None:
        _spread(*notes_of, *times, steps, first, sets, lows)
    else:
        loops.voice_sets(*notes_of, *times, steps, first, sets, lows)
    score.derived["voice_lows"] = lows
    known = score.derived["voice_sets"] = sets, np.repeat(np.arange(len(lengths)), counts)
    return known


# More than six parameters: five columns of notes, and what belongs to the bars.
def _spread(
    voice: NDArray[np.int64],
    bar: NDArray[np.int64],
    pitch: NDArray[np.int64],
    onset: NDArray[np.float64],
    end: NDArray[np.float64],
    steps: NDArray[np.float64],
    first: NDArray[np.int64],
    sets: NDArray[np.int16],
    lows: NDArray[np.int16],
) -> None:
    """Add notes to the sets and the lowest pitches of the beats on which they sound.

    Parameters
    ----------
    voice, bar, pitch, onset, end : ndarray, shape (notes,)
        As in :class:`scoregate.validators.analysis.sounding.Notes`.
    steps : ndarray of float64, shape (bars,)
        Length of a beat.
    first : ndarray of int64, shape (bars + 1,)
        Index of the first beat of each bar, and the number of all beats.
    sets, lows : ndarray of int16, shape (voices, beats)
    """
    counts = np.diff(first)
    begin = np.ceil(onset / steps[bar] - 1e-6).astype(np.int64)
    stop = np.minimum(np.ceil(end / steps[bar] - 1e-6).astype(np.int64), counts[bar])
    span = np.maximum(stop - begin, 0)
    note = np.repeat(np.arange(len(bar)), span)
    offset = np.arange(len(note)) - np.repeat(np.cumsum(span) - span, span)
    bits = np.left_shift(1, pitch % 12).astype(np.int16)
    place = (voice[note], first[bar[note]] + begin[note] + offset)
    np.bitwise_or.at(sets, place, bits[note])
    np.minimum.at(lows, place, pitch[note].astype(np.int16))


def lowest_pitches(score: Score) -> NDArray[np.int16]:
    """Return the lowest pitch of each voice on each beat, `SILENT` where it rests.

    Returns
    -------
    ndarray of int16, shape (voices, beats)
        The beats are those of `voice_sets`.
    """
    voice_sets(score)
    return score.derived["voice_lows"]


def beat_sets(score: Score) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pitch classes that sound on each beat in any voice, and the beat's bar.

    Returns
    -------
    sets : ndarray of int64, shape (beats,)
        Bits of the pitch classes; 0 for a silent beat.
    bars : ndarray of int64, shape (beats,)
        Index of the bar, from 0.

    Raises
    ------
    GateError
        As `voice_sets` does.
    """
    sets, bars = voice_sets(score)
    return np.bitwise_or.reduce(sets, axis=0).astype(np.int64), bars


@functools.lru_cache(maxsize=256)
def beat_length(metre_text: str) -> float:
    """Return the length of a beat in whole notes: 1/4 for 3/4, 3/8 for 6/8, 1/4 for C.

    No beat is shorter than a 64th, whatever a metre says.
    """
    top, _, bottom = metre_text.strip().partition("/")
    if metre_text.strip() == "C|":
        return 0.5
    if not bottom.isdigit() or int(bottom) == 0:
        return 0.25
    number = int(top) if top.isdigit() else 0
    unit = 1 / min(int(bottom), SHORTEST)
    return 3 * unit if number > 3 and number % 3 == 0 and int(bottom) >= 8 else unit


def harmony_fit(score: Score) -> float:
    """Return the share of beats whose sound fits a triad or a seventh chord.

    Beats with fewer than two pitch classes are left out, because they fit anything. NaN when
    no beat is left, as in music for one voice. Bach's chorales have .92 on average, the same
    chorales with their voices shifted against each other .60.
    """
    sets, _ = beat_sets(score)
    sets = sets[np.bitwise_count(sets) >= 2]
    if not len(sets):
        return math.nan
    return float(CHORDS[sets].mean())
