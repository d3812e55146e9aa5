"""From a score in MusicXML, MXL, ABC or MIDI to interleaved ABC, one bar of all voices a line.

The text is what NotaGen is trained on: a header without titles, then lines such as
``[V:1]c2 B2|[V:2]A2 G2|``. What can't be converted is a :class:`Loss` with its reason;
nothing is mended silently. The text keeps resting voices: leaving them out, stream
markers and prompts belong to :mod:`scoregate.notagen.training.stream`.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from scoregate.abc.finish import finish
from scoregate.abc.writing import length_text
from scoregate.convert.notation import (
    MAJOR_KEYS,
    ParsedBar,
    key_alters,
    key_fifths,
    parse_bar,
    write_bar,
)

SUFFIXES = (".mxl", ".musicxml", ".xml", ".abc", ".mid", ".midi")
MAX_BYTES = 30_000_000
BARLINE = re.compile(
    r"(\"[^\"]*\"|![^!]*!|\[[A-Za-z]:[^\]]*\]|\[[^\]|]*\])|(:*\|[\]\|:]*:*|::+|\[\|)(\[?[1-9][\d,-]*)?"
)
VOICE = re.compile(r"V:\s*(\S+)\s*(.*)")
INLINE_VOICE = re.compile(r"\[V:\s*([^\]\s]+)[^\]]*\]")
STRIPPED = re.compile(
    r"!(?!fermata!)[^!]*!|\"[^\"]*\"|\{[^}]*\}|\[[IMQKLr]:[^\]]*\]|[().~\$]|\+[^+]*\+"
)


_STREAM_LINE = re.compile(r"^\[r:\d", re.MULTILINE)
_WHOLE_REST = re.compile(r"((?:\[[A-Za-z]:[^\]]*\])*)\s*Z(\d{0,4})")
_MOST_RESTS = 1000


class ConversionError(Exception):
    """Why a score can't be used, as a short reason (never shown as a traceback)."""


@dataclass(slots=True)
class Bar:
    """The text of one bar of one voice, without barlines, and the barline after it."""

    text: str
    right: str = "|"


@dataclass(slots=True)
class Piece:
    """A converted score.

    Parameters
    ----------
    name : str
        Of its source.
    fields : dict of str to str
        ``%%score``, ``L``, ``Q``, ``M``, ``K``.
    heads : dict of str to str
        Voice id to what stands behind it in the header: ``treble nm="Soprano"``.
    voices : dict of str to list of Bar
        All of the same length, a whole score's bars in order.
    notes : list of str
        What was left out or changed.
    """

    name: str
    fields: dict[str, str]
    heads: dict[str, str]
    voices: dict[str, list[Bar]]
    notes: list[str] = field(default_factory=list)

    @property
    def bar_count(self) -> int:
        """Number of bars of every voice."""
        return len(next(iter(self.voices.values()), []))


@dataclass(slots=True)
class Loss:
    """A score that did not convert: its name and the reason."""

    name: str
    reason: str


def read_musicxml(path: Path) -> str:
    """The MusicXML text of a ``.xml``, ``.musicxml`` or zipped ``.mxl`` file."""
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


def musicxml_to_abc(text: str) -> str:
    """ABC, voice after voice, with ``L:1/8``."""
    from scoregate.vendor import xml2abc

    if "<!ENTITY" in text[:10_000]:
        raise ConversionError("declares XML entities")
    # The XML declaration's encoding no longer holds once the text is decoded.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
    abc, said = xml2abc.vertaal(text, d=8)
    if "occurred:" in said or not abc:
        raise ConversionError("xml2abc: " + " ".join(said.split())[:120])
    return abc


def midi_to_abc(path: Path) -> str:
    """ABC of a MIDI file, quantised by music21, one voice a track."""
    from music21 import converter

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "score.musicxml"
        converter.parse(path, format="midi").write("musicxml", fp=out)
        return musicxml_to_abc(read_musicxml(out))


def decode_abc(data: bytes) -> str:
    """The text of an ABC file: UTF-16 by its mark, UTF-8, or else Latin-1, as older ones are."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def split_bars(music: str) -> tuple[list[Bar], str]:
    """Cut a voice's music at its barlines; also what stood before the first bar."""
    bars: list[Bar] = []
    head, at, start = "", 0, 0
    pending = ""
    for match in BARLINE.finditer(music):
        if match[1]:
            continue
        body = music[start : match.start()].strip()
        start = match.end()
        volta = match[3] or ""
        if body or pending:
            bars.append(Bar((pending + body).strip(), match[2]))
            pending = ""
        elif bars:
            bars[-1].right = _joined(bars[-1].right, match[2])
        else:
            head = match[2]
        pending = volta.strip("[") and f"[{volta.strip('[')}" if volta else ""
        at = match.end()
    rest = music[at:].strip()
    if rest:
        bars.append(Bar((pending + rest).strip(), "|"))
    return bars, head


def _joined(left: str, right: str) -> str:
    """Two barlines with nothing between them, as one."""
    if ":" in left and ":" in right:
        return "::"
    return max(left, right, key=len)


def split_abc(abc: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Header fields, voice heads and each voice's music, of interleaved or part-wise ABC."""
    fields: dict[str, str] = {}
    heads: dict[str, str] = {}
    music: dict[str, list[str]] = {}
    current, in_body = "1", False
    for raw in abc.splitlines():
        line = raw.rstrip()
        if line.startswith(("%%score", "%%staves")):
            fields.setdefault("%%score", line.split(None, 1)[1] if " " in line else "")
            continue
        if line.startswith("%") or not line:
            continue
        line = re.sub(r"(?<!\\)%.*$", "", line).rstrip()
        if voice := VOICE.match(line):
            current = voice[1]
            heads.setdefault(current, voice[2].strip())
            continue
        if re.match(r"[A-Za-z]:", line) and not line.startswith(("|:",)):
            if line[0] in "wWs":
                continue
            if in_body and line[0] in "KML":
                music.setdefault(current, []).append(f"[{line[0]}:{line[2:].strip()}]")
            elif not in_body and line[0] in "LQMKX":
                if line[0] == "X" and "X" in fields:
                    break
                fields.setdefault(line[0], line[2:].strip())
            continue
        in_body = in_body or "K" in fields
        if not in_body:
            continue
        line = re.sub(r"^\[r:[^\]]*\]", "", line)
        if INLINE_VOICE.search(line):
            at = [*INLINE_VOICE.finditer(line)]
            for i, mark in enumerate(at):
                end = at[i + 1].start() if i + 1 < len(at) else len(line)
                music.setdefault(mark[1], []).append(line[mark.end() : end])
                current = mark[1]
        else:
            music.setdefault(current, []).append(line.replace("$", " ").rstrip("\\"))
    return fields, heads, {v: " ".join(parts) for v, parts in music.items()}


def read_abc(abc: str, name: str) -> Piece:
    """A piece from any ABC text of one tune; equal bars are checked by :func:`aligned`."""
    fields, heads, music = split_abc(abc)
    if not music:
        raise ConversionError("holds no music")
    if "K" not in fields:
        raise ConversionError("has no K: line")
    voices: dict[str, list[Bar]] = {}
    for voice, text in music.items():
        bars, _ = split_bars(text)
        if bars:
            voices[voice] = whole_rests(bars, fields)
    order = [v for v in heads if v in voices] + [v for v in voices if v not in heads]
    fields.setdefault("L", "1/8")
    fields.setdefault("M", "4/4")
    fields["K"] = short_key(fields["K"])
    heads = {v: re.sub(r'\s*snm="[^"]*"', "", head) for v, head in heads.items()}
    return Piece(name, fields, {v: heads.get(v, "") for v in order}, {v: voices[v] for v in order})


def whole_rests(bars: list[Bar], fields: dict[str, str]) -> list[Bar]:
    """The bars with ``Z`` and ``Z4`` written out: one rest a bar, as long as the metre says."""
    out = []
    metre = fields.get("M", "4/4")
    for bar in bars:
        rest = _WHOLE_REST.fullmatch(bar.text)
        metre = next(reversed(re.findall(r"\[M:([^\]]*)\]", bar.text)), metre)
        length = bar_units(metre, fields.get("L", "1/8"))
        count = int(rest[2] or 1) if rest else 0
        if rest is None or length is None or not 0 < count <= _MOST_RESTS:
            out.append(bar)
            continue
        written = f"z{length_text(length)}"
        out.append(Bar(rest[1] + written))
        out += [Bar(written) for _ in range(count - 1)]
        out[-1].right = bar.right
    return out


def short_key(key: str) -> str:
    """``Emin`` as ``Em``, ``Cmaj`` as ``C``; other modes stay."""
    key = re.sub(r"^([A-G][#b]?)\s*min(?:or)?\b", r"\1m", key)
    return re.sub(r"^([A-G][#b]?)\s*maj(?:or)?\b", r"\1", key)


def convert_file(path: Path) -> Piece:
    """Convert one score.

    Raises
    ------
    ConversionError
        With a short reason.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConversionError("larger than 30 MB")
        suffix = path.suffix.lower()
        if suffix == ".abc":
            abc = decode_abc(path.read_bytes())
            if _STREAM_LINE.search(abc):
                # As a model writes it: voices that rest are left out, and are filled in here.
                abc = finish(abc).text
        elif suffix in (".mid", ".midi"):
            abc = midi_to_abc(path)
        else:
            abc = musicxml_to_abc(read_musicxml(path))
        return aligned(read_abc(abc, path.name))
    except ConversionError:
        raise
    # Foreign readers fail on damaged scores in every way there is: each is a reported loss.
    except Exception as error:
        raise ConversionError(f"{type(error).__name__}: {error}"[:160]) from error


def bars_of(piece: Piece) -> list[list[ParsedBar]]:
    """Every voice's bars as events, keys and ties followed.

    Returns
    -------
    list of list of ParsedBar
        Voices, each a list of its bars; durations in ``L:`` units.
    """
    out = []
    for bars in piece.voices.values():
        fifths = key_fifths(piece.fields["K"])
        tied: dict[int, int] = {}
        parsed = []
        for bar in bars:
            for change in re.findall(r"\[K:([^\]]*)\]", bar.text):
                fifths = key_fifths(change)
            parsed.append(parse_bar(bar.text, key_alters(fifths), tied))
        out.append(parsed)
    return out


def aligned(piece: Piece) -> Piece:
    """The piece, once all voices are known to hold the same bars.

    Raises
    ------
    ConversionError
        Where voices differ in their number of bars or in the length of one.
    """
    counts = {v: len(b) for v, b in piece.voices.items()}
    if len(set(counts.values())) != 1:
        raise ConversionError(f"voices differ in their number of bars: {counts}")
    for number, row in enumerate(zip(*bars_of(piece), strict=True), 1):
        lengths = {b.duration for b in row}
        if len(lengths) != 1:
            shown = ", ".join(str(b.duration) for b in row)
            raise ConversionError(f"bar {number}: voices of unequal length ({shown} of L:)")
    return piece


def metre_length(piece: Piece) -> Fraction | None:
    """Length of a full bar in ``L:`` units, or None where the metre is free."""
    return bar_units(piece.fields["M"], piece.fields["L"])


def bar_units(metre: str, unit_length: str) -> Fraction | None:
    """Length of a full bar of a metre in ``L:`` units, or None where it is free."""
    text = {"C": "4/4", "C|": "2/2"}.get(metre.strip(), metre.strip())
    match = re.fullmatch(r"(\d{1,4})/([1-9]\d{0,3})", text)
    unit = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", unit_length.strip())
    if not match or not unit:
        return None
    return Fraction(int(match[1]), int(match[2])) / Fraction(int(unit[1]), int(unit[2]))


CHORALE_HEADS = {
    "1": 'treble nm="Soprano"',
    "2": 'treble nm="Alto"',
    "3": 'bass nm="Tenor"',
    "4": 'bass nm="Bass"',
}
SINGERS = {
    "s": "1",
    "soprano": "1",
    "a": "2",
    "alto": "2",
    "t": "3",
    "tenor": "3",
    "b": "4",
    "bass": "4",
    "discantus": "1",
    "altus": "2",
    "bassus": "4",
    "soprano 1": "1",
}


def as_chorale(piece: Piece) -> Piece:
    """Reduce a score to its four singers, spelt plainly and alike.

    Soprano, alto, tenor and bass are found by name, or are the four voices of a score
    that has just four. Words, slurs and ornaments go; fermatas and ties stay. Notes stand
    at sounding pitch (a ``treble-8`` tenor goes to the bass clef), one group a beat.

    Raises
    ------
    ConversionError
        Without four singers, with a change of key or metre, or with layers or chords.
    """
    named: dict[str, str] = {}
    for voice, head in piece.heads.items():
        match = re.search(r'nm="([^"]*)"', head)
        singer = SINGERS.get(re.sub(r"[.:]", "", match[1]).strip().lower()) if match else None
        if singer and singer not in named:
            named[singer] = voice
    if len(named) != 4:
        if len(piece.voices) != 4:
            raise ConversionError(f"{len(piece.voices)} voices, and no four named singers")
        named = dict(zip("1234", piece.voices, strict=True))
    parsed = dict(zip(piece.voices, bars_of(piece), strict=True))
    first = {v: b[0].text for v, b in piece.voices.items()}
    metres = {
        m.strip()
        for b in piece.voices.values()
        for x in b
        for m in re.findall(r"\[M:([^\]]*)", x.text)
    }
    if metres - {piece.fields["M"].strip()}:
        raise ConversionError("changes its metre")
    keys = {
        key_fifths(k)
        for b in piece.voices.values()
        for x in b
        for k in re.findall(r"\[K:([^\]]*)", x.text)
    }
    fifths = key_fifths(piece.fields["K"])
    key = piece.fields["K"].split()[0]
    opening = {key_fifths(k) for t in first.values() for k in re.findall(r"\[K:([^\]]*)", t)}
    if keys - {fifths}:
        if keys != opening or len(keys) != 1:
            raise ConversionError("changes its key")
        # A signature that the first bar contradicts at once: the bar's is the true one.
        fifths = keys.pop()
        key = _major_name(fifths)
    alters = key_alters(fifths)
    beat = Fraction(2)
    voices: dict[str, list[Bar]] = {}
    for singer in "1234":
        source = named[singer]
        octave = -7 if "treble-8" in piece.heads[source] else 0
        bars = []
        for bar, read in zip(piece.voices[source], parsed[source], strict=True):
            if read.layered or any(len(e.pitches) > 1 for e in read.events):
                raise ConversionError("a singer has layers or chords")
            if not read.events:
                raise ConversionError("an empty bar")
            events = [
                replace(e, pitches=tuple((s + octave, a) for s, a in e.pitches))
                for e in read.events
            ]
            if any(e.duration.denominator > 4 or e.duration <= 0 for e in events):
                raise ConversionError("a rhythm finer than 1/32 or a tuplet")
            bars.append(Bar(write_bar(events, alters, beat), bar.right))
        voices[singer] = bars
    for i in range(len(voices["1"])):
        # The barline of the soprano holds for all: editions differ in how they close one.
        for singer in "234":
            voices[singer][i].right = voices["1"][i].right
    voices["1"][-1].right = "|]"
    for singer in "234":
        voices[singer][-1].right = "|]"
    fields = {
        "%%score": "[ 1 2 3 4 ]", "L": "1/8", "Q": "1/4=80",
        "M": {"C": "4/4", "C|": "2/2"}.get(piece.fields["M"], piece.fields["M"]), "K": key,
    }  # fmt: skip
    return Piece(piece.name, fields, dict(CHORALE_HEADS), voices, list(piece.notes))


def _major_name(fifths: int) -> str:
    return MAJOR_KEYS[max(-7, min(7, fifths))]


def piece_text(piece: Piece) -> str:
    """The piece as interleaved ABC without ``X:``."""
    lines = []
    if piece.fields.get("%%score"):
        lines.append(f"%%score {piece.fields['%%score']}")
    lines += [f"{name}:{piece.fields[name]}" for name in "LQMK" if piece.fields.get(name)]
    lines += [f"V:{voice} {head}".rstrip() for voice, head in piece.heads.items()]
    for row in zip(*piece.voices.values(), strict=True):
        lines.append(
            "".join(f"[V:{v}]{b.text}{b.right}" for v, b in zip(piece.voices, row, strict=True))
        )
    return "\n".join(lines) + "\n"


def tally(losses: list[Loss]) -> dict[str, int]:
    """How many scores were lost for each reason, numbers in the reasons left out."""
    return dict(Counter(re.sub(r"[\d/{}',:()]+", "#", x.reason)[:60] for x in losses).most_common())
