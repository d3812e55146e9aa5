"""Going on with an existing score: ABC, MusicXML or MIDI as text to force on the model."""

from __future__ import annotations

import os
from pathlib import Path

from scoregate.errors import RequestError, UnreadableError
from scoregate.sampling import whole_number


def opening_of(path: str | os.PathLike[str], bars: int | None = None) -> str:
    """Return a score as ``prefix`` for :meth:`scoregate.notagen.engine.Engine.generate`.

    Parameters
    ----------
    path : path
        ``.abc``, ``.musicxml``, ``.xml``, ``.mxl``, ``.mid`` or ``.midi``. ABC may have its
        voices interleaved or one after another, or be a piece's ``raw``, where resting voices
        are left out. MIDI is quantised, and loses what it doesn't carry: spelling, voices
        within a track, repeats.
    bars : int, optional
        How many bars to take from the beginning; by default all.

    Returns
    -------
    str
        Header and bars, one bar of all voices a line; decorations, annotations and grace
        notes that the converter doesn't carry are gone.

    Raises
    ------
    UnreadableError
        No such file, or no score that can be read.
    RequestError
        ``bars`` is no whole number from 1 on.
    """
    from scoregate.convert.files import SUFFIXES, convert_file
    from scoregate.convert.piece import ConversionError, piece_text

    if not isinstance(path, (str, os.PathLike)):
        raise RequestError(f"{path!r:.80} is no file's path.", "Give a str or a Path.")
    path = Path(path)
    if bars is not None:
        bars = whole_number("bars", bars, 1)
    if not path.is_file():
        raise UnreadableError(f"There is no score {path}.", "Name a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise UnreadableError(
            f"{path} is no score by its ending.", f"These can be read: {', '.join(SUFFIXES)}."
        )
    try:
        piece = convert_file(path)
    except ConversionError as error:
        raise UnreadableError(
            f"{path} can't be gone on with: {error}.",
            "Every voice needs the same bars, of the same length; `scoregate check` finds others.",
        ) from None
    for voice, music in piece.voices.items():
        piece.voices[voice] = music[:bars]
        # A closing barline would tell the model that the piece is over.
        if piece.voices[voice] and piece.voices[voice][-1].right == "|]":
            piece.voices[voice][-1].right = "|"
    return piece_text(piece)
