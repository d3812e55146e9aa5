"""How far written pieces are from real ones: measures of four-part writing, and what tells apart.

:func:`measure_piece` gives every measure of one piece, :func:`table` those of sets of pieces with
bootstrap intervals, :func:`separation` how well a classifier tells two sets apart,
:func:`note_features` the features of mgeval, :func:`critic_of` a learned critic of single pieces.
Nothing here knows a model or a gate; ``scoregate compare``, ``scoregate produce --quality best``
and ``benchmarks/model_comparison.py`` put it to use.
"""

from scoregate.evaluation.classifier import Separation, features, separation
from scoregate.evaluation.critic import Critic, critic_measures, critic_of
from scoregate.evaluation.notes import NoteFeatures, note_features
from scoregate.evaluation.reading import VoiceGrid, read_grid
from scoregate.evaluation.table import (
    GROUPS,
    Interval,
    Measured,
    bootstrap,
    measure_piece,
    summarise,
    table,
)

__all__ = [
    "GROUPS",
    "Critic",
    "Interval",
    "Measured",
    "NoteFeatures",
    "Separation",
    "VoiceGrid",
    "bootstrap",
    "critic_measures",
    "critic_of",
    "features",
    "measure_piece",
    "note_features",
    "read_grid",
    "separation",
    "summarise",
    "table",
]
