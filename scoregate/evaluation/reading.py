"""A piece as a grid of voices and moments, the form that every measure works on.

A moment is a time at which some voice begins a note or rest. Times are in quarters, exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.keys import key_fifths
from scoregate.convert.bar_events import midi_pitch
from scoregate.evaluation.lines import leading_tone, read_lines

SILENT = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A note, tied ones joined.

    Attributes
    ----------
    onset, duration : Fraction
        In quarters; the onset from the beginning of the piece.
    step : int
        Diatonic step, C4 = 0.
    pitch : int
        MIDI number.
    fermata : bool
    """

    onset: Fraction
    duration: Fraction
    step: int
    pitch: int
    fermata: bool

    @property
    def end(self) -> Fraction:
        """When it stops sounding, in quarters."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class VoiceGrid:
    """A piece, voice by moment.

    Attributes
    ----------
    notes : list of list of Note
        Of each voice, highest first; rests are gaps.
    times : list of Fraction
        Moments in quarters.
    pitch : ndarray of int, shape (voices, moments)
        MIDI number that each voice sounds, ``SILENT`` (0) for none.
    step : ndarray of int, same shape
        Diatonic step; undefined where silent.
    begins : ndarray of bool, same shape
        Whether a note begins there.
    fermata : ndarray of bool, shape (moments,)
        Whether a note with a fermata begins there in any voice.
    metre : str
    fifths : int
        Key signature, sharps positive.
    minor : bool
        Whether the key field names a minor key.
    leading : int
        Pitch class of the leading tone of the key field.
    """

    notes: list[list[Note]]
    times: list[Fraction]
    pitch: NDArray[np.int64]
    step: NDArray[np.int64]
    begins: NDArray[np.bool_]
    fermata: NDArray[np.bool_]
    metre: str
    fifths: int
    minor: bool
    leading: int

    @property
    def tonic(self) -> int:
        """Pitch class of the key field's tonic."""
        return (self.leading + 1) % 12

    @property
    def quarters(self) -> float:
        """Length of the piece up to its last note's end."""
        return float(max((v[-1].end for v in self.notes if v), default=Fraction(0)))

    def at(self, time: Fraction) -> int:
        """Index of the moment that is in force at a time; -1 before the first."""
        low, high = 0, len(self.times)
        while low < high:
            middle = (low + high) // 2
            if self.times[middle] <= time:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def on_beats(self) -> list[int]:
        """Index of the moment in force on every quarter at which somebody sounds."""
        found = []
        for quarter in range(int(self.quarters)):
            moment = self.at(Fraction(quarter))
            if moment >= 0 and self.pitch[:, moment].any():
                found.append(moment)
        return found


def read_grid(text: str, transpose: Mapping[int, int] | None = None) -> VoiceGrid:
    """Read interleaved ABC, marks ``[r:i/j]`` allowed, as a grid.

    Faulty text is read as far as it goes: a line lasts as long as its longest voice.

    Parameters
    ----------
    text : str
    transpose : mapping of int to int, optional
        Semitones from written to sounding, by number of the voice; left out, 0.
    """
    lines, _, quarter = read_lines(text)
    numbers = sorted({voice for line in lines for voice in line.voices})
    notes: dict[int, list[Note]] = {voice: [] for voice in numbers}
    open_ties: dict[int, bool] = dict.fromkeys(numbers, False)
    start = Fraction(0)
    for line in lines:
        for voice in numbers:
            _read_bar(line.voices.get(voice, []), start, quarter, notes[voice], open_ties, voice)
        start += max(line.lengths.values(), default=Fraction(0)) / quarter
    voices = [_sounding(notes[voice], (transpose or {}).get(voice, 0)) for voice in numbers]
    times = sorted({n.onset for v in voices for n in v} | {n.end for v in voices for n in v})[:-1]
    place = {time: i for i, time in enumerate(times)}
    shape = (len(voices), len(times))
    pitch, step = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    begins, fermata = np.zeros(shape, np.bool_), np.zeros(len(times), np.bool_)
    for row, voice in enumerate(voices):
        for note in voice:
            first = place[note.onset]
            last = place.get(note.end, len(times))
            pitch[row, first:last], step[row, first:last] = note.pitch, note.step
            begins[row, first] = True
            fermata[first] |= note.fermata
    key = re.search(r"^K:(.*)$", text, re.M)
    metre = re.search(r"^M:(.*)$", text, re.M)
    name = key[1] if key else "C"
    fifths, leading = key_fifths(name), leading_tone(name)
    minor = (leading + 1) % 12 != fifths * 7 % 12
    return VoiceGrid(voices, times, pitch, step, begins, fermata,
                     metre[1].strip() if metre else "", fifths, minor, leading)  # fmt: skip


def _sounding(voice: list[Note], semitones: int) -> list[Note]:
    """Return a voice as it sounds; its steps move by as many as the interval has."""
    if not semitones:
        return voice
    steps = round(semitones * 7 / 12)
    return [replace(note, pitch=note.pitch + semitones, step=note.step + steps) for note in voice]


def _read_bar(events, start, quarter, out: list[Note], open_ties, voice: int) -> None:
    """Append a bar's notes to a voice, joining what is tied."""
    for event in events:
        onset = start + event.onset / quarter
        duration = event.duration / quarter
        if not event.pitches or duration <= 0:
            open_ties[voice] = False
            continue
        step, alter = event.pitches[0]
        pitch = midi_pitch((step, alter))
        if open_ties[voice] and out and out[-1].pitch == pitch and out[-1].end == onset:
            before = out.pop()
            onset, duration = before.onset, before.duration + duration
            event_fermata = before.fermata or event.fermata
        else:
            event_fermata = event.fermata
        out.append(Note(onset, duration, step, pitch, event_fermata))
        open_ties[voice] = event.tie
