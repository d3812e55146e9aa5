"""The classes that say what sounds: rows of one table of embeddings, so many for each feature."""

from __future__ import annotations

import numpy as np

from scoregate.form import KINDS, MOST_PHRASES

VOICES = 4
"""Voices that are listened to; the others of a piece are not."""
TICKS = 16
"""Ticks of a whole note."""
LONGEST = 64
"""Most ticks of a bar; what comes later is not told apart."""
LOWEST = 36
"""MIDI pitch of the lowest class of a pitch."""
CADENCES = tuple(KINDS.values())
"""Kinds of cadence in the order of their classes."""
PITCH, TIME, WAIT = 50, 49, 18
"""Classes of a pitch, of a time in ticks, and of ticks to wait."""
_DEGREE, _MOTION, _FLAGS = 13, 26, 4
_OF_A_VOICE = {
    "now": PITCH,
    "before": PITCH,
    "next": PITCH,
    "kept": PITCH,
    "degree": _DEGREE,
    "interval": _DEGREE,
    "motion": _MOTION,
    "flags": _FLAGS,
    "wait": WAIT,
}
_OF_ITSELF = {
    "voice": VOICES + 1,
    "time": TIME,
    "left": TIME,
    "own": PITCH,
    "own_degree": _DEGREE,
    "own_motion": _MOTION,
    "tied": 2,
    "pause": WAIT,
}
_OF_RULES = {"seventh": 2, "lost": PITCH, "lost_too": PITCH, "leading": 2}
_OF_FORM = {
    "phrases_left": MOST_PHRASES + 2,
    "phrase_left": 67,
    "chord": 14,
    "major": 3,
    "cadence": len(KINDS) + 1,
    "sung": PITCH,
    "sung_begins": 3,
    "sung_wait": WAIT,
    "bars": 66,
    "bars_rest": TIME,
    "root": 8,
    "root_class": 13,
    "cue": 1 + 3 * 7,
    "cue_root": PITCH,
    "cue_third": PITCH,
    "cue_sign": 4,
}
_OF_THE_LINES = {"lines_left": 5, "phase": TIME}
FEATURES = (
    *_OF_ITSELF,
    *(f"{name}_{v}" for v in range(1, VOICES + 1) for name in _OF_A_VOICE),
    *_OF_RULES,
    *_OF_FORM,
    *_OF_THE_LINES,
)
"""Names of the features, in the order of their classes. New ones are put at the end."""
SILENT = sum(_OF_ITSELF.values()) + VOICES * sum(_OF_A_VOICE.values())
"""Row of the table that stands for 'nothing is told', as outside the music."""
CLASSES = SILENT + 1 + sum((*_OF_RULES.values(), *_OF_FORM.values(), *_OF_THE_LINES.values()))
"""Rows of the table."""
EARLIER_CLASSES = (SILENT + 1,)
"""Rows that tables of earlier versions have, trained before forms and rules were told. The rows
that they lack count as zeros: nothing is added."""
_SIZES = [*_OF_ITSELF.values(), *(list(_OF_A_VOICE.values()) * VOICES)]
_LATER_SIZES = [*_OF_RULES.values(), *_OF_FORM.values(), *_OF_THE_LINES.values()]
OFFSETS = np.concatenate(
    [[0], np.cumsum(_SIZES)[:-1], SILENT + 1 + np.cumsum([0, *_LATER_SIZES[:-1]])]
).astype(np.int64)
"""Where the classes of each feature begin in the table."""
BASE = [int(offset) for offset in OFFSETS]
"""The same as plain numbers."""
NOTHING = (SILENT,) * len(FEATURES)
"""What is told outside the music."""
NO_FORM = [0] * len(_OF_FORM)
"""Classes of the form's features, counted from their offsets, where there is no form."""


def class_of_pitch(midi: int) -> int:
    """Return the class of a MIDI pitch; 0 for silence."""
    return min(max(midi - LOWEST + 1, 1), PITCH - 1) if midi > 0 else 0


def class_of_motion(a: int, b: int) -> int:
    """Return the class of a motion in semitones, at most an octave; 0 where a pitch is missing."""
    return min(max(b - a, -12), 12) + 13 if a > 0 and b > 0 else 0
