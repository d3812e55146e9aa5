r"""From finished ABC to MusicXML, by abc2xml, with corrections of its output.

abc2xml is not made for untrusted text: it evaluates the metre as Python, opens any file that
``%%abc-include`` names, and can take minutes for some texts. Here it gets only the fields and
directives that carry music, its ``eval`` is replaced by arithmetic on digits, and
:mod:`scoregate.render.pool` runs it in a process that can be killed.

These faults, each seen on real pieces, are corrected:

- ``transpose=-8`` (or any that ends in 8 or 15) is read as an octave clef, and
  ``transpose=+2`` not at all;
- a ``\n`` in a voice's name stays a backslash and an n;
- the key of a transposing part, ``[K:D]`` at the head of its first bar, comes as a second
  ``attributes`` element, which engravers overlook;
- a part without a short name has none from the second system on, where an engraver leaves
  resting staves out and nobody could tell who plays;
- a transposition beyond the octave is left in semitones alone;
- a part whose voice names no clef gets none, and is drawn without one;
- the date of conversion is written into the file, so that no two were the same.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from scoregate.errors import ToolError
from scoregate.render.grammar import Accelerated

_FIELD = re.compile(r"([A-Za-z+]):")
_MUSICAL_FIELDS = frozenset("XTCMLQKVPRwW")
_DIRECTIVE = re.compile(r"(?:%%|I:)\s*(score|staves)(\s.*)")
_METRE = re.compile(r"\s*(?:C\|?|none|\(?[0-9]{1,3}(?:\+[0-9]{1,3}){0,15}\)?/[0-9]{1,3})?\s*")
_INLINE_FIELD = re.compile(r"\[([A-Za-z]):([^\]\n]*)\]")
_CROSS_STAFF = re.compile(r"staff ?[-+]?[0-9]{1,2}")
_MARKER = re.compile(r"\[r:[^\]\n]*\]")
_TRANSPOSE = re.compile(r"(\s(?:transpose|t)=)([-+]?[0-9]{1,3})(?![0-9])")
_ENDLESS_REST = re.compile(r"[ZX][0-9]{4}")
_LITERAL_NEWLINE = re.compile(r"\s*\\n\s*")


class NotConvertible(Exception):
    """The text can't be converted; the message says why."""


def to_musicxml(text: str) -> bytes:
    """Convert a finished piece.

    Parameters
    ----------
    text : str
        ABC with ``X:1``, as :mod:`scoregate.abc.finish` makes it.

    Returns
    -------
    bytes
        MusicXML (score-partwise), UTF-8; the same for the same text.

    Raises
    ------
    NotConvertible
        abc2xml can't read the text.
    ToolError
        abc2xml can't be imported, because pyparsing isn't installed.
    """
    abc2xml = _converter()
    cleaned, transpositions = cleaned_abc(text)
    try:
        score = _parsed(abc2xml, cleaned)
    except NotConvertible:
        # Once more, so that the message is the one of the grammar as it stands.
        _grammar().switch(False)
        try:
            score = _parsed(abc2xml, cleaned)
        finally:
            _grammar().switch(True)
    if score.find("part/measure/note") is None:
        raise NotConvertible("abc2xml finds no music in it")
    _reduce_durations(score)
    _correct(score, transpositions)
    ElementTree.indent(score, " ")
    body = ElementTree.tostring(score, encoding="unicode")
    return (_DOCTYPE + body + "\n").encode("utf-8", "xmlcharrefreplace")


def _parsed(abc2xml: ModuleType, text: str) -> ElementTree.Element:
    abc2xml.getInfo()  # Discards its messages about the piece before.
    try:
        return abc2xml.mxm.parse(text)
    except Exception as error:  # abc2xml raises all kinds of errors; each is this text's fault.
        said = " ".join(str(abc2xml.getInfo()).split())[-200:]
        reason = said or f"{type(error).__name__}: {error}"
        raise NotConvertible(f"abc2xml can't read it: {reason}") from error


_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">\n'
)


def cleaned_abc(text: str) -> tuple[str, dict[str, int]]:
    """Return the lines of a text that carry music, without transpositions.

    Returns
    -------
    text : str
        Only known fields, ``%%score`` and music; metres that are no metres are dropped.
    transpositions : dict of str to int
        Semitones from written to sounding by voice id, where a voice has them.

    Raises
    ------
    NotConvertible
        It rests for a thousand bars or more.
    """
    lines = []
    transpositions: dict[str, int] = {}
    for line in _printable(text).splitlines():
        line = line.strip()
        directive = _DIRECTIVE.match(line)
        if directive:
            lines.append(f"%%{directive[1]}{directive[2]}")
            continue
        if not line or line.startswith(("%", "I:")):
            continue
        field = _FIELD.match(line)
        if field is None:
            lines.append(_clean_music(line))
        elif field[1] == "M" and not _METRE.fullmatch(line[2:].split("%")[0]):
            continue
        elif field[1] == "V":
            lines.append(_clean_voice(line, transpositions))
        elif field[1] in _MUSICAL_FIELDS:
            lines.append(line)
    return "\n".join(lines) + "\n", transpositions


def _clean_music(line: str) -> str:
    def inline(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name == "M" and not _METRE.fullmatch(value):
            return ""
        if name == "I":
            return match[0] if _CROSS_STAFF.fullmatch(value) else ""
        return match[0] if name in _MUSICAL_FIELDS else ""

    if _ENDLESS_REST.search(line):
        raise NotConvertible("it rests for a thousand bars or more")
    return _INLINE_FIELD.sub(inline, _MARKER.sub("", line))


def _clean_voice(line: str, transpositions: dict[str, int]) -> str:
    def note_shift(match: re.Match[str]) -> str:
        voice = line[2:].split()
        if voice:
            transpositions[voice[0]] = int(match[2])
        return f"{match[1]}0"

    # Names may hold anything: only what stands outside quotes is a setting.
    parts = line.split('"')
    parts[::2] = [_TRANSPOSE.sub(note_shift, part) for part in parts[::2]]
    parts[1::2] = [_LITERAL_NEWLINE.sub(" ", part) for part in parts[1::2]]
    return '"'.join(parts)


def _printable(text: str) -> str:
    # XML can't hold control characters, and a lone surrogate is no character.
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", "", text)


def _reduce_durations(score: ElementTree.Element) -> None:
    """Write durations in the coarsest divisions that hold them all."""
    durations = list(score.iter("duration"))
    divisions = list(score.iter("divisions"))
    values = [int(element.text or 0) for element in [*durations, *divisions]]
    common = 0
    for value in values:
        common = _gcd(common, value)
    for element in [*durations, *divisions]:
        element.text = str(int(element.text or 0) // (common or 1))


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _correct(score: ElementTree.Element, transpositions: dict[str, int]) -> None:
    for encoding in score.iter("encoding"):
        for date in encoding.findall("encoding-date"):
            encoding.remove(date)
    _abbreviate_names(score)
    for part in score.findall("part"):
        shift = transpositions.get(part.get("id", "P")[1:])
        for transpose in part.iter("transpose"):
            _write_transposition(transpose, shift)
        for measure in part.findall("measure"):
            _join_attributes(measure)
        _give_clef(part)


def _abbreviate_names(score: ElementTree.Element) -> None:
    parts = score.findall("part-list/score-part")
    if len(parts) < 3:
        return
    for part in parts:
        name = part.find("part-name")
        if name is None or not name.text or part.find("part-abbreviation") is not None:
            continue
        words = [word if len(word) < 8 else f"{word[:6]}." for word in name.text.split()]
        short = ElementTree.Element("part-abbreviation")
        short.text = " ".join(words)
        part.insert(list(part).index(name) + 1, short)


def _write_transposition(transpose: ElementTree.Element, shift: int | None) -> None:
    chromatic = transpose.find("chromatic")
    if chromatic is None:
        return
    semitones = int(chromatic.text or 0) if shift is None else shift
    # Octaves apart, as the format wants it: -14 is -2 and one octave down.
    octaves = int(Fraction(semitones, 12))
    chromatic.text = str(semitones - 12 * octaves)
    if octaves:
        change = ElementTree.SubElement(transpose, "octave-change")
        change.text = str(octaves)


def _join_attributes(measure: ElementTree.Element) -> None:
    """Join all ``attributes`` at the beginning of a measure into one, later ones winning.

    Those of a lower staff stand behind a ``backup``, where engravers would take its clef
    for a change in mid-measure.
    """
    first: ElementTree.Element | None = None
    position = 0
    for element in list(measure):
        length = int(element.findtext("duration") or 0)
        if element.tag == "backup":
            position -= length
        elif element.tag == "forward" or (element.tag == "note" and element.find("chord") is None):
            position += length
        elif element.tag == "attributes" and position == 0:
            if first is None:
                first = element
            else:
                _replace_children(first, element)
                measure.remove(element)


def _replace_children(first: ElementTree.Element, later: ElementTree.Element) -> None:
    for child in list(later):
        for old in first.findall(child.tag):
            if old.get("number") == child.get("number"):
                first.remove(old)
        first.append(child)
    first[:] = sorted(first, key=_position_of_attribute)


def _give_clef(part: ElementTree.Element) -> None:
    """Give every staff of a part that begins without a clef the treble clef."""
    first = part.find("measure")
    attributes = first.find("attributes") if first is not None else None
    if first is None or attributes is None:
        return
    staves = int(attributes.findtext("staves") or 1)
    given = {int(clef.get("number") or 1) for clef in first.iter("clef")}
    for staff in range(1, staves + 1):
        if staff not in given:
            clef = ElementTree.SubElement(attributes, "clef")
            if staves > 1:
                clef.set("number", str(staff))
            ElementTree.SubElement(clef, "sign").text = "G"
            ElementTree.SubElement(clef, "line").text = "2"
    attributes[:] = sorted(attributes, key=_position_of_attribute)


def _position_of_attribute(attribute: ElementTree.Element) -> int:
    return _ATTRIBUTE_ORDER.get(attribute.tag, 99)


_ATTRIBUTE_ORDER = {
    name: position
    for position, name in enumerate(
        ("divisions", "key", "time", "staves", "part-symbol", "instruments", "clef",
         "staff-details", "transpose", "directive", "measure-style")
    )
}  # fmt: skip


def _converter() -> ModuleType:
    try:
        from scoregate.vendor import abc2xml
    except ImportError as error:
        raise ToolError(
            f"abc2xml can't be used: {error}.", "Install the package pyparsing."
        ) from error
    module: Any = abc2xml
    # It evaluates the metre: a name in its own module shadows the builtin.
    module.eval = _sum_of_beats
    module.readfile = _refuse_file
    _grammar()
    return abc2xml


@cache
def _grammar() -> Accelerated:
    """Return abc2xml's grammar, which looks at the next character first from now on."""
    from scoregate.vendor import abc2xml

    grammar = Accelerated(
        abc2xml.abc_header, abc2xml.abc_voice, abc2xml.abc_scoredef, abc2xml.abc_percmap
    )
    grammar.switch(True)
    return grammar


def _sum_of_beats(beats: str) -> int:
    """Stand in for ``eval`` on the upper part of a metre: ``2+3`` is 5."""
    return sum(int(part) for part in beats.strip("() ").split("+"))


def _refuse_file(*_: object) -> None:
    return None
