"""Rule-made chorales: unlimited, free of anyone's terms, and every beat is a chord.

A first course in harmony for a model that would otherwise learn the notation alone. Chords follow
each other by function (:mod:`~scoregate.notagen.training.progressions`), a shortest path through
all voicings of all chords finds the four voices (:mod:`~scoregate.notagen.training.voicing`), and
passing and neighbour notes, anticipations and suspensions are written in afterwards, but for those
that would make parallels. Everything is decided by the seed.
"""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np

from scoregate.abc.keys import signature
from scoregate.convert.bar_events import Event, midi_pitch, write_bar
from scoregate.convert.chorale import CHORALE_HEADS
from scoregate.convert.piece import Bar, Piece, piece_text
from scoregate.notagen.training.progressions import phrase_chords
from scoregate.notagen.training.voicing import Chord, chord_of, voice

LIVELY = (0.12, 0.3, 0.3, 0.4)  # how often each voice is ornamented


def chorale(seed: int) -> str:
    """One rule-made chorale as interleaved ABC, in C major or A minor.

    Parameters
    ----------
    seed : int
        Decides everything.
    """
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    minor = rng.random() < 0.45
    beats_in_bar = 4 if rng.random() < 0.85 else 3
    pickup = rng.random() < 0.6
    phrases = rng.choice((2, 3, 4, 4, 5, 6))
    names: list[str] = []
    holds: list[int] = []  # beats of each chord
    ends: set[int] = set()
    for p in range(phrases):
        length = 2 * beats_in_bar if beats_in_bar == 4 else rng.choice((6, 9))
        chords = phrase_chords(
            length - 1, names[-1] if names else None, minor, p == phrases - 1, rng
        )
        names += chords
        # The last chord of a phrase is held; now and then a chord fills two beats.
        beats = [1] * len(chords)
        beats[-1] = 2
        extra = length - sum(beats)
        if extra > 0:
            beats[rng.randrange(len(beats) - 1)] += extra
        if rng.random() < 0.2 and len(chords) > 5:
            at = rng.randrange(1, len(chords) - 3)
            del names[-(len(chords) - at)]
            beats[at] += 1
            del beats[at + 1 if at + 1 < len(beats) - 1 else at]
            beats = beats[: len(chords) - 1]
            beats[-1] += length - sum(beats)
        holds += beats
        ends.add(len(names) - 1)
    chords = [chord_of(n, minor) for n in names]
    steps = voice(chords, numbers)
    parts = _ornamented(steps, chords, holds, ends, seed)
    return _write(parts, beats_in_bar, pickup, minor)


def _ornamented(
    steps: np.ndarray, chords: list[Chord], holds: list[int], ends: set[int], seed: int
) -> list[list[Event]]:
    """All four voices with their ornaments, less those that make parallels.

    Each ornament is chosen by itself, so one can be left out without changing the others: where
    two voices move in parallel fifths or octaves, both go without theirs on the two chords.
    """
    plain: set[tuple[int, int]] = set()
    while True:
        parts = [_line(steps[:, v], chords, holds, ends, v, seed, plain) for v in range(4)]
        found = {
            (v, i)
            for upper, lower, chord in _parallels(parts, holds)
            for v in (upper, lower)
            for i in (chord - 1, chord)
        }
        if found <= plain:
            return parts
        plain |= found


def _parallels(parts: list[list[Event]], holds: list[int]) -> list[tuple[int, int, int]]:
    """Pairs of voices in parallel fifths or octaves, and the chord on which they arrive."""
    length = 2 * sum(holds)
    pitch = np.zeros((4, length), np.int64)
    begins = np.zeros((4, length), np.bool_)
    for voice_index, events in enumerate(parts):
        at = 0
        for event in events:
            pitch[voice_index, at : at + int(event.duration)] = midi_pitch(event.pitches[0])
            begins[voice_index, at] = True
            at += int(event.duration)
    chord_at = np.repeat(np.arange(len(holds)), 2 * np.array(holds))
    motion = np.diff(pitch, axis=1) * begins[:, 1:]
    found = []
    for upper in range(4):
        for lower in range(upper + 1, 4):
            width = np.abs(pitch[upper] - pitch[lower]) % 12
            same = (motion[upper] * motion[lower] > 0) & (width[1:] == width[:-1])
            moments = np.flatnonzero(same & np.isin(width[1:], (0, 7))) + 1
            found += [(upper, lower, int(chord_at[m])) for m in moments]
    return found


# More than six parameters: what the voices before have settled for this one.
def _line(
    steps: np.ndarray,
    chords: list[Chord],
    holds: list[int],
    ends: set[int],
    voice_index: int,
    seed: int,
    plain: set[tuple[int, int]],
) -> list[Event]:
    """One voice as events in eighths, with passing notes, neighbours and suspensions.

    Parameters
    ----------
    steps : ndarray (chords,)
        The voice's diatonic step in each chord.
    chords : list of Chord
    holds : list of int
        Beats of each chord.
    ends : set of int
        Chords that carry a fermata.
    voice_index : int
        0 for the soprano to 3 for the bass.
    seed : int
        The piece's.
    plain : set of (int, int)
        Voice and chord that go without an ornament.
    """
    events: list[Event] = []
    for i, step in enumerate(steps.tolist()):
        length, fermata = 2 * holds[i], i in ends
        written = None
        if (voice_index, i) not in plain and not fermata:
            rng = random.Random(f"{seed}/{voice_index}/{i}")
            following = int(steps[i + 1]) if i + 1 < len(steps) else None
            lively = LIVELY[voice_index]
            if length == 2 and following is not None:
                written = _figure(step, following, chords[i], chords[i + 1], lively, rng)
            if written is None and events and voice_index < 3:
                written = _suspension(events[-1], step, chords[i], length, lively, rng)
        events += written or [_note(_pitch(step, chords[i]), length, fermata)]
    return events


def _pitch(step: int, chord: Chord) -> tuple[int, int]:
    """Return a step of a chord with the chord's alteration."""
    return step, dict(zip(chord.letters, chord.alters, strict=True))[step % 7]


def _figure(
    step: int, following: int, chord: Chord, later: Chord, lively: float, rng: random.Random
) -> list[Event] | None:
    """Return two eighths in place of a quarter, or None.

    Parameters
    ----------
    step, following : int
        The voice's diatonic step in this chord and in the next one.
    chord, later : Chord
    lively : float
        How often an ornament is taken.
    rng : Random
    """
    alters = dict(zip(chord.letters, chord.alters, strict=True))
    after = dict(zip(later.letters, later.alters, strict=True))
    first, gap = _note(_pitch(step, chord), 1), following - step
    if abs(gap) == 2 and rng.random() < lively * 1.8:
        between = step + (1 if gap > 0 else -1)
        return [first, _note((between, alters.get(between % 7, after.get(between % 7, 0))), 1)]
    if gap == 0 and rng.random() < lively * 0.4:
        return [first, _note((step - 1, alters.get((step - 1) % 7, 0)), 1)]
    if gap == -1 and rng.random() < lively * 0.25:
        # An anticipation of the note to come.
        return [first, _note(_pitch(following, later), 1)]
    return None


def _suspension(
    before: Event, step: int, chord: Chord, length: int, lively: float, rng: random.Random
) -> list[Event] | None:
    """Return the note before sounding on for an eighth and falling, or None.

    Parameters
    ----------
    before : Event
        What the voice sounded last.
    step : int
        The voice's diatonic step in this chord.
    chord : Chord
    length : int
        Eighths of this chord.
    lively : float
        How often an ornament is taken.
    rng : Random
    """
    falls = bool(before.pitches) and before.pitches[0][0] - step == 1
    if falls and before.duration == 2 and not before.fermata and rng.random() < lively * 0.35:
        return [_note(before.pitches[0], 1), _note(_pitch(step, chord), length - 1)]
    return None


def _note(pitch: tuple[int, int], length: int, fermata: bool = False) -> Event:
    return Event(Fraction(0), Fraction(length), (pitch,), 0, 0, False, fermata)


def _write(parts: list[list[Event]], beats: int, pickup: bool, minor: bool) -> str:
    """Cut the voices into bars and write the piece."""
    alters = signature(0)
    full = Fraction(2 * beats)
    voices: dict[str, list[Bar]] = {}
    for index, events in enumerate(parts):
        bars: list[list[Event]] = [[]]
        left = Fraction(2) if pickup else full
        for event in events:
            rest = event.duration
            first = True
            while rest > 0:
                take = min(rest, left)
                tie = take < rest
                bars[-1].append(
                    Event(Fraction(0), take, event.pitches, 0, 0, tie, event.fermata and first)
                )
                rest -= take
                left -= take
                first = False
                if left == 0:
                    bars.append([])
                    left = full
        bars = [b for b in bars if b]
        written = [Bar(write_bar(b, alters)) for b in bars]
        written[-1].right = "|]"
        voices[str(index + 1)] = written
    fields = {"%%score": "[ 1 2 3 4 ]", "L": "1/8", "Q": "1/4=80", "M": f"{beats}/4",
              "K": "Am" if minor else "C"}  # fmt: skip
    return piece_text(Piece("rules", fields, dict(CHORALE_HEADS), voices))
