"""ABC text -> :class:`scoregate.abc.score.Score`: read once, used by every gate.

Reads what NotaGen writes (prompt lines, ``[r:i/j]`` markers, no ``X:``, resting voices
left out), finished interleaved ABC (a line is one bar of all voices) and ordinary ABC
(voice after voice, several bars a line, one voice without ``V:``). It never raises on any
text and its time is linear in the text: what it can't read becomes a finding of the gate
``syntax`` with its place.

Of several tunes in one text the first is read, and a critical finding says that the
others were not; :func:`scoregate.abc.source_text.split_tunes` takes them apart.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

from scoregate.abc.body import Body, TooMuchError, is_interleaved
from scoregate.abc.finding_collector import MAX_FAULTS, FindingCollector, abridge
from scoregate.abc.header import FIELD_LINE, Header, looks_like_music, read_header
from scoregate.abc.implied_rests import complete
from scoregate.abc.lengths import wholes
from scoregate.abc.lexer import VOICE_MARK
from scoregate.abc.score import Score, Voice
from scoregate.abc.source_text import RefusedError, open_text
from scoregate.abc.special_tokens import strange_character
from scoregate.abc.ties import settle_ties
from scoregate.abc.voice_reader import VoiceReader
from scoregate.abc.whole_tune_checks import check_ending, check_sense, check_silent

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")


def read(text: str | bytes) -> Score:
    """Read a piece.

    Parameters
    ----------
    text : str or bytes
        Bytes are taken as UTF-8, and as Latin-1 where they aren't, which is a finding.

    Returns
    -------
    Score
        With everything unreadable in ``findings``. A text beyond the bounds
        (`MAX_BYTES`, `MAX_LINE`, ``MAX_EVENTS``, ``MAX_VOICES``) comes back without
        voices and with a finding ``syntax.refused``.
    """
    remarks = FindingCollector()
    opened = text if isinstance(text, str) else ""
    try:
        opened, lines = open_text(text, remarks)
        tune = read_tune(lines, remarks)
    except RefusedError as refusal:
        findings = refusal.remarks.close() if refusal.remarks else []
        return Score(text=opened, findings=[refusal.finding, *findings])
    remarks, body, head = tune.remarks, tune.body, tune.head
    _what_follows(lines, tune.stop, body, remarks)
    score = _score(opened, tune)
    _check_header(lines, head, tune.stream, remarks)
    _control_characters(lines, body, remarks)
    for voice in body.voices.values():
        voice.finish()
    check_silent(score, head, lines, remarks)
    if tune.interleaved:
        complete(score, body, remarks)
    loose = {name: voice.loose for name, voice in body.voices.items()}
    settle_ties(score.voices, loose, remarks)
    check_ending(score, body, remarks)
    check_sense(score, remarks)
    score.findings = remarks.close()
    if remarks.seen("not-music", "critical"):
        score.findings = abridge(score.findings)
    return score


@dataclass(slots=True)
class Tune:
    """A tune whose lines have been read, before the voices are put together.

    Attributes
    ----------
    head : Header
    body : Body
    stop : int
        Index of the line behind the tune's last one.
    interleaved : bool
        Whether a line holds one bar of all voices.
    stream : bool
        Whether it is text as a model writes it: see :class:`scoregate.abc.score.Score`.
    remarks : FindingCollector
    """

    head: Header
    body: Body
    stop: int
    interleaved: bool
    stream: bool
    remarks: FindingCollector


def read_tune(lines: list[str], remarks: FindingCollector, *, note_rows: bool = False) -> Tune:
    """Read header and body of a tune.

    Parameters
    ----------
    lines : list of str
        The whole text, without line ends.
    remarks : FindingCollector
        Takes what can't be read.
    note_rows : bool
        Whether the body keeps what finishing needs of each row (``Body.row_notes``).

    Raises
    ------
    RefusedError
        The text is no ABC, or exceeds a bound of the reader.
    """
    head = read_header(lines, remarks)
    if no_abc(lines, head):
        raise RefusedError("this is no ABC: it has no X:, no K: and no voice")
    stop = end_of_tune(lines, head)
    interleaved = is_interleaved(lines[:stop], head.body)
    try:
        body = _read_body(lines, head, stop, remarks, interleaved, note_rows)
        if interleaved and not body.marks and (several := _several_bars_a_cell(body)):
            # Perhaps ordinary text after all.
            others = FindingCollector()
            other_head = read_header(lines, others)
            other = _read_body(lines, other_head, stop, others, False, note_rows)
            if several > 1 or _fits_together(other, others):
                interleaved, remarks, head, body = False, others, other_head, other
    except TooMuchError as error:
        raise RefusedError(str(error), remarks) from None
    stream = bool(body.marks) or is_prompted(head)
    return Tune(head, body, stop, interleaved, stream, remarks)


def is_prompted(head: Header) -> bool:
    """Whether a header is one that a model writes: prompt lines, and no ``X:``."""
    return bool(head.prompt) and not head.has_reference


def no_abc(lines: list[str], head: Header) -> bool:
    """Whether nothing in a text is ABC: no field that a tune has, and no voice."""
    if head.has_reference or head.has_key or head.metre_given or head.unit_given or head.prompt:
        return False
    if not any(line.strip() for line in lines):
        return False
    return not (head.voices or head.places or any("[V:" in line for line in lines))


def end_of_tune(lines: list[str], head: Header) -> int:
    """Return the index of the first blank line behind the header, or that of the text's end."""
    for index in range(head.body, len(lines)):
        if not lines[index] or lines[index].isspace():
            return index
    return len(lines)


def _what_follows(lines: list[str], stop: int, body: Body, remarks: FindingCollector) -> None:
    """Remark on what stands behind the blank line that ends the tune."""
    for index in range(stop, len(lines)):
        line = lines[index]
        if not line or line.isspace() or line[0] == "%":
            continue
        if line.startswith("X:"):
            remarks.add(
                "several-tunes",
                "another tune begins here, and only the first was read: "
                "split the file, one tune a file",
                line=index + 1,
                column=1,
            )
        elif looks_like_music(line) or FIELD_LINE.match(line) or not body.any_music:
            remarks.add(
                "blank-line",
                "a blank line ends the tune, so the bars behind it are lost",
                bar=body.row + 1 if body.interleaved else None,
                line=stop + 1,
                column=1,
            )
        else:
            remarks.add(
                "text-behind",
                "text behind the end of the tune",
                "warning",
                line=index + 1,
                column=1,
                found=line[:30],
            )
        return


def _read_body(
    lines: list[str],
    head: Header,
    stop: int,
    remarks: FindingCollector,
    interleaved: bool,
    note_rows: bool,
) -> Body:
    body = Body(head, remarks, interleaved)
    if note_rows:
        body.row_notes = []
    for index in range(head.body, stop):
        line = lines[index]
        if line:
            body.line(line, index + 1)
    for voice in body.voices.values():
        if voice.opened:
            voice.close("", stop, len(lines[stop - 1]) + 1)
    return body


def _several_bars_a_cell(body: Body) -> int:
    """Return 2 where most cells hold more than one bar, 1 where some do, 0 where none does.

    Only cells of lines that lack a voice count where it is some.
    """
    cells = sum(len(present) for present in body.row_voices)
    bars = sum(len(voice.bars) for voice in body.voices.values())
    if cells and bars > 1.5 * cells:
        return 2
    if bars == cells or all(len(row) == len(body.voices) for row in body.row_voices):
        return 0
    return 1


def _fits_together(body: Body, remarks: FindingCollector) -> bool:
    """Whether text whose lines are of both kinds makes sense read voice by voice."""
    lengths = {len(voice.bars) for voice in body.voices.values()}
    return len(lengths) == 1 and not any(f.severity == "critical" for f in remarks.findings)


def _score(text: str, tune: Tune) -> Score:
    head, body = tune.head, tune.body
    score = Score(
        text=text,
        prompt=head.prompt,
        stream=tune.stream,
        interleaved=tune.interleaved,
        title=head.title,
        composer=head.composer,
        key=head.key.name,
        metre_text=head.metre.text,
        tempo_text=head.tempo_text,
        unit=wholes[head.unit],
        tempo=head.tempo,
    )
    order = [*head.voices, *(name for name in body.voices if name not in head.voices)]
    score.voices = [_voice(body.voices[name], head, body) for name in order if name in body.voices]
    _instruments(score.voices, head)
    score.bar_count = max((len(voice.bars) for voice in score.voices), default=0)
    return score


def _voice(read: VoiceReader, head: Header, body: Body) -> Voice:
    declared = head.voices.get(read.id)
    properties = declared.properties if declared else None
    base = head.key_properties
    place = head.places.get(read.id)
    clef, shift = base.clef or "treble", base.clef_shift or 0
    octave, transpose = base.octave_shift or 0, base.transpose or 0
    names: dict[str, str] = {}
    if properties is not None:
        names = properties.names
        if properties.clef is not None:
            clef, shift = properties.clef, properties.clef_shift or 0
        octave = octave if properties.octave_shift is None else properties.octave_shift
        transpose = transpose if properties.transpose is None else properties.transpose
    return Voice(
        id=read.id,
        name=names.get("name", ""),
        short_name=names.get("short_name", ""),
        clef=clef,
        transpose=shift + octave + transpose,
        staff=place.staff if place else -1,
        brace=place.brace if place else None,
        declared=read.id not in body.undeclared,
        line=declared.line if declared else None,
        bars=read.bars,
    )


def _instruments(voices: list[Voice], head: Header) -> None:
    """Give every voice an instrument: its own name, or that of its staff or brace."""
    by_staff: dict[int, str] = {}
    by_brace: dict[int, str] = {}
    next_staff = max((voice.staff for voice in voices), default=-1) + 1
    for voice in voices:
        if voice.staff < 0:
            # Not in %%score: a staff of its own.
            voice.staff = next_staff
            next_staff += 1
        if voice.name:
            by_staff.setdefault(voice.staff, voice.name)
            if voice.brace is not None:
                by_brace.setdefault(voice.brace, voice.name)
    for voice in voices:
        voice.instrument = voice.name or by_staff.get(voice.staff, "")
        if not voice.instrument and voice.brace is not None:
            voice.instrument = by_brace.get(voice.brace, "")


def _check_header(lines: list[str], head: Header, stream: bool, remarks: FindingCollector) -> None:
    empty = not any(line.strip() for line in lines)
    if empty:
        remarks.add("empty", "there is nothing to read", line=1, column=1)
        return
    if not head.has_key:
        remarks.add(
            "key-missing",
            "no K: field before the music",
            line=min(head.body + 1, len(lines)),
            column=1,
        )
    if not head.has_reference and not stream:
        remarks.add("reference-missing", "a finished tune begins with X:", line=1, column=1)
    if not head.metre_given:
        remarks.add("metre-missing", "no M: field in the header", "warning", line=1, column=1)


def _control_characters(lines: list[str], body: Body, remarks: FindingCollector) -> None:
    """Remark on control characters that stand where no music is read."""
    told = {(f.line, f.column) for f in remarks.findings if f.code == "syntax.control-character"}
    for number, line in enumerate(lines, 1):
        if line.isprintable():
            continue
        for match in _CONTROL.finditer(line):
            if (number, match.start() + 1) in told:
                continue
            voice, bar = None, None
            row = bisect_left(body.row_lines, number)
            if body.row_lines[row : row + 1] == [number]:
                bar = row + 1
                marks = VOICE_MARK.finditer(line, 0, match.start())
                voice = next((mark[1] for mark in reversed(list(marks))), None)
            remarks.add(
                "control-character",
                strange_character(match[0][0])[1],
                "critical",
                voice,
                bar,
                number,
                match.start() + 1,
                repr(match[0][:20])[1:-1],
            )
            if remarks.count > MAX_FAULTS:
                return
