"""Training pieces as arrays: patches, and what sounds at each character.

The second part feeds an auxiliary task of training (:mod:`scoregate.notagen.training.step`): while
a voice is written, name the time that has been reached in the bar and what the other
voices sound there. Nothing in the model's loss tells which notes belong together; this
does. It needs interleaved text of at most four voices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from scoregate.convert.notation import key_alters, key_fifths, midi_pitch, parse_bar
from scoregate.notagen.text.patches import BOS_PATCH, EOS_PATCH, PAD, encode_unit, units_of

ABOVE = 3  # voices whose notes can be asked for while a later one is written
SLOTS = 8  # eighths of a bar that the patch level is asked for
TIMES = 48  # classes of the time reached, in sixteenths
IGNORE = -1
_UNIT = re.compile(r"^(?P<lead>\|?[\]|:]*)(?P<mark>\[r:[^\]]*\])?\[V:(?P<voice>\d+)\]")


@dataclass(slots=True)
class Example:
    """One piece, ready for a training step.

    Parameters
    ----------
    patches : ndarray (P, 16) uint8
        BOS first, EOS last.
    time : ndarray (P, 16) int8
        Time reached where each character is written, in sixteenths; IGNORE elsewhere.
    above : ndarray (P, 16, 3) int8
        What voices 1..3 sound there: 0 nothing, 1..12 a pitch class; IGNORE for voices that
        are not written yet.
    chord : ndarray (P, 16) int16
        Bits of the pitch classes that all voices together sound there, the ones not yet
        written included; IGNORE elsewhere.
    grid : ndarray (P, 3, 8) int8
        As ``above``, for every eighth of the bar that the patch belongs to.
    """

    patches: np.ndarray
    time: np.ndarray
    above: np.ndarray
    chord: np.ndarray
    grid: np.ndarray

    @property
    def characters(self) -> int:
        """Characters that count, the BOS patch left out."""
        return int((self.patches[1:] != PAD).sum())


def encode_patches(text: str) -> np.ndarray:
    """Patches of a whole piece with BOS and EOS: (P, 16) uint8."""
    rows = [BOS_PATCH]
    for unit in units_of(text):
        rows += encode_unit(unit)
    return np.array([*rows, EOS_PATCH], dtype=np.uint8)


def encode_example(text: str) -> Example:
    """Patches and auxiliary labels of one piece in stream form."""
    rows: list[tuple[int, ...]] = [BOS_PATCH]
    places: list[tuple[int, int, int] | None] = [None]  # body line, unit in it, offset
    units: list[list[str]] = []
    line = -1
    closed = True
    for unit in units_of(text):
        match = _UNIT.match(unit)
        if match:
            if closed:
                line += 1
                units.append([])
                closed = False
            units[line].append(unit)
            if unit.endswith("\n"):
                closed = True
        for number, patch in enumerate(encode_unit(unit)):
            rows.append(patch)
            places.append((line, len(units[line]) - 1, 16 * number) if match else None)
    rows.append(EOS_PATCH)
    places.append(None)
    count = len(rows)
    example = Example(
        np.array(rows, dtype=np.uint8),
        np.full((count, 16), IGNORE, np.int8),
        np.full((count, 16, ABOVE), IGNORE, np.int8),
        np.full((count, 16), IGNORE, np.int16),
        np.full((count, ABOVE, SLOTS), IGNORE, np.int8),
    )
    key = re.search(r"^K:(.*)$", text, re.M)
    alters = key_alters(key_fifths(key[1] if key else "C"))
    by_line = _labels(units, alters)
    for row, place in enumerate(places):
        if place is None:
            continue
        time, above, chord, grid = by_line[place[0]][place[1]]
        at = place[2]
        size = min(16, len(time) - at)
        example.time[row, :size] = time[at : at + size]
        example.above[row, :size] = above[at : at + size]
        example.chord[row, :size] = chord[at : at + size]
        example.grid[row] = grid
    return example


def _labels(units: list[list[str]], alters: tuple[int, ...]) -> list[list[tuple]]:
    """Labels of every unit of every body line, character by character."""
    out = []
    tied: dict[int, dict[int, int]] = {}
    for line in units:
        parsed = []
        for unit in line:
            match = _UNIT.match(unit)
            assert match is not None
            voice = int(match["voice"])
            bar = parse_bar(unit[match.end() :].rstrip("|:]\n"), alters, tied.setdefault(voice, {}))
            steps = int(max(bar.duration * 2, 0)) + 1
            # What the voice sounds at each sixteenth: 0 nothing, else pitch class + 1.
            sound = np.zeros(max(steps, TIMES), np.int8)
            for event in bar.events:
                a = int(event.onset * 2)
                b = max(a + 1, int((event.onset + event.duration) * 2))
                if event.pitches:
                    sound[a:b] = midi_pitch(event.pitches[-1]) % 12 + 1
            parsed.append((voice, match.end(), bar, sound))
        row = []
        for (voice, start, bar, _), unit in zip(parsed, line, strict=True):
            size = len(unit)
            time = np.full(size, IGNORE, np.int8)
            above = np.full((size, ABOVE), IGNORE, np.int8)
            chord = np.full(size, IGNORE, np.int16)
            grid = np.full((ABOVE, SLOTS), IGNORE, np.int8)
            earlier = [p for p in parsed if p[0] < voice and p[0] <= ABOVE]
            for other, _, _, sound in earlier:
                grid[other - 1] = sound[: 2 * SLOTS : 2]
            at = start
            for event in [*bar.events, None]:
                end = start + event.end if event else size
                onset = event.onset if event else bar.duration
                tick = min(int(onset * Fraction(2)), TIMES - 1)
                time[at:end] = tick
                if event:
                    for other, _, _, sound in earlier:
                        above[at:end, other - 1] = sound[tick]
                    bits = 0
                    for _, _, _, sound in parsed:
                        if sound[tick]:
                            bits |= 1 << (int(sound[tick]) - 1)
                    chord[at:end] = bits
                at = end
            row.append((time, above, chord, grid))
        out.append(row)
    return out
