"""The features of mgeval: pitches and lengths of notes, as numbers and as histograms.

They are defined for any piece, however many voices it has. Grace notes are left out and a tied
note counts once. Source: L.-C. Yang and A. Lerch, On the evaluation of generative models in
music, Neural Computing and Applications 32 (2020), 4773-4784, table 1; code:
https://github.com/RichardYang40148/mgeval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score, Voice

LENGTHS = (4.0, 3.0, 2.0, 1.5, 1.0, 0.75, 0.5, 0.375, 0.25, 0.1875, 0.125, 2 / 3, 1 / 3, 1 / 6)
"""Classes of note lengths in quarters; a note belongs to the class that is nearest by ratio."""
_LOG_LENGTHS = np.log2(np.array(LENGTHS))


@dataclass(slots=True)
class NoteFeatures:
    """The features of one piece.

    Attributes
    ----------
    numbers : dict of str to float
        NaN where the piece has too few notes for one.
    vectors : dict of str to list of float
        Histograms and transition matrices, row by row, each summing to 1; all 0 for a piece
        without notes.
    """

    numbers: dict[str, float]
    vectors: dict[str, list[float]]


def note_features(score: Score) -> NoteFeatures:
    """Return the features of a piece.

    Notes
    -----
    - pitches used: number of different MIDI pitches;
    - pitch range: highest minus lowest pitch, in semitones;
    - notes a bar: notes of all voices / bars of the longest voice;
    - pitch interval: mean of the absolute intervals between neighbouring notes of a voice, in
      semitones (of a chord its highest note);
    - time between onsets: mean distance of neighbouring onsets of a voice, in quarters; where
      bars of a voice are of wrong length, from the bars as they are;
    - pitch classes, relative to nothing: share of each of the twelve;
    - pitch class transitions: share of each ordered pair of neighbouring notes of a voice;
    - note lengths, note length transitions: the same over ``LENGTHS``.
    """
    lines = [_line(voice) for voice in score.voices]
    every = [note for line in lines for note in line]
    pitches = [pitch for _, _, chord in every for pitch in chord]
    tops = [[max(chord) for _, _, chord in line] for line in lines]
    lengths = [[_length_class(length) for _, length, _ in line] for line in lines]
    steps = [abs(b - a) for line in tops for a, b in pairwise(line)]
    waits = [b[0] - a[0] for line in lines for a, b in pairwise(line)]
    classes = [[pitch % 12 for pitch in line] for line in tops]
    nan = math.nan
    return NoteFeatures(
        numbers={
            "pitches used": float(len(set(pitches))) if pitches else nan,
            "pitch range": float(max(pitches) - min(pitches)) if pitches else nan,
            "notes a bar": len(pitches) / score.bar_count if score.bar_count else nan,
            "pitch interval": sum(steps) / len(steps) if steps else nan,
            "time between onsets": sum(waits) / len(waits) if waits else nan,
        },
        vectors={
            "pitch classes": _shares([pitch % 12 for pitch in pitches], 12),
            "pitch class transitions": _pairs(classes, 12),
            "note lengths": _shares([each for line in lengths for each in line], len(LENGTHS)),
            "note length transitions": _pairs(lengths, len(LENGTHS)),
        },
    )


def _line(voice: Voice) -> list[tuple[float, float, tuple[int, ...]]]:
    """Onset and length in quarters, and pitches of each note or chord of a voice, ties joined."""
    found: list[tuple[float, float, tuple[int, ...]]] = []
    start = 0.0
    for bar in voice.bars:
        for event in bar.events:
            if event.grace or not event.pitches or event.overlay:
                continue
            length = 4 * float(event.duration)
            fresh = tuple(p for p in event.pitches if p not in event.tied_pitches)
            if not fresh and found:
                onset, before, chord = found[-1]
                found[-1] = (onset, before + length, chord)
            else:
                found.append((start + 4 * float(event.onset), length, fresh or event.pitches))
        start += 4 * float(bar.duration)
    return found


def _length_class(quarters: float) -> int:
    if quarters <= 0:
        return len(LENGTHS) - 1
    return int(np.abs(_LOG_LENGTHS - math.log2(quarters)).argmin())


def _shares(values: list[int], size: int) -> list[float]:
    counts = np.bincount(np.array(values, dtype=np.int64), minlength=size).astype(float)
    return _normal(counts)


def _pairs(lines: list[list[int]], size: int) -> list[float]:
    return _shares([a * size + b for line in lines for a, b in pairwise(line)], size * size)


def _normal(counts: NDArray[np.float64]) -> list[float]:
    total = counts.sum()
    return (counts / total if total else counts).tolist()
