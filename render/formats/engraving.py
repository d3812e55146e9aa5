"""Engraved pages as SVG, by Verovio from the MusicXML."""

from __future__ import annotations

from scoregate.render.artefacts import Artefact, Material, NotMade


def make(material: Material) -> dict[str, bytes]:
    """Return ``score-1.svg`` and so on."""
    from scoregate.render import engrave

    musicxml = material.files["score.musicxml"]
    try:
        engraving = engrave.engrave(musicxml, material.marks, material.max_pages)
    except engrave.NotEngravable as error:
        raise NotMade(str(error)) from error
    except Exception as error:  # Whatever Verovio trips over costs this piece its pages alone.
        raise NotMade(f"{type(error).__name__}: {error}") from error
    material.bars_engraved = engraving.bars
    if engraving.page_count > len(engraving.pages):
        material.remarks.append(
            f"{len(engraving.pages)} of {engraving.page_count} pages engraved: "
            "the rest is in the MusicXML"
        )
    return {f"score-{n}.svg": page.encode() for n, page in enumerate(engraving.pages, 1)}


ARTEFACTS = (
    Artefact(
        name="engraving",
        title="engraving",
        file="score-{page}.svg",
        media_type="image/svg+xml",
        binary=False,
        made_from=("musicxml",),
        make=make,
        isolated=True,
    ),
)
