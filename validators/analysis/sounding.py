"""The sounding notes of a score as arrays, for the gates that count and compare.

The arrays are computed once for a score and cached in ``score.derived``, so that no gate
walks through the events again. Times are floats in whole notes, which is exact enough to
compare and to count; the gate ``bars`` works with the exact fractions of the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.compiled import loops

SLICES = 16
"""Time slices of a bar, as in the groove measure of Wu and Yang (2020)."""
_NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Notes:
    """Every sounding note, in the order of voices, bars and events.

    Attributes
    ----------
    voice, bar, pitch : ndarray of int64, shape (notes,)
        Index of the voice and of the bar, both from 0; MIDI number.
    onset, end : ndarray of float64, shape (notes,)
        In whole notes from the beginning of the bar; equal for grace notes.
    starts : ndarray of bool, shape (notes,)
        False where a tie carries the note over from the event before.
    grace : ndarray of bool, shape (notes,)
    bar_length, bar_start : ndarray of float64, shape (bars,)
        Length of the longest voice in that bar, and where the bar begins from the beginning of
        the piece, in whole notes.
    counted : ndarray of bool, shape (notes,)
        The notes that begin and are no grace notes, which most measures count.
    """

    voice: NDArray[np.int64]
    bar: NDArray[np.int64]
    pitch: NDArray[np.int64]
    onset: NDArray[np.float64]
    end: NDArray[np.float64]
    starts: NDArray[np.bool_]
    grace: NDArray[np.bool_]
    bar_length: NDArray[np.float64]
    bar_start: NDArray[np.float64]
    counted: NDArray[np.bool_]


def notes(score: Score) -> Notes:
    """Return the notes of a score as arrays; they are cached."""
    known = score.derived.get("notes")
    if known is None:
        known = score.derived["notes"] = _collect(score)
    return known


def _collect(score: Score) -> Notes:
    if loops is None:
        return _walked(score)
    numbers, flags, lengths = loops.collect(score.voices)
    voices, bars, pitches, onsets, ends = np.frombuffer(numbers, np.int64).reshape(5, -1)
    starts, graces = np.frombuffer(flags, np.bool_).reshape(2, -1)
    times = onsets.view(np.float64), ends.view(np.float64)
    return _notes((voices, bars, pitches), times, (starts, graces), np.frombuffer(lengths))


def _walked(score: Score) -> Notes:
    """Collect the notes in Python."""
    cells: list[float] = []  # seven for each note
    # The reader has one Fraction for each duration, so few of them are divided.
    floats: dict[int, float] = {}
    lengths = [0.0] * max((bar.number for voice in score.voices for bar in voice.bars), default=0)
    for voice_index, voice in enumerate(score.voices):
        for bar in voice.bars:
            index = bar.number - 1
            length = bar.duration.numerator / bar.duration.denominator
            if length > lengths[index]:
                lengths[index] = length
            for event in bar.events:
                if not event.pitches:
                    continue
                onset = floats.get(id(event.onset))
                if onset is None:
                    onset = event.onset.numerator / event.onset.denominator
                    floats[id(event.onset)] = onset
                length = floats.get(id(event.duration))
                if length is None:
                    length = event.duration.numerator / event.duration.denominator
                    floats[id(event.duration)] = length
                end, tied, grace = onset + length, event.tied_pitches, event.grace
                for pitch in event.pitches:
                    cells += (voice_index, index, pitch, onset, end, pitch not in tied, grace)
    table = np.array(cells, dtype=np.float64).reshape(-1, 7).T
    voices, bars, pitches = table[:3].astype(np.int64)
    starts, graces = table[5:].astype(np.bool_)
    times = table[3].copy(), table[4].copy()
    return _notes((voices, bars, pitches), times, (starts, graces), np.array(lengths, np.float64))


def _notes(
    numbers: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    times: tuple[NDArray[np.float64], NDArray[np.float64]],
    flags: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    bar_length: NDArray[np.float64],
) -> Notes:
    """Put together voices, bars and pitches, onsets and ends, beginnings and graces."""
    bar_start = np.zeros(len(bar_length))
    np.cumsum(bar_length[:-1], out=bar_start[1:])
    starts, graces = flags
    return Notes(*numbers, *times, starts, graces, bar_length, bar_start, starts & ~graces)


def melodies(score: Score) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the melody of each voice: its notes one after another, of a chord the highest.

    Grace notes are left out, and notes that a tie carries over. The arrays are cached.

    Returns
    -------
    voice, pitch : ndarray of int64, shape (notes,)
        Index of the voice, in ascending order, and MIDI number.
    """
    known = score.derived.get("melodies")
    if known is None:
        every = notes(score)
        chosen = np.flatnonzero(every.counted)
        place = (every.pitch, every.onset, every.bar, every.voice)
        order = chosen[np.lexsort([column[chosen] for column in place])]
        onset, bar, voice = every.onset[order], every.bar[order], every.voice[order]
        highest = np.ones(len(order), dtype=bool)
        highest[:-1] = (voice[1:] != voice[:-1]) | (bar[1:] != bar[:-1]) | (onset[1:] != onset[:-1])
        known = score.derived["melodies"] = voice[highest], every.pitch[order][highest]
    return known


def slices(score: Score) -> NDArray[np.uint64]:
    """Return what sounds in each of the sixteen slices of each bar; it is cached.

    A slice has the notes that sound at its beginning. Grace notes have no duration and are
    in no slice.

    Returns
    -------
    ndarray of uint64, shape (bars, 16, 2)
        The set of pitches as bits: pitch p is bit p % 64 of word p // 64.
    """
    known = score.derived.get("slices")
    if known is not None:
        return known
    all_notes = notes(score)
    lengths = all_notes.bar_length
    result = np.zeros((len(lengths) * SLICES, 2), dtype=np.uint64)
    if loops is not None:
        times = all_notes.onset, all_notes.end
        loops.slices(all_notes.bar, all_notes.pitch, *times, all_notes.grace, lengths, result)
    else:
        _spread(all_notes, result)
    known = score.derived["slices"] = result.reshape(len(lengths), SLICES, 2)
    return known


def _spread(all_notes: Notes, result: NDArray[np.uint64]) -> None:
    """Add the notes to the slices of all bars, in Python."""
    lengths = all_notes.bar_length
    real = ~all_notes.grace & (all_notes.pitch >= 0) & (all_notes.pitch < 128)
    bar, pitch = all_notes.bar[real], all_notes.pitch[real]
    scale = SLICES / np.maximum(lengths[bar], _NEARLY)
    first = np.ceil(all_notes.onset[real] * scale - _NEARLY).astype(np.int64)
    last = np.ceil(all_notes.end[real] * scale - _NEARLY).astype(np.int64)
    count = np.clip(last, 0, SLICES) - np.clip(first, 0, SLICES)
    count = np.maximum(count, 0)
    note = np.repeat(np.arange(len(bar)), count)
    step = np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    row = bar[note] * SLICES + first[note] + step
    bits = np.left_shift(np.uint64(1), (pitch & 63).astype(np.uint64))
    np.bitwise_or.at(result, (row, pitch[note] >> 6), bits[note])


def beginnings(score: Score) -> NDArray[np.uint64]:
    """Return in which slices of each bar notes begin: its rhythm.

    Returns
    -------
    ndarray of uint64, shape (bars,)
        Slice s is bit s. Grace notes are left out, and notes that a tie carries over.
    """
    every = notes(score)
    real = ~every.grace & every.starts
    bar = every.bar[real]
    scale = SLICES / np.maximum(every.bar_length[bar], _NEARLY)
    place = np.floor(every.onset[real] * scale + _NEARLY).astype(np.int64)
    result = np.zeros(len(every.bar_length), dtype=np.uint64)
    bits = np.left_shift(np.uint64(1), np.clip(place, 0, SLICES - 1).astype(np.uint64))
    np.bitwise_or.at(result, bar, bits)
    return result
