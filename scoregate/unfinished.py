"""Pieces that the model did not end itself: the finding that rejects them, and its reason.

Such a piece may be cut off where its text happens to look complete, so no gate can tell.
"""

from __future__ import annotations

from scoregate.findings import Finding
from scoregate.piece import Piece

REASONS = {
    "length": "ended: length limit",
    "time": "ended: time limit",
    "stopped": "ended: stopped by hand",
    "failed": "ended: no music",
    "broken": "ended: could not go on",
}
"""Reason by the way a piece ended; ``broken`` is one that failed after some bars."""


def unfinished(piece: Piece) -> tuple[Finding, str] | None:
    """Return the finding and the reason that reject a piece which the model did not end.

    None for a piece that the model ended itself.
    """
    written = piece.generation
    if written.ended == "finished":
        return None
    why = "broken" if written.ended == "failed" and written.bars else written.ended
    message = {
        "length": f"the piece was cut off after {written.steps} steps",
        "time": f"the piece was cut off at the limit of {piece.origin.get('max_minutes')} min",
        "stopped": "the run was stopped by hand while the piece was being generated",
        "failed": "the model filled its whole context without a bar of music",
        "broken": f"the model could not go on after {written.bars} bars",
    }[why]
    if why == "broken":
        message += "".join(f"; {note}" for note in written.notes)
    return Finding("ended", f"ended.{why}", "critical", message), REASONS[why]


def is_cut_off(reasons: list[str]) -> bool:
    """Return whether a limit of the request cut a piece off, by the reasons in its record."""
    return REASONS["length"] in reasons or REASONS["time"] in reasons
