"""Can it be played and sung? Sounding pitch against the range of each part.

A note beyond the professional limits of its instrument
(:mod:`scoregate.validators.analysis.instruments`)
is critical: nobody can produce it. A grace note beyond them, and notes beyond what is
comfortable, are warnings, as is a stretch that no two hands reach.

A part without a name takes that of its staff or brace (the reader sees to it), a brace
alone is a keyboard, and the voices of a choral style are soprano, alto, tenor and bass by
their place and clef. A name that means nothing to anybody is a finding of its own; its
notes are held to the compass of the piano, the widest there is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.findings import Finding, Outcome
from scoregate.validators.analysis.counterpoint import moments
from scoregate.validators.analysis.hands import check_hands
from scoregate.validators.analysis.instruments import (
    Alternatives,
    Instrument,
    pitch_name,
    resolve,
    table,
    union,
)
from scoregate.validators.analysis.octave_slips import octave_slips
from scoregate.validators.analysis.sounding import Notes, notes
from scoregate.validators.registry import FunctionGate, Measure

NAME = "ranges"
VERSION = "1"

WIDEST = Instrument("any instrument", "", 21, 108, 21, 108)
"""What an unknown part is held to: A0 to C8."""
_MOST = 50
"""Findings of one kind for one voice; the last one counts the rest."""


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
        With the measures ``ranges.out`` (share of notes beyond the professional limits),
        ``ranges.uncomfortable`` and ``ranges.unknown_voices``.
    """
    outcome = Outcome(NAME, VERSION)
    every = notes(score)
    out = uncomfortable = unknown = 0
    told: set[str] = set()
    parts = assign(score, style)
    for index, (voice, part) in enumerate(zip(score.voices, parts, strict=True)):
        mine = every.voice == index
        if not mine.any():
            continue
        if part is WIDEST and "" not in told:
            outcome.findings.append(_unnamed(voice))
            told.add("")
        if part is None:
            unknown += 1
            if voice.instrument not in told:
                outcome.findings.append(_unknown(voice))
            told.add(voice.instrument)
            part = table()["piano"] if voice.brace is not None else WIDEST
        if not part.pitched:
            continue
        outside, strained = _judge_voice(outcome, voice, part, every, mine)
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


def assign(score: Score, style: str | None = None) -> list[Instrument | None]:
    """Say what plays or sings each voice.

    Returns
    -------
    list of Instrument or None
        In the order of the voices; None where the name is unknown. Limits are widened by
        the written octave where the score may have left the transposition out.
    """
    kind = instrumentation(score, style)
    resolved = [resolve(voice.instrument) for voice in score.voices]
    names = {voice.instrument: groups for voice, groups in zip(score.voices, resolved, strict=True)}
    families = Counter(
        group[0].family
        for groups in names.values()
        for group in groups
        if len({entry.family for entry in group}) == 1
    )
    if kind == "choral":
        families["voice"] += len(score.voices)
    roles = _choral_roles(score.voices, resolved, kind == "choral")
    parts: list[Instrument | None] = []
    for voice, groups, role in zip(score.voices, resolved, roles, strict=True):
        if role is not None:
            part: Instrument | None = role
        elif groups:
            part = union(tuple(_choose(group, families, voice) for group in groups))
        elif voice.instrument.strip():
            part = None
        elif voice.brace is not None or kind == "keyboard":
            part = table()["piano"]
        else:
            part = WIDEST
        parts.append(None if part is None else _for_voice(part, voice))
    return parts


def instrumentation(score: Score, style: str | None = None) -> str:
    """Return the last part of the style, or of the piece's own prompt, in lower case."""
    return (style or "/".join(score.prompt)).rpartition("/")[2].strip().lower()


def is_choral(score: Score, style: str | None = None) -> bool:
    """Tell whether a piece is for a choir: by its style, else by the names of its voices."""
    kind = instrumentation(score, style)
    if kind:
        return kind == "choral"
    parts = assign(score)
    return len(parts) > 2 and all(
        part is not None and part.family == "voice" and part.key != "voice" for part in parts
    )


def _choose(group: Alternatives, families: Counter[str], voice: Voice) -> Instrument:
    """Of what a name can mean, take what the rest of the score is made of."""
    if voice.brace is not None:  # "O" in a brace is an organ, elsewhere an oboe
        group = tuple(entry for entry in group if entry.hands) or group
    if len(group) == 1:
        return group[0]
    most = max(families[entry.family] for entry in group)
    return union(tuple(entry for entry in group if families[entry.family] == most))


def _choral_roles(
    voices: list[Voice], resolved: list[tuple[Alternatives, ...]], choral: bool
) -> list[Instrument | None]:
    """Soprano, alto, tenor and bass for voices that are only called women and men, or nothing."""
    entries = table()
    roles: list[Instrument | None] = [None] * len(voices)
    high, low = [], []
    for index, (voice, groups) in enumerate(zip(voices, resolved, strict=True)):
        keys = {entry.key for group in groups for entry in group}
        unnamed = choral and not voice.instrument.strip() and voice.brace is None
        if keys == {"women's voices"}:
            high.append(index)
        elif keys == {"men's voices"} or (unnamed and _low_clef(voice)):
            low.append(index)
        elif unnamed:
            high.append(index)
    if not low and len(high) == 4:  # all in the treble clef
        high, low = high[:2], high[2:]
    for indices, upper, lower in ((high, "soprano", "alto"), (low, "tenor", "bass voice")):
        if len(indices) < 2:
            continue  # one part for all of them: their common name says enough
        for place, index in enumerate(indices):
            roles[index] = entries[upper if place < len(indices) / 2 else lower]
    if choral and len(high) == 1 and not voices[high[0]].instrument:
        roles[high[0]] = entries["women's voices"]
    if choral and len(low) == 1 and not voices[low[0]].instrument:
        roles[low[0]] = entries["men's voices"]
    return roles


def _low_clef(voice: Voice) -> bool:
    return voice.clef.startswith(("bass", "tenor")) or "-8" in voice.clef


def _for_voice(part: Instrument, voice: Voice) -> Instrument:
    """Narrow a voice of no known kind by its clef; allow for octaves left unsaid."""
    if part.key == "voice":
        bass = voice.clef.startswith("bass")
        part = replace(
            part,
            low=part.low if bass else table()["alto"].low,
            high=table()["men's voices"].high if bass else part.high,
            comfort_low=part.comfort_low if bass else table()["alto"].comfort_low,
            comfort_high=table()["men's voices"].comfort_high if bass else part.comfort_high,
        )
    sung_high = part.family == "voice" and not voice.clef.startswith("treble")
    if part.octave == 0 or voice.transpose % 12 or abs(voice.transpose) >= 12 or sung_high:
        return part
    return replace(
        part,
        low=min(part.low, part.low - part.octave),
        high=max(part.high, part.high - part.octave),
        comfort_low=min(part.comfort_low, part.comfort_low - part.octave),
        comfort_high=max(part.comfort_high, part.comfort_high - part.octave),
    )


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
    outcome: Outcome, voice: Voice, part: Instrument, every: Notes, mine: np.ndarray
) -> tuple[int, int]:
    """Add the findings of one voice; return its notes out of range and uncomfortable."""
    pitch = every.pitch[mine]
    outside = int(np.count_nonzero((pitch < part.low) | (pitch > part.high)))
    strained = int(np.count_nonzero((pitch < part.comfort_low) | (pitch > part.comfort_high)))
    if outside:
        outcome.findings += _out_of_range(voice, part)
    if strained > outside:
        outcome.findings.append(_uncomfortable(voice, part, strained, len(pitch)))
    return outside, strained


def _out_of_range(voice: Voice, part: Instrument) -> list[Finding]:
    """One finding for each bar and kind, naming the note that lies farthest out."""
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
        rest = replace(found[_MOST], message=f"{len(found) - _MOST} more bars of this kind")
        found = [*found[:_MOST], rest]
    return found


def _name(pitch: int) -> str:
    """Name a pitch; those that MIDI has no number for are read as the nearest that it has."""
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
    for bar in voice.bars:
        for event in bar.events:
            if any(not part.comfort_low <= pitch <= part.comfort_high for pitch in event.pitches):
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
