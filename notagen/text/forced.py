"""Forced text: header fields or opening bars that a piece has to begin with.

The text itself decides between two ways to begin. Single fields (``M:3/4``, ``K:Dm``, ``V:1 treble
nm="Violin"``) replace what the model would write there, and the model writes the rest of the
header. A text with bars, or with a whole header, is taken as it stands, and the model continues
after it. Asked for explicitly, there is a third way: a header with bars of one voice, which is
forced in every line of the piece (:mod:`scoregate.notagen.text.given_voice`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from scoregate.errors import RequestError
from scoregate.form import is_form, parse_form
from scoregate.notagen.text.given_voice import GivenVoice, given_voice
from scoregate.notagen.text.patches import split_text
from scoregate.notagen.text.rests import leave_out_rests
from scoregate.notagen.text.styles import PROMPT_END
from scoregate.transliteration import to_ascii

_FIELD = re.compile(r"^([A-Za-z]):\s*(\S.*)$")
_VOICE = re.compile(r"^V:\s*(\w+)")
_ONCE = re.compile(r"^(%%score|[LQMK]:|V:\s*\w+)", re.MULTILINE)
_BAR = re.compile(r"^(\[r:\d+/\d+\])?(\[V:.*)$")
_ORDER = {"L": 2, "Q": 3, "M": 4, "K": 6, "V": 7}
_OTHER, _BODY = 5, 8

ForcedAs = Literal["opening", "voice"]
"""What forced bars are: the opening of a piece, or its first voice from beginning to end."""


@dataclass(frozen=True, slots=True)
class ForcedText:
    """Forced text, split into its parts.

    Parameters
    ----------
    header : str
        Stands after the prompt as it is; begins with ``%end``.
    fields : tuple of str
        Lines that replace the model's own header lines.
    bars : tuple of str
        Body lines that follow the header, each with its newline.
    voice : GivenVoice or None
        The first voice of the whole piece; there are no bars then.
    """

    header: str = ""
    fields: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()
    voice: GivenVoice | None = None


def header_rank(line: str) -> tuple[int, int]:
    """Return the place of a line in a NotaGen header: lines of lower rank come first."""
    if is_form(line):
        return (_BODY, -1)
    if line.startswith("%%"):
        return (1, 0)
    if line.startswith("%"):
        return (0, 0)
    if line.startswith("[V:"):
        return (_BODY, 0)
    voice = _VOICE.match(line)
    if voice:
        number = voice[1]
        return (_ORDER["V"], int(number[:9]) if number.isdecimal() else ord(number[0]))
    letter = line[:1]
    return (_ORDER[letter], 0) if letter in _ORDER else (_OTHER, ord(letter or "\n"))


def read_forced_text(
    text: str | None, *, prompted: bool, forced_as: ForcedAs = "opening"
) -> ForcedText:
    """Check a forced text and split it into its parts.

    Parameters
    ----------
    text : str or None
        Header fields, or a header with bars in NotaGen's form: a body line holds one bar of
        all voices, ``[V:1]...|[V:2]...|``, with or without ``[r:i/j]`` in front. The lines of
        a form (:mod:`scoregate.form`) may stand in the header. Other prompt lines,
        ``X:`` and voices that only rest are left out; other text than ASCII is transliterated.
    prompted : bool
        Whether a prompt stands before it, which ``%end`` then closes.
    forced_as : {'opening', 'voice'}
        With ``voice`` the bars are those of the first voice alone: see
        :func:`scoregate.notagen.text.given_voice.given_voice`.

    Raises
    ------
    RequestError
        A line that is neither header field nor body line; bars without a key; a field that is
        there twice; a form that can't be read.
    """
    if forced_as not in ("opening", "voice"):
        raise RequestError(
            f"Forced text can't be forced as {forced_as!r:.40}.", "Take 'opening' or 'voice'."
        )
    if not text or not text.strip():
        return ForcedText()
    metadata, body = split_text(to_ascii(text))
    header = []
    form: list[str] = []
    for raw in metadata:
        line = raw.strip()
        if is_form(line) or (form and line[:1] == "%" and line[:2] != "%%"):
            form.append(line)
            continue
        if not line or line.startswith("X:") or (line[0] == "%" and line[:2] != "%%"):
            continue
        if not (line.startswith("%%score") or _FIELD.match(line)):
            raise RequestError(
                f"The forced text has the line {line!r}, which is not a header field.",
                "Fields look like 'M:3/4'; bars like '[V:1]C2 D2|[V:2]E4|'.",
            )
        header.append(line + "\n")
    if form:
        header.append(parse_form("\n".join(form)).lines)
    bars = []
    for line in body:
        match = _BAR.match(line.strip())
        if match is None:
            raise RequestError(
                f"The forced text has the body line {line.strip()!r}.",
                "Each body line is one bar of all voices: '[V:1]C2 D2|[V:2]E4|'.",
            )
        rests = forced_as == "voice"
        bars.append(f"{match[1] or ''}{match[2] if rests else leave_out_rests(match[2])}\n")
    names = Counter(_ONCE.findall("".join(header)))
    for name, times in names.items():
        if times > 1:
            raise RequestError(
                f"The forced text has {times} lines {name!r}.", "Leave all but one of them out."
            )
    letters = {line[0] for line in header if not is_form(line)}
    voice = given_voice("".join(header), tuple(bars)) if forced_as == "voice" else None
    if bars and "K" not in letters:
        raise RequestError(
            "The forced bars have no key before them.",
            "Give the whole header with them: %%score, L:, Q:, M:, K: and V: lines.",
        )
    if bars or {"K", "V", "%"} <= letters:
        whole = ForcedText((PROMPT_END if prompted else "") + "".join(header), (), tuple(bars))
        return replace(whole, bars=(), voice=voice) if voice else whole
    return ForcedText("", tuple(sorted(header, key=header_rank)), ())
