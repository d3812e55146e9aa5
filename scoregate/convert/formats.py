"""MusicXML, Humdrum and MIDI to ABC, voice after voice.

The converters are another author's xml2abc, which is shipped with the program, and music21. They
raise whatever they meet in a damaged file, so every exception of theirs counts as a fault of
the file, but only after the converter has shown on a score of known content that it works. A
converter that is missing or broken is a :class:`~scoregate.errors.ToolError`.
"""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scoregate.convert.piece import ConversionError
from scoregate.errors import ToolError, UnreadableError
from scoregate.sources import SCORE_ENDINGS

MAX_BYTES = 30_000_000
"""Largest score, packed or unpacked."""
MIDI_ENDINGS = (".mid", ".midi")
HUMDRUM_ENDINGS = (".krn",)

_REMEDY = "Install scoregate again: pip install --force-reinstall scoregate"
_SOUND_SCORE = """<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>A
</part-name></score-part></part-list><part id="P1"><measure number="1"><attributes>
<divisions>1</divisions><key><fifths>0</fifths></key><time><beats>4</beats>
<beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes><note>
<pitch><step>C</step><octave>5</octave></pitch><duration>4</duration><type>whole</type>
</note></measure></part></score-partwise>"""
# One track, one C of a quarter note.
_SOUND_MIDI = bytes.fromhex("4d546864000000060000000100604d54726b0000000c00903c4060803c4000ff2f00")
_SOUND_KERN = b"**kern\n*clefG2\n*M4/4\n=1\n1cc\n==\n*-\n"
_SOUND: dict[str, str | bytes] = {"music21": _SOUND_MIDI, "music21 (Humdrum)": _SOUND_KERN}


def needs_conversion(ending: str) -> bool:
    """Whether a file with this ending has to be converted before it is judged."""
    return ending in SCORE_ENDINGS


@dataclass(frozen=True, slots=True)
class Conversion:
    """A score that was converted to ABC.

    Attributes
    ----------
    abc : str
        The ABC, voice after voice.
    ending : str
        Of the file.
    musicxml : str
        The MusicXML from which the ABC was made: the file's own, or that of the converter which
        reads the file's format.
    """

    abc: str
    ending: str
    musicxml: str


def to_abc(content: bytes, ending: str, name: str) -> str:
    """Convert a score to ABC, voice after voice; see :func:`convert`."""
    return convert(content, ending, name).abc


def convert(content: bytes, ending: str, name: str) -> Conversion:
    """Convert a score to ABC, and keep the MusicXML that it was made from.

    MIDI knows no bars that fail to add up and no spelling, so its conversion says little
    about metre; ranges and repetition are judged as they are.

    Parameters
    ----------
    content : bytes
    ending : str
        ``.musicxml``, ``.mxl``, ``.xml``, ``.krn``, ``.mid`` or ``.midi``.
    name : str
        For the error.

    Raises
    ------
    UnreadableError
        The file doesn't convert; the converter's reason is in the message.
    ToolError
        The converter is missing or broken.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"score{ending}"
        path.write_bytes(content)
        try:
            text = _musicxml_of(path, ending)
            return Conversion(_convert(_xml2abc, text, "xml2abc"), ending, text)
        except ConversionError as error:
            raise UnreadableError(
                f"{name}: does not convert to ABC: {error}.",
                "Export it again as MusicXML, or hand in ABC.",
            ) from error


def musicxml_to_abc(path: Path) -> str:
    """Return ABC with ``L:1/8`` of a ``.xml``, ``.musicxml`` or zipped ``.mxl`` file.

    Raises
    ------
    ConversionError
        The file doesn't convert.
    ToolError
        xml2abc is missing or broken.
    """
    return _convert(_xml2abc, _musicxml_of(path, ".mxl"), "xml2abc")


def midi_to_abc(path: Path) -> str:
    """Return ABC of a MIDI file, quantised by music21, one voice a track.

    Raises
    ------
    ConversionError
        The file doesn't convert.
    ToolError
        music21 or xml2abc is missing or broken.
    """
    return _convert(_xml2abc, _musicxml_of(path, ".mid"), "xml2abc")


def _musicxml_of(path: Path, ending: str) -> str:
    """Return the MusicXML of a file: its own, or what music21 makes of MIDI and Humdrum."""
    if ending in MIDI_ENDINGS:
        return _convert(_music21, path.read_bytes(), "music21")
    if ending in HUMDRUM_ENDINGS:
        data = path.read_bytes()
        if b"**kern" not in data:
            raise ConversionError("it has no spine of **kern")
        return _convert(_music21_kern, data, "music21 (Humdrum)")
    try:
        return as_partwise(read_musicxml(path))
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, OSError) as error:
        # RuntimeError: the archive needs a password; NotImplementedError: an unknown packing.
        raise ConversionError(f"{type(error).__name__}: {error}"[:160]) from error


def read_musicxml(path: Path) -> str:
    """Return the MusicXML text of a ``.xml``, ``.musicxml`` or zipped ``.mxl`` file.

    Raises
    ------
    ConversionError
        An archive without MusicXML, or larger than `MAX_BYTES` unpacked.
    """
    data = path.read_bytes()
    if data[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            inner = [
                n for n in archive.namelist()
                if not n.startswith("META-INF") and n.lower().endswith((".xml", ".musicxml"))
            ]  # fmt: skip
            if not inner:
                raise ConversionError("the archive holds no MusicXML")
            if archive.getinfo(inner[0]).file_size > MAX_BYTES:
                raise ConversionError("larger than 30 MB unpacked")
            data = archive.read(inner[0])
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, errors="replace")


def as_partwise(text: str) -> str:
    """Return MusicXML whose measures hold the parts with parts that hold the measures.

    MusicXML has both forms, and every program reads ``score-partwise``. Text of that form, and
    what can't be read, comes back as it is.
    """
    if "<score-timewise" not in text or "<!ENTITY" in text:
        return text
    try:
        root = ElementTree.fromstring(without_declaration(text))
    except (ElementTree.ParseError, ValueError):
        return text
    parts: dict[str, ElementTree.Element] = {}
    for measure in root.findall("measure"):
        root.remove(measure)
        for content in measure.findall("part"):
            name = content.get("id", "")
            if name not in parts:
                parts[name] = ElementTree.SubElement(root, "part", {"id": name})
            ElementTree.SubElement(parts[name], "measure", measure.attrib).extend(content)
    root.tag = "score-partwise"
    return ElementTree.tostring(root, encoding="unicode")


def _convert(converter: Callable[[str | bytes], str], content: str | bytes, tool: str) -> str:
    """Run a converter; tell its own faults from those of the file."""
    try:
        return converter(content)
    except (ConversionError, ToolError, MemoryError):
        raise
    # Converters fail on damaged scores in every way there is.
    except Exception as error:
        fault = _fault_of(converter, tool)
        if fault is not None:
            raise ToolError(f"The converter {tool} does not work: {fault}.", _REMEDY) from error
        raise ConversionError(f"{type(error).__name__}: {error}"[:160]) from error


@lru_cache(maxsize=4)
def _fault_of(converter: Callable[[str | bytes], str], tool: str) -> str | None:
    """Return why a converter fails on a sound score; None where it works."""
    try:
        converted = converter(_SOUND.get(tool, _SOUND_SCORE))
    except Exception as error:
        # Whatever it is, it is the tool's fault here.
        return f"{type(error).__name__}: {error}"[:160]
    return None if converted else "it gives nothing for a sound score"


_PART_NAME = re.compile(r"(<((?:part|group)-(?:name|abbreviation))\b[^>]*>)([^<]*)(</\2>)")


def _on_one_line(match: re.Match[str]) -> str:
    """Return an element with the name of a part on one line, without what laid it out."""
    name = " ".join(match[3].split()).lstrip(": ")
    return f"{match[1]}{name}{match[4]}"


def without_declaration(text: str) -> str:
    """Return MusicXML without the XML declaration, whose encoding no longer holds."""
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)


def _xml2abc(text: str | bytes) -> str:
    """Convert MusicXML."""
    try:
        from scoregate.vendor import xml2abc
    except ImportError as error:
        raise ToolError(f"The converter xml2abc can't be loaded: {error}.", _REMEDY) from error
    assert isinstance(text, str)
    if "<!ENTITY" in text:
        raise ConversionError("declares XML entities")
    text = _PART_NAME.sub(_on_one_line, without_declaration(text))
    abc, said = xml2abc.vertaal(text, d=8)
    if "occurred:" in said or not abc:
        raise ConversionError("xml2abc: " + " ".join(said.split())[:120])
    return abc


def _music21(data: str | bytes) -> str:
    """Convert MIDI to MusicXML."""
    return _by_music21(data, "score.mid", "midi")


def _music21_kern(data: str | bytes) -> str:
    """Convert Humdrum to MusicXML."""
    return _by_music21(data, "score.krn", "humdrum")


def _by_music21(data: str | bytes, name: str, kind: str) -> str:
    """Convert a file to MusicXML with music21."""
    try:
        from music21 import converter
    except ImportError as error:
        remedy = "Install it: pip install music21"
        raise ToolError(
            f"{name.rpartition('.')[2]} is read by music21, which can't be loaded: {error}.",
            remedy,
        ) from error
    assert isinstance(data, bytes)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / name, Path(folder) / "score.musicxml"
        source.write_bytes(data)
        converter.parse(source, format=kind).write("musicxml", fp=out)
        return read_musicxml(out)
