"""From a stream of events to measured notation in ABC.

Bars are counted off by the metre, a note over a barline becomes tied notes, triplets and other
tuplets are written as such, the key is found by music21 from the notes, and pitches are spelt in
it. The text has one bar to a line, as NotaGen's has, so the same tools read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from scoregate.lstm.events import Event, Piece, bar_length

UNIT = Fraction(1, 2)
"""L:1/8 in quarter notes."""
PLAIN = [Fraction(2) ** power for power in range(5, -7, -1)]
WRITABLE = sorted({*PLAIN, *(value * Fraction(3, 2) for value in PLAIN)}, reverse=True)
"""Durations of single notes, plain or with one dot, in quarter notes."""
TUPLETS = {3: 2, 5: 4, 7: 4}
"""``(p:q``: p notes in the time of q."""
INSTRUMENTS = {"fiddle": "Violin", "keyboard": "Piano"}
"""Names of parts for styles whose instrumentation is not an instrument's name."""
FIFTHS = "FCGDAEB"


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

    Without notes it is C.
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
    position = sharps + (1 if key.mode == "major" else 4)
    letter, accidental = FIFTHS[position % 7], position // 7
    name = letter + ("#" * accidental if accidental > 0 else "b" * -accidental)
    return name + ("" if key.mode == "major" else "m"), sharps


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
    compound = piece.metre.endswith("/8") and int(piece.metre.split("/")[0]) % 3 == 0
    head = [f"T:{title}"] if title else []
    head += [
        "L:1/8",
        "Q:3/8=96" if compound else "Q:1/4=108",
        f"M:{piece.metre}",
        f"K:{key}",
        f'V:1 {clef} nm="{name}"',
    ]
    bars = bars_of(piece)
    lines = []
    for number, bar in enumerate(bars):
        barline = "|]" if number == len(bars) - 1 else "|"
        lines.append(f"[V:1]{write_bar(bar, sharps)}{barline}")
    return "\n".join([*head, *lines]) + "\n"


def write_bar(bar: Sequence[Portion], sharps: int) -> str:
    """Return the music of one bar.

    Parameters
    ----------
    bar : sequence of Portion
    sharps : int
        Of the key signature; flats below 0.
    """
    altered: dict[tuple[str, int], int] = {}
    written: list[str] = []
    for tuplet, group in _tuplet_groups(bar):
        if tuplet:
            written.append(f"({tuplet}:{TUPLETS[tuplet]}:{len(group)}")
            scale = Fraction(tuplet, TUPLETS[tuplet])
            parts = [(portion, [portion.duration * scale]) for portion in group]
        else:
            parts = [(portion, _writable(portion.duration)) for portion in group]
        for portion, durations in parts:
            for number, duration in enumerate(durations):
                tied = portion.tied or number < len(durations) - 1
                written.append(_write(portion.pitches, duration, tied, sharps, altered))
    return "".join(written)


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


def _write(
    pitches: tuple[int, ...],
    duration: Fraction,
    tied: bool,
    sharps: int,
    altered: dict[tuple[str, int], int],
) -> str:
    length = duration / UNIT
    suffix = "" if length == 1 else str(length)
    if not pitches:
        return f"z{suffix}"
    notes = [_spell(pitch, sharps, altered) for pitch in pitches]
    sounds = notes[0] if len(notes) == 1 else f"[{''.join(notes)}]"
    return sounds + suffix + ("-" if tied else "")


def _spell(pitch: int, sharps: int, altered: dict[tuple[str, int], int]) -> str:
    """Return a pitch in ABC; ``altered`` holds the accidentals of the bar so far."""
    # Twelve neighbours on the line of fifths, from three flats beyond the signature's centre.
    position = next(p for p in range(sharps - 3, sharps + 9) if (p * 7 - pitch) % 12 == 0)
    letter, alteration = FIFTHS[(position + 1) % 7], (position + 1) // 7
    natural = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter]
    octave = (pitch - alteration - natural) // 12 - 1
    usual = (sharps + 6 - FIFTHS.index(letter)) // 7
    accidental = ""
    if altered.get((letter, octave), usual) != alteration:
        accidental = "^" * alteration if alteration > 0 else "_" * -alteration or "="
        altered[letter, octave] = alteration
    if octave >= 5:
        return accidental + letter.lower() + "'" * (octave - 5)
    return accidental + letter + "," * (4 - octave)
