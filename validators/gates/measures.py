"""The gate ``measures``: entropies, scale, groove, transitions, key, harmony.

Each measure is a function of the score whose docstring states its formula, what it leaves
out, when it is NaN, and its source. They describe a piece: bad pieces overlap with good ones
in all of them (docs/measures.md), so few have a threshold and none rejects.

Every function counts a tied note once, at its onset, and leaves grace notes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.findings import Finding, Outcome
from scoregate.validators.analysis.chords import harmony_fit
from scoregate.validators.analysis.key_finding import key_correlations
from scoregate.validators.analysis.sounding import SLICES, melodies, notes
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "measures"
VERSION = "1"

_SCALES = np.array(
    [
        [(step - root) % 12 in scale for step in range(12)]
        for root in range(12)
        for scale in ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
    ],
    dtype=np.int64,
)
"""Which pitch classes each major and each natural minor scale has."""

_MESSAGES = {
    "measures.scale_consistency": "the notes keep to no scale",
    "measures.harmony_fit": "few beats sound as a triad or a seventh chord",
    "measures.pitch_class_entropy": "hardly any different pitch classes are used",
}


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Compute every measure, and report those beyond their threshold.

    Parameters
    ----------
    score : Score
    style : str, optional
        Style whose thresholds apply. The setting ``measures.reported`` 0 says that only what
        crosses a threshold counts, and leaves out the measures that have none.

    Returns
    -------
    Outcome
        Measures ``measures.pitch_entropy``, ``.pitch_class_entropy``,
        ``.scale_consistency``, ``.groove_consistency``, ``.transition_entropy``,
        ``.key_clarity``, ``.key_margin``, ``.harmony_fit`` and ``.notes``; NaN where a
        piece has too little music for one.
    """
    thresholds = for_style(style)
    reported = thresholds.setting("measures.reported", 1)
    values = {
        f"{NAME}.{name}": measure(score)
        for name, measure in _MEASURES.items()
        if reported or f"{NAME}.{name}" in thresholds.measures
    }
    findings = []
    for name, value in values.items():
        severity = thresholds.severity(name, value)
        if severity is None:
            continue
        side = "below" if thresholds.measures[name].side == "high" else "above"
        findings.append(
            Finding(
                NAME,
                name,
                severity,
                _MESSAGES.get(name, f"{name.partition('.')[2]} is out of the ordinary"),
                found=f"{value:.2f}",
                expected=f"{side} {thresholds.bound(name, severity):.2f}",
            )
        )
    return Outcome(NAME, VERSION, findings=findings, measures=values)


def pitch_entropy(score: Score) -> float:
    """Return the entropy of the pitches in bits: -sum p log2 p over the MIDI pitches in use.

    NaN without notes. 0 for a single pitch, 7 for all 128 alike; real pieces lie at 4.3.
    Wu and Yang, The Jazz Transformer on the front line, ISMIR 2020.
    """
    return _entropy(np.bincount(notes(score).pitch[notes(score).counted] & 127, minlength=128))


def pitch_class_entropy(score: Score) -> float:
    """Return the entropy of the twelve pitch classes in bits: at most log2 12 = 3.585.

    NaN without notes. Wu and Yang, The Jazz Transformer on the front line, ISMIR 2020.
    """
    return _entropy(_pitch_classes(score))


def scale_consistency(score: Score) -> float:
    """Return the largest share of notes that lie in one major or natural minor scale.

    The maximum over the twelve roots of both. NaN without notes.
    Mogren, C-RNN-GAN, NIPS workshop on constructive machine learning 2016.
    """
    counts = _pitch_classes(score)
    total = counts.sum()
    if not total:
        return math.nan
    return float((_SCALES @ counts).max() / total)


def groove_consistency(score: Score) -> float:
    """Return how similar the rhythms of neighbouring bars are.

    1 - mean over successive bars of Hamming(G, G') / 16, where G says in which of the
    bar's sixteen slices a note begins, in any voice. NaN for fewer than two bars.
    Wu and Yang, The Jazz Transformer on the front line, ISMIR 2020. Where the last bar is
    full, muspy counts an empty bar after it; this function does not.
    """
    every = notes(score)
    bars = len(every.bar_length)
    if bars < 2:
        return math.nan
    chosen = every.counted
    bar = every.bar[chosen]
    length = np.maximum(every.bar_length[bar], 1e-9)
    slot = np.floor(every.onset[chosen] / length * SLICES + 1e-6).astype(np.int64)
    grid = np.zeros((bars, SLICES), dtype=bool)
    grid[bar, np.clip(slot, 0, SLICES - 1)] = True
    return float(1 - np.count_nonzero(grid[1:] != grid[:-1]) / (SLICES * (bars - 1)))


def transition_matrix(score: Score) -> NDArray[np.int64]:
    """Count how often one pitch class follows another within a voice.

    Of a chord the highest note counts; rests are left out.

    Returns
    -------
    ndarray of int64, shape (12, 12)
        Row: the first pitch class; column: the one that follows. Divided by the sums of
        its rows it is P(second | first).
    """
    voice, pitch = melodies(score)
    step = pitch % 12
    same = voice[1:] == voice[:-1]
    return np.bincount((12 * step[:-1] + step[1:])[same], minlength=144).reshape(12, 12)


def transition_entropy(score: Score) -> float:
    """Return the uncertainty of the next pitch class in bits: sum over a of P(a) H(P(. | a)).

    P is that of :func:`transition_matrix`. NaN without transitions. 0 where each pitch class
    is always followed by the same one, 3.585 where all follow equally often.
    """
    counts = transition_matrix(score)
    rows = counts.sum(axis=1)
    if not rows.sum():
        return math.nan
    return float(sum(_entropy(row) * row.sum() for row in counts if row.any()) / rows.sum())


def key_clarity(score: Score) -> tuple[float, float]:
    """Return how clearly the piece is in a key.

    r1 is the highest correlation with a key
    (:func:`scoregate.validators.analysis.key_finding.key_correlations`), and r1 - r2 its
    distance to the second highest. Both are NaN without notes, or when all twelve classes
    sound equally long.
    Krumhansl, Cognitive Foundations of Musical Pitch, Oxford 1990, chapter 4.

    Returns
    -------
    float
        r1, in [-1, 1].
    float
        r1 - r2, at least 0.
    """
    r = key_correlations(score)
    if r is None:
        return math.nan, math.nan
    second, first = np.sort(r)[-2:].tolist()
    return first, first - second


def _pitch_classes(score: Score) -> NDArray[np.int64]:
    known = score.derived.get("pitch classes")
    if known is None:
        every = notes(score)
        known = np.bincount(every.pitch[every.counted] % 12, minlength=12)
        score.derived["pitch classes"] = known
    return known


def _entropy(counts: NDArray[np.int64]) -> float:
    total = counts.sum()
    if not total:
        return math.nan
    share = counts[counts > 0] / total
    return float(abs((share * np.log2(share)).sum()))


_MEASURES: dict[str, Callable[[Score], float]] = {
    "notes": lambda score: float(np.count_nonzero(notes(score).counted)),
    "pitch_entropy": pitch_entropy,
    "pitch_class_entropy": pitch_class_entropy,
    "scale_consistency": scale_consistency,
    "groove_consistency": groove_consistency,
    "transition_entropy": transition_entropy,
    "key_clarity": lambda score: key_clarity(score)[0],
    "key_margin": lambda score: key_clarity(score)[1],
    "harmony_fit": harmony_fit,
}

GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="What are its entropies, scale, rhythm, key and chords?",
    check=check,
    measures=(
        Measure(
            "measures.pitch_entropy", "Pitch entropy", "bits; how many different pitches are in use"
        ),
        Measure("measures.pitch_class_entropy", "Pitch-class entropy", "bits, at most 3.58"),
        Measure(
            "measures.scale_consistency",
            "Scale consistency",
            "share of notes in the best-fitting scale",
        ),
        Measure(
            "measures.groove_consistency",
            "Groove consistency",
            "likeness of rhythm from bar to bar",
        ),
        Measure(
            "measures.transition_entropy", "Transition entropy", "bits; how open the next note is"
        ),
        Measure("measures.key_clarity", "Key clarity", "correlation with the best key profile"),
        Measure("measures.key_margin", "Key margin", "distance to the second-best key"),
        Measure(
            "measures.harmony_fit",
            "Harmony fit",
            "share of beats that sound as a triad or seventh chord",
        ),
        Measure("measures.notes", "Notes", "how many sound; a tie counts once", 0),
    ),
)
