"""When each bar sounds and on which staff each voice stands, for the player and the boxes."""

from __future__ import annotations

from typing import Any

from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.render.midi import bar_times, track_names

MOST_BARS = 20_000


def timeline_of(score: Score) -> dict[str, Any]:
    """Return what the page's script needs of a score.

    Returns
    -------
    dict
        ``bars``: pairs of a bar's number (from 1) and the second at which it begins, in the
        order of playing; ``seconds``: length of the piece; ``staves``: the staff (from 0) by
        id of the voice; ``voices``: names by id, as the MIDI tracks are called.
    """
    times, seconds = bar_times(score)
    return {
        "bars": [(index + 1, round(time, 3)) for index, time in times[:MOST_BARS]],
        "seconds": round(seconds, 3),
        "staves": {voice.id: voice.staff for voice in score.voices},
        "voices": dict(
            zip((voice.id for voice in score.voices), track_names(score.voices), strict=True)
        ),
    }


def timeline_of_text(text: str) -> dict[str, Any]:
    """Return the timeline of a finished ABC text; an empty one where nothing can be read."""
    score = read(text)
    if not score.voices:
        return {"bars": [], "seconds": 0.0, "staves": {}, "voices": {}}
    return timeline_of(score)
