"""Melody: the intervals of each voice, forbidden leaps, leaps that are not answered, ranges."""

from __future__ import annotations

from itertools import pairwise

from scoregate.evaluation.reading import Note, VoiceGrid

# Diatonic steps and semitones of the augmented intervals.
AUGMENTED = frozenset(((1, 3), (2, 5), (3, 6), (4, 8), (5, 10)))
VOICE_NAMES = ("soprano", "alto", "tenor", "bass")


def intervals(voice: list[Note]) -> list[tuple[int, int]]:
    """Diatonic steps and semitones between successive notes, signed; rests and fermatas break."""
    return [
        (b.step - a.step, b.pitch - a.pitch)
        for a, b in pairwise(voice)
        if a.end == b.onset and not a.fermata
    ]


def stepwise(voice: list[Note]) -> float:
    """Share of moves (repeated notes left out) by one or two semitones; NaN without a move."""
    moved = [abs(size) for _, size in intervals(voice) if size]
    return sum(size <= 2 for size in moved) / len(moved) if moved else float("nan")


def forbidden_leaps(grid: VoiceGrid) -> tuple[int, int, int]:
    """Intervals of all voices, sevenths among them (10 or 11 semitones), and augmented ones."""
    every = [i for voice in grid.notes for i in intervals(voice)]
    big = sum(abs(size) in (10, 11) for _, size in every)
    augmented = sum((abs(steps), abs(size)) in AUGMENTED for steps, size in every)
    return len(every), big, augmented


def unanswered_leaps(grid: VoiceGrid) -> float:
    """Share of leaps of a sixth or more in the upper three voices that no turn back answers.

    The next move must go the other way. NaN where no leap is followed by a move.
    """
    leaps = answered = 0
    for voice in grid.notes[:3]:
        moves = [size for _, size in intervals(voice) if size]
        for a, b in pairwise(moves):
            if abs(a) >= 8:
                leaps += 1
                answered += a * b < 0
    return 1 - answered / leaps if leaps else float("nan")


def measures(grid: VoiceGrid) -> dict[str, float]:
    """All figures of this module; the voices by name where there are four."""
    nan = float("nan")
    count, big, augmented = forbidden_leaps(grid)
    found = {
        "melodic sevenths": big / count if count else nan,
        "augmented intervals": augmented / count if count else nan,
        "unanswered leaps": unanswered_leaps(grid),
    }
    if len(grid.notes) == len(VOICE_NAMES):
        for name, voice in zip(VOICE_NAMES, grid.notes, strict=True):
            found[f"{name} moves by step"] = stepwise(voice)
            pitches = [n.pitch for n in voice]
            found[f"{name} range"] = float(max(pitches) - min(pitches)) if pitches else nan
            found[f"{name} mean pitch"] = sum(pitches) / len(pitches) if pitches else nan
    return found
