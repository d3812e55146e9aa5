"""Chords as sets of pitch classes, for the gates and for the measures of training alike."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
"""A chord: semitones above its root."""

TRIADS: dict[str, Shape] = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
}
SEVENTHS: dict[str, Shape] = {
    "dominant seventh": (0, 4, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "minor seventh": (0, 3, 7, 10),
    "half-diminished seventh": (0, 3, 6, 10),
    "diminished seventh": (0, 3, 6, 9),
}
"""The sevenths of common practice that are built of thirds; see also `MINOR_MAJOR_SEVENTH`."""
MINOR_MAJOR_SEVENTH: Shape = (0, 3, 7, 11)
"""A passing sound in Bach's chorales, where the measures of training count it as a chord; the
gate's measure, whose thresholds were set without it, does not."""


def pitch_class_set(pitches: Iterable[int]) -> int:
    """Return pitches as a set of pitch classes: bit 0 is C.

    Examples
    --------
    >>> bin(pitch_class_set([60, 64, 67, 72]))
    '0b10010001'
    """
    result = 0
    for pitch in pitches:
        result |= 1 << (pitch % 12)
    return result


@lru_cache(maxsize=8)
def parts_of_chords(shapes: tuple[Shape, ...]) -> NDArray[np.bool_]:
    """Tell of each of the 4096 sets of pitch classes whether a chord has all of them.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Chords on every root, as semitones above it.

    Returns
    -------
    ndarray of bool, shape (4096,)

    Examples
    --------
    >>> table = parts_of_chords(tuple(TRIADS.values()))
    >>> bool(table[pitch_class_set([0, 7])]), bool(table[pitch_class_set([0, 1])])
    (True, False)
    """
    fits = np.zeros(4096, dtype=bool)
    sets = np.arange(4096)
    for shape in shapes:
        for root in range(12):
            chord = pitch_class_set(root + step for step in shape)
            fits |= (sets & ~chord) == 0
    fits.flags.writeable = False
    return fits


@lru_cache(maxsize=4096)
def seventh_of(classes: frozenset[int]) -> int | None:
    """Return the seventh of a seventh chord as a pitch class; None for any other sound.

    The sound must be the chord and nothing else. The fifth may be missing, except in a
    diminished seventh, which would be a diminished triad without it.
    """
    for root in classes:
        shape = {(x - root) % 12 for x in classes} - {0}
        for third, seventh in ((4, 10), (3, 10), (4, 11), (3, 9)):
            rest = shape - {third, seventh}
            fifths = {6, 7} if third == 3 else {7, 8}
            whole = seventh != 9 or rest == {6}
            if {third, seventh} <= shape and rest <= fifths and whole:
                return (root + seventh) % 12
    return None


THIRD_AND_SEVENTH = ((4, 10), (3, 10), (4, 11))
"""Third and seventh above the root of a seventh chord. The diminished seventh chord is left out:
without its fifth it sounds like a diminished triad."""


def is_seventh(pitch: int, others: tuple[int, ...]) -> bool:
    """Whether a pitch is the seventh of a chord whose root and third sound in other voices.

    Parameters
    ----------
    pitch : int
        MIDI number or pitch class.
    others : tuple of int
        Of the other voices.
    """
    above = {(other - pitch) % 12 for other in others}
    # The root lies a seventh below the pitch, the third lies a third above the root.
    return any(
        -seventh % 12 in above and (third - seventh) % 12 in above
        for third, seventh in THIRD_AND_SEVENTH
    )
