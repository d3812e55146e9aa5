"""Continuing an existing score: ABC, MusicXML or MIDI as text to force on the model."""

from __future__ import annotations

import os
from pathlib import Path

from scoregate.errors import RequestError, UnreadableError
from scoregate.sampling import whole_number


def score_prefix(path: str | os.PathLike[str], bars: int | None = None) -> str:
    """Return a score as ``prefix`` for :meth:`scoregate.notagen.engine.Engine.generate`.

    Parameters
    ----------
    path : path
        ``.abc``, ``.musicxml``, ``.xml``, ``.mxl``, ``.mid`` or ``.midi``. ABC may have its
        voices interleaved or one after another, or be the ``raw`` text of a generated piece,
        where resting voices are left out. MIDI is quantised, and has no spelling of pitches,
        voices within a track or repeats.
    bars : int, optional
        How many bars to take from the beginning; all by default.

    Returns
    -------
    str
        Header and bars, one bar of all voices in each line; without the decorations,
        annotations and grace notes that the converter does not support.

    Raises
    ------
    UnreadableError
        There is no such file, or it is not a score that can be read.
    RequestError
        ``bars`` is not a whole number from 1 on.
    """
    from scoregate.convert.files import SUFFIXES, convert_file
    from scoregate.convert.piece import ConversionError, piece_text

    if not isinstance(path, (str, os.PathLike)):
        raise RequestError(f"{path!r:.80} is not the path of a file.", "Give a str or a Path.")
    path = Path(path)
    if bars is not None:
        bars = whole_number("bars", bars, 1)
    if not path.is_file():
        raise UnreadableError(f"There is no score {path}.", "Name a file.")
    if path.suffix.lower() not in SUFFIXES:
        raise UnreadableError(
            f"{path} is not a score by its suffix.", f"These can be read: {', '.join(SUFFIXES)}."
        )
    try:
        piece = convert_file(path)
    except ConversionError as error:
        raise UnreadableError(
            f"{path} can't be continued: {error}.",
            "Every voice needs the same bars, of the same length; `scoregate check` finds others.",
        ) from None
    for voice, music in piece.voices.items():
        piece.voices[voice] = music[:bars]
        # After a closing barline the model would end the piece.
        if piece.voices[voice] and piece.voices[voice][-1].right == "|]":
            piece.voices[voice][-1].right = "|"
    return piece_text(piece)
