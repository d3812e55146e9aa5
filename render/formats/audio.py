"""An audio preview, played from the MIDI by fluidsynth."""

from __future__ import annotations

from scoregate.render.artefacts import Artefact, Material, NotMade, When


def make(material: Material) -> dict[str, bytes]:
    """Return ``preview.ogg``."""
    from scoregate.render import audio

    name, content, reason = audio.preview(material.files["score.mid"])
    if not content:
        raise NotMade(reason)
    return {name: content}


ARTEFACTS = (
    Artefact(
        name="audio",
        title="audio preview",
        file="preview.ogg",
        media_type="audio/ogg",
        made_from=("midi",),
        when=When.REQUESTED,
        make=make,
    ),
)
