"""Rhythm: how often voices move off the beat or strike together, and how dense they are."""

from __future__ import annotations

from fractions import Fraction

from scoregate.evaluation.reading import VoiceGrid

TRIPLE = ("3", "6", "9")


def off_beat(grid: VoiceGrid) -> float:
    """Share of quarters inside which, not on whose beginning, some voice begins a note."""
    total = int(grid.quarters)
    if not total:
        return float("nan")
    struck = {
        int(time)
        for i, time in enumerate(grid.times)
        if time.denominator != 1 and grid.begins[:, i].any()
    }
    return len([q for q in struck if q < total]) / total


def together(grid: VoiceGrid) -> float:
    """Share of moments at which a note begins in every voice that sounds."""
    begun = grid.begins.any(0)
    sounding = grid.pitch > 0
    every = (grid.begins | ~sounding).all(0) & begun
    return float(every.sum() / begun.sum()) if begun.any() else float("nan")


def density(grid: VoiceGrid, voice: int) -> float:
    """Return the notes of a voice a quarter; NaN for an empty piece."""
    return len(grid.notes[voice]) / grid.quarters if grid.quarters else float("nan")


def dotted(grid: VoiceGrid) -> float:
    """Share of notes of three eighths; NaN for an empty piece."""
    every = [n.duration for voice in grid.notes for n in voice]
    return every.count(Fraction(3, 2)) / len(every) if every else float("nan")


def measures(grid: VoiceGrid) -> dict[str, float]:
    """All figures of this module."""
    found = {
        "off-beat beats": off_beat(grid),
        "all voices together": together(grid),
        "dotted notes": dotted(grid),
    }
    for voice in range(len(grid.notes)):
        found[f"voice {voice + 1} notes a beat"] = density(grid, voice)
    return found
