"""One bar of one voice as events that can be moved and spelt again: read, and written.

Conversion and training work on these. A pitch is a pair ``(step, alter)``: the diatonic step
counted from C4 = 0 (``B,`` = -1, ``c`` = 7) and the alteration in semitones, so that it can be
moved to another key. :mod:`scoregate.abc.reader` is stricter and reads whole pieces; here a
token that can't be read is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile

from scoregate.abc.keys import ALTERATION, ALTERATION_TEXT, LETTERS, SEMITONES, signature
from scoregate.abc.lengths import length_in_units, tuplet_ratio
from scoregate.abc.writing import length_text, tuplet_of

Pitch = tuple[int, int]
"""Diatonic step from C4 = 0, and alteration in semitones."""

_NOTE = r"(?P<acc>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)"
_LENGTH = r"(?P<num>\d*)(?P<slash>/*)(?P<den>\d*)"
_TOKEN = re.compile(
    r"(?P<deco>![^!]*!|\+[^+]*\+)|(?P<quoted>\"[^\"]*\")|(?P<grace>\{[^}]*\})"
    r"|(?P<field>\[[A-Za-z]:[^\]]*\])|(?P<chord>\[(?P<inner>[^\]|]*)\])(?P<chordlen>\d*/*\d*)"
    r"|(?P<note>" + _NOTE + r")" + _LENGTH +
    r"|(?P<rest>[zxZXy])(?P<restlen>\d*/*\d*)"
    r"|\((?P<tuplet>\d)(?P<tupletmore>[:\d]*)|(?P<tie>-)|(?P<broken>[<>]+)|(?P<overlay>&)|(?P<short>[.~HLMOPSTuv])"
)  # fmt: skip
_NOTE_NAME = re.compile(_NOTE)
_CHORD_NOTE = re.compile(_NOTE + _LENGTH + "(?P<tie>-?)")


@dataclass(slots=True)
class Event:
    """A note, chord or rest of one bar.

    Attributes
    ----------
    onset, duration : Fraction
        In units of ``L:``, the onset from the beginning of the bar.
    pitches : tuple of (int, int)
        ``(step, alter)`` each; empty for a rest.
    start, end : int
        Where its text lies in the bar, decorations not included.
    tie, fermata : bool
        Tied to the next event; carries a fermata.
    """

    onset: Fraction
    duration: Fraction
    pitches: tuple[Pitch, ...]
    start: int
    end: int
    tie: bool = False
    fermata: bool = False


@dataclass(slots=True)
class ParsedBar:
    """The events of a bar.

    Attributes
    ----------
    events : list of Event
        Those of layers behind ``&`` among them.
    duration : Fraction
        Length of the first layer in units of ``L:``.
    layered : bool
        Whether the bar has layers behind ``&``.
    """

    events: list[Event] = field(default_factory=list)
    duration: Fraction = Fraction(0)
    layered: bool = False


def midi_pitch(pitch: Pitch) -> int:
    """Return the MIDI number of ``(step, alter)``.

    Examples
    --------
    >>> midi_pitch((0, 0)), midi_pitch((7, 1))
    (60, 73)
    """
    octave, letter = divmod(pitch[0], 7)
    return 60 + 12 * octave + SEMITONES[letter] + pitch[1]


def note_step(letter: str, octave: str) -> int:
    """Return the diatonic step of a letter with its octave marks.

    Examples
    --------
    >>> note_step("C", ""), note_step("c", ""), note_step("C", ",")
    (0, 7, -7)
    """
    step = LETTERS.index(letter.upper()) + (7 if letter.islower() else 0)
    return step + 7 * (octave.count("'") - octave.count(","))


def step_text(step: int) -> str:
    """Return the letter and octave marks of a diatonic step.

    Examples
    --------
    >>> step_text(0), step_text(14), step_text(-8)
    ('C', "c'", 'B,,')
    """
    octave, letter = divmod(step, 7)
    if octave >= 1:
        return LETTERS[letter].lower() + "'" * (octave - 1)
    return LETTERS[letter] + "," * -octave


def parse_bar(text: str, alters: tuple[int, ...], tied: dict[int, int] | None = None) -> ParsedBar:
    """Read one bar of one voice.

    Parameters
    ----------
    text : str
        Without ``[V:n]`` and barlines.
    alters : tuple of int
        Of the key, from :func:`scoregate.abc.keys.signature`.
    tied : dict of int to int, optional
        Step and alteration of notes tied over from the bar before; changed in place to
        those that this bar ties over.

    Returns
    -------
    ParsedBar
        Grace notes are left out. Layers behind ``&`` are parsed for their notes, and the
        duration is that of the first.
    """
    parser = _Parser(alters, tied or {})
    for match in _TOKEN.finditer(text):
        parser.take(match)
    bar = parser.finished()
    if tied is not None:
        tied.clear()
        last = bar.events[-1] if bar.events else None
        if last and last.tie:
            tied.update(last.pitches)
    return bar


class _Parser:
    """Reads the tokens of a bar, one after another."""

    def __init__(self, alters: tuple[int, ...], tied: dict[int, int]) -> None:
        self.alters = alters
        self.bar = ParsedBar()
        self.held: dict[int, int] = {}  # accidentals of this bar, by step
        self.coming = dict(tied)
        self.time = Fraction(0)
        self.first_layer: Fraction | None = None
        self.factor, self.factor_left = Fraction(1), 0
        self.broken = Fraction(1)  # what > or < makes of the next note
        self.fermata = False

    def take(self, match: re.Match[str]) -> None:
        """Take one token."""
        events = self.bar.events
        if match["note"]:
            pitch = self._sounding(match)
            self._put((pitch,), _length(match), match)
        elif match["chord"]:
            notes = list(_CHORD_NOTE.finditer(match["inner"]))
            if notes:
                pitches = tuple(self._sounding(note) for note in notes)
                self._put(pitches, _length(notes[0]) * length_in_units(match["chordlen"]), match)
                events[-1].tie = any(note["tie"] for note in notes)
        elif match["rest"] and match["rest"] != "y":
            self._put((), length_in_units(match["restlen"]), match)
        elif match["deco"]:
            self.fermata = self.fermata or "fermata" in match["deco"]
        elif match["tie"] and events:
            events[-1].tie = True
        elif match["tuplet"]:
            self._tuplet(match)
        elif match["broken"] and events:
            self._broken(match["broken"], events[-1])
        elif match["overlay"]:
            self.first_layer = self.time if self.first_layer is None else self.first_layer
            self.time, self.bar.layered = Fraction(0), True
        elif match.lastgroup == "short" and match["short"] == "H":
            self.fermata = True

    def finished(self) -> ParsedBar:
        """Return the bar."""
        self.bar.duration = self.time if self.first_layer is None else self.first_layer
        return self.bar

    def _sounding(self, note: re.Match[str]) -> Pitch:
        step = note_step(note["letter"], note["octave"])
        if note["acc"]:
            self.held[step] = ALTERATION[note["acc"]]
        elif step in self.coming:
            return step, self.coming[step]
        return step, self.held.get(step, self.alters[step % 7])

    def _put(self, pitches: tuple[Pitch, ...], length: Fraction, match: re.Match[str]) -> None:
        length *= self.broken
        self.broken = Fraction(1)
        if self.factor_left:
            length *= self.factor
            self.factor_left -= 1
        event = Event(self.time, length, pitches, match.start(), match.end(), False, self.fermata)
        self.bar.events.append(event)
        self.fermata = False
        self.time += length
        for step, _ in pitches:
            self.coming.pop(step, None)

    def _tuplet(self, match: re.Match[str]) -> None:
        p = int(match["tuplet"])
        more = [int(x[:3]) if x else 0 for x in match["tupletmore"].split(":")[1:]]
        ratio = tuplet_ratio(p, more[0] if more and more[0] else None, compound=False)
        if ratio is not None:
            self.factor = Fraction(*ratio)
            self.factor_left = more[1] if more[1:] and more[1] else p

    def _broken(self, signs: str, last: Event) -> None:
        small = Fraction(1, 2 ** len(signs))
        first, self.broken = (2 - small, small) if signs[0] == ">" else (small, 2 - small)
        self.time += last.duration * (first - 1)
        last.duration *= first


def _length(note: re.Match[str]) -> Fraction:
    return length_in_units(note["num"] + note["slash"] + note["den"])


def write_bar(
    events: Iterable[Event], alters: tuple[int, ...], beat: Fraction = Fraction(2)
) -> str:
    """Spell events as ABC, one group of notes a beat, accidentals only where needed.

    Parameters
    ----------
    events : iterable of Event
        In order; only their durations, pitches, ties and fermatas are used. A duration whose
        denominator is no power of 2 is written as part of a tuplet.
    alters : tuple of int
        Of the key.
    beat : Fraction
        Length of a beat in ``L:`` units: a space is written where a beat begins.

    Examples
    --------
    >>> c = lambda length: Event(Fraction(0), Fraction(length), ((0, 0),), 0, 0)
    >>> write_bar([c(2), c(1), c(1), c("3/2"), c("1/2")], (0,) * 7)
    'C2 CC C3/2C/'
    >>> write_bar([c("2/3"), c("2/3"), c("2/3"), c("8/3")], (0,) * 7)
    '(3:2:4CCC C4'
    """
    events = list(events)
    held: dict[int, int] = {}
    out: list[str] = []
    time = Fraction(0)
    left = 0  # notes of the tuplet that are still to come
    for index, event in enumerate(events):
        if out and (time % beat == 0 or event.duration >= beat):
            out.append(" ")
        length = event.duration
        tuplet = tuplet_of(length)
        if tuplet is not None:
            p, q = tuplet
            if not left:
                same = takewhile(lambda e: tuplet_of(e.duration) == (p, q), events[index:])  # noqa: B023
                left = min(sum(1 for _ in same), 99)
                out.append(f"({p}:{q}:{left}")
            left -= 1
            length = length * p / q
        if event.fermata:
            out.append("!fermata!")
        names = [_spelt(pitch, alters, held) for pitch in event.pitches]
        body = names[0] if len(names) == 1 else f"[{''.join(names)}]" if names else "z"
        out.append(body + length_text(length, short=True) + ("-" if event.tie else ""))
        time += event.duration
    return "".join(out)


def _spelt(pitch: Pitch, alters: tuple[int, ...], held: dict[int, int]) -> str:
    """Return a note's name, with an accidental where key and bar don't give it."""
    step, alter = pitch
    if held.get(step, alters[step % 7]) == alter:
        return step_text(step)
    held[step] = alter
    return ALTERATION_TEXT[alter] + step_text(step)


def transpose_music(text: str, before: int, fifths: int, steps: int) -> str:
    """Move the notes of a stretch of music by an interval, key signature in mind.

    Parameters
    ----------
    text : str
        Music; quoted text, decorations and inline fields are left as they are.
    before : int
        Fifths of the key in force.
    fifths : int
        How far the key moves on the circle of fifths.
    steps : int
        How far the letters move, in diatonic steps; it must belong to ``fifths``.
    """
    old, new = signature(before), signature(before + fifths)

    def moved(match: re.Match) -> str:
        step = note_step(match["letter"], match["octave"])
        accidental = ""
        if match["acc"]:
            change = ALTERATION[match["acc"]] - old[step % 7]
            alter = new[(step + steps) % 7] + change
            accidental = ALTERATION_TEXT[max(-2, min(2, alter))]
        return accidental + step_text(step + steps)

    out, at = [], 0
    for match in re.finditer(r"![^!]*!|\"[^\"]*\"|\[[A-Za-z]:[^\]]*\]", text):
        out += [_NOTE_NAME.sub(moved, text[at : match.start()]), match.group()]
        at = match.end()
    out.append(_NOTE_NAME.sub(moved, text[at:]))
    return "".join(out)


def interval_steps(fifths: int, near: int = 0) -> int:
    """Return the diatonic steps of the smallest interval that moves a key by so many fifths.

    Parameters
    ----------
    fifths : int
    near : int
        Whole octaves to add.
    """
    semitones = fifths * 7 % 12
    steps = fifths * 4 % 7
    if semitones > 6:
        # Downwards: the same letter an octave lower.
        return (steps - 7 if steps else 0) + 7 * near
    return steps + 7 * near
