"""The header: everything before the first line of music."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

from scoregate.abc.fields import (
    Metre,
    Place,
    Properties,
    read_groups,
    read_metre,
    read_properties,
    read_tempo,
    read_unit,
    tempo_fault,
    unreadable,
)
from scoregate.abc.finding_collector import FindingCollector
from scoregate.abc.keys import PLAIN, Key, read_key
from scoregate.abc.lengths import WHOLE, Ticks

FIELD_LINE = re.compile(r"([A-Za-z+]):(?![|:\]])")
"""A line that is a field; ``A:|`` and ``c::`` are music."""

KNOWN_FIELDS = frozenset("ABCDFGHIKLMmNOPQRrSsTUVWwXZd+E")
"""Fields of ABC 2.1 and the older ``E:``; a letter outside gets a finding."""

_BLOCKS = ("text", "ps", "svg")


@dataclass(slots=True)
class Declared:
    """A voice that the header declares."""

    id: str
    line: int
    properties: Properties


@dataclass(slots=True)
class Header:
    """The fields of the header, and where the music begins.

    Attributes
    ----------
    body : int
        Index (from 0) of the first line that isn't header.
    prompt : tuple of str
        The first three comment lines before any field, without ``%``.
    has_reference, has_key : bool
        Whether there is an ``X:`` and a ``K:`` field.
    title, composer : str
        The first ``T:`` and ``C:`` field; ``""`` where there is none.
    metre : Metre
    unit : int or Fraction
        Ticks of ``L:``, or of its default for the metre.
    metre_given, unit_given : bool
        Whether there is an ``M:`` and an ``L:`` field.
    key : Key
    key_properties : Properties
        Clef, octave and transposition in the ``K:`` field.
    tempo_text : str
        The ``Q:`` field as written.
    tempo : float or None
        Quarter notes a minute.
    voices : dict of str to Declared
        The ``V:`` fields, by id and in their order.
    places : dict of str to Place
        Staff and brace of each voice in ``%%score``.
    current_voice : str or None
        Voice of a ``V:`` field behind ``K:``, to which the first music belongs.
    users : set of str
        Letters that ``U:`` gives a meaning.
    propagate : {'octave', 'pitch', 'not'}
        ``%%propagate-accidentals``.
    """

    body: int = 0
    prompt: tuple[str, ...] = ()
    has_reference: bool = False
    has_key: bool = False
    title: str = ""
    composer: str = ""
    metre: Metre = field(default_factory=lambda: Metre("", None))
    metre_given: bool = False
    unit: Ticks = WHOLE // 8
    unit_given: bool = False
    key: Key = field(default_factory=lambda: Key("", PLAIN))
    key_properties: Properties = field(default_factory=Properties)
    tempo_text: str = ""
    tempo: float | None = None
    voices: dict[str, Declared] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    current_voice: str | None = None
    users: set[str] = field(default_factory=set)
    propagate: str = "octave"


def split_comment(line: str) -> str:
    r"""Return `line` without its comment; ``\%`` is a percent sign."""
    if "%" not in line:
        return line
    at = line.find("%")
    while at > 0 and line[at - 1] == "\\":
        at = line.find("%", at + 1)
    return line if at < 0 else line[:at]


def block_opened(line: str) -> str:
    """Return the kind of block that a line of the body opens; ``""`` where it opens none.

    Examples
    --------
    >>> block_opened("%%begintext"), block_opened("%%MIDI program 1")
    ('text', '')
    """
    if not line.startswith("%%begin"):
        return ""
    return next((block for block in _BLOCKS if line[7:].startswith(block)), "")


def looks_like_music(line: str) -> bool:
    """Whether a line is music rather than free text: it has a barline or an inline voice."""
    return "|" in line or line.startswith(("[V:", "[r:", "[M:", "[K:", "[L:", "[Q:", "[I:", "[P:"))


def read_header(lines: list[str], remarks: FindingCollector) -> Header:
    """Read lines up to the first one of music.

    Parameters
    ----------
    lines : list of str
        The whole text, without line ends.
    remarks : FindingCollector
        Takes what can't be read.
    """
    reader = _HeaderReader(lines, remarks)
    head = reader.head
    head.body = next((i for i in range(len(lines)) if not reader.take(i)), len(lines))
    head.prompt = tuple(reader.prompt)
    if reader.block:
        message = f"%%begin{reader.block} is never ended"
        remarks.add("block-open", message, line=len(lines), column=1)
    _settle(head)
    return head


class _HeaderReader:
    """Reads the lines of a header, one after another."""

    def __init__(self, lines: list[str], remarks: FindingCollector) -> None:
        self.lines = lines
        self.remarks = remarks
        self.head = Header()
        self.prompt: list[str] = []
        self.started = False  # whether there was a field
        self.block = ""

    def take(self, index: int) -> bool:
        """Read a line; return False where the header ends before it."""
        line = self.lines[index]
        if not index:
            line = line.lstrip("\ufeff")
        if self.block:
            if line.startswith("%%end" + self.block):
                self.block = ""
        elif line.startswith("%"):
            self._comment(line, index + 1)
        elif not line.strip():
            return self._blank(index)
        elif (match := FIELD_LINE.match(line)) is None:
            return self._text(line, index + 1)
        elif self.head.has_key and match[1] in "wWs":
            return False
        else:
            self.started = True
            value = split_comment(line[2:]).strip()
            _field(self.head, match[1], value, index + 1, self.remarks)
        return True

    def _comment(self, line: str, number: int) -> None:
        if line.startswith("%%"):
            self.block = _directive(self.head, line[2:], number, self.remarks)
        elif not self.started and len(self.prompt) < 3 and not line.startswith(("%abc", "%end")):
            self.prompt.append(line[1:].strip())

    def _blank(self, index: int) -> bool:
        if self.head.has_key or (self.started and _music_follows(self.lines, index)):
            return False  # The tune ends here; the finding on it is made when the body is read.
        if self.started and self.head.has_reference and _more_follows(self.lines, index):
            message = "a blank line within the header ends the tune"
            self.remarks.add("blank-line", message, line=index + 1, column=1)
        return True

    def _text(self, line: str, number: int) -> bool:
        if self.head.has_key or looks_like_music(line):
            return False
        if self.started:
            self.remarks.add(
                "header-text",
                "a line in the header is neither a field nor a comment",
                "warning",
                line=number,
                column=1,
                found=line[:30],
            )
        return True


def _more_follows(lines: list[str], index: int) -> bool:
    """Whether the header goes on behind a blank line, rather than another tune."""
    for line in lines[index : index + 50]:
        if line.strip() and not line.startswith("%"):
            return not line.startswith("X:")
    return False


def _music_follows(lines: list[str], index: int) -> bool:
    """Whether the next line that isn't empty is music (then the K: field is missing)."""
    for line in lines[index : index + 50]:
        if line.strip() and not line.startswith("%"):
            return FIELD_LINE.match(line) is None
    return False


def _settle(head: Header) -> None:
    """Fill in what follows from other fields."""
    if not head.unit_given and head.metre.ticks is not None:
        # The standard's default: a sixteenth where the metre is below 3/4.
        below = Fraction(head.metre.ticks) < Fraction(3 * WHOLE, 4)
        head.unit = WHOLE // 16 if below else WHOLE // 8


def _directive(head: Header, text: str, number: int, remarks: FindingCollector) -> str:
    """Take a ``%%`` line; return the kind of block that it opens, or ``""``."""
    word, _, rest = text.strip().partition(" ")
    if word in ("score", "staves"):
        head.places, fault = read_groups(rest)
        if fault:
            remarks.add("score-groups", f"%%{word}: {fault}", line=number, column=1)
    elif word == "propagate-accidentals" and rest.strip() in ("not", "octave", "pitch"):
        head.propagate = rest.strip()
    elif word.startswith("begin") and word[5:] in _BLOCKS:
        return word[5:]
    return ""


def _field(head: Header, letter: str, value: str, number: int, remarks: FindingCollector) -> None:
    if letter == "X":
        if head.has_reference:
            remarks.add("second-reference", "a second X: in the header", line=number, column=1)
        head.has_reference = True
    elif letter == "T":
        head.title = head.title or value
    elif letter == "C":
        head.composer = head.composer or value
    elif letter == "M":
        metre = read_metre(value)
        if metre is None:
            remarks.add(
                "metre-unreadable", unreadable("M", value), line=number, column=3, found=value[:30]
            )
        head.metre, head.metre_given = metre or head.metre, True
    elif letter == "L":
        unit = read_unit(value)
        if unit is None:
            remarks.add(
                "unit-unreadable", unreadable("L", value), line=number, column=3, found=value[:30]
            )
        else:
            head.unit, head.unit_given = unit, True
    elif letter == "Q":
        head.tempo_text, head.tempo = value, read_tempo(value)
        remark_on_tempo(value, number, 3, remarks)
    elif letter == "K":
        _key(head, value, number, remarks)
    elif letter == "V":
        declare(head.voices, value, number, remarks)
        if value.split() and head.has_key:
            head.current_voice = value.split()[0]
    elif letter == "U":
        take_user_symbol(head.users, value)
    elif letter == "I":
        _directive(head, value, number, remarks)
    elif letter == "m":
        remarks.add(
            "macro",
            "macros (m:) are not expanded, so the music is not what it says",
            line=number,
            column=1,
            found=value[:30],
        )
    elif letter not in KNOWN_FIELDS:
        remarks.add(
            "field-unknown", "no such field", "warning", line=number, column=1, found=f"{letter}:"
        )


def remark_on_tempo(value: str, number: int, column: int, remarks: FindingCollector) -> None:
    """Remark on a tempo that can't be read or played."""
    fault = tempo_fault(value)
    if fault:
        remarks.add(
            "tempo-unreadable", fault, "warning", line=number, column=column, found=value[:30]
        )


def _key(head: Header, value: str, number: int, remarks: FindingCollector) -> None:
    key = read_key(value)
    if key is None:
        message = unreadable("K", value)
        remarks.add("key-unreadable", message, line=number, column=3, found=value[:30])
        head.has_key = True
        return
    head.has_key = True
    if key.given:
        head.key = key
    head.key_properties = read_properties(key.rest)
    unusable_transposition(head.key_properties, number, remarks)
    for word in head.key_properties.unknown[:3]:
        remarks.add(
            "key-rest",
            "not understood in the key field",
            "warning",
            line=number,
            column=3,
            found=word[:30],
        )


def declare(
    voices: dict[str, Declared], value: str, number: int, remarks: FindingCollector
) -> Declared | None:
    """Take the content of a ``V:`` field into `voices`; None where it has no id."""
    parts = value.split(None, 1)
    if not parts:
        remarks.add("voice-nameless", "V: without an id", line=number, column=1)
        return None
    name, rest = parts[0], parts[1] if len(parts) > 1 else ""
    properties = read_properties(rest)
    unusable_transposition(properties, number, remarks, name)
    for word in properties.unknown[:3]:
        remarks.add(
            "voice-property",
            "not understood in the voice's field",
            "warning",
            voice=name,
            line=number,
            column=3,
            found=word[:30],
        )
    known = voices.get(name)
    if known is None or rest:
        voices[name] = Declared(name, known.line if known else number, properties)
    return voices[name]


def unusable_transposition(
    properties: Properties, number: int, remarks: FindingCollector, voice: str | None = None
) -> None:
    """Remark on octaves and transpositions that can't be meant: every pitch would be wrong."""
    for word in properties.unusable[:3]:
        remarks.add(
            "transposition",
            "no usable octave or transposition",
            "critical",
            voice,
            line=number,
            column=3,
            found=word[:30],
        )


def take_user_symbol(users: set[str], value: str) -> None:
    """Note the letter that a ``U:`` field gives a meaning."""
    letter = value.partition("=")[0].strip()
    if len(letter) == 1:
        users.add(letter)
