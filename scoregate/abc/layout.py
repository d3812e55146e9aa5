"""Take out of a text what is layout or playback and no music.

Collections of tunes carry PostScript, SVG, blocks of text and directives for MIDI players
among their music. None of it changes a note, but PostScript is code and several programs fail
on the rest, so finishing leaves these lines out before any program sees them. A directive that
reads a file (``%%abc-include``, ``%%MIDI ptstress``) is not layout: it stays, and the gate
``syntax`` refuses it.

Examples
--------
>>> from scoregate.abc.finding_collector import FindingCollector
>>> lines = ["X:1", "%%beginps", "/x 3 def", "%%endps", "K:C", "%%MIDI program 3", "CDEF|]"]
>>> without_layout(lines, FindingCollector())
(['X:1', 'K:C', 'CDEF|]'], [1, 5, 7])
"""

from __future__ import annotations

import re

from scoregate.abc.finding_collector import FindingCollector

_DIRECTIVE = re.compile(
    r"(?:%%|I:)[ \t]*"
    r"(?:(?P<block>begin(?:ps|svg|text))|(?P<word>postscript|ps|svg|text|center|MIDI))"
    r"(?![A-Za-z_-])",
    re.IGNORECASE,
)
_READS_A_FILE = re.compile("ptstress|abc-include", re.IGNORECASE)
_WHAT = {
    "midi": "it tells a player how to sound, and no program here is told",
    "ps": "PostScript is no music, and it is not run",
    "postscript": "PostScript is no music, and it is not run",
    "svg": "a picture is no music",
}


def may_have_layout(text: str) -> bool:
    """Return whether a text has a line that `without_layout` might leave out."""
    return _ANYWHERE.search(text) is not None


_ANYWHERE = re.compile(
    r"(?:^|[\r\n])(?:%%|I:)[ \t]*(?:begin(?:ps|svg|text)|postscript|ps|svg|text|center|MIDI)",
    re.IGNORECASE,
)


def without_layout(lines: list[str], remarks: FindingCollector) -> tuple[list[str], list[int]]:
    """Return the lines without those of layout and playback.

    A block that is never ended stays, because its end can't be told; the reader finds it.

    Parameters
    ----------
    lines : list of str
        The whole text, without line ends.
    remarks : FindingCollector
        Takes one warning for each kind of directive, at its first line.

    Returns
    -------
    list of str
        The lines that stay.
    list of int
        The number, from 1, of each of them in `lines`.
    """
    left: list[str] = []
    numbers: list[int] = []
    seen: dict[str, tuple[int, int]] = {}
    ends = _ends_of_blocks(lines)
    index = 0
    while index < len(lines):
        line = lines[index]
        match = _DIRECTIVE.match(line)
        if match is None or _READS_A_FILE.search(line):
            taken = 0
        elif match["block"]:
            end = ends.get(index)
            taken = 0 if end is None else end - index + 1
        else:
            taken = 1
        if not taken:
            left.append(line)
            numbers.append(index + 1)
            index += 1
            continue
        kind = (match["block"] or match["word"]).lower() if match else ""
        first, count = seen.get(kind, (index + 1, 0))
        seen[kind] = first, count + taken
        index += taken
    for kind, (first, count) in seen.items():
        _remark(kind, first, count, remarks)
    return left, numbers


def _ends_of_blocks(lines: list[str]) -> dict[int, int]:
    """Return the index of the last line of each block, by that of its first."""
    ends: dict[int, int] = {}
    opened: dict[str, int] = {}
    for index, line in enumerate(lines):
        if not line.startswith(("%%", "I:")):
            continue
        word = line[2:].strip().lower()
        if word.startswith("begin"):
            for kind in ("text", "svg", "ps"):
                if word[5:].startswith(kind):
                    opened.setdefault(kind, index)
        elif word.startswith("end"):
            for kind in ("text", "svg", "ps"):
                if word[3:].startswith(kind) and kind in opened:
                    ends[opened.pop(kind)] = index
    return ends


def _remark(kind: str, first: int, count: int, remarks: FindingCollector) -> None:
    why = _WHAT.get(kind.removeprefix("begin"), "text between the music is no music")
    many = "1 line is left out" if count == 1 else f"{count} lines are left out"
    name = "%%" + ("MIDI" if kind == "midi" else kind)
    remarks.add("layout", f"{name}: {many}: {why}", "warning", line=first, column=1, found=name)
