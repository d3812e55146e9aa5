r"""Run abc2midi once over several pieces.

To start the program takes ten times as long as it works on a piece of a page. The pieces of one
run are tunes of one book; the messages on each are told by their lines.

One run must not decide about pieces of different strangers otherwise than a run of each. So its
answer counts only for a piece that it finds nothing wrong with
(:func:`scoregate.validators.gates.syntax.check`); any other piece is given to the program again,
by itself. Pieces that could change how the program reads the next one, because they hold
directives, or whose end it could see elsewhere, are not put into a book at all. Where a run fails,
each of its pieces is run by itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from scoregate.validators import abc2midi
from scoregate.validators.abc2midi import Run

MOST_BYTES = 2**18
"""Longest book."""
_DIRECTIVE = re.compile(r"^%%(?!score\b|staves\b)|^I:|\[I:", re.MULTILINE)
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n")
_REFERENCE = re.compile(r"X:[^\n]*")
_PLACE = re.compile(r"( in line-char )(\d+)(?=-\d+ : )")


def run_together(texts: Sequence[str]) -> list[Run | None]:
    """Run abc2midi over pieces, as few times as their size allows.

    Parameters
    ----------
    texts : sequence of str
        As :func:`scoregate.validators.abc2midi.run` takes them.

    Returns
    -------
    list of Run or None
        None for a piece that must be run by itself. The lines in the messages are those of
        the piece.

    Raises
    ------
    ToolError
        When there is no abc2midi, or when it can't be started.
    """
    runs: list[Run | None] = [None] * len(texts)
    book: list[int] = []
    size = 0
    for index, text in enumerate(texts):
        if len(text) > MOST_BYTES or _by_itself(text):
            continue
        if size + len(text) > MOST_BYTES:
            _run_book(texts, book, runs)
            book, size = [], 0
        book.append(index)
        size += len(text)
    _run_book(texts, book, runs)
    return runs


def _by_itself(text: str) -> bool:
    """Return whether a piece can't be a tune of a book.

    It has a directive, an empty line that would end it, or no ``X:`` or two.
    """
    if not text.startswith("X:") or "\nX:" in text:
        return True
    return _DIRECTIVE.search(text) is not None or _EMPTY_LINE.search(text.rstrip()) is not None


def _run_book(texts: Sequence[str], book: Sequence[int], runs: list[Run | None]) -> None:
    """Run some of the texts as one book, and put the answers into `runs`."""
    if len(book) < 2:
        return
    tunes: list[str] = []
    starts: list[int] = []
    line = 1
    for number, index in enumerate(book, 1):
        tune = _REFERENCE.sub(f"X:{number}", texts[index], count=1).rstrip("\n") + "\n\n"
        starts.append(line)
        line += tune.count("\n")
        tunes.append(tune)
    data = "".join(tunes).encode("utf-8", "replace")
    # Without a name of its own for the output it writes -1.mid, -2.mid, ...
    written = abc2midi.run_named(data, (), [f"-{number}.mid" for number in range(1, len(book) + 1)])
    if written[0].failure:
        return
    messages: list[list[str]] = [[] for _ in book]
    for message in written[0].messages.split("\n"):
        place = _PLACE.search(message)
        if place is None:
            continue
        number = bisect_right(starts, int(place[2])) - 1
        own = int(place[2]) - starts[number] + 1
        messages[number].append(_PLACE.sub(rf"\g<1>{own}", message, count=1))
    for index, run, own in zip(book, written, messages, strict=True):
        if run.midi:
            runs[index] = Run("\n".join(own), run.midi)
