"""Tendency tones and dissonances: leading tones, sevenths, suspensions, unprepared dissonances.

Chords are read on every moment from the pitch classes that sound, without a key: a seventh chord
is recognised where root, third and seventh are all there.
"""

from __future__ import annotations

import numpy as np

from scoregate.evaluation.reading import VoiceGrid
from scoregate.theory import seventh_of

_DISSONANT = frozenset((1, 2, 6, 10, 11))


def _classes(grid: VoiceGrid, moment: int) -> list[int]:
    return [int(p) % 12 for p in grid.pitch[:, moment] if p]


def sevenths(grid: VoiceGrid) -> tuple[int, int]:
    """Sevenths of chords on the beat, and those that do not resolve.

    A seventh resolves where one of its voice's next two different pitches lies one or two
    semitones lower (the first of them may be an ornament); where the piece ends or a rest
    follows it is not counted.
    """
    counted = lost = 0
    for moment in dict.fromkeys(grid.on_beats()):
        seventh = seventh_of(frozenset(_classes(grid, moment)))
        if seventh is None:
            continue
        for voice in range(len(grid.pitch)):
            pitch = int(grid.pitch[voice, moment])
            if not pitch or pitch % 12 != seventh:
                continue
            following = _next_pitches(grid, voice, moment, 2)
            if following:
                counted += 1
                lost += not any(pitch - f in (1, 2) for f in following)
    return counted, lost


def _next_pitches(grid: VoiceGrid, voice: int, moment: int, count: int) -> list[int]:
    """Return the next pitches of a voice, each different from the one before, up to a rest."""
    found: list[int] = []
    last = int(grid.pitch[voice, moment])
    for pitch in grid.pitch[voice, moment + 1 :].tolist():
        if not pitch or len(found) == count:
            break
        if pitch != last:
            found.append(pitch)
            last = pitch
    return found


def next_pitch(grid: VoiceGrid, voice: int, moment: int) -> int:
    """Next different pitch of a voice after a moment; 0 where a rest or the end comes first."""
    row = grid.pitch[voice, moment:]
    other = np.flatnonzero(row != row[0])
    return int(row[other[0]]) if len(other) else 0


def leading_tones(grid: VoiceGrid) -> tuple[int, int, int, int]:
    """Leading tones of the key in dominant chords on the beat.

    Returns
    -------
    chords : int
        Beats whose sound lies within the dominant seventh of the key and has the leading tone.
    doubled : int
        Those in which two voices have it.
    outer : int
        Leading tones in the outer voices among them, where the tonic triad follows within two
        beats.
    unresolved : int
        Those that do not rise by a semitone.
    """
    tonic, leading = grid.tonic, grid.leading
    dominant = {(tonic + x) % 12 for x in (7, 11, 2, 5)}
    home = {(tonic + x) % 12 for x in ((0, 3, 7) if grid.minor else (0, 4, 7))}
    chords = doubled = outer = unresolved = 0
    for moment in dict.fromkeys(grid.on_beats()):
        classes = _classes(grid, moment)
        if leading not in classes or not set(classes) <= dominant or len(set(classes)) < 3:
            continue
        soon = [
            i for i in range(moment + 1, min(moment + 8, len(grid.times)))
            if grid.times[i] - grid.times[moment] <= 2
        ]  # fmt: skip
        to_tonic = any({tonic} < set(_classes(grid, i)) <= home for i in soon)
        chords += 1
        doubled += classes.count(leading) > 1
        for voice in (0, len(grid.pitch) - 1):
            pitch = int(grid.pitch[voice, moment])
            if to_tonic and pitch and pitch % 12 == leading:
                following = _next_pitches(grid, voice, moment, 2)
                if following:
                    outer += 1
                    unresolved += not any(f - pitch == 1 for f in following)
    return chords, doubled, outer, unresolved


def suspensions(grid: VoiceGrid) -> int:
    """Suspensions: a note held or repeated onto a beat, dissonant there, that falls by a step.

    Dissonant means a second, a seventh or a tritone with another voice, or a fourth with the
    bass, while another voice begins a note on that beat.
    """
    return sum(1 for _ in _held_dissonances(grid))


def _held_dissonances(grid: VoiceGrid):
    for moment in dict.fromkeys(grid.on_beats()):
        if grid.times[moment].denominator != 1 or moment == 0:
            continue
        for voice in range(len(grid.pitch)):
            pitch = int(grid.pitch[voice, moment])
            if not pitch or grid.pitch[voice, moment - 1] != pitch:
                continue
            others = [v for v in range(len(grid.pitch)) if v != voice and grid.begins[v, moment]]
            if not any(clashes(grid, voice, other, moment) for other in others):
                continue
            following = next_pitch(grid, voice, moment)
            if following and pitch - following in (1, 2):
                yield voice, moment


def clashes(grid: VoiceGrid, voice: int, other: int, moment: int) -> bool:
    """Whether two voices are dissonant: second, seventh, tritone, or a fourth above the bass."""
    a, b = int(grid.pitch[voice, moment]), int(grid.pitch[other, moment])
    if not a or not b:
        return False
    width = abs(a - b) % 12
    if width in _DISSONANT:
        return True
    bass = int(min((p for p in grid.pitch[:, moment] if p), default=0))
    return width == 5 and bass in (a, b)


def irregular_dissonances(grid: VoiceGrid) -> int:
    """Dissonant notes on or off the beat that are neither approached nor left by step or hold.

    A note is dissonant where it makes a minor second, a major seventh or a minor ninth with
    another voice. It is regular where it is held from before, or reached by a step and left by
    a step or held, or where the other voice of the clash is.
    """
    found = 0
    for moment in range(1, len(grid.times)):
        for upper in range(len(grid.pitch)):
            for lower in range(upper + 1, len(grid.pitch)):
                a, b = int(grid.pitch[upper, moment]), int(grid.pitch[lower, moment])
                if not a or not b or abs(a - b) % 12 not in (1, 11):
                    continue
                begun = grid.begins[upper, moment] or grid.begins[lower, moment]
                if begun and not any(_regular(grid, v, moment) for v in (upper, lower)):
                    found += 1
    return found


def _regular(grid: VoiceGrid, voice: int, moment: int) -> bool:
    """Whether a note is a passing or neighbouring note, a suspension, or an anticipation."""
    pitch = int(grid.pitch[voice, moment])
    before = int(grid.pitch[voice, moment - 1])
    following = next_pitch(grid, voice, moment)
    by_step = before == pitch or (before and abs(before - pitch) <= 2)
    leaves = not following or abs(following - pitch) <= 2
    return bool(by_step and leaves)


def measures(grid: VoiceGrid) -> dict[str, float]:
    """All figures of this module; shares are NaN where nothing can be counted."""
    nan = float("nan")
    quarters = grid.quarters
    per = 100 / quarters if quarters else nan
    counted, lost = sevenths(grid)
    chords, doubled, outer, unresolved = leading_tones(grid)
    return {
        "unresolved sevenths": lost / counted if counted else nan,
        "sevenths per 100 beats": counted * per,
        "doubled leading tones": doubled / chords if chords else nan,
        "unresolved leading tones": unresolved / outer if outer else nan,
        "suspensions": suspensions(grid) * per,
        "irregular dissonances": irregular_dissonances(grid) * per,
    }
