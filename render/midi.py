"""From a Score to MIDI.

- Every voice has its instrument. Pitches are the sounding ones, as the gates judged them.
- Repeats and endings are unfolded.
- A tied note is one note. Grace notes sound before the beat and shorten the note before them, so
  that every main note begins where it is written. On the first beat of the piece they shorten
  their own note.
- Where the voices of a bar differ in length, as in a rejected piece, the bar lasts as long as the
  longest, so that all voices begin the next bar together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from scoregate.abc.keys import FIFTHS_OF_LETTER, FIFTHS_OF_MODE
from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.abc.source_text import split_lines
from scoregate.render.midi_file import Conductor, Note, Track, midi_bytes
from scoregate.render.playing_order import playing_order
from scoregate.render.programs import programs_of

TICKS = 480
"""Ticks a quarter note."""

DEFAULT_TEMPO = 120.0
"""Quarter notes a minute where the piece names none, as the ABC standard has it."""

VELOCITY = 80
GRACE_VELOCITY = 64
GRACE = Fraction(1, 32)
MAX_BARS = 20_000
"""A piece whose repeats unfold to more is played without them."""


def midi_of(score: Score, title: str = "") -> bytes:
    """Return a piece as a Standard MIDI File.

    Parameters
    ----------
    score : Score
    title : str
        Name of the sequence; the score's own title where empty.

    Returns
    -------
    bytes
        Format 1, 480 ticks a quarter: a track of tempo, metre and key, then a track a
        voice. The same score gives the same bytes.
    """
    order = playing_order(score, MAX_BARS)
    lengths = _bar_lengths(score)
    starts: list[Fraction] = []
    now = Fraction(0)
    for bar in order:
        starts.append(now)
        now += lengths[bar]
    conductor = _conductor(score, order, starts)
    conductor.title = title or score.title
    tracks = [
        Track(name, program, _notes(voice, order, starts))
        for name, program, voice in zip(
            track_names(score.voices), programs_of(score.voices), score.voices, strict=True
        )
    ]
    return midi_bytes(conductor, tracks, TICKS)


def sounding_seconds(score: Score) -> float:
    """Return how long the piece lasts, repeats included."""
    return bar_times(score)[1]


def bar_times(score: Score) -> tuple[list[tuple[int, float]], float]:
    """Return when each bar begins in the MIDI file.

    Returns
    -------
    times : list of (int, float)
        Index of a bar (from 0) and the second at which it begins, in the order of playing:
        a bar that is repeated stands there more than once.
    end : float
        Seconds that the whole piece lasts.
    """
    seconds = []
    for length, tempos in zip(_bar_lengths(score), _tempos(score), strict=True):
        ends = [onset for onset, _ in tempos[1:]] + [length]
        minutes = sum(
            float(max(end - onset, Fraction(0))) * 4 / tempo
            for (onset, tempo), end in zip(tempos, ends, strict=True)
        )
        seconds.append(60 * minutes)
    times, now = [], 0.0
    for index in playing_order(score, MAX_BARS):
        times.append((index, now))
        now += seconds[index]
    return times, now


def track_names(voices: Sequence[Voice]) -> list[str]:
    """Return a name for each voice; voices that share one are numbered."""
    names = [
        (voice.name or voice.instrument or f"Voice {voice.id}").replace("\\n", " ")
        for voice in voices
    ]
    numbered = []
    for position, name in enumerate(names):
        if names.count(name) > 1:
            numbered.append(f"{name} {names[: position + 1].count(name)}")
        else:
            numbered.append(name)
    return numbered


def _bar_lengths(score: Score) -> list[Fraction]:
    count = max((len(voice.bars) for voice in score.voices), default=0)
    lengths = [Fraction(0)] * count
    for voice in score.voices:
        for index, bar in enumerate(voice.bars):
            ends = [bar.duration, *(event.onset + event.duration for event in bar.events)]
            lengths[index] = max(lengths[index], *ends)
    return lengths


@dataclass(slots=True)
class _Sounding:
    """A note under way, in whole notes from the beginning of the piece."""

    start: Fraction
    end: Fraction
    pitch: int
    velocity: int = VELOCITY


def _notes(voice: Voice, order: Sequence[int], starts: Sequence[Fraction]) -> list[Note]:
    sounding: list[_Sounding] = []
    by_end: dict[tuple[int, Fraction], _Sounding] = {}
    for index, start in zip(order, starts, strict=True):
        if index < len(voice.bars):
            _play_bar(voice.bars[index], start, sounding, by_end)
    notes = [
        Note(_ticks(note.start), max(_ticks(note.end), _ticks(note.start) + 1), pitch, velocity)
        for note in sounding
        for pitch, velocity in [(note.pitch, note.velocity)]
        if 0 <= pitch <= 127
    ]
    return sorted(notes, key=lambda note: (note.start, note.pitch, note.end))


def _play_bar(
    bar: Bar,
    start: Fraction,
    sounding: list[_Sounding],
    by_end: dict[tuple[int, Fraction], _Sounding],
) -> None:
    graces: dict[int, list[Event]] = {}
    for event in bar.events:
        if event.grace:
            graces.setdefault(event.overlay, []).append(event)
            continue
        onset = start + event.onset
        before = graces.pop(event.overlay, [])
        if not event.pitches:
            continue
        delay = _play_graces(before, onset, event.duration, sounding)
        end = onset + event.duration
        for pitch in dict.fromkeys(event.pitches):
            held = by_end.get((pitch, onset)) if pitch in event.tied_pitches else None
            if held is not None:
                del by_end[pitch, onset]
                held.end = end
            else:
                held = _Sounding(onset + delay, end, pitch)
                sounding.append(held)
            by_end[pitch, end] = held


def _play_graces(
    graces: Sequence[Event], onset: Fraction, duration: Fraction, sounding: list[_Sounding]
) -> Fraction:
    """Sound grace notes before a beat; return by how much its note is put off."""
    if not graces:
        return Fraction(0)
    if onset > 0:
        length = min(GRACE, onset / (2 * len(graces)))
        first = onset - length * len(graces)
        # The note before gives its end away, but is never taken away wholly.
        for note in sounding[-8:]:
            if note.start < first < note.end <= onset:
                note.end = first
        delay = Fraction(0)
    else:
        length = min(GRACE, duration / (2 * len(graces)))
        first, delay = onset, length * len(graces)
    for number, grace in enumerate(graces):
        at = first + length * number
        sounding.extend(
            _Sounding(at, at + length, pitch, GRACE_VELOCITY) for pitch in grace.pitches
        )
    return delay


def _ticks(whole_notes: Fraction) -> int:
    return round(whole_notes * 4 * TICKS)


_INLINE_TEMPO = re.compile(
    r"\[Q:[^\]\n]{0,40}?(\d{1,2})/(\d{1,2})\s*=\s*(\d{1,3}(?:\.\d{1,3})?)[^\]\n]*\]"
)


def tempo_changes(score: Score) -> dict[int, list[tuple[Fraction, float]]]:
    """Return the tempos that ``[Q:]`` sets in mid-piece.

    Returns
    -------
    dict of int to list of (Fraction, float)
        By index of the bar: onsets in it, in whole notes, and quarter notes a minute.
    """
    if "[Q:" not in score.text:
        return {}
    events: dict[int, list[tuple[int, int, Fraction]]] = {}
    for voice in score.voices:
        for index, bar in enumerate(voice.bars):
            for event in bar.events:
                events.setdefault(event.line, []).append((event.column, index, event.onset))
    changes: dict[int, dict[Fraction, float]] = {}
    for number, line in enumerate(split_lines(score.text), 1):
        for match in _INLINE_TEMPO.finditer(line) if "[Q:" in line else ():
            # It holds from the note behind it.
            behind = [event for event in events.get(number, ()) if event[0] > match.end()]
            tempo = float(match[3]) * 4 * int(match[1]) / max(int(match[2]), 1)
            if behind and 5 <= tempo <= 1000:
                _, index, onset = min(behind)
                changes.setdefault(index, {})[onset] = tempo
    return {index: sorted(of_bar.items()) for index, of_bar in sorted(changes.items())}


def _tempos(score: Score) -> list[list[tuple[Fraction, float]]]:
    """Return for each bar the tempos in force: one from its beginning, then its changes."""
    changes = tempo_changes(score)
    in_force = score.tempo or DEFAULT_TEMPO
    tempos = []
    for index in range(len(_bar_lengths(score))):
        of_bar = [(Fraction(0), in_force), *changes.get(index, ())]
        if len(of_bar) > 1 and of_bar[1][0] == 0:
            del of_bar[0]
        in_force = of_bar[-1][1]
        tempos.append(of_bar)
    return tempos


def _conductor(score: Score, order: Sequence[int], starts: Sequence[Fraction]) -> Conductor:
    conductor = Conductor()
    tempos = _tempos(score)
    conductor.tempos = [
        (_ticks(start + onset), tempo)
        for index, start in zip(order, starts, strict=True)
        for onset, tempo in tempos[index]
    ]
    conductor.tempos = [
        now
        for before, now in zip([(0, 0.0), *conductor.tempos], conductor.tempos, strict=False)
        if now[1] != before[1]
    ] or [(0, score.tempo or DEFAULT_TEMPO)]
    # A part that sounds as written shows the concert key.
    leader = min(score.voices, key=lambda voice: (voice.transpose % 12 != 0, -len(voice.bars)),
                 default=None)  # fmt: skip
    if leader is None:
        return conductor
    metre_now = key_now = ""
    for index, start in zip(order, starts, strict=True):
        if index >= len(leader.bars):
            continue
        bar = leader.bars[index]
        if bar.metre_text != metre_now:
            metre_now = bar.metre_text
            metre = metre_of(metre_now)
            if metre:
                conductor.metres.append((_ticks(start), *metre))
        if bar.key != key_now:
            key_now = bar.key
            key = key_of(key_now)
            if key:
                conductor.keys.append((_ticks(start), *key))
    return conductor


def metre_of(text: str) -> tuple[int, int] | None:
    """Return beats and beat unit of a metre as written; None where MIDI can't say it."""
    text = {"C": "4/4", "C|": "2/2"}.get(text.strip(), text.strip())
    match = re.fullmatch(r"\(?([0-9+ ]{1,40})\)?/([0-9]{1,3})", text)
    if not match or not re.fullmatch(r"\s*\d+(\s*\+\s*\d+)*\s*", match[1]):
        return None
    beats = sum(int(part) for part in match[1].split("+"))
    unit = int(match[2])
    if not 0 < beats < 256 or unit not in (1, 2, 4, 8, 16, 32, 64):
        return None
    return beats, unit


def key_of(text: str) -> tuple[int, bool] | None:
    """Return sharps (flats negative) and minor of a key as written; None where there is none."""
    match = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", text)
    if not match:
        return None
    mode = match[3].lower()[:3]
    shift = FIFTHS_OF_MODE.get(mode, 0)
    fifths = FIFTHS_OF_LETTER[match[1]] + {"#": 7, "b": -7, "": 0}[match[2]] + shift
    if not -7 <= fifths <= 7:
        return None
    return fifths, shift == -3
