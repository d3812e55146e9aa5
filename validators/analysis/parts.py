"""Which instrument or voice each voice of a score is written for.

The name of a part (``nm=``) decides; the reader has already given a voice without a name
that of its staff or brace. A brace without a name is a keyboard. In a choral style, voices
without names are soprano, alto, tenor and bass by their place and clef.
:mod:`scoregate.validators.analysis.instruments` knows the names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score, Voice
from scoregate.validators.analysis.instruments import (
    Alternatives,
    Instrument,
    resolve,
    table,
    union,
)

WIDEST = Instrument("any instrument", "", 21, 108, 21, 108)
"""Stands for an unknown part: the compass of the piano, A0 to C8."""


def assign(score: Score, style: str | None = None) -> list[Instrument | None]:
    """Return the instrument or voice that each voice of a score is written for.

    Parameters
    ----------
    score : Score
    style : str, optional
        ``Period/Composer/Instrumentation``; says what parts without a name are.

    Returns
    -------
    list of Instrument or None
        In the order of the voices; None where the name is unknown. The limits include the
        written range where the score may have left an octave transposition unsaid. The list
        is cached and shared: not to be changed.
    """
    cached = f"parts {style}"
    known = score.derived.get(cached)
    if known is None:
        known = score.derived[cached] = _assign(score, style)
    return known


def _assign(score: Score, style: str | None) -> list[Instrument | None]:
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


def pitched_voices(score: Score, style: str | None = None) -> NDArray[np.bool_]:
    """Return which voices have pitches: neither percussion without pitch nor its clef.

    Returns
    -------
    ndarray of bool, shape (voices,)
    """
    return np.array(
        [
            (part is None or part.pitched) and not voice.clef.startswith("perc")
            for voice, part in zip(score.voices, assign(score, style), strict=True)
        ],
        dtype=bool,
    )


def instrumentation(score: Score, style: str | None = None) -> str:
    """Return the last part of the style, or of the piece's own prompt, in lower case."""
    return (style or "/".join(score.prompt)).rpartition("/")[2].strip().lower()


def is_choral(score: Score, style: str | None = None) -> bool:
    """Return whether a piece is for a choir: by its style, else by the names of its voices."""
    kind = instrumentation(score, style)
    if kind:
        return kind == "choral"
    parts = assign(score)
    return len(parts) > 2 and all(
        part is not None and part.family == "voice" and part.key != "voice" for part in parts
    )


def _choose(group: Alternatives, families: Counter[str], voice: Voice) -> Instrument:
    """Choose among what a name can mean by the families of the other parts."""
    if voice.brace is not None:  # "O" in a brace is an organ, elsewhere an oboe
        group = tuple(entry for entry in group if entry.hands) or group
    if len(group) == 1:
        return group[0]
    most = max(families[entry.family] for entry in group)
    return union(tuple(entry for entry in group if families[entry.family] == most))


def _choral_roles(
    voices: list[Voice], resolved: list[tuple[Alternatives, ...]], choral: bool
) -> list[Instrument | None]:
    """Assign soprano, alto, tenor and bass to voices called women, men, or nothing."""
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
            continue  # a single part for all of them has the range of its own name
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
    """Narrow an unspecified voice by its clef, and allow for an octave left unsaid."""
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
