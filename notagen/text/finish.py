"""From the text as the model writes it to finished ABC.

The model writes a bar of all voices to a line, with a counter in front, and leaves out the
voices that only rest; prompt lines stand on top. Finished ABC has none of these: counters
and prompt go, every voice stands in every line, and ``X:1`` comes first.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from scoregate.notagen.text.lengths import bar_length, show_length
from scoregate.notagen.text.patches import split_text

_COUNTER = re.compile(r"\[r:[^\]\n]*\]?")
_VOICE = re.compile(r"\[V:\s*([^\]\s]+)[^\]]*\]")
_DECLARED = re.compile(r"^V:\s*(\S+)", re.MULTILINE)
# Quotes first, so that a barline in them is none; an inline field is no barline either.
_BARLINE = re.compile(r'"[^"]*"|(\|\]|\|\||\[\||\|:|:\||::|\|)(?:[|:\]]*)')
_OPENING = {"(": ")", "[": "]", "{": "}"}

Shape = tuple[str, tuple[tuple[Fraction, str], ...]]
"""A voice's barline before its music, then each bar's length and the barline behind it."""


def undeclared_voices(raw: str) -> list[str]:
    """Return the voices that bars are written for and that no ``V:`` field declares.

    Happens where a header was forced that the model would not have written.
    """
    return sorted(set(_VOICE.findall(raw)) - set(_DECLARED.findall(raw)))


def finish(raw: str, *, whole: bool = True) -> str:
    """Return finished ABC.

    Parameters
    ----------
    raw : str
        As the model writes it; finished ABC comes back with nothing changed but its voices
        completed.
    whole : bool
        False where the model was stopped: a last line without its end is then left out.
    """
    metadata, body = split_text(raw)
    if not whole and body and not body[-1].endswith("\n"):
        body.pop()
    header = [
        line.rstrip("\n") for line in metadata if not line.startswith("%") or line[:2] == "%%"
    ]
    header = [mend_score(line) if line.startswith("%%score") else line for line in header]
    if not any(line.startswith("X:") for line in header):
        header.insert(0, "X:1")
    voices, leaders = staves(header)
    lines = [complete(_COUNTER.sub("", line).rstrip("\n"), voices, leaders) for line in body]
    return "".join(line + "\n" for line in header + lines if line)


def staves(header: list[str]) -> tuple[list[str], set[str]]:
    """Return the voices in their order, and those that come first on their staff."""
    score = next((line for line in header if line.startswith("%%score")), "")
    voices = _DECLARED.findall("\n".join(header))
    leaders: set[str] = set()
    named: set[str] = set()
    inside = first = False
    for sign in re.findall(r"[(){}\[\]|]|[^\s(){}\[\]|]+", score.removeprefix("%%score")):
        if sign in "()":
            inside = first = sign == "("
        elif sign not in "{}[]|":
            if not inside or first:
                leaders.add(sign)
            first = False
            named.add(sign)
            if sign not in voices:
                voices.append(sign)
    # A voice that the score line doesn't name has a staff of its own.
    leaders.update(set(voices) - named)
    return list(dict.fromkeys(voices)), leaders


def complete(line: str, voices: list[str], leaders: set[str]) -> str:
    """Fill in the voices that a body line leaves out, resting as long as the others play.

    The first voice of a staff rests visibly (``z``), the others invisibly (``x``); length and
    barlines are what most voices of the line have.
    """
    marks = list(_VOICE.finditer(line))
    if not marks or {mark[1] for mark in marks} >= set(voices):
        return line
    cells: dict[str, str] = {}
    for index, mark in enumerate(marks):
        stop = marks[index + 1].start() if index + 1 < len(marks) else len(line)
        cells[mark[1]] = cells.get(mark[1], "") + line[mark.start() : stop]
    shapes = Counter(_shape(cell[cell.index("]") + 1 :]) for cell in cells.values())
    left, bars = shapes.most_common(1)[0][0]
    written = [line[: marks[0].start()]]
    for voice in dict.fromkeys([*voices, *cells]):
        if voice in cells:
            written.append(cells[voice])
            continue
        rest = "z" if voice in leaders else "x"
        rests = (f"{rest}{show_length(length)}{barline}" for length, barline in bars)
        written.append(f"[V:{voice}]{left}{''.join(rests)}")
    return "".join(written)


def mend_score(line: str) -> str:
    """Close the brackets of a ``%%score`` line that were left open, and drop stray ones."""
    expected: list[str] = []
    kept: list[str] = []
    for char in line:
        if char in _OPENING:
            expected.append(_OPENING[char])
        elif char in ")]}":
            if char not in expected:
                continue
            while expected[-1] != char:
                kept.append(f" {expected.pop()}")
            expected.pop()
        kept.append(char)
    return "".join(kept).rstrip() + "".join(f" {char}" for char in reversed(expected))


def _shape(music: str) -> Shape:
    """Measure one voice's part of a line."""
    left, bars, at = "", [], 0
    for match in _BARLINE.finditer(music):
        if match[1] is None:
            continue
        between = music[at : match.start()]
        length = bar_length(between)
        if not bars and not left and not length:
            left = match[0]
        else:
            bars.append((length, match[0]))
        at = match.end()
    rest = bar_length(music[at:])
    if rest:
        bars.append((rest, ""))
    return left, tuple(bars)
