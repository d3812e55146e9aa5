"""The gate ``ranges``: can the instrument or voice of each part sound its notes.

A note beyond the professional limits of its instrument
(:mod:`scoregate.validators.analysis.instruments`) is critical: nobody can produce it.
Warnings are grace notes beyond these limits, notes beyond the comfortable range, chords
that two hands can't reach, and notes in a choir that look an octave off.

:mod:`scoregate.validators.analysis.parts` says what each voice is written for. A name that
is unknown is a finding of its own; the notes of such a part, and of one without a name, are
held to the compass of the piano.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.findings import Finding, Outcome
from scoregate.validators.analysis.counterpoint import moments
from scoregate.validators.analysis.hands import check_hands
from scoregate.validators.analysis.instruments import Instrument, pitch_name, table
from scoregate.validators.analysis.octave_slips import octave_slips
from scoregate.validators.analysis.parts import WIDEST, assign, is_choral
from scoregate.validators.analysis.sounding import notes
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "ranges"
VERSION = "1"

_MOST = 50
"""Findings of one code for one voice that are kept; a last one counts the rest."""


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Compare every sounding note with the range of its part.

    Parameters
    ----------
    score : Score
    style : str, optional
        ``Period/Composer/Instrumentation``; says what parts without a name are.

    Returns
    -------
    Outcome
        Measures ``ranges.out`` (share of notes beyond the professional limits),
        ``ranges.uncomfortable`` (share beyond the comfortable range) and
        ``ranges.unknown_voices``.
    """
    outcome = Outcome(NAME, VERSION)
    every = notes(score)
    out = uncomfortable = unknown = 0
    reported: set[str] = set()
    parts: list[Instrument | None] = assign(score, style)
    if for_style(style).setting("ranges.by_clef", 0):
        parts = [by_clef(voice.clef, voice.transpose) for voice in score.voices]
    for index, (voice, part) in enumerate(zip(score.voices, parts, strict=True)):
        in_voice = every.voice == index
        if not in_voice.any():
            continue
        if part is WIDEST and "" not in reported:
            outcome.findings.append(_unnamed(voice))
            reported.add("")
        if part is None:
            unknown += 1
            if voice.instrument not in reported:
                outcome.findings.append(_unknown(voice))
            reported.add(voice.instrument)
            part = table()["piano"] if voice.brace is not None else WIDEST
        if not part.pitched:
            continue
        outside, strained = _judge_voice(outcome, voice, part, every.pitch[in_voice])
        out += outside
        uncomfortable += strained
    outcome.findings += check_hands(score, parts)
    if is_choral(score, style):
        outcome.findings += _slips(score, parts)
    total = max(len(every.pitch), 1)
    outcome.measures = {
        "ranges.out": out / total,
        "ranges.uncomfortable": uncomfortable / total,
        "ranges.unknown_voices": float(unknown),
    }
    return outcome


def by_clef(clef: str, transpose: int = 0) -> Instrument:
    """Return what a staff can well show by its clef: two octaves on either side of its middle.

    For music whose parts are named by their function: the tenor of a motet holds the chant,
    whoever plays or sings it. Notes beyond are only uncomfortable, because editions differ in
    clefs and octaves; beyond the compass of the piano they are out of range.

    Parameters
    ----------
    clef : str
        As in :class:`scoregate.abc.score.Voice`.
    transpose : int
        Semitones from written to sounding.
    """
    word = clef.rstrip("+-_^0123456789").lower()
    middle = _MIDDLE_LINE.get(word, _MIDDLE_LINE["treble"]) + transpose
    low, high = middle - CLEF_REACH, middle + CLEF_REACH
    limits = min(low, WIDEST.low), max(high, WIDEST.high)
    return Instrument(f"{word or 'treble'} clef", "", *limits, low, high)


_MIDDLE_LINE = {
    "treble": 71, "soprano": 67, "mezzosoprano": 64, "mezzo": 64, "alto": 60, "tenor": 57,
    "baritone": 53, "bass": 50, "subbass": 47,
}  # fmt: skip
"""MIDI pitch of a staff's middle line by its clef."""
CLEF_REACH = 24
"""Semitones: editors write a tenor in the treble clef, sounding as written, down to D3."""


def _unknown(voice: Voice) -> Finding:
    return Finding(
        NAME,
        "ranges.unknown-instrument",
        "warning",
        f"no known instrument or voice is called {voice.instrument[:60]!r}; "
        "its notes are held to the widest range",
        voice=voice.id,
        line=voice.line,
        found=voice.instrument[:60],
    )


def _unnamed(voice: Voice) -> Finding:
    return Finding(
        NAME,
        "ranges.no-instrument",
        "info",
        "no instrument or voice is named; the notes are held to the widest range",
        voice=voice.id,
        line=voice.line,
        expected='nm="..."',
    )


def _judge_voice(
    outcome: Outcome, voice: Voice, part: Instrument, pitch: NDArray[np.int64]
) -> tuple[int, int]:
    """Add the findings of one voice; return its notes out of range and uncomfortable."""
    outside = int(np.count_nonzero((pitch < part.low) | (pitch > part.high)))
    strained = int(np.count_nonzero((pitch < part.comfort_low) | (pitch > part.comfort_high)))
    if outside:
        outcome.findings += _out_of_range(voice, part)
    if strained > outside:
        outcome.findings.append(_uncomfortable(voice, part, strained, len(pitch)))
    return outside, strained


def _out_of_range(voice: Voice, part: Instrument) -> list[Finding]:
    """Return a finding for each bar and kind of note, naming the note farthest out."""
    found: list[Finding] = []
    limits = f"{pitch_name(part.low)} to {pitch_name(part.high)}"
    whose = "every instrument" if part is WIDEST else f"the {part.key}"
    for bar in voice.bars:
        for grace in (False, True):
            worst: tuple[int, int, Event] | None = None
            count = 0
            for event in bar.events:
                if event.grace is not grace:
                    continue
                for pitch in event.pitches:
                    beyond = max(part.low - pitch, pitch - part.high)
                    if beyond > 0:
                        count += 1
                        if worst is None or beyond > worst[0]:
                            worst = (beyond, pitch, event)
            if worst is None:
                continue
            _, pitch, event = worst
            side = "below" if pitch < part.low else "above"
            name = _name(pitch)
            more = f", and {count - 1} more in this bar" if count > 1 else ""
            found.append(
                Finding(
                    NAME,
                    "ranges.grace-out-of-range" if grace else "ranges.out-of-range",
                    "warning" if grace else "critical",
                    f"{'grace note ' if grace else ''}{name} is {side} the range of {whose}{more}",
                    voice.id,
                    bar.number,
                    event.line,
                    event.column,
                    name,
                    limits,
                )
            )
    if len(found) > _MOST:
        count = len(found) - _MOST
        message = f"{count} more {'bar has' if count == 1 else 'bars have'} notes out of range"
        rest = replace(found[_MOST], message=message, bar=None, line=None, column=None, found=None)
        found = [*found[:_MOST], rest]
    return found


def _name(pitch: int) -> str:
    """Name a pitch; the reader takes those beyond MIDI for the nearest that it has."""
    if pitch <= 0:
        return f"{pitch_name(0)} or lower"
    return f"{pitch_name(127)} or higher" if pitch >= 127 else pitch_name(pitch)


def _uncomfortable(voice: Voice, part: Instrument, strained: int, total: int) -> Finding:
    bar, event = _first_beyond(voice, part)
    limits = f"{pitch_name(part.comfort_low)} to {pitch_name(part.comfort_high)}"
    return Finding(
        NAME,
        "ranges.uncomfortable",
        "warning",
        f"{strained} of {total} notes lie beyond what is comfortable for "
        f"{'any instrument' if part is WIDEST else f'the {part.key}'}",
        voice.id,
        bar.number if bar is not None else None,
        event.line if event is not None else None,
        event.column if event is not None else None,
        f"{strained / total:.1%} of the notes",
        limits,
    )


def _slips(score: Score, parts: list[Instrument | None]) -> list[Finding]:
    choir = [
        index for index, part in enumerate(parts) if part is not None and part.family == "voice"
    ]
    found = moments(score, choir)
    findings = []
    for row, moment, octave in octave_slips(found)[:_MOST]:
        voice, pitch = score.voices[choir[row]], int(found.pitch[row, moment])
        number = int(found.bar[moment]) + 1
        event = _sounding(voice, number, pitch)
        findings.append(
            Finding(
                NAME,
                "ranges.octave-slip",
                "warning",
                f"this note looks an octave too {'high' if octave > 0 else 'low'}",
                voice.id,
                number,
                event.line if event is not None else None,
                event.column if event is not None else None,
                pitch_name(pitch),
                pitch_name(pitch - octave),
            )
        )
    return findings


def _sounding(voice: Voice, number: int, pitch: int) -> Event | None:
    for bar in voice.bars:
        if bar.number == number:
            for event in bar.events:
                if pitch in event.pitches:
                    return event
    return None


def _first_beyond(voice: Voice, part: Instrument) -> tuple[Bar | None, Event | None]:
    low, high = part.comfort_low, part.comfort_high
    for bar in voice.bars:
        for event in bar.events:
            for pitch in event.pitches:
                if not low <= pitch <= high:
                    return bar, event
    return None, None


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Can the instrument or voice of each part sound its notes?",
    check=check,
    measures=(
        Measure(
            "ranges.out", "Notes out of range", "share that its instrument or voice can't reach", 3
        ),
        Measure(
            "ranges.uncomfortable",
            "Uncomfortable notes",
            "share that is a strain to play or sing",
            3,
        ),
        Measure(
            "ranges.unknown_voices", "Unknown parts", "voices whose name is no known instrument", 0
        ),
    ),
)
