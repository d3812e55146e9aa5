"""Score files of every format as pieces: one bar of all voices a line, as NotaGen is trained on.

What can't be converted is a :class:`Loss` with its reason; nothing is repaired silently. The text
keeps resting voices: leaving them out, markers and prompts belong to the generator.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scoregate.abc.finish import finish
from scoregate.convert.abc_text import decode_abc, read_abc
from scoregate.convert.formats import MAX_BYTES, MIDI_ENDINGS, midi_to_abc, musicxml_to_abc
from scoregate.convert.piece import ConversionError, Piece, aligned

SUFFIXES = (".mxl", ".musicxml", ".xml", ".abc", ".mid", ".midi")
"""Endings of the files that can be converted."""


@dataclass(slots=True)
class Loss:
    """A score that did not convert.

    Attributes
    ----------
    name : str
        Of the file.
    reason : str
    """

    name: str
    reason: str


def convert_file(path: Path) -> Piece:
    """Convert one score.

    Raises
    ------
    ConversionError
        The file can't be used; with a short reason.
    ToolError
        A converter is missing or broken.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConversionError("larger than 30 MB")
        suffix = path.suffix.lower()
        if suffix == ".abc":
            # A model's text lacks the voices that rest.
            abc = finish(decode_abc(path.read_bytes())).text
        elif suffix in MIDI_ENDINGS:
            abc = midi_to_abc(path)
        else:
            abc = musicxml_to_abc(path)
    except OSError as error:
        raise ConversionError(f"{type(error).__name__}: {error}"[:160]) from error
    return aligned(read_abc(abc, path.name))


def tally(losses: list[Loss]) -> dict[str, int]:
    """Count the scores that were lost for each reason, numbers in the reasons left out."""
    return dict(Counter(re.sub(r"[\d/{}',:()]+", "#", x.reason)[:60] for x in losses).most_common())
