r"""Tokens of a voice other than notes, rests, chords and barlines; and what can't be read.

Examples
--------
Each token's rule, on a bar in C major with quarter notes as its unit:

>>> from scoregate.abc import read
>>> def tune(music):
...     return read(f"X:1\nL:1/4\nM:none\nK:C\n{music}|]\n")
>>> def lengths(music):
...     return " ".join(str(4 * event.duration) for event in tune(music).voices[0].bars[0].events)
>>> def pitches(music):
...     return [event.pitches for event in tune(music).voices[0].bars[0].events]
>>> def codes(music):
...     return [finding.code for finding in tune(music).findings]

A tuplet ``(p:q:r``: r notes, each q/p of its length. q and r may be left out.

>>> lengths("(3CDE F"), lengths("(3:2:2C2D"), lengths("(5:4CDEFG")
('2/3 2/3 2/3 1', '4/3 2/3', '4/5 4/5 4/5 4/5 4/5')
>>> codes("(3CD"), codes("(3C(3DEF")
(['syntax.tuplet-open'], ['syntax.tuplet-nested'])

Broken rhythm ``>`` and ``<``: the one note is lengthened by what the other is shortened.

>>> lengths("C>D E<F"), lengths("C>>D"), codes("C>D2")
('3/2 1/2 1/2 3/2', '7/4 1/4', ['syntax.broken-rhythm'])

Grace notes have no length and no ties.

>>> lengths("{de}C2"), pitches("{d}C"), codes("{}C")
('0 0 2', [(74,), (60,)], ['syntax.grace-content'])

A slur has no effect; one that is never ended is a warning.

>>> codes("(CD)"), codes("(CD"), codes("CD)")
([], ['syntax.slur-open'], ['syntax.slur-close'])

A tie may stand behind a space. It must lead to a note of the same pitch.

>>> [event.tied_from for event in tune("C- C").voices[0].bars[0].events], codes("C -D")
([False, True], ['syntax.tie-dangling'])

A chord is as long as its first note. Decorations may stand in it.

>>> lengths("[CE2]2"), pitches("[C!fermata!E]"), codes("[C|E]")
('2', [(60, 64)], ['syntax.chord-open', 'syntax.chord-close'])

``&`` begins another layer of the same bar, ``y`` is space, ``Z`` rests for whole bars.

>>> bar = tune("C2 D2 & E4").voices[0].bars[0]
>>> str(bar.duration), [(event.overlay, str(event.onset)) for event in bar.events]
('1', [(0, '0'), (0, '1/2'), (1, '0')])
>>> lengths("CyD")
'1 0 1'
>>> [str(bar.duration) for bar in read("X:1\nL:1/4\nM:3/4\nK:C\nZ2|C3|]\n").voices[0].bars]
['3/4', '3/4', '3/4']

A field in brackets holds from where it stands, for its voice.

>>> pitches("F [K:D]F"), lengths("C [L:1/8]C"), codes("[K:nonsense]C")
([(65,), (66,)], '1 1/2', ['syntax.key-unreadable'])

A number behind a barline or a bracket begins an ending.

>>> [bar.ending for bar in tune("C|1D:|2E").voices[0].bars]
['', '1', '2']

Letters without a meaning, and microtones, are warnings; other characters are faults.

>>> codes("CqD"), codes("^/CD"), codes("C@D")
(['syntax.letter-unknown'], ['syntax.microtone'], ['syntax.character'])
>>> codes("C4 2"), codes('C"D'), codes("C!D"), codes("C^")
(['syntax.length-stray'], ['syntax.quote-open'], ['syntax.decoration-open'],
 ['syntax.accidental-stray'])
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING

from scoregate.abc.finding_collector import MAX_FAULTS
from scoregate.abc.inline_fields import take_field
from scoregate.abc.lengths import read_length, scale, tuplet_ratio, wholes
from scoregate.abc.lexer import ERROR_SPAN, MUSIC
from scoregate.abc.note_tokens import Note, chord_of
from scoregate.abc.score import Event

if TYPE_CHECKING:
    from scoregate.abc.voice_reader import VoiceReader

_BROKEN = {1: ((3, 2), (1, 2)), 2: ((7, 4), (1, 4)), 3: ((15, 8), (1, 8))}
"""Factors of both notes by the number of signs; `<` takes them in the other order."""

_STANDARD_ORNAMENTS = frozenset(".~HJLMOPRSTuv")
_LETTERS = re.compile("[H-Wh-w]")
_NO_MUSIC = 3
"""Letters in a row that mean nothing, and are words rather than a slip."""
_LONGEST_ROW = 20
KNOWN_FROM = 3
"""Notes with the same letter before them that are remarked on."""
_SYMBOL = re.compile(r"[H-Wh-w](?=[\^_=]*[A-Ga-g]|\[[\^_=]*[A-Ga-g]|[({~.uv\"!])")
MAX_MULTIREST = 2000
"""Bars of one ``Z``."""
MAX_GRACE_NOTES = 100
"""Grace notes of one group; written-out cadenzas have up to sixty."""
MAX_LAYERS = 16
"""Layers of one bar; a staff of the most crowded scores has four."""


def _slur(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    if token == "(":
        if not voice.slurs:
            voice.slur_place = (voice.number, line, at + 1)
        voice.slurs += 1
    elif voice.slurs:
        voice.slurs -= 1
    else:
        voice.fault("slur-close", "')' ends no slur", line, at + 1, ")", "warning")


def _tuplet(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    numbers = token[1:].split(":")
    ratio, count = None, 0
    if all(len(number) <= 3 for number in numbers):
        p = int(numbers[0])
        q = int(numbers[1]) if len(numbers) > 1 and numbers[1] else None
        count = int(numbers[2]) if len(numbers) > 2 and numbers[2] else p
        ratio = tuplet_ratio(p, q, voice.metre.compound)
    if ratio is None or not 1 <= count <= 99:
        voice.fault("tuplet", "no usable tuplet", line, at + 1, token[:30])
        return
    if voice.tuplet_left:
        lacking = f"a tuplet begins while another lacks {voice.tuplet_left} more"
        voice.fault("tuplet-nested", lacking, line, at + 1, token)
    voice.tuplet, voice.tuplet_left = ratio, count


def _broken(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    factors = _BROKEN.get(len(token)) if len(set(token)) == 1 else None
    if factors is None or voice.last is None or voice.broken is not None:
        message = "no broken rhythm" if factors is None else "no note before > or <"
        voice.fault("broken-rhythm", message, line, at + 1, token[:10])
        return
    first, second = factors if token[0] == ">" else factors[::-1]
    voice.plain = voice.last_ticks
    voice.relength(voice.last, scale(voice.last_ticks, *first))
    voice.broken = second


def _grace(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    start, end = at + (2 if token.startswith("{/") else 1), at + len(token) - 1
    if not voice.opened:
        voice.open(line, at + 1)
    empty = True
    before = len(voice.events)
    for match in MUSIC.finditer(text, start, end):
        kind, inner, column = match.lastgroup, match[0], match.start() + 1
        if len(voice.events) - before > MAX_GRACE_NOTES:
            message = f"more than {MAX_GRACE_NOTES} grace notes before one note"
            voice.fault("grace-content", message, line, at + 1)
            return
        notes: tuple[Note, ...] = ()
        if kind == "microtone":
            inner = _staff_note(voice, inner, line, column)
            kind = "note"
        if kind == "note":
            note = voice.tokens.notes.get(inner) or voice.tokens.note(inner)
            notes = (note,) if note else ()
        elif kind == "chord":
            chord = voice.tokens.chords.get(inner) or voice.tokens.chord(inner)
            notes = chord.notes if chord else ()
        elif kind not in ("error", "overlay", "multirest"):
            empty = empty and kind != "rest"
            continue
        empty = False
        if not notes:
            voice.fault("grace-content", "no grace note", line, column, inner[:20])
            continue
        # Grace notes stand apart from the ties of the main notes.
        ties, voice.ties = voice.ties, {}
        pitches = tuple([voice.sound(note) for note in notes])
        voice.ties = ties
        if voice.beyond:
            voice.bad_pitch(inner, line, column)
        onset = wholes[voice.position]
        voice.events.append(
            Event(
                onset, wholes[0], pitches, line, column, grace=True, overlay=voice.layer, text=inner
            )
        )
    if empty:
        voice.fault("grace-content", "no grace note between { and }", line, at + 1)


def _mixed(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    """Read a chord that holds more than notes: decorations, annotations, spaces."""
    inner_end = at + token.rindex("]")
    notes: list[Note | None] = []
    bad = False
    for match in MUSIC.finditer(text, at + 1, inner_end):
        kind, inner = match.lastgroup, match[0]
        if kind == "note":
            notes.append(voice.tokens.notes.get(inner) or voice.tokens.note(inner))
        elif kind not in ("space", "decoration", "text", "plus", "slur", "ornament"):
            bad = True
            voice.fault("chord-content", "no part of a chord", line, match.start() + 1, inner[:20])
    tail = text[inner_end + 1 : at + len(token)]
    chord = chord_of(tuple(notes), tail.rstrip("-").rstrip("."), tail.endswith("-"))
    if chord is not None:
        voice.chord(chord, token, line, at + 1)
    elif not bad:
        voice.fault("chord-empty", "a chord without usable notes", line, at + 1, token[:20])


def _old_chord(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    """Read a chord between plus signs, as ABC had it before 1.6."""
    end = token.rindex("+")
    chord = voice.tokens.chord(f"[{token[1:end]}]{token[end + 1 :]}")
    if chord is None:
        voice.bad_length(token, line, at + 1)
    else:
        voice.chord(chord, token, line, at + 1)


def _late_tie(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    """Read a ``-`` apart from its note: it ties the note before, as abc2midi has it."""
    last = voice.last
    if last is None or not last.pitches or last.tied_to:
        voice.fault("tie-stray", "the tie follows no note", line, at + 1, "-")
        return
    last.tied_to = True
    # The staff steps only carry accidentals over a barline; a pitch of its own is enough.
    voice.hold(last, dict.fromkeys(last.pitches, -1000))


def _multirest(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    count = int(token[1:] or 1) if len(token) <= 5 else 0
    if not 1 <= count <= MAX_MULTIREST:
        voice.bad_length(token, line, at + 1)
        return
    full = voice.metre.ticks or 0
    if voice.row is not None or voice.position:
        # Within a line of interleaved text the bars are counted by the line.
        voice.rest(full * count, token, line, at + 1)
        return
    for index in range(count):
        voice.rest(full, token, line, at + 1)
        if index < count - 1:
            voice.close("|", line, at + 1)


def _spacer(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    if read_length(token[1:]) is None:
        voice.bad_length(token, line, at + 1)
        return
    if not voice.opened:
        voice.open(line, at + 1)
    onset = wholes[voice.position]
    voice.events.append(
        Event(onset, wholes[0], (), line, at + 1, visible=False, overlay=voice.layer, text=token)
    )


def _overlay(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    if token != "&":
        voice.fault("overlay", "'(&' and '&)' over several bars are not read", line, at + 1, token)
        return
    if voice.tuplet_left or voice.broken is not None:
        voice.fault("tuplet-open", "a tuplet or > is not complete at '&'", line, at + 1)
    if not voice.opened:
        voice.open(line, at + 1)
    if voice.layer == 0:
        voice.main = voice.position
    voice.other_ties[voice.layer] = voice.ties
    voice.layer += 1
    if voice.layer == MAX_LAYERS:
        message = f"more than {MAX_LAYERS} layers in one bar"
        voice.fault("overlay", message, line, at + 1, token)
    voice.ties = voice.other_ties.pop(voice.layer, {})
    voice.position = 0
    voice.last = None
    voice.tuplet_left = 0
    voice.broken = None


def _microtone(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    note = voice.tokens.note(_staff_note(voice, token, line, at + 1))
    if note is None:
        voice.bad_length(token, line, at + 1)
    else:
        voice.note(note, token, line, at + 1)


def _staff_note(voice: VoiceReader, token: str, line: int, column: int) -> str:
    """Return a note with a microtonal accidental without it, and remark on it."""
    name = token.lstrip("^_0123456789/")
    message = (
        f"'{token[:20]}' is a microtone: it is judged as the plain note {name[:1]}; "
        "write ^, ^^, _, __ or = if none is meant"
    )
    voice.fault("microtone", message, line, column, token[:20], "warning")
    return name


def _field(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    take_field(voice, token[1], token[3:-1].strip(), line, at + 1)


def _ending(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    voice.ending = token[1:].strip('"')
    voice.soften_ties()


def _ornament(voice: VoiceReader, token: str, text: str, at: int, line: int) -> None:
    known = _STANDARD_ORNAMENTS | voice.users
    if token in known or (at and _LETTERS.match(text[at - 1]) and text[at - 1] not in known):
        return  # or told with the first letter of its row
    if _SYMBOL.match(text, at):
        # A letter that stands before notes again and again is a symbol that nobody declared.
        voice.remarks.symbols[token] += 1
        if voice.remarks.symbols[token] > KNOWN_FROM:
            return
    row = token
    while (letter := text[at + len(row) : at + len(row) + 1]) and _LETTERS.match(letter):
        if letter in known or len(row) == _LONGEST_ROW:
            break
        row += letter
    if len(row) < _NO_MUSIC:
        message = f"'{row}' means nothing here: no letters of music"
        voice.fault("letter-unknown", message, line, at + 1, row, "warning")
    else:
        message = f"this is not music: the letters '{row}' mean nothing"
        voice.fault("not-music", message, line, at + 1, row)


Read = Callable[["VoiceReader", str, str, int, int], None]
"""Takes the voice, the token, the line's text, the token's index in it, the line's number."""

RARE: dict[str, Read] = {
    "slur": _slur,
    "tuplet": _tuplet,
    "broken": _broken,
    "grace": _grace,
    "field": _field,
    "ending": _ending,
    "ornament": _ornament,
    "mixed": _mixed,
    "oldchord": _old_chord,
    "tie": _late_tie,
    "multirest": _multirest,
    "spacer": _spacer,
    "overlay": _overlay,
    "microtone": _microtone,
}
"""Token kinds that have a reader of their own; decorations and annotations need none."""

_LETTER_MISSING = ": a pitch letter is missing"
_ERRORS = {
    '"': ("quote-open", "a quotation mark is never closed"),
    "!": (
        "decoration-open",
        "'!' begins a decoration that no second '!' ends: write !trill!, or delete it",
    ),
    "{": ("grace-open", "'{' is never closed"),
    "}": ("grace-close", "'}' closes nothing"),
    "[": ("chord-open", "'[' is never closed"),
    "]": ("chord-close", "']' closes nothing"),
    **dict.fromkeys("^_=", ("accidental-stray", "an accidental without a note" + _LETTER_MISSING)),
    **dict.fromkeys(",'", ("octave-stray", "an octave mark without a note" + _LETTER_MISSING)),
    **dict.fromkeys("0123456789/", ("length-stray", "a length without a note" + _LETTER_MISSING)),
}


def strange_character(character: str) -> tuple[str, str]:
    """Return code and message for a character that is no part of ABC."""
    number = f"U+{ord(character):04X}"
    name = _CONTROL_NAMES.get(character) or unicodedata.name(character, "")
    called = f"{number} {name}" if name else number
    if character.isprintable():
        return "character", (
            f"{repr(character) if character.isascii() else called} means nothing among notes: "
            "delete it, or put words between quotation marks"
        )
    if unicodedata.category(character) in ("Zs", "Cf"):
        return "odd-space", (
            f"{called} is no space to programs that read music: write an ordinary space"
        )
    return "control-character", f"{called} is a control character, which no text holds: delete it"


_CONTROL_NAMES = {
    "\0": "NUL", "\7": "BEL", "\b": "BACKSPACE", "\v": "VERTICAL TAB", "\f": "FORM FEED",
    "\x1a": "END OF FILE", "\x1b": "ESCAPE", "\x7f": "DELETE",
}  # fmt: skip
_LINE_END = re.compile(
    r"(?<![h-wyH-WY<>])!(?=\s*$)"
    r"|(?:(?<=[\s|\]:])|^)!(?=[\s|\[!{(^_=\"]|[A-Ga-gxz]+(?![A-Za-z]))"
)
"""An ``!`` by itself, with which old programs marked where a line of the page ends."""


def read_error(voice: VoiceReader, text: str, match: re.Match[str], end: int, line: int) -> int:
    """Name what no rule takes; return the index in `text` at which to go on."""
    token = match[0]
    first = token[0]
    code, message = _ERRORS.get(first) or strange_character(first)
    if first == "!" and _LINE_END.match(text, match.start()):
        message = "'!' at the end of a line is a mark of old programs: delete it"
        voice.fault("line-end-mark", message, line, match.start() + 1, token)
        return match.end()
    if first == ":" and not text[: match.start()].strip():
        code, message = "repeat-half", "a line begins with half of the repeat sign |:"
    voice.fault(code, message, line, match.start() + 1, repr(token[:20])[1:-1])
    if voice.remarks.count > MAX_FAULTS:
        return end
    span = ERROR_SPAN.get(first)
    reach = span.match(text, match.start(), end) if span else None
    return max(match.end(), reach.end()) if reach else match.end()
