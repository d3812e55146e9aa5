"""The text of a piece: finished, and as the model wrote it."""

from __future__ import annotations

from scoregate.render.artefacts import Artefact, When

ARTEFACTS = (
    Artefact(
        name="abc",
        title="ABC",
        file="score.abc",
        media_type="text/vnd.abc; charset=utf-8",
        binary=False,
        when=When.GIVEN,
    ),
    Artefact(
        name="raw",
        title="ABC as written",
        file="raw.abc",
        media_type="text/vnd.abc; charset=utf-8",
        binary=False,
        when=When.GIVEN,
    ),
)
