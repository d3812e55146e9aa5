"""Judge the content of one file of any origin, within a time limit, and make its row.

The row is what the journal of a screening and the result tables hold of a piece.
"""

from __future__ import annotations

from typing import Any

from scoregate.convert import convert, needs_conversion
from scoregate.errors import ScoregateError, UnreadableError
from scoregate.sources import Source
from scoregate.time_limit import TimeIsUp, time_limit
from scoregate.validators.checking import (
    GUESSED,
    Checked,
    Choice,
    check_bytes,
    plain_reason,
    unjudged,
)

SECONDS = 60
"""Longest time that one piece may take."""


def judge_content(
    source: Source,
    content: bytes,
    style: str | None,
    novelty: bool,
    choice: Choice = GUESSED,
) -> tuple[Checked, bytes]:
    """Judge a piece, whatever its content; no fault of the content raises.

    Parameters
    ----------
    source : Source
        Where it comes from: its ending tells the format, its name stands in the result.
    content : bytes
    style : str or None
        None takes it from the piece's own prompt lines.
    novelty : bool
        Whether a copy of a known piece is a fault.
    choice : Choice, optional
        Profile and thresholds; by default the profile is guessed.

    Returns
    -------
    checked : Checked
    converted : bytes
        The ABC that was judged where the content is MusicXML or MIDI; else empty.
    """
    converted = b""
    try:
        with time_limit(SECONDS):
            conversion = None
            if needs_conversion(source.ending):
                conversion = convert(content, source.ending, source.name)
                converted = conversion.abc.encode()
            text = converted or content
            checked = check_bytes(source.name, text, style, novelty, choice, conversion)
    except TimeIsUp:
        checked = unjudged(source.name, f"it took longer than {SECONDS} s")
    except ScoregateError as error:
        checked = unreadable(source.name, error)
    return checked, converted


def unreadable(name: str, error: ScoregateError) -> Checked:
    """Return the result for a piece that could not be judged because of an error."""
    return unjudged(name, plain_reason(name, error))


# More than six parameters: the row has a column for each.
def row_of(
    checked: Checked,
    *,
    digest: str = "",
    size: int = 0,
    changed: int = 0,
    output: str = "",
    seconds: float = 0.0,
) -> dict[str, Any]:
    """Return the row of a judged piece.

    Parameters
    ----------
    checked : Checked
    digest : str
        SHA-256 of the content, 64 hex digits; ``""`` where it could not be read.
    size, changed : int
        Bytes, and the time of change in nanoseconds, of the file.
    output : str
        Path of the piece's copy below the output folder.
    seconds : float
        Time that the piece took.
    """
    severities = [finding.severity for finding in checked.findings]
    return {
        "file": checked.file,
        "title": checked.title,
        "profile": checked.profile,
        "sha256": digest,
        "size": size,
        "changed": changed,
        "status": checked.status,
        "reasons": checked.reasons,
        "critical": severities.count("critical"),
        "warnings": severities.count("warning"),
        "bars": checked.bars,
        "voices": checked.voices,
        "measures": checked.finite_measures(),
        "output": output,
        "seconds": round(seconds, 4),
    }


def unopened_row(error: UnreadableError) -> dict[str, Any]:
    """Return the row of a path that could not be opened when files were looked for."""
    return row_of(unreadable(error.problem.split(": ")[0], error))
