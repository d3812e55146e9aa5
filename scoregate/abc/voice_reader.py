"""One voice being read: tokens become events, events become bars."""

from __future__ import annotations

import re
from operator import attrgetter

from scoregate.abc.fields import Metre, Properties
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.keys import PLAIN, Alterations
from scoregate.abc.lengths import Ticks, scale, wholes
from scoregate.abc.lexer import MUSIC
from scoregate.abc.note_tokens import Chord, Note, Tokens, tokens_of
from scoregate.abc.score import Bar, Event
from scoregate.abc.special_tokens import RARE, read_error
from scoregate.abc.ties import Tie, Ties, copy_ties, remark_on_tie
from scoregate.compiled import loops
from scoregate.findings import Severity

_OTHER_PART = re.compile(r"/(?:3|5|6|7|9|10|12|24)\b")
_BAR_SIGNS = re.compile(r"[.|:\]\[]+")


class VoiceReader:
    """Reads the music of one voice, piece by piece, in the text's order.

    Parameters
    ----------
    id : str
    unit : int or Fraction
        Ticks of ``L:``.
    metre : Metre
    remarks : FindingCollector
        Takes the faults of this voice.
    propagate : {'octave', 'pitch', 'not'}
        How far an accidental holds within its bar: for its octave, for all octaves, or
        for its note alone (``%%propagate-accidentals``).
    """

    # In the order in which they are explained below, not in the alphabet's.
    __slots__ = (  # noqa: RUF023
        "id", "remarks", "propagate", "users", "tokens", "metre", "known_metre", "alterations",
        "key_name", "clef_shift", "octave_shift", "transpose", "shift",
        "bars", "event_count", "row", "left", "ending", "ties", "other_ties", "loose", "slurs",
        "slur_place",
        "events", "accidentals", "position", "main", "layer", "tuplet", "tuplet_left", "broken",
        "base", "plain", "last", "last_ticks", "beyond",
        "opened", "place", "start_metre", "start_key",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        unit: Ticks,
        metre: Metre,
        remarks: FindingCollector,
        propagate: str = "octave",
    ) -> None:
        self.id = id
        self.remarks = remarks
        self.propagate = propagate
        self.users: set[str] = set()
        # In force until changed.
        self.tokens = tokens_of(unit)
        self.metre = self.known_metre = metre
        self.alterations: Alterations = PLAIN
        self.key_name = ""
        self.clef_shift = self.octave_shift = self.transpose = self.shift = 0
        # What was read, and what lasts over barlines.
        self.bars: list[Bar] = []
        self.event_count = 0
        self.row: int | None = None
        self.left = ""
        self.ending = ""
        self.ties: Ties = {}
        self.other_ties: dict[int, Ties] = {}
        # Ties that no note of this voice has continued.
        self.loose: list[Tie] = []
        self.slurs = 0
        self.slur_place: tuple[int, int, int] | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a bar."""
        self.events: list[Event] = []
        self.accidentals: dict[int, int] = {}
        self.position: Ticks = 0
        # Length of the main layer while those behind & are read.
        self.main: Ticks = 0
        self.layer = 0
        self.tuplet: tuple[int, int] = (1, 1)
        self.tuplet_left = 0
        # Behind > or <: the factor of the next note; what the note before measures as
        # written, and what it would by itself.
        self.broken: tuple[int, int] | None = None
        self.base: Ticks = 0
        self.plain: Ticks = 0
        self.last: Event | None = None
        self.last_ticks: Ticks = 0
        # Whether a pitch outside of MIDI's was met.
        self.beyond = False
        # Set by the first event.
        self.opened = False
        self.place = (0, 0)
        self.start_metre = self.metre
        self.start_key = self.key_name

    def copy(self, remarks: FindingCollector) -> VoiceReader:
        """Return a reader that goes on from the last barline, and remarks into `remarks`."""
        new = VoiceReader.__new__(VoiceReader)
        # Only what `begin` does not set: lines are judged on copies, thousands a minute.
        for name, value in zip(_LASTING, _lasting(self), strict=True):
            setattr(new, name, value)
        new.remarks = remarks
        new.bars = []
        new.loose = []
        new.ties = copy_ties(self.ties)
        new.other_ties = {layer: copy_ties(ties) for layer, ties in self.other_ties.items()}
        new.begin()
        return new

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
        severity: Severity = "critical",
    ) -> None:
        """Remark on the bar that is being read."""
        self.remarks.add(code, message, severity, self.id, self.number, line, column, found)

    # -- settings -----------------------------------------------------------------------

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

    # -- music --------------------------------------------------------------------------

    def music(self, text: str, start: int, end: int, line: int) -> None:
        """Read ``text[start:end]``, a stretch of music of this voice on one line."""
        position = start
        while position < end:
            if loops is not None:
                # Notes, rests and plain barlines, as far as nothing else stands between them.
                position = loops.read_notes(self, text, position, end, line)
                if position >= end:
                    return
            for match in MUSIC.finditer(text, position, end):
                kind = match.lastgroup
                if kind == "space":
                    continue
                token = match[0]
                at = match.start()
                if kind == "note":
                    note = self.tokens.notes.get(token) or self.tokens.note(token)
                    if note is None:
                        self.bad_length(token, line, at + 1)
                    else:
                        self.note(note, token, line, at + 1)
                elif kind == "rest":
                    ticks = self.tokens.rests.get(token) or self.tokens.rest(token)
                    if ticks is None:
                        self.bad_length(token, line, at + 1)
                    else:
                        self.rest(ticks, token, line, at + 1)
                elif kind == "bar":
                    self._barline(token, line, at + 1)
                elif kind == "chord":
                    chord = self.tokens.chords.get(token) or self.tokens.chord(token)
                    if chord is None:
                        self.bad_length(token, line, at + 1)
                    else:
                        self.chord(chord, token, line, at + 1)
                elif kind == "error":
                    position = read_error(self, text, match, end, line)
                    break
                else:
                    rare = RARE.get(kind or "")
                    if rare is not None:
                        rare(self, token, text, at, line)
                if loops is not None:
                    position = match.end()
                    break
            else:
                return

    def open(self, line: int, column: int) -> None:
        """Note where the bar's music begins, and what is in force there."""
        self.opened = True
        self.place = (line, column)
        self.start_metre = self.metre
        self.start_key = self.key_name

    def note(self, note: Note, token: str, line: int, column: int) -> None:
        """Read a note."""
        pitch = self.sound(note)
        held = {pitch: note.step} if note.tie else None
        self._add(note.ticks, (pitch,), held, token, line, column)

    def chord(self, chord: Chord, token: str, line: int, column: int) -> None:
        """Read a chord."""
        pitches = tuple([self.sound(note) for note in chord.notes])
        held = {
            pitch: note.step
            for pitch, note in zip(pitches, chord.notes, strict=True)
            if chord.tie or note.tie
        }
        self._add(chord.ticks, pitches, held, token, line, column)

    def sound(self, note: Note) -> int:
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
        pitch = note.natural + alter + self.shift
        if 0 <= pitch <= 127:
            return pitch
        self.beyond = True
        return min(max(pitch, 0), 127)

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
        met = self._meet(pitches, bool(held)) if self.ties else ()
        onset, duration = wholes[self.position], wholes[ticks]
        event = Event(
            onset, duration, pitches, line, column, bool(met), bool(held), False, True,
            self.layer, token, met,
        )  # fmt: skip
        self.events.append(event)
        self.last = event
        self.last_ticks = ticks
        self.position += ticks
        if held:
            self.hold(event, held)
        if self.beyond:
            self.bad_pitch(token, line, column)

    def rest(self, ticks: Ticks, token: str, line: int, column: int) -> None:
        """Read a rest."""
        if not self.opened:
            self.open(line, column)
        if self.tuplet_left or self.broken is not None:
            ticks = self._length(ticks, line, column)
        else:
            self.base = ticks
        if self.ties:
            self.drop_ties()
        onset, duration = wholes[self.position], wholes[ticks]
        event = Event(
            onset, duration, (), line, column, False, False, False, token[0] not in "xX",
            self.layer, token,
        )  # fmt: skip
        self.events.append(event)
        self.last = event
        self.last_ticks = ticks
        self.position += ticks

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
                self.relength(self.last, self.plain)
            self.broken = None
        self.base = base
        return ticks

    def relength(self, last: Event, ticks: Ticks) -> None:
        """Give the last note or rest another length."""
        self.position += ticks - self.last_ticks
        self.last_ticks = ticks
        last.duration = wholes[ticks]
        for event in reversed(self.events):
            if event is last:
                break
            # Grace notes and spacers behind it.
            event.onset = wholes[self.position]

    def bad_pitch(self, token: str, line: int, column: int) -> None:
        """Remark on a pitch outside of MIDI's, which was taken as the nearest one."""
        self.beyond = False
        self.fault("pitch", "below or above every pitch of MIDI", line, column, token[:30])

    def bad_length(self, token: str, line: int, column: int) -> None:
        """Remark on a note whose length or octave can't be taken."""
        if _OTHER_PART.search(token):
            message = "no note has this length; three notes in the time of two are (3CDE"
        else:
            message = "no usable length or octave"
        self.fault("length-unreadable", message, line, column, token[:30])

    # -- ties ---------------------------------------------------------------------------

    def hold(self, event: Event, held: dict[int, int]) -> None:
        """Hold pitches (each with its staff step) of an event on."""
        tie = Tie(event, self.number)
        for pitch, step in held.items():
            self.ties[pitch] = (step, tie)

    def _meet(self, pitches: tuple[int, ...], holds: bool) -> tuple[int, ...]:
        """Let the open ties meet a note or chord; return the pitches that are continued.

        A tie that it doesn't continue stays open where the new note is tied itself: this is
        how arpeggios are written whose notes are held into the chord behind them. Of a tied
        chord it is enough that one note is continued.
        """
        ties = self.ties
        met = tuple([pitch for pitch in pitches if pitch in ties])
        for pitch in set(met):
            ties.pop(pitch)[1].met = True
        if not holds and ties:
            self.drop_ties()
        return met

    def drop_ties(self) -> None:
        """Close all ties; remark on those that no note has continued."""
        for tie in {id(tie): tie for _, tie in self.ties.values()}.values():
            if not tie.met:
                self.loose.append(tie)
                remark_on_tie(self.id, tie, self.remarks)
        self.ties.clear()

    def soften_ties(self) -> None:
        """Let a tie into a repeat or an ending meet its note elsewhere than behind it."""
        for _, tie in self.ties.values():
            tie.met = True

    # -- barlines -----------------------------------------------------------------------

    def _barline(self, token: str, line: int, column: int) -> None:
        if token == "|":
            sign, ending = token, ""
        else:
            signs = _BAR_SIGNS.match(token)
            sign = signs[0] if signs else token
            ending = token[len(sign) :]
        if self.opened:
            self.close(sign, line, column)
        else:
            # Nothing since the last barline: they belong together.
            same_row = bool(self.bars) and self.bars[-1].number == self.row
            if same_row or (self.bars and sign[0] == ":"):
                self.bars[-1].right += sign
            self.left = sign
        if ":" in sign or ending:
            self.soften_ties()
        if ending:
            self.ending = ending

    def close(self, right: str, line: int, column: int) -> None:
        """End the bar that is being read."""
        if self.tuplet_left:
            lacking = f"the tuplet lacks {self.tuplet_left} more at the barline"
            self.fault("tuplet-open", lacking, line, column)
        if self.broken is not None:
            self.fault("broken-rhythm", "no note behind > or <", line, column)
        if self.layer:
            self.other_ties[self.layer] = self.ties
            self.ties = self.other_ties.pop(0, {})
            self.position = self.main
        metre = self.start_metre
        self.bars.append(
            Bar(
                self.row if self.row is not None else len(self.bars) + 1,
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

    def finish(self) -> None:
        """Remark on what is still open at the end of the voice."""
        for layer, ties in self.other_ties.items():
            if layer:
                self.ties.update(ties)
        if self.ties:
            self.drop_ties()
        if self.slurs and self.slur_place is not None:
            number, line, column = self.slur_place
            many = "1 slur is" if self.slurs == 1 else f"{self.slurs} slurs are"
            self.remarks.add(
                "slur-open", f"{many} never ended", "warning", self.id, number, line, column, "("
            )


_LASTING = (
    "id", "propagate", "users", "tokens", "metre", "known_metre", "alterations", "key_name",
    "clef_shift", "octave_shift", "transpose", "shift", "event_count", "row", "left", "ending",
    "slurs", "slur_place",
)  # fmt: skip
"""What a copy takes over as it is."""
_lasting = attrgetter(*_LASTING)

if loops is not None:
    loops.bind_reader(VoiceReader, Tokens, wholes)
