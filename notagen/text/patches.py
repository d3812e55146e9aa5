r"""Encoding of text as patches of 16 tokens, and decoding.

Text is split into *units*: a line of the metadata, or one voice's bar of a body line. A unit is
encoded into as many patches as it needs; the last one ends with ``END`` and padding unless the
unit fills it. A token is the code of an ASCII character. A barline belongs to the unit after it,
except the one that closes a line, which belongs to the unit before it::

    [V:1]abc|[V:2]def|\n   ->   "[V:1]abc", "|[V:2]def|\n"

A barline inside quotes (``"D.S. |"``) is text and splits nothing.
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
"""How the first line of the body begins."""

Patch = tuple[int, ...]
"""16 tokens; fewer where a patch is only begun."""

# Quoted text first, so that a barline in it is not matched; an unclosed quote is not a quote.
# Adjacent barlines (":||:") are one.
_BARLINES = re.compile(r'"[^"\n]*"|((?:\|:|::|:\||\[\||\|\||\|\]|\|)+)')
_LINES = re.compile(r"[^\n]+\n?")


def split_text(text: str) -> tuple[list[str], list[str]]:
    """Split a text into its metadata lines and its body lines.

    Empty lines are dropped. Each line has its newline; the last one has none where the text has
    none.
    """
    lines = _LINES.findall(text)
    for index, line in enumerate(lines):
        if line.startswith(BODY_STARTS):
            return lines[:index], lines[index:]
    return lines, []


def units_of_line(line: str) -> list[str]:
    """Split a body line at its barlines; joined, the units are the line.

    A barline belongs to the unit after it. Where nothing with a voice follows, as at the end of
    a line or of an unfinished text, it belongs to the unit before it.

    Examples
    --------
    >>> units_of_line("[V:1]abc|[V:2]def|")
    ['[V:1]abc', '|[V:2]def|']
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
    """Split a text into its units: metadata lines, then the bars of each body line."""
    metadata, body = split_text(text)
    return metadata + [unit for line in body for unit in units_of_line(line)]


def encode_unit(unit: str) -> list[Patch]:
    """Encode a complete unit as patches of exactly 16 tokens.

    Raises
    ------
    RequestError
        The unit has a character outside 3 to 127.
    """
    return [tuple(chunk) + (PAD,) * (PATCH_SIZE - len(chunk)) for chunk in _chunks(unit, True)]


def encode(text: str, *, finished: bool = False) -> list[Patch]:
    """Encode a text as patches, as training and prompting do.

    Parameters
    ----------
    text : str
        ABC in NotaGen's form, ``[r:i/j]`` markers and prompt lines included; ASCII.
    finished : bool
        Whether the piece ends here: adds EOS_PATCH.

    Returns
    -------
    list of tuple of int
        BOS_PATCH first; 16 tokens each.
    """
    patches = [BOS_PATCH]
    for unit in units_of(text):
        patches += encode_unit(unit)
    return [*patches, EOS_PATCH] if finished else patches


def encode_open(head: str, body: str) -> tuple[list[Patch], Patch]:
    """Encode a text that the model is to continue, possibly in the middle of a patch.

    The body's last unit gets no END, so that the model decides whether the unit continues.

    Parameters
    ----------
    head, body : str
        Prompt and header, with complete lines; and the part of the body that is there, which may
        begin and end in the middle of a line.

    Returns
    -------
    full : list of tuple of int
        BOS_PATCH first; 16 tokens each.
    start : tuple of int
        0 to 15 tokens that the next patch begins with.
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
    """Return a patch's text: what stands before its first END, without control characters."""
    tokens = list(patch)
    if END in tokens:
        tokens = tokens[: tokens.index(END)]
    # A model can sample PAD or BEGIN in the middle of a patch; neither is text.
    return "".join(chr(token) for token in tokens if token > END)


def decode(patches: Iterable[Sequence[int]]) -> str:
    """Return the text of patches; BOS_PATCH and EOS_PATCH have none."""
    return "".join(decode_patch(patch) for patch in patches)


def ends_piece(patch: Sequence[int]) -> bool:
    """Whether a patch ends the piece."""
    return patch[0] == BEGIN and patch[1] == END


def pad_after_end(patch: Sequence[int]) -> Patch:
    """Return a sampled patch as the model takes it: everything after the first END is PAD."""
    tokens = list(patch)
    if END in tokens:
        stop = tokens.index(END) + 1
        tokens[stop:] = [PAD] * (len(tokens) - stop)
    return tuple(tokens)


def _chunks(unit: str, close: bool) -> list[Patch]:
    """Split a unit into at most 16 tokens each; ``close`` adds END where there is room."""
    tokens = [ord(char) for char in unit]
    for char, token in zip(unit, tokens, strict=True):
        if not END < token < VOCABULARY:
            raise RequestError(
                f"The character {char!r} (code {token}) can't be encoded: NotaGen has ASCII only.",
                "Replace it, or let scoregate.transliteration.to_ascii transliterate the text.",
            )
    if close and len(tokens) % PATCH_SIZE:
        tokens.append(END)
    return [tuple(tokens[i : i + PATCH_SIZE]) for i in range(0, len(tokens), PATCH_SIZE)]
