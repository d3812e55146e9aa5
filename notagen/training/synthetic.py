"""Rule-made chorales: unlimited, free of anyone's terms, and every beat is a chord.

A first course in harmony for a model that would otherwise learn the notation alone.
Chords follow each other by function, cadences close the phrases, and a shortest path
through all voicings of all chords finds the four voices: range, spacing, doubling,
parallel fifths and octaves, leaps and resolutions are its costs. Passing and neighbour
notes and suspensions are written in afterwards. Everything is decided by the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np

from scoregate.abc.keys import signature
from scoregate.convert.bar_events import Event, midi_pitch, write_bar
from scoregate.convert.chorale import CHORALE_HEADS
from scoregate.convert.piece import Bar, Piece, piece_text

# Sounding ranges of the four singers as diatonic steps from C4 = 0.
RANGES = ((1, 11), (-3, 8), (-7, 4), (-12, 0))
MIDDLE = (7.0, 3.0, -1.0, -7.0)

# Chords as degree, inversion, kind; what may follow, with weights. "7" adds the seventh;
# "/x" raises the third: a dominant of another degree.
MAJOR = {
    "I": "IV:4 V:4 vi:4 ii6:3 I6:3 V6:2 iii:1 viio6:2 V43:2 IV6:1 V/IV:1 V/vi:2 V/ii:1 ii7:1 vi7:1",
    "I6": "IV:4 ii6:3 V:3 I:1 viio6:2 vi:1 ii65:2 V/IV:1",
    "ii": "V:4 V7:3 V6:2 viio6:1 vi:1 V/V:1",
    "ii6": "V:5 V7:3 I64:1 V2:1",
    "ii65": "V:5 V7:2 I64:1",
    "ii7": "V:4 V7:2",
    "iii": "vi:4 IV:3 ii6:1",
    "IV": "I:3 V:4 ii6:1 I6:2 viio6:2 V7:1 V2:1 V6:1 ii:1 V/V6:1",
    "IV6": "V:3 I64:1 V65:2 I6:1",
    "V": "I:6 vi:2 I6:1 V2:1 V6:1 V/vi6:1",
    "V7": "I:6 vi:2",
    "V6": "I:6 V65:1",
    "V65": "I:6",
    "V43": "I6:3 I:3",
    "V2": "I6:6",
    "I64": "V:3 V7:3",
    "vi": "ii:3 IV:3 V:2 ii6:2 iii:1 V/V:1 V6:1 I6:1 ii65:1 vi7:1",
    "vi7": "ii:2 IV6:1 V/V:1",
    "viio6": "I:5 I6:3 vi:1",
    "V/V": "V:6 V2:1",
    "V/V6": "V:6",
    "V/vi": "vi:6",
    "V/vi6": "vi:6",
    "V/ii": "ii:6",
    "V/IV": "IV:6 ii6:1",
}
MINOR = {
    "i": "iv:4 V:4 VI:2 iio6:3 i6:3 V6:2 viio6:2 V43:2 iv6:2 VII:2 III:1 ii065:1",
    "i6": "iv:4 iio6:3 V:3 viio6:2 i:1 ii065:2 VI:1",
    "iio6": "V:5 V7:3 i64:1",
    "ii065": "V:5 V7:2",
    "III": "VI:3 iv:3 VII:2 iio6:1 VII6:1 III6:1",
    "III6": "VI:2 iv:3 VII:1",
    "iv": "V:4 i:3 V7:2 i6:1 viio6:1 iio6:1 VII:2 V6:1",
    "iv6": "V:5",
    "V": "i:6 VI:2 i6:1 V2:1 V6:1",
    "V7": "i:6 VI:2",
    "V6": "i:6",
    "V43": "i:3 i6:3",
    "V2": "i6:6",
    "i64": "V:3 V7:3",
    "VI": "iio6:3 iv:3 V:3 III:2 VII:1",
    "VII": "III:6 i:1 VII6:1",
    "VII6": "III:5",
    "viio6": "i:5 i6:3",
}
CADENCES_MAJOR = (
    "ii6 V I",
    "IV V I",
    "ii65 V I",
    "I64 V I",
    "I V I",
    "IV I V",
    "I ii6 V",
    "vi ii6 V",
    "I6 viio6 I",
    "I IV V",
    "IV V vi",
    "ii6 V/vi",
    "V/V6 V V",
    "vi V/V V",
    "V7 I I",
    "I64 V7 I",
)
CADENCES_MINOR = (
    "iio6 V i",
    "iv V i",
    "ii065 V i",
    "i64 V i",
    "i iv V",
    "VI iv V",
    "iv6 V V",
    "i6 viio6 i",
    "VII III III",
    "iv VII III",
    "iv V VI",
    "i64 V7 i",
    "i V i",
)
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
    """The cheapest voices through a row of chords, a little shaken: (n, 4) steps."""
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


def _follow(table: dict[str, list[tuple[str, float]]], name: str, rng: random.Random) -> str:
    names, weights = zip(*table[name], strict=True)
    return rng.choices(names, weights)[0]


@cache
def _table(minor: bool) -> dict[str, list[tuple[str, float]]]:
    source = MINOR if minor else MAJOR
    table = {}
    for name, text in source.items():
        pairs = [item.rsplit(":", 1) for item in text.split()]
        table[name] = [(n, float(w)) for n, w in pairs if n in source or "/" in n]
    return table


def phrase_chords(
    length: int, start: str | None, minor: bool, last: bool, rng: random.Random
) -> list[str]:
    """Names of the chords of a phrase, one a beat, with its cadence."""
    table = _table(minor)
    home = "i" if minor else "I"
    cadences = CADENCES_MINOR if minor else CADENCES_MAJOR
    closing = [c for c in cadences if c.split()[-1] == home and "V" in c]
    names: list[str] = []
    cadence: list[str] = []
    for _ in range(200):
        cadence = rng.choice(closing if last else cadences).split()
        names = [_follow(table, start, rng) if start else home]
        while len(names) < length - len(cadence):
            names.append(_follow(table, names[-1], rng))
        if cadence[0] in {n for n, _ in table[names[-1]]} or cadence[0] == names[-1]:
            return names + cadence
    return names + cadence


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
    lively = (0.12, 0.3, 0.3, 0.4)[voice_index]
    for i, step in enumerate(steps):
        step = int(step)
        alters = dict(zip(chords[i].letters, chords[i].alters, strict=True))
        pitch = (step, alters[step % 7])
        length = Fraction(2 * holds[i])
        fermata = i in ends
        following = int(steps[i + 1]) if i + 1 < len(steps) else step
        gap = following - step
        if (voice_index, i) in plain:
            events.append(_note(pitch, int(length), fermata))
            continue
        rng = random.Random(f"{seed}/{voice_index}/{i}")
        if not fermata and length == 2 and i + 1 < len(steps):
            later = dict(zip(chords[i + 1].letters, chords[i + 1].alters, strict=True))
            between = step + (1 if gap > 0 else -1)
            sign = alters.get(between % 7, later.get(between % 7, 0))
            if abs(gap) == 2 and rng.random() < lively * 1.8:
                events.append(_note(pitch, 1))
                events.append(_note((between, sign), 1))
                continue
            if gap == 0 and rng.random() < lively * 0.4:
                low = step - 1
                events.append(_note(pitch, 1))
                events.append(_note((low, alters.get(low % 7, 0)), 1))
                continue
            if gap == -1 and rng.random() < lively * 0.25:
                # An anticipation of the note to come.
                events.append(_note(pitch, 1))
                events.append(_note((following, later[following % 7]), 1))
                continue
        if events and length >= 2 and not fermata and voice_index < 3:
            before = events[-1]
            if (
                before.pitches and before.pitches[0][0] - step == 1 and before.duration == 2
                and not before.fermata and rng.random() < lively * 0.35
            ):  # fmt: skip
                # A suspension: the note before sounds on and falls on the second half.
                events.append(_note(before.pitches[0], 1))
                events.append(_note(pitch, int(length) - 1))
                continue
        events.append(_note(pitch, int(length), fermata))
    return events


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
