"""An LSTM that writes streams of notes and chords: the second generator of the line.

It meets :class:`scoregate.generator.GeneratorFactory`: ``load`` gives a generator and
``trained_styles`` tells what weights were trained on. Importing this package is cheap: torch and
music21 are imported when they are needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scoregate.styles import Style

if TYPE_CHECKING:
    from scoregate.lstm.generator import LstmGenerator

__all__ = ["load", "trained_styles"]


def load(
    name_or_path: str | os.PathLike[str] | None = None,
    device: str = "auto",
    precision: str = "fp32",
    threads: int | None = None,
) -> LstmGenerator:
    """Load weights; see :meth:`scoregate.generator.GeneratorFactory.load`."""
    from scoregate.lstm.generator import LstmGenerator
    from scoregate.lstm.weights import find, read_weights

    return LstmGenerator(read_weights(find(name_or_path)), device, precision, threads)


def trained_styles(name_or_path: str | os.PathLike[str] | None) -> tuple[Style, ...] | None:
    """Return the styles that weights were trained on, without reading the tensors."""
    from scoregate.lstm.weights import find, read_metadata

    return read_metadata(find(name_or_path)).styles
