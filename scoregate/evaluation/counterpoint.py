"""Counterpoint: parallels, direct fifths and octaves, crossing, overlap, spacing.

The rules are those of common harmony primers (W. Piston, Harmony; A. Forte, Tonal Harmony).
Rates are per 100 chord changes. A chord change is a moment at which some voice moves to another
pitch.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from scoregate.evaluation.reading import VoiceGrid

PERFECT_FIFTH = 7


def moves(grid: VoiceGrid) -> NDArray[np.int64]:
    """Semitones by which each voice moves into each moment: (voices, moments - 1).

    0 where it holds, repeats its note, or is silent on either side.
    """
    before, after = grid.pitch[:, :-1], grid.pitch[:, 1:]
    moving = grid.begins[:, 1:] & (before > 0) & (after > 0)
    return np.where(moving, after - before, 0)


def chord_changes(grid: VoiceGrid) -> int:
    """Moments at which some voice moves to another pitch."""
    return int((moves(grid) != 0).any(0).sum())


def parallels(grid: VoiceGrid) -> tuple[int, int]:
    """Parallel fifths and octaves (unisons included), every pair of voices counted.

    Two voices move in the same direction from a perfect fifth to a perfect fifth, compound
    intervals included, or from an octave or unison to an octave or unison.
    """
    motion = moves(grid)
    fifths = octaves = 0
    for upper, lower in combinations(range(len(motion)), 2):
        alike = motion[upper] * motion[lower] > 0
        width = np.abs(grid.pitch[upper] - grid.pitch[lower]) % 12
        same = alike & (width[1:] == width[:-1])
        fifths += int((same & (width[1:] == PERFECT_FIFTH)).sum())
        octaves += int((same & (width[1:] == 0)).sum())
    return fifths, octaves


def direct_intervals(grid: VoiceGrid) -> int:
    """Direct (hidden) fifths and octaves of the outer voices.

    Both move in the same direction into a perfect fifth or octave from another interval, and
    the upper voice leaps (more than a whole tone).
    """
    motion = moves(grid)
    top, bottom = motion[0], motion[-1]
    width = np.abs(grid.pitch[0] - grid.pitch[-1]) % 12
    perfect = np.isin(width[1:], (0, PERFECT_FIFTH)) & (width[1:] != width[:-1])
    return int(((top * bottom > 0) & perfect & (np.abs(top) > 2)).sum())


def crossing(grid: VoiceGrid) -> float:
    """Share of moments at which a voice lies below the next lower one; NaN without any."""
    upper, lower = grid.pitch[:-1], grid.pitch[1:]
    both = (upper > 0) & (lower > 0)
    crossed = (both & (upper < lower)).any(0)
    return float(crossed.mean()) if crossed.size else float("nan")


def overlaps(grid: VoiceGrid) -> int:
    """Voices that move past where a neighbour was the moment before.

    The lower voice goes above the upper one's last pitch, or the upper one below the lower
    one's, without crossing it.
    """
    motion, count = moves(grid), 0
    for upper, lower in pairwise(range(len(motion))):
        a, b = grid.pitch[upper], grid.pitch[lower]
        sounding = (a[:-1] > 0) & (b[:-1] > 0) & (a[1:] > 0) & (b[1:] > 0)
        rises = (motion[lower] > 0) & (b[1:] > a[:-1])
        falls = (motion[upper] < 0) & (a[1:] < b[:-1])
        count += int((sounding & (rises | falls) & (a[1:] >= b[1:])).sum())
    return count


def wide_spacing(grid: VoiceGrid) -> float:
    """Share of moments with more than an octave between two neighbouring upper voices.

    The lowest pair may lie further apart. NaN for fewer than three voices.
    """
    upper, lower = grid.pitch[:-2], grid.pitch[1:-1]
    wide = ((upper > 0) & (lower > 0) & (upper - lower > 12)).any(0)
    return float(wide.mean()) if wide.size else float("nan")


def measures(grid: VoiceGrid) -> dict[str, float]:
    """All figures of this module; rates are NaN without a chord change."""
    changes = chord_changes(grid)
    per = 100 / changes if changes else float("nan")
    fifths, octaves = parallels(grid)
    return {
        "parallel fifths": fifths * per,
        "parallel octaves": octaves * per,
        "parallels": (fifths + octaves) * per,
        "direct fifths and octaves": direct_intervals(grid) * per,
        "crossing": crossing(grid),
        "overlaps": overlaps(grid) * per,
        "wide spacing": wide_spacing(grid),
    }
