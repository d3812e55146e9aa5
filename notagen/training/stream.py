"""Training text: the prompt, the header, and body lines with ``[r:i/j]`` in front.

``i`` counts the body's lines from 0 and ``j`` says how many are still to come. A voice
that only rests in a bar is left out of its line, as in NotaGen's own training text.
"""

from __future__ import annotations

import re

from scoregate.abc.keys import key_fifths, transpose_key
from scoregate.convert.bar_events import interval_steps, transpose_music
from scoregate.form import Form, without_form
from scoregate.notagen.text.patches import encode
from scoregate.notagen.text.rests import leave_out_rests


def prompt_lines(style: tuple[str, str, str]) -> str:
    """Return the three prompt lines of a style and the ``%end`` that closes them."""
    return "".join(f"%{part}\n" for part in style) + "%end\n"


def stream_text(
    text: str, style: tuple[str, str, str] | None = None, form: Form | None = None
) -> str:
    """Interleaved ABC of a whole piece as the model is to write it.

    Parameters
    ----------
    text : str
        From :func:`scoregate.convert.piece.piece_text`.
    style : tuple of str, optional
        Period, composer and instrumentation; without it no prompt is written.
    form : Form, optional
        Written at the end of the header.
    """
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith("[V:")), len(lines))
    head, body = lines[:first], lines[first:]
    out = [line + "\n" for line in head]
    if form:
        out.append(form.lines)
    for i, line in enumerate(body):
        out.append(f"[r:{i}/{len(body) - 1 - i}]{leave_out_rests(line)}\n")
    return (prompt_lines(style) if style else "") + "".join(out)


def crop(text: str, limit: int, at: float) -> str:
    """Return a stretch of a stream-form piece that fits a context: header and successive lines.

    A stretch from within the piece loses the form in its header.

    Parameters
    ----------
    text : str
        From :func:`stream_text`.
    limit : int
        Most patches, the one before the first and the one after the last included.
    at : float
        0..1: where between the earliest and the latest stretch.
    """
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.startswith("[r:")), len(lines))
    head, body = lines[:first], lines[first:]
    room = limit - len(encode("".join(head), finished=True))
    sizes = [len(encode(line)) - 1 for line in body]
    if sum(sizes) <= room:
        return text
    last = len(body)
    rest = 0
    while last and rest + sizes[last - 1] <= room:
        last -= 1
        rest += sizes[last]
    start = round(at * last)
    if start:
        # A form counts phrases from the beginning of the piece.
        head = [without_form("".join(head))]
    kept, used = [], 0
    for line, size in zip(body[start:], sizes[start:], strict=True):
        if used + size > room:
            break
        kept.append(line)
        used += size
    return "".join(head + kept)


def transpose_text(text: str, fifths: int, octaves: int = 0) -> str:
    """Return a whole piece, header included, moved by ``fifths`` on the circle of fifths.

    The nearest way up or down is taken; ``octaves`` adds to it.
    """
    if not fifths and not octaves:
        return text
    steps = interval_steps(fifths, octaves)
    before = 0
    out = []
    for line in text.splitlines(keepends=True):
        if line.startswith("K:"):
            before = key_fifths(line[2:])
            out.append("K:" + transpose_key(line[2:].rstrip("\n"), fifths) + "\n")
        elif line.startswith(("[V:", "[r:")):
            out.append(_transpose_line(line, before, fifths, steps))
        else:
            out.append(line)
    return "".join(out)


def _transpose_line(line: str, before: int, fifths: int, steps: int) -> str:
    """One body line; an inline ``[K:...]`` moves too and holds from there on."""
    out, at, key = [], 0, before
    for match in re.finditer(r"\[K:([^\]]*)\]", line):
        out.append(transpose_music(line[at : match.start()], key, fifths, steps))
        key = key_fifths(match[1])
        out.append(f"[K:{transpose_key(match[1], fifths)}]")
        at = match.end()
    out.append(transpose_music(line[at:], key, fifths, steps))
    return "".join(out)
