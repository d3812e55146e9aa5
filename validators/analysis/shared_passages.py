"""A piece as symbols that are the same in every key, to find passages that two pieces share.

At every moment at which a note begins, the texture is encoded as one number: the time until
the next moment, by how much the highest note moved, and how far below it the other notes
are. The melody alone (the first voice) is encoded likewise. Barlines are left out, because
editions set them differently, and so are keys, names and words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.sounding import notes

GRAM = 6
"""Length of the shortest passage that counts as shared, in symbols."""
_TICKS = 960
"""Ticks of a whole note: fine enough for every tuplet that occurs."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The symbols of a piece.

    Attributes
    ----------
    symbols : ndarray of uint32, shape (moments,)
    times : ndarray of float64, shape (moments,)
        Onset of each, in whole notes from the beginning.
    bars : ndarray of int64, shape (moments,)
        Index of the bar, from 0.
    """

    symbols: NDArray[np.uint32]
    times: NDArray[np.float64]
    bars: NDArray[np.int64]


def texture(score: Score) -> Passage:
    """Encode everything that sounds."""
    every = notes(score)
    return _symbols(score, ~every.grace)


def melody(score: Score) -> Passage:
    """Encode the first voice; of its chords the highest note."""
    every = notes(score)
    first = int(every.voice.min()) if len(every.voice) else 0
    in_melody = ~every.grace & (every.voice == first)
    return _symbols(score, in_melody, top_only=True)


def _symbols(score: Score, chosen: NDArray[np.bool_], top_only: bool = False) -> Passage:
    every = notes(score)
    note = np.flatnonzero(chosen)
    start = np.rint((every.bar_start[every.bar[note]] + every.onset[note]) * _TICKS)
    end = np.rint((every.bar_start[every.bar[note]] + every.end[note]) * _TICKS)
    onsets = np.unique(start[every.starts[note]])
    if len(onsets) < 2:
        empty = np.zeros(0)
        return Passage(empty.astype(np.uint32), empty, empty.astype(np.int64))
    begin, stop = np.searchsorted(onsets, start), np.searchsorted(onsets, end)
    span = np.maximum(stop - begin, 0)
    index = np.repeat(np.arange(len(note)), span)
    moment = begin[index] + np.arange(len(index)) - np.repeat(np.cumsum(span) - span, span)
    pitch = every.pitch[note][index]
    top = np.full(len(onsets), -1, dtype=np.int64)
    np.maximum.at(top, moment, pitch)
    below = np.zeros((len(onsets), 2), dtype=np.uint64)
    if not top_only:
        depth = np.clip(top[moment] - pitch, 0, 127)
        bits = np.left_shift(np.uint64(1), (depth & 63).astype(np.uint64))
        np.bitwise_or.at(below, (moment, depth >> 6), bits)
    move = np.concatenate(([0], np.diff(top)))
    length = np.concatenate((np.diff(onsets), [0])).astype(np.int64)
    mixed = _mix(below[:, 0] ^ _mix(below[:, 1] + np.uint64(1)))
    mixed = _mix(mixed ^ (move + 512).astype(np.uint64))
    mixed = _mix(mixed ^ length.astype(np.uint64))
    place = np.searchsorted(every.bar_start, onsets / _TICKS + 1e-6, side="right") - 1
    return Passage((mixed >> np.uint64(32)).astype(np.uint32), onsets / _TICKS, place)


def grams(symbols: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Hash every run of `GRAM` symbols into one number.

    Returns
    -------
    ndarray of uint64, shape (max(0, symbols - GRAM + 1),)
    """
    count = max(0, len(symbols) - GRAM + 1)
    result = np.zeros(count, dtype=np.uint64)
    for step in range(GRAM):
        result = _mix(result ^ symbols[step : step + count].astype(np.uint64))
    return result


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of a number: the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = (value + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
