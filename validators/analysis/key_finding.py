"""The key of a piece, from its key field and from its notes."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.keys import FIFTHS_OF_MODE
from scoregate.abc.score import Score
from scoregate.validators.analysis.sounding import notes

KEY_PROFILES = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
"""How well each pitch class fits C major and C minor: Krumhansl and Kessler (1982)."""

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNATURE = re.compile(r"([A-G])([#b]?)\s*(maj|min|mix|dor|phr|lyd|loc|aeo|ion|m)?", re.IGNORECASE)


def key_correlations(score: Score) -> NDArray[np.float64] | None:
    """Correlate (Pearson) how long each pitch class sounds with the profiles of the keys; cached.

    Krumhansl, Cognitive Foundations of Musical Pitch, Oxford 1990, chapter 4.

    Returns
    -------
    ndarray of float64, shape (24,), or None
        C major, C sharp major, ... B major, C minor, ... B minor; None without notes, or
        when all twelve classes sound equally long.
    """
    if "keys" not in score.derived:
        score.derived["keys"] = _correlations(score)
    return score.derived["keys"]


def _correlations(score: Score) -> NDArray[np.float64] | None:
    every = notes(score)
    sounding = ~every.grace
    length = (every.end - every.onset)[sounding]
    weight = np.bincount(every.pitch[sounding] % 12, length, minlength=12)
    spread = weight - weight.mean()
    size = math.sqrt(float((spread**2).sum()))
    if size < 1e-9:
        return None
    return _PROFILES @ spread / size


def _normalised() -> NDArray[np.float64]:
    keys = np.concatenate([[np.roll(row, root) for root in range(12)] for row in KEY_PROFILES])
    keys = keys - keys.mean(axis=1, keepdims=True)
    return keys / np.sqrt((keys**2).sum(axis=1, keepdims=True))


_PROFILES = _normalised()


def tonic_of(score: Score) -> int | None:
    """Return the pitch class of the tonic; None without a readable key field.

    For a major or minor key, the tonic of whichever of the two keys with that signature the
    notes fit better. For another mode, the tonic that the field names.
    """
    match = _SIGNATURE.match(score.key.strip())
    correlations = key_correlations(score)
    if match is None or correlations is None:
        return None
    step, accidental, mode = match.groups()
    named = (_STEPS[step.upper()] + {"#": 1, "b": -1, "": 0}[accidental]) % 12
    mode = (mode or "").lower()
    major = (named + 7 * FIFTHS_OF_MODE[mode]) % 12
    minor = (major + 9) % 12
    if mode not in ("", "maj", "ion", "m", "min", "aeo"):
        return named
    return major if correlations[major] >= correlations[12 + minor] else minor
