"""MusicXML, by abc2xml."""

from __future__ import annotations

from scoregate.errors import ToolError
from scoregate.render.artefacts import Artefact, Material, NotMade


def make(material: Material) -> dict[str, bytes]:
    """Return ``score.musicxml`` of the first text that gives every part all its bars.

    Where none does, the first text that can be converted is taken.
    """
    from scoregate.render import musicxml

    reason, found = "the text is empty", b""
    for text in material.texts:
        try:
            converted = musicxml.to_musicxml(text)
        except (musicxml.NotConvertible, ToolError) as error:
            reason = str(error)
        except (RecursionError, MemoryError) as error:
            reason = type(error).__name__
        else:
            parts = converted.split(b"<part id=")[1:]
            found = found or converted
            bars = material.bars
            if not bars or all(part.count(b"<measure ") == bars for part in parts):
                found = converted
                break
    if not found:
        raise NotMade(reason)
    return {"score.musicxml": found}


ARTEFACTS = (
    Artefact(
        name="musicxml",
        title="MusicXML",
        file="score.musicxml",
        media_type="application/vnd.recordare.musicxml+xml",
        binary=False,
        made_from=("text",),
        make=make,
        isolated=True,
    ),
)
