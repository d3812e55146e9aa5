"""Scores in MusicXML, MXL, MIDI and ABC of every kind, as ABC of one kind.

`convert` converts a file's content for judging. `convert_file` gives a :class:`Piece`, whose bars
can be cut and written as interleaved ABC by `piece_text`. ``chorale`` reduces a score to
four singers.
"""

from scoregate.convert.files import SUFFIXES, convert_file
from scoregate.convert.formats import Conversion, convert, needs_conversion, to_abc
from scoregate.convert.piece import Bar, ConversionError, Piece, piece_text

__all__ = [
    "SUFFIXES",
    "Bar",
    "Conversion",
    "ConversionError",
    "Piece",
    "convert",
    "convert_file",
    "needs_conversion",
    "piece_text",
    "to_abc",
]
