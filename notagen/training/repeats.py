"""Repeats: a repeated strain written out a second time, and repeats for rule-made chorales.

Most of Bach's chorales say the return of their first two phrases with a repeat sign, so that a
model hardly ever sees a phrase return. Written out, the same pieces show it.
"""

from __future__ import annotations

import re

_BODY = re.compile(r"^\[V:", re.M)
_CELL = re.compile(r"(\[V:\d+\])([^\[]*)")
_AFTER_FERMATA = re.compile(r"^(.*!fermata!\S+)(?: (\S.*))?$")
_SIGNED = re.compile(r"[\^_=]+[A-Ga-g]")
_UNSIGNED = re.compile(r"(?<![\^_=])[A-Ga-g]")
_MARK = re.compile(r"![a-z]+!")
_REPEATED = ":|"


def written_out(text: str) -> str | None:
    """Return a piece with its first strain written twice; None where no single strain is repeated.

    Parameters
    ----------
    text : str
        Interleaved ABC of a whole piece. A repeat of a later strain (``|:``) is left alone, and the
        piece counts as one without a repeat.
    """
    at = _BODY.search(text)
    if at is None or "|:" in text:
        return None
    lines = text[at.start() :].splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if _REPEATED in line]
    if len(ends) != 1 or ends[0] == len(lines) - 1:
        return None
    strain = [*lines[: ends[0]], lines[ends[0]].replace(_REPEATED, "|")]
    return text[: at.start()] + "".join([*strain, *strain, *lines[ends[0] + 1 :]])


def with_repeat(text: str, phrases: int = 2) -> str | None:
    """Return a piece whose first phrases are a repeated strain, as Bach writes it.

    Parameters
    ----------
    text : str
        Interleaved ABC in which a phrase may end within a bar; the rest of this bar becomes a bar
        of its own, the upbeat of the next phrase.
    phrases : int
        How many are repeated.

    Returns
    -------
    str or None
        None where the last of these phrases does not end in all voices at once, or is the last of
        the piece, or where an accidental before its end holds for the upbeat as well.
    """
    at = _BODY.search(text)
    if at is None or _REPEATED in text:
        return None
    lines = text[at.start() :].splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if "!fermata!" in line]
    if len(ends) <= phrases:
        return None
    cells = _CELL.findall(lines[ends[phrases - 1]])
    parts = [_AFTER_FERMATA.match(music.strip().rstrip("|")) for _, music in cells]
    found = [part.groups() for part in parts if part is not None]
    upbeats = sum(rest is not None for _, rest in found)
    if not cells or len(found) < len(cells) or upbeats not in (0, len(cells)):
        return None
    if any(_sign_holds(first, rest or "") for first, rest in found):
        return None
    voices = [voice for voice, _ in cells]
    parted = list(zip(voices, found, strict=True))
    line = "".join(f"{voice}{end}{_REPEATED}" for voice, (end, _) in parted) + "\n"
    if upbeats:
        line += "".join(f"{voice}{rest}|" for voice, (_, rest) in parted) + "\n"
    lines[ends[phrases - 1]] = line
    return text[: at.start()] + "".join(lines)


def _sign_holds(first: str, rest: str) -> bool:
    """Whether a note of the rest of a bar has its accidental from the first part."""
    signed = {note[-1] for note in _SIGNED.findall(first)}
    return any(letter in signed for letter in _UNSIGNED.findall(_MARK.sub("", rest)))
