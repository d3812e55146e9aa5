"""One voice being read: tokens become events, events become bars."""

from __future__ import annotations

import re

from validators.abc.fields import Metre, Properties, read_metre, read_properties, read_unit
from validators.abc.keys import Alterations, read_key
from validators.abc.lengths import Ticks, read_length, scale, tuplet_ratio, wholes
from validators.abc.lexer import ERROR_SPAN, MUSIC
from validators.abc.notes import Chord, Note, chord_of, tokens_of
from validators.abc.remarks import Remarks
from validators.score import Bar, Event

_BROKEN = {1: ((3, 2), (1, 2)), 2: ((7, 4), (1, 4)), 3: ((15, 8), (1, 8))}
_BAR_SIGNS = re.compile(r"[.|:\]\[]+")
_STANDARD_ORNAMENTS = frozenset(".~HJLMOPRSTuv")


class Tie:
    """Where a tie (or the ties of one chord) begins, and whether it has led anywhere."""

    __slots__ = ("event", "met", "number")

    def __init__(self, event: Event, number: int) -> None:
        self.event = event
        self.number = number
        self.met = False


Ties = dict[int, tuple[int, Tie]]
"""Sounding pitch that is held -> its staff step, and where its tie begins."""


class VoiceReader:
    """Reads the music of one voice, piece by piece, in the text's order."""

    __slots__ = (  # noqa: RUF023
        "accidentals", "alterations", "bars", "base",  "plain", "broken", "clef_shift", "ending", "events", "id",
        "key_name", "last", "last_ticks", "layer", "left", "main", "metre", "octave_shift",
        "opened", "other_ties", "place", "position", "propagate", "remarks", "row", "shift",
        "slur_place", "slurs", "start_key", "start_metre", "ties", "tokens", "transpose", "tuplet", "tuplet_left", "users", "event_count",
    )  # fmt: skip

    def __init__(
        self, id: str, unit: Ticks, metre: Metre, remarks: Remarks, propagate: str = "octave"
    ) -> None:
        self.id = id
        self.remarks = remarks
        self.propagate = propagate
        self.tokens = tokens_of(unit)
        self.metre = metre
        self.alterations: Alterations = (0, 0, 0, 0, 0, 0, 0)
        self.key_name = ""
        self.clef_shift = self.octave_shift = self.transpose = self.shift = 0
        self.users: set[str] = set()
        self.bars: list[Bar] = []
        self.row: int | None = None
        self.event_count = 0
        # What lasts longer than a bar.
        self.left = ""
        self.ending = ""
        self.ties: Ties = {}
        self.other_ties: dict[int, Ties] = {}
        self.slurs = 0
        self.slur_place: tuple[int, int, int] | None = None
        self.begin()

    def copy(self, remarks: Remarks) -> VoiceReader:
        """Return a reader that goes on from the last barline, and remarks into `remarks`."""
        new = VoiceReader.__new__(VoiceReader)
        for name in VoiceReader.__slots__:
            setattr(new, name, getattr(self, name))
        new.remarks = remarks
        new.bars = []
        new.ties = dict(self.ties)
        new.other_ties = {layer: dict(ties) for layer, ties in self.other_ties.items()}
        new.begin()
        return new

    def begin(self) -> None:
        """Begin a bar."""
        self.events: list[Event] = []
        self.accidentals: dict[int, int] = {}
        self.position: Ticks = 0
        self.main: Ticks | None = None
        self.layer = 0
        self.tuplet: tuple[int, int] = (1, 1)
        self.tuplet_left = 0
        # Behind > or <: the factor of the next note, and what the note before was by itself.
        self.broken: tuple[int, int] | None = None
        self.base: Ticks = 0
        self.plain: Ticks = 0
        self.last: Event | None = None
        self.last_ticks: Ticks = 0
        self.opened = False
        self.place = (0, 0)
        self.start_metre = self.metre
        self.start_key = self.key_name

    @property
    def number(self) -> int:
        """Number of the bar that is being read."""
        return self.row if self.row is not None else len(self.bars) + 1

    def fault(
        self,
        code: str,
        message: str,
        line: int,
        column: int,
        found: str | None = None,
        expected: str | None = None,
        severity="critical",
    ) -> None:
        """Remark on the bar that is being read."""
        self.remarks.add(
            code, message, severity, self.id, self.number, line, column, found, expected
        )

    # -- settings ---------------------------------------------------------------------

    def set_key(self, name: str, alterations: Alterations) -> None:
        """Put a key signature in force."""
        self.key_name, self.alterations = name, alterations
        self.accidentals.clear()
        if not self.position:
            self.start_key = name

    def set_metre(self, metre: Metre) -> None:
        """Put a metre in force: from this bar on where nothing of it has sounded yet."""
        self.metre = metre
        if not self.position:
            self.start_metre = metre

    def set_properties(self, properties: Properties) -> None:
        """Take clef, octave and transposition."""
        if properties.clef_shift is not None:
            self.clef_shift = properties.clef_shift
        if properties.octave_shift is not None:
            self.octave_shift = properties.octave_shift
        if properties.transpose is not None:
            self.transpose = properties.transpose
        self.shift = self.clef_shift + self.octave_shift + self.transpose

    def field(self, letter: str, value: str, line: int, column: int) -> None:
        """Take an inline field."""
        if letter == "K":
            key = read_key(value)
            if key is None:
                self.fault("key-unreadable", "no key", line, column, found=value[:30])
                return
            if key.given:
                self.set_key(key.name, key.alterations)
            self.set_properties(read_properties(key.rest))
        elif letter == "M":
            metre = read_metre(value)
            if metre is None:
                self.fault("metre-unreadable", "no time signature", line, column, value[:30])
            else:
                self.set_metre(metre)
        elif letter == "L":
            unit = read_unit(value)
            if unit is None:
                self.fault("unit-unreadable", "no note length", line, column, value[:30])
            else:
                self.tokens = tokens_of(unit)
        elif letter == "U":
            name = value.partition("=")[0].strip()
            if len(name) == 1:
                self.users.add(name)
        elif letter == "m":
            self.fault(
                "macro", "macros (m:) are not expanded, so the music is not what it says", line,
                column, value[:30],
            )  # fmt: skip
        elif letter not in "ABCDFGHINOPQRrSsTwWVE":
            self.fault("field-unknown", "no such field", line, column, f"{letter}:")

    # -- music --------------------------------------------------------------------------

    def music(self, text: str, start: int, end: int, line: int) -> None:
        """Read ``text[start:end]``, a stretch of music of this voice on one line."""
        position = start
        scan = MUSIC.finditer
        while position < end:
            for match in scan(text, position, end):
                kind = match.lastgroup
                if kind == "space":
                    continue
                token = match[0]
                at = match.start()
                if kind == "note":
                    note = self.tokens.notes.get(token) or self.tokens.note(token)
                    if note is None:
                        self._bad_length(token, line, at + 1)
                    else:
                        self._note(note, token, line, at + 1)
                elif kind == "rest":
                    ticks = self.tokens.rests.get(token) or self.tokens.rest(token)
                    if ticks is None:
                        self._bad_length(token, line, at + 1)
                    else:
                        self._rest(ticks, token, line, at + 1)
                elif kind == "bar":
                    self._barline(token, line, at + 1)
                elif kind == "chord":
                    chord = self.tokens.chords.get(token) or self.tokens.chord(token)
                    if chord is None:
                        self._bad_length(token, line, at + 1)
                    else:
                        self._chord(chord, token, line, at + 1)
                elif kind == "error":
                    position = self._error(text, at, match.end(), end, line)
                    break
                else:
                    self._other(kind, token, text, at, line)
            else:
                return

    def open(self, line: int, column: int) -> None:
        self.opened = True
        self.place = (line, column)
        self.start_metre = self.metre
        self.start_key = self.key_name

    def _length(self, ticks: Ticks, line: int, column: int) -> Ticks:
        """Return the length under the tuplet and the broken rhythm in force."""
        base = ticks
        if self.tuplet_left:
            self.tuplet_left -= 1
            ticks = scale(ticks, *self.tuplet)
        if self.broken is not None:
            if base == self.base:
                ticks = scale(ticks, *self.broken)
            elif self.last is not None:
                # The standard leaves this undefined, and abc2midi doesn't apply it.
                self.fault(
                    "broken-rhythm", "> or < between notes of different length", line, column
                )
                self.position += self.plain - self.last_ticks
                self.last.duration = wholes[self.plain]
            self.broken = None
        self.base = base
        return ticks

    def _sound(self, note: Note) -> int:
        """Return the sounding pitch of a note, holding and heeding accidentals."""
        alter = note.alter
        if alter is None:
            if self.accidentals:
                alter = self.accidentals.get(
                    note.letter if self.propagate == "pitch" else note.step
                )
            if alter is None:
                alter = self.alterations[note.letter]
                if self.ties:
                    # A tie carries the accidental over the barline.
                    for pitch, held in self.ties.items():
                        if held[0] == note.step:
                            alter = pitch - self.shift - note.natural
                            break
        elif self.propagate != "not":
            self.accidentals[note.letter if self.propagate == "pitch" else note.step] = alter
        return note.natural + alter + self.shift

    def _note(self, note: Note, token: str, line: int, column: int) -> None:
        pitch = self._sound(note)
        held = {pitch: note.step} if note.tie else None
        self._add(note.ticks, (pitch,), held, token, line, column)

    def _chord(self, chord: Chord, token: str, line: int, column: int) -> None:
        pitches = tuple([self._sound(note) for note in chord.notes])
        held = {
            pitch: note.step
            for pitch, note in zip(pitches, chord.notes, strict=True)
            if chord.tie or note.tie
        }
        self._add(chord.ticks, pitches, held, token, line, column)

    def _add(
        self,
        ticks: Ticks,
        pitches: tuple[int, ...],
        held: dict[int, int] | None,
        token: str,
        line: int,
        column: int,
    ) -> None:
        """Add a note or chord that holds the pitches of `held` on."""
        if not self.opened:
            self.open(line, column)
        if self.tuplet_left or self.broken is not None:
            ticks = self._length(ticks, line, column)
        else:
            self.base = ticks
        from_ties: tuple[int, ...] = ()
        if self.ties:
            from_ties = self._meet(pitches, bool(held))
        event = Event(
            wholes[self.position], wholes[ticks], pitches, line, column, bool(from_ties),
            bool(held), False, True, self.layer, token, from_ties,
        )  # fmt: skip
        self.events.append(event)
        self.last = event
        self.last_ticks = ticks
        self.position += ticks
        if held:
            self._hold(event, held)

    def _hold(self, event: Event, held: dict[int, int]) -> None:
        tie = Tie(event, self.number)
        for pitch, step in held.items():
            self.ties[pitch] = (step, tie)

    def _meet(self, pitches: tuple[int, ...], holds: bool) -> tuple[int, ...]:
        """Let the ties in the air meet a note or chord; return the pitches that they reach.

        A tie that it doesn't take up stays in the air where the new note is tied itself:
        so arpeggios are written whose notes are held into the chord behind them. A chord
        of which one tied note goes on has done its duty.
        """
        ties = self.ties
        met = tuple([pitch for pitch in pitches if pitch in ties])
        for pitch in set(met):
            ties.pop(pitch)[1].met = True
        if not holds and ties:
            self._drop_ties()
        return met

    def _rest(self, ticks: Ticks, token: str, line: int, column: int) -> None:
        if not self.opened:
            self.open(line, column)
        if self.tuplet_left or self.broken is not None:
            ticks = self._length(ticks, line, column)
        else:
            self.base = ticks
        if self.ties:
            self._drop_ties()
        event = Event(
            wholes[self.position], wholes[ticks], (), line, column, False, False, False,
            token[0] != "x", self.layer, token, (),
        )  # fmt: skip
        self.events.append(event)
        self.last = event
        self.last_ticks = ticks
        self.position += ticks

    def _drop_ties(self) -> None:
        """Give up the ties in the air; remark on those that have led nowhere."""
        for tie in {id(tie): tie for _, tie in self.ties.values()}.values():
            if not tie.met:
                self.remarks.add(
                    "tie-dangling", "the tie leads to no note of the same pitch", "critical",
                    self.id, tie.number, tie.event.line, tie.event.column, tie.event.text,
                )  # fmt: skip
        self.ties.clear()

    def _soften_ties(self) -> None:
        """A tie into a repeat or an ending may meet its note elsewhere than behind it."""
        for _, tie in self.ties.values():
            tie.met = True

    def _bad_length(self, token: str, line: int, column: int) -> None:
        self.fault(
            "length-unreadable", "no usable length or octave", line, column, found=token[:30]
        )

    # -- barlines -----------------------------------------------------------------------

    def _barline(self, token: str, line: int, column: int) -> None:
        signs = _BAR_SIGNS.match(token)
        sign = signs[0] if signs else token
        ending = token[len(sign) :]
        if not self.opened:
            # Nothing since the last barline: they belong together.
            same_row = bool(self.bars) and self.bars[-1].number == self.row
            if same_row or (self.bars and sign[0] == ":"):
                self.bars[-1].right += sign
            self.left = sign
        else:
            self.close(sign, line, column)
        if ":" in sign or ending:
            self._soften_ties()
        if ending:
            self.ending = ending

    def close(self, right: str, line: int, column: int) -> None:
        """End the bar that is being read."""
        if self.tuplet_left:
            self.fault(
                "tuplet-open", f"the tuplet lacks {self.tuplet_left} more at the barline", line,
                column,
            )  # fmt: skip
        if self.broken is not None:
            self.fault("broken-rhythm", "no note behind > or <", line, column)
        if self.layer:
            self._leave_layers()
        metre = self.start_metre
        self.bars.append(
            Bar(
                self.number,
                wholes[self.position],
                None if metre.ticks is None else wholes[metre.ticks],
                metre.text,
                self.events,
                self.left,
                right,
                self.place[0],
                self.place[1],
                self.start_key,
                False,
                self.ending,
            )
        )
        self.event_count += len(self.events)
        self.ending = ""
        self.left = right
        self.begin()

    def _leave_layers(self) -> None:
        self.other_ties[self.layer] = self.ties
        self.ties = self.other_ties.pop(0, {})
        self.position = self.main if self.main is not None else self.position
        self.layer = 0

    # -- everything rarer ---------------------------------------------------------------

    def _other(self, kind: str | None, token: str, text: str, at: int, line: int) -> None:
        column = at + 1
        if kind in ("decoration", "text", "plus"):
            if not self.opened:
                pass
        elif kind == "slur":
            self._slur(token, line, column)
        elif kind == "tuplet":
            self._tuplet(token, line, column)
        elif kind == "broken":
            self._broken(token, line, column)
        elif kind == "grace":
            self._grace(text, at, at + len(token), line)
        elif kind == "field":
            self.field(token[1], token[3:-1].strip(), line, column)
        elif kind == "ending":
            self.ending = token[1:].strip('"')
            self._soften_ties()
        elif kind == "ornament":
            if token not in _STANDARD_ORNAMENTS and token not in self.users:
                self.fault(
                    "letter-unknown", "a letter that means nothing here", line, column, token,
                    severity="warning",
                )  # fmt: skip
        elif kind == "mixed":
            self._mixed(token, text, at, line)
        elif kind == "tie":
            self._late_tie(line, column)
        elif kind == "multirest":
            self._multirest(token, line, column)
        elif kind == "spacer":
            self._spacer(token, line, column)
        elif kind == "overlay":
            self._overlay(line, column)
        elif kind == "microtone":
            self._microtone(token, line, column)

    def _slur(self, token: str, line: int, column: int) -> None:
        if token == "(":
            if not self.slurs:
                self.slur_place = (self.number, line, column)
            self.slurs += 1
        elif self.slurs:
            self.slurs -= 1
        else:
            self.fault(
                "slur-close", "')' ends no slur", line, column, found=")", severity="warning"
            )

    def _tuplet(self, token: str, line: int, column: int) -> None:
        numbers = token[1:].split(":")
        if any(len(number) > 3 for number in numbers):
            self.fault("tuplet", "no usable tuplet", line, column, found=token[:30])
            return
        p = int(numbers[0])
        q = int(numbers[1]) if len(numbers) > 1 and numbers[1] else None
        count = int(numbers[2]) if len(numbers) > 2 and numbers[2] else p
        ratio = tuplet_ratio(p, q, self.metre.compound)
        if ratio is None or not 1 <= count <= 99:
            self.fault("tuplet", "no usable tuplet", line, column, found=token[:30])
            return
        if self.tuplet_left:
            self.fault(
                "tuplet-nested", f"a tuplet begins while {self.tuplet_left} of another are missing",
                line, column, found=token,
            )  # fmt: skip
        self.tuplet, self.tuplet_left = ratio, count

    def _broken(self, token: str, line: int, column: int) -> None:
        factors = _BROKEN.get(len(token)) if len(set(token)) == 1 else None
        if factors is None or self.last is None or self.broken is not None:
            self.fault(
                "broken-rhythm",
                "no broken rhythm" if factors is None else "no note before > or <",
                line, column, found=token[:10],
            )  # fmt: skip
            return
        first, second = factors if token[0] == ">" else factors[::-1]
        self.plain = self.last_ticks
        new = scale(self.last_ticks, *first)
        self.position += new - self.last_ticks
        self.last_ticks = new
        self.last.duration = wholes[new]
        self.broken = second

    def _grace(self, text: str, start: int, end: int, line: int) -> None:
        begin = start + (2 if text.startswith("{/", start) else 1)
        if not self.opened:
            self.open(line, start + 1)
        any_note = False
        for match in MUSIC.finditer(text, begin, end - 1):
            kind, token, column = match.lastgroup, match[0], match.start() + 1
            pitches: tuple[int, ...] = ()
            if kind == "note":
                note = self.tokens.notes.get(token) or self.tokens.note(token)
                if note is not None:
                    pitches = (self._grace_sound(note),)
            elif kind == "chord":
                chord = self.tokens.chords.get(token) or self.tokens.chord(token)
                if chord is not None:
                    pitches = tuple([self._grace_sound(note) for note in chord.notes])
            elif kind not in ("error", "bar", "overlay", "multirest"):
                any_note = any_note or kind == "rest"
                continue
            any_note = True
            if not pitches:
                self.fault("grace-content", "no grace note", line, column, found=token[:20])
                continue
            self.events.append(
                Event(
                    wholes[self.position],
                    wholes[0],
                    pitches,
                    line,
                    column,
                    False,
                    False,
                    True,
                    True,
                    self.layer,
                    token,
                    (),
                )  # fmt: skip
            )
        if not any_note:
            self.fault("grace-content", "no grace note between { and }", line, start + 1)

    def _grace_sound(self, note: Note) -> int:
        ties, self.ties = self.ties, {}
        pitch = self._sound(note)
        self.ties = ties
        return pitch

    def _mixed(self, token: str, text: str, at: int, line: int) -> None:
        """Read a chord that holds more than notes: decorations, annotations, spaces."""
        inner_end = at + token.rindex("]")
        notes: list[Note | None] = []
        bad = False
        for match in MUSIC.finditer(text, at + 1, inner_end):
            kind, inner, column = match.lastgroup, match[0], match.start() + 1
            if kind == "note":
                notes.append(self.tokens.notes.get(inner) or self.tokens.note(inner))
            elif kind in ("space", "decoration", "text", "plus", "slur", "ornament"):
                continue
            else:
                bad = True
                self.fault("chord-content", "no part of a chord", line, column, found=inner[:20])
        tail = text[inner_end + 1 : at + len(token)]
        tie = tail.endswith("-")
        chord = chord_of(tuple(notes), tail.rstrip("-").rstrip("."), tie)
        if chord is not None:
            self._chord(chord, token, line, at + 1)
        elif not bad:
            self.fault("chord-empty", "a chord without notes", line, at + 1, found=token[:20])

    def _late_tie(self, line: int, column: int) -> None:
        """A ``-`` apart from its note: it ties the note before, as abc2midi has it."""
        last = self.last
        if last is None or not last.pitches or last.tied_to:
            self.fault("tie-stray", "the tie follows no note", line, column, found="-")
            return
        last.tied_to = True
        token = last.text + "-"
        if token[0] == "[":
            chord = self.tokens.chord(token)
            steps = [note.step for note in chord.notes] if chord else []
        else:
            note = self.tokens.note(token)
            steps = [note.step] if note else []
        self._hold(last, dict(zip(last.pitches, steps, strict=False)))

    def _multirest(self, token: str, line: int, column: int) -> None:
        count = int(token[1:]) if len(token) in (2, 3, 4, 5) else 1
        full = self.metre.ticks
        if len(token) > 5 or not count or count > 2000:
            self._bad_length(token, line, column)
            return
        if self.row is not None or count == 1 or self.position:
            self._rest(0 if full is None else full * count, "z" if token[0] == "Z" else "x",
                       line, column)  # fmt: skip
            if self.last is not None:
                self.last.text = token
            return
        for index in range(count):
            self._rest(0 if full is None else full, "z" if token[0] == "Z" else "x", line, column)
            if self.last is not None:
                self.last.text = token
            if index < count - 1:
                self.close("|", line, column)

    def _spacer(self, token: str, line: int, column: int) -> None:
        if read_length(token[1:]) is None:
            self._bad_length(token, line, column)
            return
        if not self.opened:
            self.open(line, column)
        self.events.append(
            Event(
                wholes[self.position],
                wholes[0],
                (),
                line,
                column,
                False,
                False,
                False,
                False,
                self.layer,
                token,
                (),
            )  # fmt: skip
        )

    def _overlay(self, line: int, column: int) -> None:
        if self.tuplet_left:
            self.fault("tuplet-open", "the tuplet is not complete at '&'", line, column)
        if not self.opened:
            self.open(line, column)
        if self.layer == 0:
            self.main = self.position
        self.other_ties[self.layer] = self.ties
        self.layer += 1
        self.ties = self.other_ties.pop(self.layer, {})
        self.position = 0
        self.last = None
        self.tuplet_left = 0
        self.broken = None

    def _microtone(self, token: str, line: int, column: int) -> None:
        self.fault(
            "microtone", "a microtone, taken as the note of the staff", line, column, token[:20],
            severity="warning",
        )  # fmt: skip
        plain = token.lstrip("^_0123456789/")
        note = self.tokens.note(plain)
        if note is None:
            self._bad_length(token, line, column)
        else:
            self._note(note, token, line, column)

    def _error(self, text: str, at: int, after: int, end: int, line: int) -> int:
        """Name what no rule takes; return where to go on."""
        token = text[at:after]
        first = token[0]
        code, message = _ERRORS.get(first, ("character", "a character that means nothing here"))
        if first in "0123456789/":
            code, message = "length-stray", "a length without a note: a pitch letter is missing"
        elif first < " " or "\x7f" <= first <= "\x9f":
            code, message = "control-character", "a control character"
        self.fault(code, message, line, at + 1, found=repr(token[:20])[1:-1])
        span = ERROR_SPAN.get(first)
        if span is not None:
            match = span.match(text, at, end)
            if match is not None:
                return max(match.end(), after)
        return after

    def finish(self) -> None:
        """Remark on what is still open at the end of the voice."""
        if self.ties:
            self._drop_ties()
        if self.slurs and self.slur_place is not None:
            number, line, column = self.slur_place
            self.remarks.add(
                "slur-open", f"{self.slurs} slur{'s'[: self.slurs > 1]} never ended", "warning",
                self.id, number, line, column, found="(",
            )  # fmt: skip


_ERRORS = {
    '"': ("quote-open", "a quotation mark is never closed"),
    "!": ("decoration-open", "'!' encloses no decoration"),
    "{": ("grace-open", "'{' is never closed"),
    "}": ("grace-close", "'}' closes nothing"),
    "[": ("chord-open", "'[' is never closed"),
    "]": ("chord-close", "']' closes nothing"),
    "^": ("accidental-stray", "an accidental without a note: a pitch letter is missing"),
    "_": ("accidental-stray", "an accidental without a note: a pitch letter is missing"),
    "=": ("accidental-stray", "an accidental without a note: a pitch letter is missing"),
    ",": ("octave-stray", "an octave mark without a note: a pitch letter is missing"),
    "'": ("octave-stray", "an octave mark without a note: a pitch letter is missing"),
}
