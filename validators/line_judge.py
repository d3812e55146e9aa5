"""Judge a line of a piece while it is generated.

`accept_line` judges a line of the stream (``[r:i/j][V:1]...|[V:2]...|``) by the rules of the
gates, as far as one line and the text before it can tell:
:mod:`scoregate.validators.line_rules`. A line that it accepts can still fail the gates in the
finished piece. The generators do not know this module: the flow hands them the function.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from scoregate.abc.body import TooMuchError
from scoregate.validators.line_rules import broken_rule
from scoregate.validators.line_state import LineState, follow, remember, state_after


class Judged(NamedTuple):
    """What is found about a line.

    Attributes
    ----------
    rule : str or None
        Name of the rule that the line breaks; None for a line that may stay.
    before : LineState
    after : LineState or None
        None where the line exceeds a bound of the reader.
    text : str
        Everything up to the end of the line.
    """

    rule: str | None
    before: LineState
    after: LineState | None
    text: str

    def remember(self) -> None:
        """Cache the state after the line, because the line stays."""
        if self.after is not None:
            remember(self.text, self.after)


def judge(text_so_far: str, line: str) -> Judged:
    """Judge a finished line of the body; see :func:`accept_line`."""
    text_so_far = text_so_far if text_so_far.endswith("\n") else text_so_far + "\n"
    line = line.rstrip("\n")
    text = text_so_far + line + "\n"
    before = state_after(text_so_far)
    if not line.strip():
        return Judged("syntax", before, None, text)
    try:
        after = follow(before, line)
    except TooMuchError:
        return Judged("syntax", before, None, text)
    if after.body.row == before.body.row:
        return Judged(None, before, after, text)  # a comment, or a field on a line of its own
    return Judged(broken_rule(before, after), before, after, text)


def accept_line(text_so_far: str, line: str) -> bool:
    """Judge a finished line of the body.

    Parameters
    ----------
    text_so_far : str
        Everything before the line: prompt, header and earlier lines of the body.
    line : str
        One line, with or without its line end.

    Returns
    -------
    bool
        False where the line breaks a rule of :mod:`scoregate.validators.line_rules`.

    Notes
    -----
    The states after the last lines that were accepted are cached, so only the new line has to be
    read: half a millisecond for four voices.
    """
    judged = judge(text_so_far, line)
    if judged.rule is None:
        judged.remember()
    return judged.rule is None


def chance(rule: str, text: str) -> float:
    """Return a number in [0, 1) that follows from a rule's name and a text alone."""
    digest = hashlib.blake2b(f"{rule}\n{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def beginning(text_so_far: str) -> str:
    """Return a text up to its first line of the body, which tells one piece from another.

    Headers are often alike, so the first line belongs to it.
    """
    begin = text_so_far.find("\n[")
    end = text_so_far.find("\n", begin + 1) if begin >= 0 else -1
    return text_so_far[:end] if end >= 0 else text_so_far
