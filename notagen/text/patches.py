"""Text to patches and back: how NotaGen cuts ABC into rows of sixteen characters.

Text is cut into *units*: a line of the metadata, or one voice's bar of a body line. A unit
is written into as many patches as it needs; the last one ends with ``END`` and padding
unless the unit fills it. A barline opens the unit behind it, except the one that closes a
line, which stays with the unit before it::

    [V:1]abc|[V:2]def|\\n   ->   "[V:1]abc", "|[V:2]def|\\n"

A barline inside quotes (``"D.S. |"``) is text and cuts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from scoregate.errors import RequestError
from scoregate.notagen.model.shape import PATCH_SIZE, VOCABULARY

PAD, BEGIN, END = 0, 1, 2
BOS_PATCH: tuple[int, ...] = (BEGIN,) * (PATCH_SIZE - 1) + (END,)
"""The patch before the first one."""
EOS_PATCH: tuple[int, ...] = (BEGIN,) + (END,) * (PATCH_SIZE - 1)
"""The patch after the last one; any patch that starts with BEGIN, END ends a piece."""
BODY_STARTS = ("[V:", "[r:")
"""What the first line of the body begins with."""

Patch = tuple[int, ...]

# Quoted text first, so that a barline in it is never seen; an open quote is no quote.
# Barlines that touch (":||:") are one.
_BARLINES = re.compile(r'"[^"\n]*"|((?:\|:|::|:\||\[\||\|\||\|\]|\|)+)')
_LINES = re.compile(r"[^\n]+\n?")


def split_text(text: str) -> tuple[list[str], list[str]]:
    """Split a text into its metadata lines and its body lines.

    Empty lines are left out; each line keeps its newline, and the last one has none where
    the text has none.
    """
    lines = _LINES.findall(text)
    for index, line in enumerate(lines):
        if line.startswith(BODY_STARTS):
            return lines[:index], lines[index:]
    return lines, []


def units_of_line(line: str) -> list[str]:
    """Cut a body line at its barlines; joined again, the units are the line.

    A barline goes to the head of the unit behind it. Where nothing with a voice follows,
    as at the end of a line or of an unfinished text, it stays with the unit before it.
    """
    starts = [match.start() for match in _BARLINES.finditer(line) if match.group(1)]
    if not starts:
        return [line]
    cuts = sorted({0, *starts, len(line)})
    units = [line[a:b] for a, b in pairwise(cuts)]
    if len(units) > 1 and "V" not in units[-1]:
        units[-2:] = [units[-2] + units[-1]]
    return units


def units_of(text: str) -> list[str]:
    """Cut a text into its units: metadata lines, then the bars of each body line."""
    metadata, body = split_text(text)
    return metadata + [unit for line in body for unit in units_of_line(line)]


def encode_unit(unit: str) -> list[Patch]:
    """Write one finished unit into patches of exactly 16 character codes each.

    Raises
    ------
    RequestError
        The unit holds a character outside 3..127.
    """
    return [tuple(chunk) + (PAD,) * (PATCH_SIZE - len(chunk)) for chunk in _chunks(unit, True)]


def encode(text: str, *, finished: bool = False) -> list[Patch]:
    """Write a text into patches, as training and prompting do.

    Parameters
    ----------
    text : str
        ABC in NotaGen's form, ``[r:i/j]`` markers and prompt lines included; ASCII.
    finished : bool
        Whether the piece ends here: adds EOS_PATCH.

    Returns
    -------
    list of tuple of int
        BOS_PATCH first; 16 codes each.
    """
    patches = [BOS_PATCH]
    for unit in units_of(text):
        patches += encode_unit(unit)
    return [*patches, EOS_PATCH] if finished else patches


def encode_open(head: str, body: str) -> tuple[list[Patch], Patch]:
    """Write a text that goes on: its full patches, and the start of the one to finish.

    The body's last unit gets no END, so that the model decides whether it goes on.

    Parameters
    ----------
    head, body : str
        Prompt and header, all lines finished; and what of the body is there, which may begin
        and end in the middle of a line.

    Returns
    -------
    full : list of tuple of int
        BOS_PATCH first; 16 codes each.
    start : tuple of int
        0 to 15 codes with which the next patch begins.
    """
    music = [unit for line in _LINES.findall(body) for unit in units_of_line(line)]
    patches = [BOS_PATCH]
    opened = music.pop() if music else ""
    for unit in _LINES.findall(head) + music:
        patches += encode_unit(unit)
    chunks = _chunks(opened, False)
    start = chunks.pop() if chunks and len(chunks[-1]) < PATCH_SIZE else ()
    return patches + chunks, start


def decode_patch(patch: Sequence[int]) -> str:
    """Return a patch's text: what stands before its first END, without control codes."""
    codes = list(patch)
    if END in codes:
        codes = codes[: codes.index(END)]
    # A model can draw PAD or BEGIN in the middle of a patch; neither is text.
    return "".join(chr(code) for code in codes if code > END)


def decode(patches: Iterable[Sequence[int]]) -> str:
    """Return the text of patches; BOS_PATCH and EOS_PATCH are nothing."""
    return "".join(decode_patch(patch) for patch in patches)


def ends_piece(patch: Sequence[int]) -> bool:
    """Whether a patch says that the piece is over."""
    return patch[0] == BEGIN and patch[1] == END


def settle(patch: Sequence[int]) -> Patch:
    """Return a drawn patch as it is fed back: everything behind the first END is PAD."""
    codes = list(patch)
    if END in codes:
        stop = codes.index(END) + 1
        codes[stop:] = [PAD] * (len(codes) - stop)
    return tuple(codes)


def _chunks(unit: str, close: bool) -> list[Patch]:
    """Cut a unit into at most 16 codes each; ``close`` adds END where there is room."""
    codes = [ord(char) for char in unit]
    for char, code in zip(unit, codes, strict=True):
        if not END < code < VOCABULARY:
            raise RequestError(
                f"The character {char!r} (code {code}) can't be written: NotaGen knows ASCII only.",
                "Replace it, or let scoregate.transliteration.to_ascii transliterate the text.",
            )
    if close and len(codes) % PATCH_SIZE:
        codes.append(END)
    return [tuple(codes[i : i + PATCH_SIZE]) for i in range(0, len(codes), PATCH_SIZE)]
