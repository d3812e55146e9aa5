"""MusicXML and MIDI as ABC, so that the gates can judge them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from scoregate.errors import UnreadableError
from scoregate.sources import SCORE_ENDINGS


def is_foreign(ending: str) -> bool:
    """Return whether a file with this ending has to be converted before it is judged."""
    return ending in SCORE_ENDINGS


def as_abc(content: bytes, ending: str, name: str) -> str:
    """Convert a score to ABC, voice after voice.

    MIDI knows no bars that fail to add up and no spelling, so its conversion says little
    about metre; ranges and repetition are judged as they are.

    Parameters
    ----------
    content : bytes
    ending : str
        ``.musicxml``, ``.mxl``, ``.xml``, ``.mid`` or ``.midi``.
    name : str
        For the error.

    Raises
    ------
    UnreadableError
        It doesn't convert; the converter's reason is in the message.
    """
    from scoregate.convert.scores import midi_to_abc, musicxml_to_abc, read_musicxml

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"score{ending}"
        path.write_bytes(content)
        try:
            if ending in (".mid", ".midi"):
                return midi_to_abc(path)
            return musicxml_to_abc(read_musicxml(path))
        except Exception as error:
            # The converters raise whatever they stumble over in a stranger's file.
            reason = str(error) or type(error).__name__
            raise UnreadableError(
                f"{name}: does not convert to ABC: {reason}.",
                "Export it again as MusicXML, or hand in ABC.",
            ) from error
