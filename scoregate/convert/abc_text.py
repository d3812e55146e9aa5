"""ABC of any kind (interleaved, or voice after voice) taken apart into the bars of a piece."""

from __future__ import annotations

import re
from fractions import Fraction

from scoregate.abc.writing import length_text
from scoregate.convert.bar_events import parse_bar
from scoregate.convert.piece import Bar, ConversionError, Piece

# Quoted text, decorations, fields and chords first, so that a barline in them is none.
_BARLINE = re.compile(
    r"(\"[^\"]*\"|![^!]*!|\[[A-Za-z]:[^\]]*\]|\[[^\]|]*\])"
    r"|(\[\|\]|:*\|[\]\|:]*:*|::+|\[\|)(\[?[1-9][\d,-]*)?"
)
_VOICE = re.compile(r"V:\s*(\S+)\s*(.*)")
_INLINE_VOICE = re.compile(r"\[V:\s*([^\]\s]+)[^\]]*\]")
_METRE_CHANGE = re.compile(r"\[M:([^\]]*)\]")
_UNIT_CHANGE = re.compile(r"\[L:([^\]]*)\]")
_WHOLE_REST = re.compile(r"((?:\[[A-Za-z]:[^\]]*\])*)\s*Z(\d{0,4})")
_DOUBLE_REST = re.compile(r"((?:\[[A-Za-z]:[^\]]*\])*)\s*([zx]\d*)\s+\2")
_MOST_RESTS = 1000
_PLAIN = (0, 0, 0, 0, 0, 0, 0)


def decode_abc(data: bytes) -> str:
    """Return the text of an ABC file: UTF-16 by its mark, UTF-8, or else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_abc(abc: str, name: str) -> Piece:
    """Return the piece of an ABC text of one tune.

    That its voices hold the same bars is left to :func:`scoregate.convert.piece.aligned`.

    Raises
    ------
    ConversionError
        The text has no music, or no ``K:`` field.
    """
    fields, heads, music = split_abc(abc)
    if not music:
        raise ConversionError("holds no music")
    if "K" not in fields:
        raise ConversionError("has no K: line")
    voices: dict[str, list[Bar]] = {}
    for voice, text in music.items():
        bars, _ = split_bars(closed_at_line_ends(text, fields))
        if bars:
            voices[voice] = whole_rests(bars, fields)
    order = [v for v in heads if v in voices] + [v for v in voices if v not in heads]
    fields.setdefault("L", "1/8")
    fields.setdefault("M", "4/4")
    fields["K"] = short_key(fields["K"])
    heads = {v: re.sub(r'\s*snm="[^"]*"', "", head) for v, head in heads.items()}
    return Piece(name, fields, {v: heads.get(v, "") for v in order}, {v: voices[v] for v in order})


def split_bars(music: str) -> tuple[list[Bar], str]:
    """Cut a voice's music at its barlines; return also what stood before the first bar.

    Examples
    --------
    >>> bars, before = split_bars("|:C4|[CE]4:|D4 [|]|")
    >>> before, [(bar.text, bar.right) for bar in bars]
    ('|:', [('C4', '|'), ('[CE]4', ':|'), ('D4', '|')])
    """
    bars: list[Bar] = []
    head, at, start = "", 0, 0
    pending = ""
    for match in _BARLINE.finditer(music):
        if match[1]:
            continue
        body = music[start : match.start()].strip()
        start = match.end()
        volta = match[3] or ""
        # An invisible barline, which no converter writes on purpose, is an ordinary one.
        sign = "|" if match[2] == "[|]" else match[2]
        if body or pending:
            bars.append(Bar((pending + body).strip(), sign))
            pending = ""
        elif bars:
            bars[-1].right = _joined(bars[-1].right, sign)
        else:
            head = sign
        pending = volta.strip("[") and f"[{volta.strip('[')}" if volta else ""
        at = match.end()
    rest = music[at:].strip()
    if rest:
        bars.append(Bar((pending + rest).strip(), "|"))
    return bars, head


def closed_at_line_ends(music: str, fields: dict[str, str]) -> str:
    r"""Return a voice's music on one line, a barline where the end of a line stands for one.

    It does where a full bar lacks its barline there, as in :mod:`scoregate.abc.body`, unless a
    backslash continues the line.

    Examples
    --------
    >>> closed_at_line_ends("c8|d8\ne8|f4\ng4|", {"M": "4/4", "L": "1/8"})
    'c8|d8| e8|f4 g4|'
    """
    metre, unit = fields.get("M", "4/4"), fields.get("L", "1/8")
    out, since = [], ""  # `since`: what stands behind the last barline
    for line in music.split("\n"):
        metre = next(reversed(_METRE_CHANGE.findall(line)), metre)
        unit = next(reversed(_UNIT_CHANGE.findall(line)), unit)
        goes_on, line = line.endswith("\\"), line.rstrip("\\")
        since = f"{since} {line}"
        for match in reversed(list(_BARLINE.finditer(since))):
            if not match[1]:
                since = since[match.end() :]
                break
        bar = parse_bar(since, _PLAIN) if since.strip() else None
        full = not goes_on and bar is not None and bar.duration == bar_units(metre, unit)
        if full:
            since = ""
        out.append(line + "|" if full else line)
    return " ".join(out)


def _joined(left: str, right: str) -> str:
    """Return two barlines with nothing between them as one."""
    if ":" in left and ":" in right:
        return "::"
    return max(left, right, key=len)


def split_abc(abc: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return header fields, voice heads and each voice's music with its line ends.

    Of several tunes in one text the first is taken.
    """
    parts = _Parts()
    for raw in abc.splitlines():
        if not parts.take(raw.rstrip()):
            break
    return parts.fields, parts.heads, {v: "\n".join(music) for v, music in parts.music.items()}


class _Parts:
    """Header fields, voice heads and music of a text, collected line by line."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.heads: dict[str, str] = {}
        self.music: dict[str, list[str]] = {}
        self.current, self.in_body = "1", False

    def take(self, line: str) -> bool:
        """Take a line; return False where another tune begins."""
        if line.startswith(("%%score", "%%staves")):
            self.fields.setdefault("%%score", line.split(None, 1)[1] if " " in line else "")
            return True
        if line.startswith("%") or not line:
            return True
        line = re.sub(r"(?<!\\)%.*$", "", line).rstrip()
        if voice := _VOICE.match(line):
            self.current = voice[1]
            self.heads.setdefault(self.current, voice[2].strip())
        elif re.match(r"[A-Za-z]:", line) and not line.startswith(("|:",)):
            return self._field(line)
        else:
            self._music(line)
        return True

    def _field(self, line: str) -> bool:
        letter, value = line[0], line[2:].strip()
        if self.in_body and letter in "KML":
            self.music.setdefault(self.current, []).append(f"[{letter}:{value}]")
        elif not self.in_body and letter in "LQMKX":
            if letter == "X" and "X" in self.fields:
                return False
            self.fields.setdefault(letter, value)
        return True

    def _music(self, line: str) -> None:
        self.in_body = self.in_body or "K" in self.fields
        if not self.in_body:
            return
        line = re.sub(r"^\[r:[^\]]*\]", "", line)
        marks = [*_INLINE_VOICE.finditer(line)]
        if not marks:
            self.music.setdefault(self.current, []).append(line.replace("$", " "))
        for index, mark in enumerate(marks):
            end = marks[index + 1].start() if index + 1 < len(marks) else len(line)
            self.music.setdefault(mark[1], []).append(line[mark.end() : end])
            self.current = mark[1]


def whole_rests(bars: list[Bar], fields: dict[str, str]) -> list[Bar]:
    """Return the bars with whole-bar rests written out: one rest a bar, as long as the metre.

    ``Z4`` becomes four bars. A bar with two rests that each fill it, as converters write where
    two layers of a staff rest, gets one.
    """
    out = []
    metre, unit = fields.get("M", "4/4"), fields.get("L", "1/8")
    for bar in bars:
        metre = next(reversed(_METRE_CHANGE.findall(bar.text)), metre)
        length = bar_units(metre, unit)
        double = _DOUBLE_REST.fullmatch(bar.text)
        if double is not None and parse_bar(double[2], _PLAIN).duration == length:
            out.append(Bar(double[1] + double[2], bar.right))
            continue
        rest = _WHOLE_REST.fullmatch(bar.text)
        count = int(rest[2] or 1) if rest else 0
        if rest is None or length is None or not 0 < count <= _MOST_RESTS:
            out.append(bar)
            continue
        written = f"z{length_text(length)}"
        out.append(Bar(rest[1] + written))
        out += [Bar(written) for _ in range(count - 1)]
        out[-1].right = bar.right
    return out


def bar_units(metre: str, unit_length: str) -> Fraction | None:
    """Return the length of a full bar of a metre in ``L:`` units, or None where it is free.

    Examples
    --------
    >>> bar_units("3/4", "1/8"), bar_units("C|", "1/4"), bar_units("none", "1/8")
    (Fraction(6, 1), Fraction(4, 1), None)
    """
    text = {"C": "4/4", "C|": "2/2"}.get(metre.strip(), metre.strip())
    match = re.fullmatch(r"(\d{1,4})/([1-9]\d{0,3})", text)
    unit = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", unit_length.strip())
    if not match or not unit:
        return None
    return Fraction(int(match[1]), int(match[2])) / Fraction(int(unit[1]), int(unit[2]))


def short_key(key: str) -> str:
    """Return a key with its mode shortened; modes other than major and minor stay.

    Examples
    --------
    >>> short_key("Emin"), short_key("C major"), short_key("Ddor")
    ('Em', 'C', 'Ddor')
    """
    key = re.sub(r"^([A-G][#b]?)\s*min(?:or)?\b", r"\1m", key)
    return re.sub(r"^([A-G][#b]?)\s*maj(?:or)?\b", r"\1", key)
