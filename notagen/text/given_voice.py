r"""A given voice: the first voice of every body line is forced, and the model writes the others.

A melody is handed over as a header and bars of one voice, ``[V:1]c2 d2|``. In NotaGen's form the
first voice stands first in each line, so a line begins as::

    [r:3/8][V:1]c2 d2|[V:

and the model goes on with the number of the next voice. The unit of the given voice is encoded as
training encodes it, so that the patches of the piece are those of its text.

Training text leaves out a voice that only rests in a bar. A given voice keeps its rests: without
it the embedded model, whose voices never rest for a bar, gives the soprano's part to the alto and
writes that twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoregate.errors import RequestError

LONGEST = 999
"""Most bars of a given voice: the model knows no larger counters."""
_COUNTER = re.compile(r"^\[r:\d+/\d+\]")
_BARLINE = r"(?:\|:|::|:\||\[\||\|\||\|\]|\|)+"
_CELL = re.compile(rf"\[V:\s*(\w+)\]((?:\"[^\"]*\"|(?!{_BARLINE}|\[V:).)*)({_BARLINE})$")
_DECLARED = re.compile(r"^V:\s*(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class GivenBar:
    """The given voice in one body line.

    Parameters
    ----------
    unit : str
        The counter and the voice's music.
    start : str
        What the next patch begins with: the barline and ``[V:``.
    """

    unit: str
    start: str

    @property
    def text(self) -> str:
        """What the line begins with."""
        return self.unit + self.start


@dataclass(frozen=True, slots=True)
class GivenVoice:
    """The first voice of a whole piece.

    Parameters
    ----------
    bars : tuple of GivenBar
    name : str
        The voice's id in the header.
    """

    bars: tuple[GivenBar, ...]
    name: str

    def kept_in(self, line: str, index: int) -> bool:
        """Return whether a body line holds the voice as it is given, and only once."""
        bar = self.bars[index]
        mark = f"[V:{self.name}]"
        return line.startswith(bar.text) and line.count(mark) == 1


def given_voice(header: str, bars: tuple[str, ...]) -> GivenVoice:
    """Return body lines of one voice as the beginnings of the lines of a piece.

    Parameters
    ----------
    header : str
        Header of the piece, which declares all its voices.
    bars : tuple of str
        Lines such as ``[V:1]c2 d2|``; counters in front are replaced.

    Raises
    ------
    RequestError
        No bars, too many, a line with more than one voice, several bars in a line, or a header
        without another voice.
    """
    if not bars:
        raise RequestError(
            "The given voice has no bars.", "Give a header, and lines such as '[V:1]c2 d2|'."
        )
    if len(bars) > LONGEST:
        raise RequestError(
            f"The given voice has {len(bars)} bars; at most {LONGEST} can be forced.",
            "Choose some of them.",
        )
    found: list[GivenBar] = []
    names: set[str] = set()
    for index, line in enumerate(bars):
        cell = _CELL.fullmatch(_COUNTER.sub("", line.strip()))
        if cell is None:
            raise RequestError(
                f"The given voice has the line {line.strip()!r:.80}.",
                "Each line is one bar of one voice: '[V:1]c2 d2|'.",
            )
        names.add(cell[1])
        counter = f"[r:{index}/{len(bars) - 1 - index}]"
        found.append(GivenBar(f"{counter}[V:{cell[1]}]{cell[2]}", f"{cell[3]}[V:"))
    if len(names) > 1:
        raise RequestError(
            f"The given voice has {len(names)} voices: {', '.join(sorted(names))}.", "Give one."
        )
    (name,) = names
    if not set(_DECLARED.findall(header)) - {name}:
        raise RequestError(
            "The header of the given voice declares no other voice that could be written.",
            "Give a V: line for each voice.",
        )
    return GivenVoice(tuple(found), name)
