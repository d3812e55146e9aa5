"""Chords of keyboards and harps that two hands can't reach.

The notes that one player strikes at the same time must fall into two groups, the lower for
the left hand and the upper for the right, neither wider than a hand. Held notes are left
out, because a pedal may hold them, and so are grace notes and rolled chords.
"""

from __future__ import annotations

import re

import numpy as np

from scoregate.abc.score import Bar, Event, Score
from scoregate.abc.source_text import split_lines
from scoregate.findings import Finding
from scoregate.validators.analysis.instruments import Instrument, pitch_name
from scoregate.validators.analysis.sounding import notes

REACH = 16
"""Semitones that a hand spans: a major tenth, which a large hand can strike.
R. Parncutt and others, An ergonomic model of keyboard fingering for melodic fragments,
Music Perception 14 (1997), gives a tenth to a twelfth as the limit of practical spans for
large hands."""
FINGERS = 10
_MOST = 20
"""Chords that are reported."""
_ROLLED = re.compile(r"!(?:arpeggio|roll)!")


def check_hands(score: Score, parts: list[Instrument | None]) -> list[Finding]:
    """Report each moment at which a player would need a third hand.

    Parameters
    ----------
    score : Score
    parts : list of Instrument or None
        What each voice is written for (:mod:`scoregate.validators.analysis.parts`).

    Returns
    -------
    list of Finding
        Warnings, because editions print such chords and players roll them.
    """
    players: dict[tuple[str, int], list[int]] = {}
    for index, (voice, part) in enumerate(zip(score.voices, parts, strict=True)):
        if part is not None and part.hands:
            key = ("brace", voice.brace) if voice.brace is not None else ("staff", voice.staff)
            players.setdefault(key, []).append(index)
    found: list[Finding] = []
    for voices in players.values():
        found += _player(score, voices)
    return found[:_MOST]


def _player(score: Score, voices: list[int]) -> list[Finding]:
    every = notes(score)
    struck = np.flatnonzero(np.isin(every.voice, voices) & every.starts & ~every.grace)
    if len(struck) < 2:
        return []
    order = struck[np.lexsort((every.pitch[struck], every.onset[struck], every.bar[struck]))]
    bar, onset, pitch = every.bar[order], np.round(every.onset[order], 6), every.pitch[order]
    first = np.concatenate(([True], (bar[1:] != bar[:-1]) | (onset[1:] != onset[:-1])))
    begins = np.flatnonzero(first)
    ends = np.append(begins[1:], len(order))
    span = pitch[ends - 1] - pitch[begins]
    found = []
    for place in np.flatnonzero((span > REACH) | (ends - begins > FINGERS)):
        chord = pitch[begins[place] : ends[place]].tolist()
        if reachable(chord):
            continue
        finding = _finding(
            score, voices, int(bar[begins[place]]), float(onset[begins[place]]), chord
        )
        if finding is not None:
            found.append(finding)
        if len(found) == _MOST:
            break
    return found


def reachable(chord: list[int]) -> bool:
    """Return whether two hands reach a chord, whose pitches are in ascending order."""
    if len(set(chord)) > FINGERS:
        return False
    return any(
        (not left or left[-1] - left[0] <= REACH) and (not right or right[-1] - right[0] <= REACH)
        for left, right in ((chord[:cut], chord[cut:]) for cut in range(len(chord) + 1))
    )


def rolled(score: Score, bar: Bar, chord: Event) -> bool:
    """Return whether a chord is marked to be rolled, between the event before it and itself."""
    line = split_lines(score.text)[chord.line - 1]
    earlier = [event for event in bar.events if event.column < chord.column]
    begin = max(line.rfind(mark, 0, chord.column) for mark in ("|", "[V:"))
    if earlier:
        begin = earlier[-1].column - 1 + len(earlier[-1].text)
    return _ROLLED.search(line, max(begin, 0), chord.column - 1) is not None


def _finding(
    score: Score, voices: list[int], bar_index: int, onset: float, chord: list[int]
) -> Finding | None:
    event, voice_id = None, None
    for index in voices:
        for bar in score.voices[index].bars:
            if bar.number != bar_index + 1:
                continue
            for candidate in bar.events:
                if candidate.pitches and abs(float(candidate.onset) - onset) < 1e-5:
                    if rolled(score, bar, candidate):
                        return None
                    if event is None:
                        event, voice_id = candidate, score.voices[index].id
    many = len(set(chord)) > FINGERS
    names = " ".join(pitch_name(pitch) for pitch in chord[:12])
    return Finding(
        "ranges",
        "ranges.stretch",
        "warning",
        f"{len(set(chord))} notes at once" if many else "two hands can't reach these notes at once",
        voice_id,
        bar_index + 1,
        event.line if event is not None else None,
        event.column if event is not None else None,
        names,
        f"{FINGERS} notes" if many else f"at most {REACH} semitones for each hand",
    )
