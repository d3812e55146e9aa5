"""The gate ``harmony``: whether the notes are right ones, and voice leading plausible.

It rejects, where the thresholds of the style say so:

- The notes are no more in order than notes drawn at random, neither between the voices nor
  along them (:mod:`scoregate.validators.analysis.chance`).
- A voice is a semitone off throughout: it fits the others better a semitone higher or lower
  (:mod:`scoregate.validators.analysis.misplaced`).

It warns of these:

- A voice fits the others better a beat or a bar earlier or later.
- Crossings and parallel fifths and octaves in choral styles
  (:mod:`scoregate.validators.analysis.counterpoint`, after Huron 2001).
- An ending on the dominant, or on a sound that is no triad: tonal music closes on the
  tonic (W. Piston, Harmony, chapter on cadences). A half close may be intended.
- No tempo: players and MIDI files need one (ABC standard 2.1, field Q:).

The share of beats that fit a chord is a measure of the gate ``measures``
(:func:`scoregate.validators.analysis.chords.harmony_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scoregate.abc.score import Score
from scoregate.findings import Finding, Outcome, Severity
from scoregate.theory import TRIADS, pitch_class_set
from scoregate.validators.analysis import chance, misplaced
from scoregate.validators.analysis.counterpoint import Clash, crossings, moments, parallels
from scoregate.validators.analysis.key_finding import tonic_of
from scoregate.validators.analysis.parts import assign, is_choral, pitched_voices
from scoregate.validators.analysis.sounding import notes
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import SEVERITIES, Thresholds, for_style

NAME = "harmony"
VERSION = "2"

_MOST = 10
"""Crossings and parallels that are reported, of each."""
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Report what a musician would find odd.

    Parameters
    ----------
    score : Score
    style : str, optional
        Voice leading is examined in choral styles only.

    Returns
    -------
    Outcome
        Measures ``harmony.order``, ``harmony.semitone`` and ``harmony.displaced`` as the
        functions of this module state them; ``harmony.crossings`` and ``harmony.parallels``,
        the number for each bar, in choral styles.
    """
    outcome = Outcome(NAME, VERSION)
    every = notes(score)
    if not len(every.pitch):
        return outcome
    if not score.tempo_text:
        outcome.findings.append(
            Finding(
                NAME, "harmony.tempo-missing", "warning", "no tempo is given", expected="Q:1/4=..."
            )
        )
    outcome.findings += _ending(score)
    _wrong_notes(outcome, score, style)
    if is_choral(score, style):
        choir = [
            index
            for index, part in enumerate(assign(score, style))
            if part is not None and part.family == "voice"
        ]
        found = moments(score, choir)
        crossed, parallel = crossings(found), parallels(found)
        bars = max(score.bar_count, 1)
        outcome.measures["harmony.crossings"] = len(crossed) / bars
        outcome.measures["harmony.parallels"] = len(parallel) / bars
        outcome.findings += _clashes(score, choir, crossed[:_MOST])
        outcome.findings += _clashes(score, choir, parallel[:_MOST])
    return outcome


def _wrong_notes(outcome: Outcome, score: Score, style: str | None) -> None:
    """Add what says that notes of whole voices are wrong."""
    pitched = pitched_voices(score, style)
    thresholds = for_style(style)
    # Where the number is not reported, it is enough to know that it crosses no bound.
    reported = thresholds.setting("measures.reported", 1)
    order = chance.order(score, pitched, math.inf if reported else _highest_bound(thresholds))
    outcome.measures["harmony.order"] = order
    severity = thresholds.severity("harmony.order", order)
    if severity is not None:
        outcome.findings.append(
            Finding(
                NAME,
                "harmony.chance",
                severity,
                "the notes look as if drawn at random, in chords and melodies alike",
                found=f"{order:.2f}",
                expected=f"above {thresholds.bound('harmony.order', severity):.2f}",
            )
        )
        pitched = pitched & False  # Of notes at random no single voice is wrong.
    for name, find in (
        ("harmony.semitone", misplaced.by_semitone),
        ("harmony.displaced", misplaced.by_time),
    ):
        misfit = find(score, pitched) if pitched.any() else None
        # Without a key no voice is off it; but a voice that is off may look like the lack of a key.
        if misfit is not None and not misfit.restores_a_key:
            keyless = chance.variety(score, pitched) >= chance.ATONAL
            misfit = None if keyless else misfit
        outcome.measures[name] = misfit.evidence if misfit is not None else 0.0
        severity = thresholds.severity(name, outcome.measures[name])
        if misfit is not None and severity is not None:
            outcome.findings.append(_misfit(score, misfit, name, severity))


def _highest_bound(thresholds: Thresholds) -> float:
    """Return the order from which no bound on it is crossed."""
    bounds = [thresholds.bound("harmony.order", level) for level in SEVERITIES]
    return max((bound for bound in bounds if not math.isnan(bound)), default=-math.inf)


def _misfit(score: Score, misfit: misplaced.Misfit, name: str, severity: Severity) -> Finding:
    """Return the finding on a voice that fits better when it is moved."""
    voice = score.voices[misfit.voice]
    if name == "harmony.semitone":
        where = f"a semitone {'higher' if misfit.move > 0 else 'lower'}"
        message = (
            f"the voice fits the others better {where}: its key, clef or transposition is wrong"
        )
    else:
        much = f"{abs(misfit.move)} beat{'s' if abs(misfit.move) > 1 else ''}"
        where = f"{much} {'later' if misfit.move > 0 else 'earlier'}"
        message = f"the voice fits the others better {where}"
    first = next((bar for bar in voice.bars if any(event.pitches for event in bar.events)), None)
    return Finding(
        NAME,
        name,
        severity,
        message,
        voice.id,
        first.number if first else None,
        first.line if first else None,
        first.column if first else None,
        f"{misfit.as_written:.0%} of its beats agree with the others",
        f"{misfit.moved:.0%} {where}",
    )


def _clashes(score: Score, choir: list[int], clashes: Sequence[Clash]) -> list[Finding]:
    findings = []
    for clash in clashes:
        upper, lower = score.voices[choir[clash.upper]], score.voices[choir[clash.lower]]
        if clash.kind == "crossing":
            code, message = "voice-crossing", f"voice {upper.id} goes below voice {lower.id}"
        else:
            code = f"parallel-{clash.kind}"
            message = f"parallel {clash.kind} with voice {lower.id}"
        bar = next((bar for bar in upper.bars if bar.number == clash.bar + 1), None)
        findings.append(
            Finding(
                NAME,
                f"harmony.{code}",
                "warning",
                message,
                upper.id,
                clash.bar + 1,
                bar.line if bar else None,
                bar.column if bar else None,
            )
        )
    return findings


def _ending(score: Score) -> list[Finding]:
    """Report a last sound that is no triad, or a triad on the dominant."""
    last, bass, bar_number = last_sound(score)
    if last.bit_count() < 2:
        return []
    tonic = tonic_of(score)
    bar = next((bar for bar in score.voices[0].bars if bar.number == bar_number), None)
    place = (bar.line, bar.column) if bar is not None else (None, None)
    root = chord_root(last, bass)
    if root is None:
        names = " ".join(_NAMES[step] for step in range(12) if last >> step & 1)
        message, code, found = "the piece does not end on a triad", "ends-open", names
    elif tonic is not None and root == (tonic + 7) % 12:
        message, code = "the piece ends on the dominant", "ends-on-dominant"
        found = _NAMES[root]
    else:
        return []
    expected = f"{_NAMES[tonic]} in the bass" if tonic is not None else "a triad"
    return [
        Finding(
            NAME, f"harmony.{code}", "warning", message, None, bar_number, *place, found, expected
        )
    ]


def last_sound(score: Score) -> tuple[int, int, int]:
    """Return what sounds last.

    Returns
    -------
    int
        Pitch classes as bits; 0 without notes.
    int
        Lowest pitch class.
    int
        Number of the bar, from 1.
    """
    every = notes(score)
    real = ~every.grace
    end = every.bar_start[every.bar] + every.end
    final = real & (end >= end[real].max() - 1e-6) if real.any() else real
    if not final.any():
        return 0, 0, 0
    pitches = every.pitch[final]
    return (
        pitch_class_set(pitches.tolist()),
        int(pitches.min()) % 12,
        int(every.bar[final].max()) + 1,
    )


def chord_root(sound: int, bass: int) -> int | None:
    """Return the root of a triad, or of a part of one with its root in the bass.

    Parameters
    ----------
    sound : int
        Pitch classes as bits.
    bass : int
        Lowest pitch class.

    Returns
    -------
    int or None
        None for a sound that is neither.
    """
    roots = [bass, *(root for root in range(12) if root != bass)]
    shapes = (TRIADS["major"], TRIADS["minor"])
    for root in roots:
        for shape in shapes:
            chord = pitch_class_set(root + step for step in shape)
            whole = sound == chord
            part = root == bass and sound & ~chord == 0
            if whole or part:
                return root
    return None


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Are the notes right, and voice leading, ending and tempo plausible?",
    check=check,
    measures=(
        Measure(
            "harmony.order",
            "Order of notes",
            "1 is complete order in chords or melodies, 0 is chance",
        ),
        Measure(
            "harmony.semitone",
            "Semitone misfit",
            "how much better a voice fits a semitone higher or lower",
        ),
        Measure(
            "harmony.displaced",
            "Displaced voice",
            "how surely a voice is a beat or a bar off; 1 is two standard errors",
        ),
        Measure(
            "harmony.crossings", "Voice crossings", "a bar; a voice goes below the next lower one"
        ),
        Measure("harmony.parallels", "Parallels", "fifths and octaves side by side, a bar"),
    ),
)
