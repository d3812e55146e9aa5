"""From a stream of events to measured notation in ABC.

Bars are counted off by the metre, a note over a barline becomes tied notes, triplets and other
tuplets are written as such, notes are beamed by beats, the key is found by music21 from the
notes, and pitches are spelt in it. The text has one bar to a line, as NotaGen's has, so the same
tools read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scoregate.abc.keys import (
    ALTERATION_TEXT,
    FIFTHS_OF_LETTER,
    LETTERS,
    SEMITONES,
    Alterations,
    signature,
    transpose_key,
)
from scoregate.abc.writing import length_text
from scoregate.convert.bar_events import Pitch, step_text
from scoregate.lstm.events import Event, Piece, bar_length

UNIT = Fraction(1, 2)
"""L:1/8 in quarter notes."""
PLAIN = [Fraction(2) ** power for power in range(5, -7, -1)]
WRITABLE = sorted({*PLAIN, *(value * Fraction(3, 2) for value in PLAIN)}, reverse=True)
"""Durations of single notes, plain or with one dot, in quarter notes."""
TEMPI = {Fraction(3, 2): "Q:3/8=96", Fraction(2): "Q:1/2=80"}
"""By the length of a beat in quarter notes; 108 quarter notes a minute for others."""
TUPLETS = {3: 2, 5: 4, 7: 4}
"""``(p:q``: p notes in the time of q."""
INSTRUMENTS = {"fiddle": "Violin", "keyboard": "Piano"}
"""Names of parts for styles whose instrumentation is not an instrument's name."""
_LETTER_OF_FIFTHS = {fifths % 7: letter for letter, fifths in FIFTHS_OF_LETTER.items()}


@dataclass(frozen=True, slots=True)
class Portion:
    """The part of an event that lies in one bar.

    Attributes
    ----------
    pitches : tuple of int
    duration : Fraction
        In quarter notes.
    tied : bool
        Goes on in the next bar.
    """

    pitches: tuple[int, ...]
    duration: Fraction
    tied: bool = False


def bars_of(piece: Piece) -> list[list[Portion]]:
    """Count off the bars of a piece; the first is as long as its pickup.

    Returns
    -------
    list of list of Portion
        The last bar may be short.
    """
    full = bar_length(piece.metre)
    room = piece.pickup or full
    bars: list[list[Portion]] = [[]]
    for event in piece.events:
        left = event.duration
        while left:
            if not room:
                bars.append([])
                room = full
            taken = min(left, room)
            left, room = left - taken, room - taken
            bars[-1].append(Portion(event.pitches, taken, bool(left and event.pitches)))
    return bars


def find_key(events: Iterable[Event]) -> tuple[str, int]:
    """Return the key as ABC writes it (``Em``) and its sharps (flats below 0), by music21.

    A last note that is the tonic of the relative key decides for that one. Without notes it
    is C.
    """
    from music21 import chord, note, stream

    flow = stream.Stream()
    for event in events:
        if event.pitches:
            length = float(event.duration)
            one = len(event.pitches) == 1
            flow.append(
                note.Note(event.pitches[0], quarterLength=length)
                if one
                else chord.Chord(list(event.pitches), quarterLength=length)
            )
    if not len(flow):
        return "C", 0
    key: Any = flow.analyze("key")
    sharps = key.sharps
    # music21 may name a key with more than seven accidentals: take its enharmonic.
    if abs(sharps) > 6:
        sharps += -12 if sharps > 0 else 12
    major, minor = transpose_key("C", sharps), transpose_key("Am", sharps)
    # Of two keys with one signature the last note tells better than the profile of the notes.
    last = flow[-1].pitches[0].pitchClass
    if last == (sharps * 7) % 12:
        return major, sharps
    if last == (sharps * 7 + 9) % 12:
        return minor, sharps
    return major if key.mode == "major" else minor, sharps


def beat_length(metre: str) -> Fraction:
    """Return the length of a beat in quarter notes: what a beam may hold.

    >>> [str(beat_length(metre)) for metre in ("4/4", "6/8", "2/2", "3/8", "5/8")]
    ['1', '3/2', '2', '3/2', '1']
    """
    beats, _, unit = metre.partition("/")
    if int(unit) >= 8 and int(beats) % 3 == 0:
        return Fraction(12, int(unit))
    return Fraction(2) if unit == "2" else Fraction(1)


def to_abc(piece: Piece, instrumentation: str, title: str = "") -> str:
    """Return a piece as ABC, one bar to a line.

    Parameters
    ----------
    piece : Piece
    instrumentation : str
        Of the style; it names the part.
    title : str
        Left out where empty.
    """
    key, sharps = find_key(piece.events)
    name = INSTRUMENTS.get(instrumentation.lower(), instrumentation)
    sounding = [pitch for event in piece.events for pitch in event.pitches]
    clef = "bass" if sounding and sum(sounding) / len(sounding) < 56 else "treble"
    beat = beat_length(piece.metre)
    head = [f"T:{title}"] if title else []
    head += [
        "L:1/8",
        TEMPI.get(beat, "Q:1/4=108"),
        f"M:{piece.metre}",
        f"K:{key}",
        f'V:1 {clef} nm="{name}"',
    ]
    bars = _filled(bars_of(piece), piece)
    lines = []
    for number, bar in enumerate(bars):
        barline = "|]" if number == len(bars) - 1 else "|"
        # A pickup is the end of a bar, so its beats are counted from where that bar would begin.
        start = bar_length(piece.metre) - piece.pickup if piece.pickup and not number else 0
        lines.append(f"[V:1]{write_bar(bar, sharps, piece.metre, Fraction(start))}{barline}")
    return "\n".join([*head, *lines]) + "\n"


def _filled(bars: list[list[Portion]], piece: Piece) -> list[list[Portion]]:
    """Add the rest that fills the last bar: to a full bar, or to one less the pickup."""
    full = bar_length(piece.metre)
    if len(bars) < 2:
        return bars
    length = sum(portion.duration for portion in bars[-1])
    wanted = full - piece.pickup if length <= full - piece.pickup else full
    if length < wanted:
        bars[-1].append(Portion((), wanted - length))
    return bars


def write_bar(
    bar: Sequence[Portion],
    sharps: int,
    metre: str = "4/4",
    start: Fraction = Fraction(0),
) -> str:
    """Return the music of one bar, with a space before each beat that a note begins.

    Parameters
    ----------
    bar : sequence of Portion
    sharps : int
        Of the key signature; flats below 0.
    metre : str
    start : Fraction
        Where in the bar the first portion begins, in quarter notes; above 0 for a pickup.
    """
    alters, beat, full = signature(sharps), beat_length(metre), bar_length(metre)
    held: dict[int, int] = {}
    written: list[str] = []
    time = start
    for tuplet, group in _tuplet_groups(bar):
        scale = Fraction(tuplet, TUPLETS[tuplet]) if tuplet else Fraction(1)
        if tuplet:
            parts = [(portion, _writable(portion.duration * scale)) for portion in group]
            _space(written, time, beat)
            count = sum(len(durations) for _, durations in parts)
            written.append(f"({tuplet}:{TUPLETS[tuplet]}:{count}")
        else:
            parts = [(portion, _readable(time, portion.duration, beat, full)) for portion in group]
        for portion, durations in parts:
            for number, duration in enumerate(durations):
                if not tuplet:
                    _space(written, time, beat)
                tied = portion.tied or number < len(durations) - 1
                sounds = _sounds(portion.pitches, sharps, alters, held)
                tie = "-" if tied and portion.pitches else ""
                written.append(sounds + length_text(duration / UNIT) + tie)
                time += duration / scale
    return "".join(written)


def _space(written: list[str], time: Fraction, beat: Fraction) -> None:
    if written and time % beat == 0:
        written.append(" ")


def _tuplet_groups(bar: Sequence[Portion]) -> list[tuple[int, list[Portion]]]:
    """Group portions: 0 for plain values, else the p of ``(p:q``.

    A tuplet goes on until its notes fill a plain duration, or the bar ends.
    """
    groups: list[tuple[int, list[Portion]]] = []
    total = Fraction(0)
    for portion in bar:
        kind = next((p for p in TUPLETS if portion.duration.denominator % p == 0), 0)
        open_ = groups[-1][0] if groups and total else 0
        if open_:
            groups[-1][1].append(portion)
            total += portion.duration
            total = total if total.denominator % open_ == 0 else Fraction(0)
        elif kind:
            groups.append((kind, [portion]))
            total = portion.duration
        else:
            groups.append((0, [portion]))
    return groups


def _readable(
    start: Fraction, duration: Fraction, beat: Fraction, full: Fraction
) -> list[Fraction]:
    """Divide a duration so that the beats of the bar can be seen.

    What begins off a beat is divided at the next one; a syncopation as long as a beat, from the
    middle of one beat to that of the next, is left, but not over the middle of a bar of four
    beats. In compound metres a note over a beat is divided too where it begins on one.

    Parameters
    ----------
    start, duration : Fraction
        In quarter notes, the start from the beginning of the bar.
    beat, full : Fraction
        Length of a beat, and of the bar.
    """
    off = start % beat
    whole = duration // beat * beat
    if off:
        room = beat - off
        middle = full == 4 * beat and start + room == full / 2
        syncopation = off == room and duration == beat and not middle
        if duration <= room or (syncopation and beat.denominator == 1):
            return _writable(duration)
        return [*_writable(room), *_readable(start + room, duration - room, beat, full)]
    if beat.denominator > 1 and 0 < whole < duration:
        return [*_writable(whole), *_writable(duration - whole)]
    return _writable(duration)


def _writable(duration: Fraction) -> list[Fraction]:
    """Return a duration as a sum of plain and dotted values, the longest first.

    >>> [str(part) for part in _writable(Fraction(5, 2))]
    ['2', '1/2']
    """
    parts = []
    while duration:
        part = next((value for value in WRITABLE if value <= duration), duration)
        parts.append(part)
        duration -= part
    return parts


def _sounds(
    pitches: tuple[int, ...], sharps: int, alters: Alterations, held: dict[int, int]
) -> str:
    """Return a note, a chord or a rest without its length.

    Parameters
    ----------
    pitches : tuple of int
    sharps : int
        Of the key signature.
    alters : Alterations
        Of the key signature.
    held : dict of int to int
        Accidentals of the bar so far, by diatonic step; changed in place.
    """
    names = []
    for step, alteration in (_spell(pitch, sharps) for pitch in pitches):
        sign = ""
        if held.get(step, alters[step % 7]) != alteration:
            held[step] = alteration
            sign = ALTERATION_TEXT[alteration]
        names.append(sign + step_text(step))
    return names[0] if len(names) == 1 else f"[{''.join(names)}]" if names else "z"


def _spell(pitch: int, sharps: int) -> Pitch:
    """Return the diatonic step (0 is C4) and the alteration of a MIDI number in a key."""
    # Twelve neighbours on the line of fifths, from three flats beyond the signature's centre.
    position = next(p for p in range(sharps - 3, sharps + 9) if (p * 7 - pitch) % 12 == 0)
    letter, alteration = _LETTER_OF_FIFTHS[position % 7], (position + 1) // 7
    place = LETTERS.index(letter)
    return place + 7 * ((pitch - alteration - SEMITONES[place]) // 12 - 5), alteration
