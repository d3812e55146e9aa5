"""Reading a piece while it is written: notes, ties, signs and bars, character by character."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from scoregate.abc.fields import read_metre
from scoregate.abc.keys import LETTERS, SEMITONES, key_fifths, signature
from scoregate.abc.lengths import WHOLE, length_in_units
from scoregate.evaluation.lines import tonic_of
from scoregate.form import Form, form_in
from scoregate.notagen.sounding.classes import LONGEST, TICKS, VOICES

MOST_LENGTH = 12
"""Characters of a note's length that are read; a longer one is a fault."""

_LETTER = {letter: (i, 0) for i, letter in enumerate(LETTERS)} | {
    letter.lower(): (i, 7) for i, letter in enumerate(LETTERS)
}
_ACCIDENTAL = {"^": 1, "_": -1, "=": 0}
_UNIT = re.compile(r"\d{1,4}/\d{1,4}")
_FIELD = re.compile(r"^(?P<name>[LMK]):\s*(?P<value>[^%\n]*)", re.M)


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


# One character may change most of this state: it is one machine, and its parts are no subjects of
# their own.
class Reader:
    """Follows one piece's text character by character, whatever a model writes.

    A :class:`~scoregate.notagen.sounding.listener.Listener` tells what it has read.
    """

    def __init__(self) -> None:
        self._head = ""
        self._lines: list[str] = []
        self._starts: list[LineStart] = []
        self._bars: list[list[VoiceLine | None]] = []
        self._partial = ""
        self._form: Form | None = None
        self._unit = TICKS / 8
        self._found: tuple[int, ...] | None = None  # what is told, once it was asked for
        self._begin_line(LineStart((0,) * VOICES, (0,) * VOICES, (None,) * VOICES, 0, 0, TICKS))

    def follow(self, text: str) -> None:
        """Bring the reader to the end of a text, which may have lost lines since the last call.

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
        self._left: int | None = None  # lines that follow this one, by its counter
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
        """Be outside the music of a voice."""
        self._voice = None
        self._inside: str | None = None  # what is collected up to its closing character
        self._found = None

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
        elif name == "r":
            left = value.partition("/")[2]
            self._left = int(left) if left.isdecimal() and len(left) < MOST_LENGTH else None
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
