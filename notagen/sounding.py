"""What sounds where the next character is written, read off the text so far.

The text puts the bars of the voices one after the other. A model sees which notes sound together
only after it has learnt to count durations in several strings and to align them, and it hardly
learns the motion between two voices. Here both are read off the text, character by character, as
the classes of a table of embeddings that the character level adds to its input
(:class:`scoregate.notagen.model.network.SoundingInput`). Nothing looks ahead: the classes at a
character depend on the characters before it alone, so training and generation see the same.

Each class says what holds if a note begins at this point. After ``c`` the time reached is one unit,
after ``c2`` two: the model may still write on at the note, and sees then up to where it sounds.

Where the header has a form (:mod:`scoregate.form`), the classes say as well where in
it the text has come to: how long until the phrase is to end and on which chord, and in a phrase
that returns, what the same voice sang there the first time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from operator import add, attrgetter
from typing import NamedTuple

import numpy as np

from scoregate.abc.fields import read_metre
from scoregate.abc.keys import LETTERS, SEMITONES, key_fifths, signature
from scoregate.abc.lengths import WHOLE, length_in_units
from scoregate.evaluation.lines import tonic_of
from scoregate.form import KINDS, MOST_PHRASES, Form, form_in
from scoregate.theory import THIRD_AND_SEVENTH, is_seventh

VOICES = 4
"""Voices that are listened to; the others of a piece are not."""
TICKS = 16
"""Ticks of a whole note."""
LONGEST = 64
"""Most ticks of a bar; what comes later is not told apart."""
LOWEST = 36
"""MIDI pitch of the lowest class of a pitch."""
MOST_LENGTH = 12
"""Characters of a note's length that are read; a longer one is a fault."""

_PITCH, _TIME, _DEGREE, _MOTION, _FLAGS, _WAIT = 50, 49, 13, 26, 4, 18
_OF_A_VOICE = {
    "now": _PITCH,
    "before": _PITCH,
    "next": _PITCH,
    "kept": _PITCH,
    "degree": _DEGREE,
    "interval": _DEGREE,
    "motion": _MOTION,
    "flags": _FLAGS,
    "wait": _WAIT,
}
_OF_ITSELF = {
    "voice": VOICES + 1,
    "time": _TIME,
    "left": _TIME,
    "own": _PITCH,
    "own_degree": _DEGREE,
    "own_motion": _MOTION,
    "tied": 2,
    "pause": _WAIT,
}
_OF_RULES = {"seventh": 2, "lost": _PITCH, "lost_too": _PITCH, "leading": 2}
_OF_FORM = {
    "phrases_left": MOST_PHRASES + 2,
    "phrase_left": 67,
    "chord": 14,
    "major": 3,
    "cadence": len(KINDS) + 1,
    "sung": _PITCH,
    "sung_begins": 3,
    "sung_wait": _WAIT,
    "bars": 66,
    "bars_rest": _TIME,
}
FEATURES = (
    *_OF_ITSELF,
    *(f"{name}_{v}" for v in range(1, VOICES + 1) for name in _OF_A_VOICE),
    *_OF_RULES,
    *_OF_FORM,
)
"""Names of the features, in the order of their classes. New ones are put at the end."""
SILENT = sum(_OF_ITSELF.values()) + VOICES * sum(_OF_A_VOICE.values())
"""Row of the table that stands for 'nothing is told', as outside the music."""
CLASSES = SILENT + 1 + sum((*_OF_RULES.values(), *_OF_FORM.values()))
"""Rows of the table."""
EARLIER_CLASSES = (SILENT + 1,)
"""Rows that tables of earlier versions have, trained before forms and rules were told. The rows
that they lack count as zeros: nothing is added."""
_SIZES = [*_OF_ITSELF.values(), *(list(_OF_A_VOICE.values()) * VOICES)]
_LATER_SIZES = [*_OF_RULES.values(), *_OF_FORM.values()]
OFFSETS = np.concatenate(
    [[0], np.cumsum(_SIZES)[:-1], SILENT + 1 + np.cumsum([0, *_LATER_SIZES[:-1]])]
).astype(np.int64)
"""Where the classes of each feature begin in the table."""
_BASE = [int(offset) for offset in OFFSETS]
_NOTHING = (SILENT,) * len(FEATURES)
_NO_FORM = [0] * len(_OF_FORM)

_LETTER = {letter: (i, 0) for i, letter in enumerate(LETTERS)} | {
    letter.lower(): (i, 7) for i, letter in enumerate(LETTERS)
}
_ACCIDENTAL = {"^": 1, "_": -1, "=": 0}
_UNIT = re.compile(r"\d{1,4}/\d{1,4}")
_FIELD = re.compile(r"^(?P<name>[LMK]):\s*(?P<value>[^%\n]*)", re.M)


_KINDS = tuple(KINDS.values())
_time_of = attrgetter("time")


def _pitch(midi: int) -> int:
    return min(max(midi - LOWEST + 1, 1), _PITCH - 1) if midi > 0 else 0


def _motion(a: int, b: int) -> int:
    """Class of a motion in semitones, at most an octave; 0 where a pitch is missing."""
    return min(max(b - a, -12), 12) + 13 if a > 0 and b > 0 else 0


@dataclass(slots=True)
class VoiceLine:
    """One bar of a voice as it sounds at each tick.

    Attributes
    ----------
    sounds : list of int
        MIDI pitch at each tick, 0 for silence.
    starts : list of int
        Ticks at which a note begins, rising.
    fermatas : set of int
        Ticks at which a note with a fermata begins.
    """

    sounds: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    fermatas: set[int] = field(default_factory=set)

    def at(self, tick: int) -> int:
        """Return the pitch that sounds at a tick; 0 behind the end."""
        return self.sounds[tick] if 0 <= tick < len(self.sounds) else 0

    def next_start(self, tick: int) -> int | None:
        """Return the first tick after this one at which a note begins."""
        return next((start for start in self.starts if start > tick), None)


@dataclass(slots=True)
class LineStart:
    """What one line of the body hands on to the next.

    Attributes
    ----------
    last : tuple of int
        MIDI pitch that each voice sounds at the end of the line, 0 for silence.
    moved : tuple of int
        The pitch that each voice sang before that one.
    ties : tuple of (int, int) or None
        Of each voice: step and alteration of the note that is tied over.
    fifths : int
    tonic : int or None
    bar : int
        Ticks of a bar by the metre.
    time : int
        Ticks from the beginning of the piece.
    ends : tuple of int
        Times at which a note with a fermata began in the first voice: the ends of the phrases.
    """

    last: tuple[int, ...]
    moved: tuple[int, ...]
    ties: tuple[tuple[int, int] | None, ...]
    fifths: int
    tonic: int | None
    bar: int
    time: int = 0
    ends: tuple[int, ...] = ()


class Motion(NamedTuple):
    """MIDI pitches of a voice just before a moment, at it, and with its next note; 0 for none."""

    before: int
    now: int
    later: int


# One character may change most of this state: it is one machine, and its parts are no subjects of
# their own.
class Listener:
    """Follows one piece's text character by character.

    Attributes
    ----------
    features : tuple of int
        Rows of the table for the next character: one for each of :data:`FEATURES`.
    """

    def __init__(self) -> None:
        self._head = ""
        self._lines: list[str] = []
        self._starts: list[LineStart] = []
        self._bars: list[list[VoiceLine | None]] = []
        self._partial = ""
        self._form: Form | None = None
        self._unit = TICKS / 8
        self._begin_line(LineStart((0,) * VOICES, (0,) * VOICES, (None,) * VOICES, 0, 0, TICKS))

    @property
    def features(self) -> tuple[int, ...]:
        """See the class."""
        if self._found is None:
            self._found = self._features()
        return self._found

    def follow(self, text: str) -> None:
        """Bring the listener to the end of a text, which may have lost lines since the last call.

        Parameters
        ----------
        text : str
            The piece so far, prompt and header included.
        """
        at = body_at(text)
        head, lines = text[:at], text[at:].splitlines(keepends=True)
        partial = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        if head != self._head:
            self._read_head(head)
        same = 0
        for old, new in zip(self._lines, lines, strict=False):
            if old != new:
                break
            same += 1
        if same == len(self._lines) == len(lines) and partial.startswith(self._partial):
            rest = partial[len(self._partial) :]
        else:
            del self._lines[same:], self._starts[same + 1 :], self._bars[same:]
            self._begin_line(self._starts[same])
            rest = "".join(lines[same:]) + partial
        for char in rest:
            self.hear(ord(char))

    def hear(self, token: int) -> None:
        """Take one more token of the text; tokens that are no text change nothing."""
        if token <= 2:
            return
        char = chr(token)
        self._partial += char
        self._found = None
        if char == "\n":
            self._end_line()
        else:
            self._take(char)

    def _read_head(self, head: str) -> None:
        self._head = head
        found = {match["name"]: match["value"].strip() for match in _FIELD.finditer(head)}
        unit = found.get("L", "")
        self._unit = TICKS * (_units(unit) if _UNIT.fullmatch(unit) else 1 / 8)
        key = found.get("K", "C")
        start = LineStart(
            (0,) * VOICES, (0,) * VOICES, (None,) * VOICES, key_fifths(key), tonic_of(key),
            _bar_ticks(found.get("M", "")),
        )  # fmt: skip
        self._form = form_in(head)
        self._lines, self._starts, self._bars = [], [start], []
        self._begin_line(start)

    def _begin_line(self, start: LineStart) -> None:
        if not self._lines:
            self._starts = [start]
        self._partial = ""
        self._start = start
        self._fifths, self._tonic, self._bar = start.fifths, start.tonic, start.bar
        self._alters = signature(start.fifths)
        self._voices: list[VoiceLine | None] = [None] * VOICES
        self._ends: list[tuple[int, int, tuple[int, int] | None]] = [(0, 0, None)] * VOICES
        self._voice: int | None = None
        self._outside()

    def _end_line(self) -> None:
        self._close_bar()
        ends = self._ends
        length = max(len(line.sounds) if line else 0 for line in self._voices)
        start = LineStart(
            tuple(end[0] for end in ends), tuple(end[1] for end in ends),
            tuple(end[2] for end in ends), self._fifths, self._tonic, self._bar,
            self._start.time + length, self._phrase_ends(self._voices[0]),
        )  # fmt: skip
        self._lines.append(self._partial)
        self._bars.append(self._voices)
        self._starts.append(start)
        self._begin_line(start)

    def _outside(self) -> None:
        """Be outside the music of a voice: nothing is told."""
        self._voice = None
        self._inside: str | None = None  # what is collected up to its closing character
        self._found: tuple[int, ...] | None = _NOTHING

    def _take(self, char: str) -> None:
        if self._inside is not None:
            self._collect(char)
        elif char in '[!"{':
            self._finish_note()
            self._inside = char
        elif self._voice is None:
            return
        elif char in _LETTER:
            self._begin_note(char)
        elif char in ",'":
            self._move_octave(char)
        elif char in _ACCIDENTAL:
            self._finish_note()
            self._accidental = (self._accidental or 0) + _ACCIDENTAL[char]
        elif char in "zx":
            self._finish_note()
            self._accidental, self._rest, self._open = None, True, True
            self._sound, self._length = 0, ""
        elif char.isdigit() or char == "/":
            self._length += char
        elif char == "-":
            self._tied = self._open
        elif char == "|":
            self._close_bar()
            self._outside()

    def _collect(self, char: str) -> None:
        """Take a character inside brackets, quotes or exclamation marks."""
        assert self._inside is not None
        opening = self._inside[0]
        self._inside += char
        if char != {"[": "]", "{": "}"}.get(opening, opening):
            return
        inside, self._inside = self._inside, None
        if opening == "[":
            self._bracket(inside)
        elif inside == "!fermata!":
            self._fermata = True

    def _bracket(self, inside: str) -> None:
        """Take a field in brackets, or a chord."""
        name, value = inside[1:2], inside[3:-1].strip()
        if inside[2:3] != ":":
            if self._voice is not None:
                for char in inside[1:-1]:
                    if char in _LETTER:
                        self._finish_note(length=False)
                        self._begin_note(char, same=True)
                    elif char in ",'":
                        self._move_octave(char)
                    elif char in _ACCIDENTAL:
                        self._accidental = (self._accidental or 0) + _ACCIDENTAL[char]
        elif name == "V":
            self._close_bar()
            self._begin_voice(int(value) if value.isdigit() else 0)
        elif name == "K":
            self._fifths, self._tonic = key_fifths(value), tonic_of(value)
            self._alters = signature(self._fifths)
        elif name == "M":
            self._bar = _bar_ticks(value)

    def _begin_voice(self, number: int) -> None:
        self._outside()
        self._found = None
        self._voice = number
        heard = 1 <= number <= VOICES
        start = self._start
        self._own = start.last[number - 1] if heard else 0
        self._moved = start.moved[number - 1] if heard else 0
        self._held: dict[int, int] = {}
        self._over = start.ties[number - 1] if heard else None
        self._tied = self._over is not None
        self._line = VoiceLine()
        self._time = 0.0
        self._open = self._rest = self._fermata = self._was_tied = False
        self._accidental: int | None = None
        self._length, self._step, self._sound = "", 0, 0

    def _begin_note(self, char: str, *, same: bool = False) -> None:
        """Begin a note; in a chord (``same``) it sounds with the one before."""
        if not same:
            self._finish_note()
        letter, up = _LETTER[char]
        self._step, self._rest, self._open, self._length = letter + up, False, True, ""
        self._explicit, self._accidental = self._accidental, None
        self._was_tied, self._tied = self._tied, False
        self._sign_note()

    def _move_octave(self, mark: str) -> None:
        if not self._open or self._rest:
            return  # a mark without a note
        self._step += 7 if mark == "'" else -7
        self._sign_note()

    def _sign_note(self) -> None:
        """Find the pitch of the open note from its letter, octave and signs."""
        octave, letter = divmod(self._step, 7)
        if self._explicit is not None:
            alter = self._explicit
        elif self._over is not None and self._was_tied and self._over[0] == self._step:
            alter = self._over[1]
        else:
            alter = self._held.get(self._step, self._alters[letter])
        self._sound, self._alter = 60 + 12 * octave + SEMITONES[letter] + alter, alter

    def _finish_note(self, *, length: bool = True) -> None:
        """Put the open note into the bar; only then do its signs hold for the notes after it."""
        if self._voice is None or not self._open:
            return
        if not self._rest and self._explicit is not None:
            self._held[self._step] = self._explicit
        if not length:
            return
        start, end = int(self._time), self._until()
        self._time, self._open = end, False
        line, sound = self._line, 0 if self._rest else self._sound
        stop = min(max(int(end), start + 1), LONGEST)
        line.sounds.extend([0] * (start - len(line.sounds)))
        line.sounds[start:stop] = [sound] * (stop - start)
        if sound and not (self._was_tied and sound == self._own):
            line.starts.append(start)
        if self._fermata:
            line.fermatas.add(start)
        self._fermata = False
        if sound and sound != self._own and self._own:
            self._moved = self._own
        self._own = sound
        self._over = None

    def _until(self) -> float:
        """Return the time at which the open note ends, as far as its length is written."""
        return min(self._time + _units(self._length) * self._unit, 4.0 * LONGEST)

    def _close_bar(self) -> None:
        """End the bar of the voice that is written."""
        if self._voice is None:
            return
        over = (self._step, self._alter) if self._open and self._tied and not self._rest else None
        self._finish_note()
        if 1 <= self._voice <= VOICES:
            self._voices[self._voice - 1] = self._line
            self._ends[self._voice - 1] = (self._own, self._moved, over)

    def _phrase_ends(self, first: VoiceLine | None) -> tuple[int, ...]:
        """Return the ends of the phrases so far, those in this bar of the first voice included.

        Fermatas at most a quarter apart are one, the later one counts.
        """
        ends = self._start.ends
        for tick in sorted(first.fermatas) if first is not None and first.fermatas else ():
            time = self._start.time + tick
            near = bool(ends) and time - ends[-1] <= TICKS // 4
            ends = (*(ends[:-1] if near else ends), time)
        return ends

    def _features(self) -> tuple[int, ...]:
        voice = self._voice
        if voice is None or not 1 <= voice <= VOICES:
            return self._at_counter()
        own, moved, time = self._own, self._moved, self._time
        if self._open:
            time = self._until()
            sound = 0 if self._rest else self._sound
            if sound and sound != own and own:
                moved = own
            own = sound
        tick = int(time)
        first = self._voices[0] if voice > 1 else None
        length = len(first.sounds) if first is not None else self._bar
        found = [
            voice,
            min(tick, _TIME - 1),
            min(max(length - tick, 0), _TIME - 1),
            _pitch(own),
            self._degree(own),
            _motion(moved, own),
            int(self._tied),
            0 if first is None else _fermata_in(first, tick),
        ]
        motions: list[Motion] = []
        for number in range(1, VOICES + 1):
            line = self._voices[number - 1] if number < voice else None
            found += self._of_voice(number, line, tick, own, motions)
        found += self._of_rules(own, motions)
        found += self._of_form(self._form, voice, tick) if self._form else _NO_FORM
        return tuple(map(add, _BASE, found))

    def _at_counter(self) -> tuple[int, ...]:
        """Tell the first counter, which says how many bars follow, how long the form is."""
        at_first = not self._lines and self._inside is not None and self._inside[:5] == "[r:0/"
        if self._form is None or not at_first:
            return _NOTHING
        quarters = sum(phrase.quarters for phrase in self._form.phrases)
        bars, rest = divmod(int(quarters * TICKS / 4), self._bar)
        found = [0] * (len(FEATURES) - 2) + [min(bars, 64) + 1, min(rest, _TIME - 1)]
        return tuple(map(add, _BASE, found))

    def _of_form(self, form: Form, voice: int, tick: int) -> list[int]:
        """Classes of the place in the form."""
        first = self._line if voice == 1 else self._voices[0]
        time = self._start.time + tick
        ends = self._phrase_ends(first)
        if voice == 1 and self._open and self._fermata:
            ends = (*ends, self._start.time + int(self._time))
        while ends and ends[-1] >= time:
            ends = ends[:-1]
        number, left = len(ends), len(form.phrases) - len(ends)
        if left <= 0:
            return [1, *_NO_FORM[1:]]
        phrase = form.phrases[number]
        to_end = (ends[-1] if ends else 0) + int(phrase.quarters * TICKS / 4) - time
        found = [
            left + 1,
            1 if to_end < 0 else min(to_end, LONGEST) + 2,
            1 if phrase.degree is None else phrase.degree + 2,
            1 + phrase.major,
            _KINDS.index(phrase.kind) + 1,
        ]
        return [*found, *self._sung(form.first_of(number), voice, ends, to_end), 0, 0]

    def _sung(self, first: int | None, voice: int, ends: tuple[int, ...], to_end: int) -> list[int]:
        """Classes of what a voice sang in the first of two phrases, as long before its end."""
        if first is None or to_end < 0:
            return [0, 0, 0]
        time = ends[first] - to_end
        if time < (0 if first == 0 else ends[first - 1] + 1):
            return [0, 0, 0]
        at = bisect_right(self._starts, time, key=_time_of) - 1
        line = self._bars[at][voice - 1] if at < len(self._bars) else None
        if line is None:
            return [0, 0, 0]
        tick = time - self._starts[at].time
        start = line.next_start(tick)
        wait = (len(line.sounds) if start is None else start) - tick
        return [
            _pitch(line.at(tick)),
            1 + (tick in line.starts),
            min(max(wait, 0), _WAIT - 1),
        ]

    def _of_voice(
        self, number: int, line: VoiceLine | None, tick: int, own: int, motions: list[Motion]
    ) -> list[int]:
        """Classes of another voice at a tick; its motion is added to ``motions``."""
        last = self._start.last[number - 1]
        if line is None:  # not written yet, or oneself: only the end of the line before is known
            return [0, _pitch(last), 0, 0, self._degree(last), 0, 0, 0, 0]
        now = line.at(tick)
        before = line.at(tick - 1) if tick else last
        start = line.next_start(tick)
        later = line.at(start) if start is not None else 0
        motions.append(Motion(before, now, later))
        apart = abs(own - before) % 12 if own and before else None
        perfect = apart in (0, 7) and now and now != before
        return [
            _pitch(now),
            _pitch(before),
            _pitch(later),
            _pitch(own + now - before) if perfect else 0,
            self._degree(now),
            0 if apart is None else apart + 1,
            _motion(before, now),
            2 * (tick in line.fermatas) + (tick in line.starts),
            min(start - tick, _WAIT - 1) if start is not None else 0,
        ]

    def _of_rules(self, own: int, motions: list[Motion]) -> list[int]:
        """Classes of what the rules of voice leading say of the next note.

        Whether the voice comes from the seventh of a chord; the pitches, nearest to its own, that
        would turn another voice's note into a seventh which does not fall by a step, two of them at
        most; whether another voice sounds the leading tone.
        """
        lost: list[int] = []
        leading = (self._tonic - 1) % 12 if self._tonic is not None else None
        classes = {motion.now % 12 for motion in motions if motion.now}
        for motion in motions:
            now, later = motion.now, motion.later
            if now and later and later != now and now - later not in (1, 2):
                for third, seventh in THIRD_AND_SEVENTH:
                    root = (now - seventh) % 12
                    missing = {root, (root + third) % 12} - classes
                    if len(missing) == 1:
                        lost += [pitch for pitch in missing if pitch not in lost]
        near = sorted((own + (pitch - own + 6) % 12 - 6 for pitch in lost) if own else ())
        first, second, *_ = *map(_pitch, near), 0, 0
        resolves = own and is_seventh(own, tuple(m.before for m in motions if m.before))
        return [int(bool(resolves)), first, second, int(leading in classes)]

    def _degree(self, midi: int) -> int:
        """Class of a pitch above the tonic; 0 for silence, and where the key has no tonic."""
        return (midi - self._tonic) % 12 + 1 if midi and self._tonic is not None else 0


def _fermata_in(line: VoiceLine, tick: int) -> int:
    """Class of the ticks until a note with a fermata begins; 0 where none follows."""
    later = [at - tick for at in line.fermatas if at >= tick]
    return min(min(later) + 1, _WAIT - 1) if later else 0


def body_at(text: str) -> int:
    """Return where the body begins: the first line of a counter or a voice."""
    found = re.search(r"^\[(?:r|V):", text, re.M)
    return found.start() if found else len(text)


@lru_cache(maxsize=512)
def _units(length: str) -> float:
    """Return a length such as ``3/2``, ``/`` or ``//`` in units, 1 for none."""
    return float(length_in_units(length[:MOST_LENGTH]))


def _bar_ticks(metre: str) -> int:
    """Return the ticks of a bar; those of a whole note where the metre names none."""
    read = read_metre(metre)
    if read is None or read.ticks is None:
        return TICKS
    return max(min(int(TICKS * read.ticks / WHOLE), LONGEST), 1)
