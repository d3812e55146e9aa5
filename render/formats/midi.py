"""MIDI, written from the Score."""

from __future__ import annotations

from scoregate.render.artefacts import Artefact, Material, NotMade


def make(material: Material) -> dict[str, bytes]:
    """Return ``score.mid``."""
    from scoregate.render.midi import midi_of

    score = material.score
    if score is None or not any(voice.bars for voice in score.voices):
        raise NotMade("there is no music to play")
    return {"score.mid": midi_of(score, material.title)}


ARTEFACTS = (
    Artefact(
        name="midi",
        title="MIDI",
        file="score.mid",
        media_type="audio/midi",
        made_from=("score",),
        make=make,
    ),
)
