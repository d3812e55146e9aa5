"""Chords and their voicings for rule-made chorales: four voices by a shortest path.

The costs of a voicing are range, spacing and doubling; those of a move are leaps, parallel fifths
and octaves, augmented intervals, overlap, and leading tones and sevenths that do not resolve.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from scoregate.convert.bar_events import midi_pitch

# Sounding ranges of the four singers as diatonic steps from C4 = 0.
RANGES = ((1, 11), (-3, 8), (-7, 4), (-12, 0))
MIDDLE = (7.0, 3.0, -1.0, -7.0)
AUGMENTED = ((1, 3), (2, 5), (3, 6), (4, 8))  # diatonic steps, semitones
DEGREES = {"i": 0, "ii": 1, "iii": 2, "iv": 3, "v": 4, "vi": 5, "vii": 6}
FIGURES = {"": 0, "6": 1, "64": 2, "7": 0, "65": 1, "43": 2, "2": 3}


@dataclass(frozen=True, slots=True)
class Chord:
    """Letters of a chord from the root up, their alterations, and the letter in the bass."""

    letters: tuple[int, ...]
    alters: tuple[int, ...]
    bass: int
    leading: int | None
    seventh: int | None


@cache
def chord_of(name: str, minor: bool) -> Chord:
    """Spell a chord's name in C major or A minor."""
    target = None
    base = name
    if "/" in name:
        base, rest = name.split("/")
        figure_start = len(rest.rstrip("0123456789"))
        target, figure = rest[:figure_start], rest[figure_start:]
        root = (DEGREES[target.lower()] + 4) % 7
    else:
        roman = base.rstrip("0123456789").rstrip("o")
        figure = base[len(roman) :].lstrip("o")
        if roman == "ii" and figure.startswith("0"):
            figure = figure[1:]
        root = DEGREES[roman.lower()]
    has_seventh = figure in ("7", "65", "43", "2")
    tonic = 5 if minor else 0
    letters = tuple((tonic + root + k) % 7 for k in ((0, 2, 4, 6) if has_seventh else (0, 2, 4)))
    alters = [0] * len(letters)
    leading = None
    if target is not None:
        # A dominant: a major third above its root, a perfect fifth.
        scale = (0, 2, 4, 5, 7, 9, 11)
        for k, wanted in ((1, 4), (2, 7)):
            have = (scale[letters[k]] - scale[letters[0]]) % 12
            alters[k] = wanted - have
        leading = letters[1]
    elif minor and root in (4, 6) and roman in ("V", "vii"):
        for k, letter in enumerate(letters):
            if letter == 4:  # G sharp
                alters[k] = 1
        leading = 4
    elif not minor and root in (4, 6):
        leading = 6
    seventh = letters[3] if has_seventh else None
    return Chord(letters, tuple(alters), letters[FIGURES[figure]], leading, seventh)


@cache
def voicings(chord: Chord) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All voicings of a chord.

    Returns
    -------
    steps : ndarray (n, 4)
        Diatonic steps of soprano, alto, tenor, bass.
    midi : ndarray (n, 4)
    cost : ndarray (n,)
        Of each by itself: doubling, spacing, range.
    """
    by_letter = dict(zip(chord.letters, chord.alters, strict=True))
    options = [[s for s in range(low, high + 1) if s % 7 in by_letter] for low, high in RANGES]
    basses = [s for s in options[3] if s % 7 == chord.bass]
    rows, costs = [], []
    for b in basses:
        for t in options[2]:
            if not b <= t <= b + 14:
                continue
            for a in options[1]:
                if not t <= a <= t + 7:
                    continue
                for s in options[0]:
                    if not a < s <= a + 7:
                        continue
                    notes = (s, a, t, b)
                    letters = [n % 7 for n in notes]
                    cost = 0.0
                    missing = set(chord.letters) - set(letters)
                    if missing:
                        # Only the fifth may be missing.
                        if missing != {chord.letters[2]}:
                            continue
                        cost += 4
                    count = {x: letters.count(x) for x in by_letter}
                    if chord.leading is not None and count.get(chord.leading, 0) > 1:
                        continue
                    if chord.seventh is not None and count[chord.seventh] > 1:
                        continue
                    if count[chord.letters[1]] > 1:
                        cost += 1.5
                    if count[chord.letters[0]] > 2:
                        cost += 2
                    cost += 2.0 * (t == b) + 1.0 * (a == t)
                    cost += sum(abs(n - m) for n, m in zip(notes, MIDDLE, strict=True)) * 0.12
                    rows.append(notes)
                    costs.append(cost)
    steps = np.array(rows)
    midi = np.array([[midi_pitch((s, by_letter[s % 7])) for s in row] for row in rows])
    return steps, midi, np.array(costs)


@cache
def moves(a: Chord, b: Chord) -> np.ndarray:
    """Cost of going from each voicing of ``a`` to each of ``b``: (n_a, n_b)."""
    steps_a, midi_a, _ = voicings(a)
    steps_b, midi_b, _ = voicings(b)
    step = steps_b[None] - steps_a[:, None]
    leap = np.abs(step)
    weight = np.array([1.0, 0.9, 0.9, 0.5])
    cost = (weight * (leap + 0.6 * np.maximum(leap - 2, 0))).sum(-1) * 0.5
    cost += 6.0 * (leap[..., :3] > 4).any(-1) + 20.0 * (leap > 7).any(-1)
    # Standing still in all voices is dull; a moving soprano is welcome.
    cost += 1.2 * (step[..., 0] == 0)
    same_chord = a.letters == b.letters
    for i in range(4):
        for j in range(i + 1, 4):
            before = (midi_a[:, i] - midi_a[:, j]) % 12
            after = (midi_b[:, i] - midi_b[:, j]) % 12
            moving = (step[..., i] != 0) & (step[..., j] != 0)
            parallel = (before[:, None] == after[None]) & np.isin(after, (0, 7))[None] & moving
            cost += 25.0 * parallel
            # A voice never passes beyond where its neighbour was.
            if j == i + 1:
                cost += 6.0 * (midi_b[None, :, i] < midi_a[:, None, j])
                cost += 6.0 * (midi_b[None, :, j] > midi_a[:, None, i])
    semitones = np.abs(midi_b[None] - midi_a[:, None])
    for steps, size in AUGMENTED:
        cost += 12.0 * ((leap == steps) & (semitones == size)).sum(-1)
    if not same_chord:
        # A leading tone in an inner voice may fall; a seventh may stay.
        for tone, up, outer, inner in ((a.leading, 1, 5.0, 2.0), (a.seventh, -1, 20.0, 20.0)):
            if tone is not None:
                wrong = (steps_a % 7 == tone)[:, None] & (step != up) & (step != 0)
                cost += outer * wrong[..., 0] + inner * wrong[..., 1:].sum(-1)
    return cost


def voice(chords: list[Chord], rng: np.random.Generator) -> np.ndarray:
    """Return the cheapest voices through a row of chords, a little shaken: (n, 4) steps."""
    best = voicings(chords[0])[2] + rng.random(len(voicings(chords[0])[2])) * 3
    back = []
    for a, b in pairwise(chords):
        total = best[:, None] + moves(a, b)
        back.append(total.argmin(0))
        own = voicings(b)[2]
        best = total.min(0) + own + rng.random(len(own)) * 2.5
    at = int(best.argmin())
    path = [at]
    for row in reversed(back):
        at = int(row[at])
        path.append(at)
    return np.array([voicings(c)[0][i] for c, i in zip(chords, reversed(path), strict=True)])
