"""The tune's body: lines in, bars per voice out."""

from __future__ import annotations

import re
from copy import copy
from fractions import Fraction
from typing import NamedTuple

from scoregate.abc.fields import read_metre, read_properties, read_unit
from scoregate.abc.finding_collector import MAX_FAULTS, FindingCollector
from scoregate.abc.header import (
    FIELD_LINE,
    Header,
    block_opened,
    declare,
    remark_on_tempo,
    split_comment,
    unusable_transposition,
)
from scoregate.abc.inline_fields import take_field
from scoregate.abc.keys import read_key
from scoregate.abc.lengths import wholes
from scoregate.abc.lexer import MUSIC, STREAM_MARK, VOICE_MARK
from scoregate.abc.voice_reader import VoiceReader

MAX_VOICES = 1000
"""Voices of one tune; the largest real scores have about 60."""
MAX_EVENTS = 400_000
"""Notes, rests and bars of one tune; the largest real pieces have about 30,000."""


_TRAILING_BAR = re.compile(r"[|:\]]+$")


class RowNote(NamedTuple):
    """What finishing needs to know of a line that is one bar of every voice.

    Attributes
    ----------
    line : int
        Number of the line, from 1.
    marks : list of re.Match
        Its ``[V:id]`` marks.
    shapes : dict of str to tuple
        For each voice in the line, the length in whole notes and the right barline of each
        of its bars (usually one).
    units : dict of str to Fraction
        Unit length in force for each voice at the end of the line, in whole notes.
    unit : Fraction
        Unit length of a voice that has not occurred yet.
    """

    line: int
    marks: list[re.Match[str]]
    shapes: dict[str, tuple[tuple[Fraction, str], ...]]
    units: dict[str, Fraction]
    unit: Fraction


class TooMuchError(Exception):
    """The text exceeds a bound of the reader, which the message names; the reader catches it."""


def is_interleaved(lines: list[str], begin: int) -> bool:
    """Whether a line holds one bar of all voices.

    True for text with ``[r:i/j]`` markers; where most lines of music name two voices or
    more inline (``[V:1]...|[V:2]...|``); and where some do and every line begins with one,
    as in text that lacks voices here and there.
    """
    music = several = led = 0
    for line in lines[begin:]:
        if line.startswith("[r:"):
            return True
        if line[1:2] == ":" or line.startswith("%"):
            continue
        voices = line.count("[V:")
        if voices or "|" in line:
            music += 1
            several += voices >= 2
            led += line.startswith("[V:")
    return several > 0 and (2 * several > music or led == music)


class Body:
    """Reads the lines behind the header.

    Parameters
    ----------
    head : Header
    remarks : FindingCollector
    interleaved : bool
        Whether a line of music is one bar of every voice, numbered by the line.
    """

    def __init__(self, head: Header, remarks: FindingCollector, interleaved: bool) -> None:
        self.head = head
        self.remarks = remarks
        self.interleaved = interleaved
        self.voices: dict[str, VoiceReader] = {}
        self.undeclared: set[str] = set()
        self.row = 0
        self.row_lines: list[int] = []
        self.row_voices: list[list[str]] = []
        self.row_notes: list[RowNote] | None = None
        self.marks: list[tuple[int, int, int]] = []
        self.any_music = False
        self.first_line = max(1, head.body)
        self.block = ""
        self.total = 0
        self.metre, self.unit = head.metre, head.unit
        self.key, self.properties = head.key, head.key_properties
        self.users = set(head.users)
        for name in (*head.voices, *(place for place in head.places if place not in head.voices)):
            self.voice(name)
        first = next(iter(self.voices), None)
        self.current: str | None = head.current_voice or first

    def voice(self, name: str) -> VoiceReader:
        """Return the reader of voice `name`, making it where it is new."""
        got = self.voices.get(name)
        if got is not None:
            return got
        if len(self.voices) >= MAX_VOICES:
            raise TooMuchError(f"more than {MAX_VOICES} voices")
        head = self.head
        got = VoiceReader(name, self.unit, self.metre, self.remarks, head.propagate)
        got.users = self.users
        got.set_key(self.key.name, self.key.alterations)
        got.start_key = self.key.name
        got.set_properties(self.properties)
        declared = head.voices.get(name)
        if declared is not None:
            got.set_properties(declared.properties)
        self.voices[name] = got
        return got

    def copy(self, remarks: FindingCollector) -> Body:
        """Return a body that reads on from here by itself, and remarks into `remarks`."""
        new = copy(self)
        new.remarks = remarks
        new.voices = {name: voice.copy(remarks) for name, voice in self.voices.items()}
        new.undeclared = set(self.undeclared)
        new.row_lines, new.row_voices, new.marks = [], [], list(self.marks[-1:])
        new.row_notes = None
        return new

    # -- lines --------------------------------------------------------------------------

    def line(self, line: str, number: int) -> None:
        """Read one line that isn't empty."""
        if self.block:
            if line.startswith("%%end" + self.block):
                self.block = ""
            return
        if line[0] == "%":
            self.block = block_opened(line)
            return
        if "%" in line:
            line = split_comment(line)
            if not line.strip():
                return
        if line[1:2] == ":" or line[0] == "+":
            match = FIELD_LINE.match(line)
            if match is not None:
                self._field_line(match[1], line[2:].strip(), number)
                return
        self.music_line(line, number)

    def music_line(self, line: str, number: int) -> None:
        """Read a line of music: its cells, each of one voice."""
        end = len(line.rstrip())
        goes_on = end > 0 and line[end - 1] == "\\"
        if goes_on:
            end -= 1
        start = 0
        if line.startswith("[r:"):
            mark = STREAM_MARK.match(line)
            if mark is not None:
                self.marks.append((int(mark[1]), int(mark[2]), number))
                start = mark.end()
        if not self.any_music:
            self.any_music, self.first_line = True, number
        marks = self._marks(line, start, end) if "[V:" in line else []
        if self.interleaved:
            self._row(line, number, start, end, marks)
            return
        first = marks[0].start() if marks else end
        if not marks or line[start:first].strip():
            self._stretch(self._current(number), line, start, first, number)
        for index, mark in enumerate(marks):
            voice = self._named(mark, number)
            self.current = voice.id
            stop = marks[index + 1].start() if index + 1 < len(marks) else end
            self._stretch(voice, line, mark.end(), stop, number)
        if not goes_on and self.current is not None:
            self._line_end(self.voices[self.current], number, end)

    def _line_end(self, voice: VoiceReader, number: int, end: int) -> None:
        """Let the end of a line stand for the barline that a full bar lacks there."""
        full = voice.metre.ticks
        if voice.opened and full is not None and voice.position == full and not voice.layer:
            message = "the line's end stands for a barline"
            voice.fault("barline-at-line-end", message, number, end + 1, severity="warning")
            voice.close("|", number, end + 1)

    def _marks(self, line: str, start: int, end: int) -> list[re.Match[str]]:
        """Return the line's ``[V:id]`` marks.

        A known voice ends a quotation that was never closed; anything else between
        quotation marks is their content.
        """
        marks: list[re.Match[str]] = []
        quotes, counted = 0, start
        for mark in VOICE_MARK.finditer(line, start, end):
            if mark[1] not in self.voices:
                quotes += line.count('"', counted, mark.start())
                counted = mark.start()
                if quotes % 2:
                    continue
            marks.append(mark)
        return marks

    def _row(self, line: str, number: int, start: int, end: int, marks: list[re.Match[str]]):
        """Read a line that is one bar of every voice."""
        self.row += 1
        self.row_lines.append(number)
        present: list[str] = []
        self.row_voices.append(present)
        first = marks[0].start() if marks else end
        if first > start and line[start:first].strip():
            self._prefix(line, start, first, number, bool(marks), present)
        for index, mark in enumerate(marks):
            voice = self._named(mark, number)
            stop = marks[index + 1].start() if index + 1 < len(marks) else end
            if voice.id in present:
                self.remarks.add(
                    "voice-twice",
                    "the voice stands twice in its line",
                    "critical",
                    voice.id,
                    self.row,
                    number,
                    mark.start() + 1,
                )
            else:
                present.append(voice.id)
            self._cell(voice, line, mark.end(), stop, number)
        self._share_metre(present)
        if self.row_notes is not None:
            self.row_notes.append(self._note_row(number, marks, present))
        self._bound()

    def _note_row(self, number: int, marks: list[re.Match[str]], present: list[str]) -> RowNote:
        """Return what finishing needs to know of the row that was just read."""
        shapes = {}
        for name in present:
            bars = [bar for bar in self.voices[name].bars[-8:] if bar.number == self.row]
            shapes[name] = tuple((bar.duration, bar.right) for bar in bars)
        units = {name: wholes[voice.tokens.unit] for name, voice in self.voices.items()}
        return RowNote(number, marks, shapes, units, wholes[self.unit])

    def _share_metre(self, present: list[str]) -> None:
        """Let a metre that some voices of the line change to hold for all of them.

        A voice that rests is left out where the metre changes, and comes back without a
        word of it. Where voices change to different metres each keeps its own.
        """
        voices = [self.voices[name] for name in present]
        changed = [voice for voice in voices if voice.metre is not voice.known_metre]
        if not changed:
            return
        metre = changed[0].metre
        if all(voice.metre == metre for voice in changed):
            self.metre = metre
            now = all(voice.bars[-1].metre_text == metre.text for voice in changed)
            for voice in self.voices.values():
                voice.metre = metre
                if now and voice.bars and voice.bars[-1].number == self.row:
                    voice.bars[-1].metre_text = metre.text
                    voice.bars[-1].metre = None if metre.ticks is None else wholes[metre.ticks]
        for voice in self.voices.values():
            voice.known_metre = voice.metre

    def _cell(self, voice: VoiceReader, line: str, start: int, stop: int, number: int) -> None:
        before, events = len(voice.bars), voice.event_count
        voice.row = self.row
        voice.music(line, start, stop, number)
        if voice.tuplet_left and not voice.opened:
            voice.fault("tuplet-open", "a tuplet without notes", number, stop)
            voice.begin()
        if voice.opened:
            voice.close("", number, stop + 1)
        elif len(voice.bars) == before:
            # A cell without music: a bar of length 0, closed by what stands there.
            sign = _TRAILING_BAR.search(line[start:stop].rstrip())
            voice.open(number, start + 1)
            voice.close(sign[0] if sign else "", number, stop)
        self.total += len(voice.bars) - before + voice.event_count - events

    def _prefix(
        self, line: str, start: int, first: int, number: int, others: bool, present: list[str]
    ) -> None:
        """Read what stands before the first ``[V:``: fields for all, or one voice's music."""
        stretch = [m for m in MUSIC.finditer(line, start, first) if m.lastgroup != "space"]
        if all(m.lastgroup == "field" for m in stretch):
            for match in stretch:
                self._field_for_all(match[0][1], match[0][3:-1].strip(), number, match.start() + 1)
            return
        voice = self._current(number)
        if others or len(self.voices) > 1:
            self.remarks.add(
                "voice-unnamed",
                "music before the line's first [V:]",
                "critical",
                None,
                self.row,
                number,
                start + 1,
                found=line[start : min(first, start + 20)],
            )
            return
        present.append(voice.id)
        self._cell(voice, line, start, first, number)

    def _stretch(self, voice: VoiceReader, line: str, start: int, stop: int, number: int) -> None:
        before = len(voice.bars) + voice.event_count
        voice.music(line, start, stop, number)
        self.total += len(voice.bars) + voice.event_count - before
        self._bound()

    def _bound(self) -> None:
        if self.remarks.count > MAX_FAULTS:
            raise TooMuchError(f"more than {MAX_FAULTS} faults: this is no ABC")
        if self.total > MAX_EVENTS or len(self.row_lines) * len(self.voices) > MAX_EVENTS:
            raise TooMuchError(f"more than {MAX_EVENTS} notes, rests and bars")

    # -- voices and fields ----------------------------------------------------------------

    def _current(self, number: int) -> VoiceReader:
        if self.current is None:
            self.current = "1"
        return self.voice(self.current)

    def _named(self, mark: re.Match[str], number: int) -> VoiceReader:
        name, rest = mark.groups()
        if not rest and name in self.head.voices and name in self.voices:
            return self.voices[name]
        return self._switch(name, rest, number, mark.start() + 1)

    def _switch(self, name: str, rest: str, number: int, column: int) -> VoiceReader:
        """Return the voice that an inline or whole-line ``V:`` names."""
        head = self.head
        rest = rest.strip()
        if name not in head.voices and name not in self.undeclared and not rest:
            self._undeclared(name, number, column)
        if not name and name not in self.voices:
            self.remarks.add("voice-nameless", "V: without an id", line=number, column=column)
        voice = self.voice(name)
        if rest:
            properties = read_properties(rest)
            voice.set_properties(properties)
            if name not in head.voices:
                declare(head.voices, f"{name} {rest}", number, self.remarks)
            else:
                unusable_transposition(properties, number, self.remarks, name)
        return voice

    def _undeclared(self, name: str, number: int, column: int) -> None:
        """Remark on a voice that has no ``V:`` field though others have.

        Ordinary text may declare a voice where it first sings, or in ``%%score`` alone.
        """
        head = self.head
        if name in self.voices and not (self.interleaved and head.voices):
            return
        if not (head.voices or head.places):
            return
        self.undeclared.add(name)
        self.remarks.add(
            "voice-undeclared",
            "the header declares no such voice",
            "critical",
            name,
            self.row or None,
            number,
            column,
        )

    def _field_line(self, letter: str, value: str, number: int) -> None:
        value = split_comment(value)
        if letter == "V":
            parts = value.split(None, 1)
            name, rest = parts[0] if parts else "", parts[1] if len(parts) > 1 else ""
            if name and name not in self.head.voices and not rest:
                # A line of its own declares a voice wherever it stands.
                declare(self.head.voices, name, number, self.remarks)
            voice = self._switch(name, rest, number, 1)
            self.current = voice.id
        elif letter in "KMLU":
            if self.any_music and not self.interleaved and self.current is not None:
                take_field(self.voice(self.current), letter, value, number, 1)
            else:
                self._field_for_all(letter, value, number, 1)
        elif letter == "Q":
            remark_on_tempo(value, number, 3, self.remarks)
        elif letter == "X":
            self.remarks.add(
                "second-reference",
                "X: within the tune: a blank line is missing before it",
                line=number,
                column=1,
            )
        elif letter == "m":
            self.remarks.add(
                "macro",
                "macros (m:) are not expanded, so the music is not what it says",
                line=number,
                column=1,
                found=value[:30],
            )
        elif letter not in "wWsdPQTRNrIABCDFGHOSZ+E":
            self.remarks.add(
                "field-unknown",
                "no such field",
                "warning",
                line=number,
                column=1,
                found=f"{letter}:",
            )

    def _field_for_all(self, letter: str, value: str, number: int, column: int) -> None:
        """Take a field that stands before all voices of a line: it holds for each."""
        if letter == "M":
            self.metre = read_metre(value) or self.metre
        elif letter == "L":
            self.unit = read_unit(value) or self.unit
        elif letter == "K":
            key = read_key(value)
            if key is not None and key.given:
                self.key = key
        elif letter == "Q":
            remark_on_tempo(value, number, column, self.remarks)
        if not self.voices:
            self._current(number)
        for voice in self.voices.values():
            if letter in "KMLU":
                take_field(voice, letter, value, number, column)
