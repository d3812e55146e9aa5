"""Single notes of a choir that look an octave off.

Such notes usually stay within their range. In a voice of a choir, a note that is more than a
fifth above (or below) both its neighbours, and would be within a sixth of them an octave
lower (higher), is a slip if it also is wrong among the other voices (it crosses one, or
leaves a gap of more than a ninth within the upper voices) and would not be an octave away;
or, above the bass, if it leaps by a sixth on both sides and by more on one. Basses do leap
by octaves.

This is a heuristic, so it gives warnings: docs/ranges.md has its rate of hits and of false
alarms.
"""

from __future__ import annotations

import numpy as np

from scoregate.validators.analysis.counterpoint import SILENT, Moments

OCTAVE = 12
LEAP = 8
"""Smallest leap of a slip on both sides, in semitones: a minor sixth."""
NEAR = 6
"""Largest distance from the neighbours once the note is corrected, in semitones."""
GAP = 14
"""Largest distance between neighbouring upper voices, in semitones; above the bass 24."""


def octave_slips(found: Moments) -> list[tuple[int, int, int]]:
    """Find notes that look an octave off.

    Parameters
    ----------
    found : Moments
        Of the voices of the choir, the highest first.

    Returns
    -------
    list of (int, int, int)
        Row of the voice, moment, and by how much the note is off: 12 or -12.
    """
    slips = []
    for voice in range(len(found.pitch)):
        places = np.flatnonzero(found.begins[voice])
        melody = found.pitch[voice, places]
        if len(melody) < 3:
            continue
        step = melody[1:] - melody[:-1]
        leaps = np.flatnonzero(np.abs(step) >= LEAP).tolist()
        if not leaps:
            continue
        alone = _between_leaps(leaps, len(melody))
        # At the ends of the voice the next two notes stand for both neighbours.
        before = [int(melody[0] - melody[2]), *step.tolist()]
        after = [*(-step).tolist(), int(melody[-1] - melody[-3])]
        for octave in (OCTAVE, -OCTAVE):
            sign = 1 if octave > 0 else -1
            for index in alone:
                smaller, larger = sorted((sign * before[index], sign * after[index]))
                if smaller < LEAP or max(abs(smaller - OCTAVE), abs(larger - OCTAVE)) > NEAR:
                    continue
                moment = int(places[index])
                now = _misplaced(found, voice, moment, 0)
                then = _misplaced(found, voice, moment, -octave)
                bass = voice == len(found.pitch) - 1
                plain = not bass and larger > LEAP
                if plain or (now >= (3 if bass else 1) and then <= 0):
                    slips.append((voice, moment, octave))
    return slips


def _between_leaps(leaps: list[int], count: int) -> list[int]:
    """Return the notes with a leap on both sides, of which each end of a voice has only one.

    Parameters
    ----------
    leaps : list of int
        Indices of the notes before a leap.
    count : int
        Notes of the voice.
    """
    large = set(leaps)
    return [
        note
        for note in sorted(large.union(leap + 1 for leap in leaps))
        if (note == 0 or note - 1 in large) and (note == count - 1 or note in large)
    ]


def _misplaced(found: Moments, voice: int, moment: int, shift: int) -> int:
    """Return by how many semitones a note crosses a neighbour or is too far from one."""
    pitch = int(found.pitch[voice, moment]) + shift
    rows = len(found.pitch)
    worst = 0
    for upper, lower in ((voice - 1, voice), (voice, voice + 1)):
        if upper < 0 or lower >= rows:
            continue
        other = int(found.pitch[upper if lower == voice else lower, moment])
        if other == SILENT:
            continue
        distance = other - pitch if lower == voice else pitch - other
        widest = 24 if lower == rows - 1 else GAP
        worst = max(worst, -distance, distance - widest)
    return worst
