"""The gate ``parts``: whether every part has music of its own that its player can play.

It rejects these:

- a wind instrument with one player has triads;
- a violin, viola or violoncello has five notes at once, one more than it has strings.

It warns of these:

- a voice that copies another note for note, or has no note at all;
- eight bars and more in which nothing sounds, or in which a voice that rests nowhere else rests;
- the lowest part lies above another, or far above its clef;
- a percussion clef on a part with pitches;
- two notes at once for one singer or one wind player;
- runs that are faster than anybody plays.

:mod:`scoregate.validators.analysis.players` says how many notes a part can sound at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score, Voice
from scoregate.findings import Finding, Outcome, Severity
from scoregate.validators.analysis.chords import SILENT, lowest_pitches
from scoregate.validators.analysis.instruments import Instrument, pitch_name
from scoregate.validators.analysis.parts import assign, pitched_voices
from scoregate.validators.analysis.players import (
    most_notes_of_strings,
    one_singer,
    one_wind_player,
)
from scoregate.validators.analysis.sounding import Notes, notes
from scoregate.validators.registry import FunctionGate

NAME = "parts"
VERSION = "2"

SAME = 0.95
"""Share of its notes that a copy has in common with the voice that it copies."""
LEAST = 16
"""Notes of a voice below which a likeness may be chance."""
MOST = 20
"""Findings of one kind that are reported."""
MOST_NOTES = 10_000_000
"""Notes that are compared between voices; no score has a tenth of it."""
SILENCE = 8
"""Bars of rests that are reported."""
HIGH = 0.4
"""Share of the beats on which the bass is above another part, plus the share on which it is above
`TOP_OF_BASS_CLEF`, from which it is reported. No chorale of Bach's reaches it, and 7 % of songs."""
HIGH_LEFT_HAND = 58
"""B flat 3, below which half of the notes of a left hand lie. Of 234 pieces one is as high that
the other rule leaves alone; of 128 whose bass was moved up an octave nine more are found."""
LAYER = 0.6
"""Share of the beats of the fullest voice of a staff that its bass line sounds on."""
TOP_OF_BASS_CLEF = 64
"""E4, two ledger lines above the staff."""
SCALE = 7
"""Pitch classes of a part without a name from which it is no percussion."""
TRIADS = 3
"""Chords of three notes and more that one wind player may have by a slip."""
ORCHESTRA = 8
"""Staves from which a part with one name may stand for several players."""
SHORTEST = 0.045
"""Seconds: of shorter notes nobody plays a run. Trills and tremolos reach .06."""
RUN = 4
"""Notes in a row that make a run."""
USUAL_TEMPO = 90.0
"""Quarter notes a minute where a piece has no tempo."""


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Report parts that nobody would write so.

    Parameters
    ----------
    score : Score
    style : str, optional
        ``Period/Composer/Instrumentation``; says what parts without a name are.
    """
    outcome = Outcome(NAME, VERSION)
    every = notes(score)
    if not len(every.pitch):
        return outcome
    parts = assign(score, style)
    pitched = pitched_voices(score, style)
    outcome.findings += _copies(score, every)[:MOST]
    outcome.findings += _silent(score, every)[:MOST]
    outcome.findings += _rests(score, every, parts)
    outcome.findings += _high_bass(score, every, pitched)
    outcome.findings += _percussion_clefs(score, every, parts)
    outcome.findings += _chords(score, every, parts)
    outcome.findings += _runs(score, every)
    return outcome


# More than six parameters: those of a finding.
def _finding(
    code: str,
    message: str,
    voice: Voice | None = None,
    bar: int | None = None,
    severity: Severity = "warning",
    found: str | None = None,
    expected: str | None = None,
) -> Finding:
    """Return a finding on a voice, at the beginning of one of its bars."""
    where = next((it for it in voice.bars if it.number == bar), None) if voice else None
    return Finding(
        NAME,
        f"{NAME}.{code}",
        severity,
        message,
        voice.id if voice else None,
        bar,
        where.line if where else (voice.line if voice else None),
        where.column if where else None,
        found,
        expected,
    )


def _copies(score: Score, every: Notes) -> list[Finding]:
    """Report voices with the same notes at the same times as a voice before them."""
    count = len(score.voices)
    chosen = np.flatnonzero(every.counted)
    if count < 2 or len(chosen) < 2 * LEAST:
        return []
    # A note as one number: its bar, its onset in 1/960 of a whole note, its pitch.
    onset = np.rint(every.onset[chosen] * 960).astype(np.int64)
    key = (every.bar[chosen] << 40) + (onset << 8) + every.pitch[chosen]
    ends = np.cumsum(np.bincount(every.voice[chosen], minlength=count)).tolist()
    keys = key.tolist()
    sounds = [set(keys[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
    found = []
    compared = 0
    for later in range(1, count):
        own = sounds[later]
        if len(own) < LEAST:
            continue
        likeness, first = 0.0, 0
        for earlier in range(later):
            smaller, larger = sorted((len(own), len(sounds[earlier])))
            if smaller < SAME * larger:
                continue
            compared += smaller
            alike = len(own & sounds[earlier]) / larger
            if alike > likeness:
                likeness, first = alike, earlier
        if compared > MOST_NOTES:
            break
        if likeness >= SAME:
            found.append(
                _finding(
                    "copy",
                    f"the voice has the same notes as voice {score.voices[first].id}",
                    score.voices[later],
                    found=f"{likeness:.0%} of the notes alike",
                )
            )
    return found


def _silent(score: Score, every: Notes) -> list[Finding]:
    """Report voices without a note, but not the second layer of a staff that is not in use."""
    sounding = np.bincount(every.voice, minlength=len(score.voices))
    if sounding.all():
        return []
    # In a stream it is only a warning, and the finished text no longer shows it.
    known = {
        item.voice
        for item in score.findings
        if item.code == "syntax.voice-silent" and item.severity == "critical"
    }
    in_use = {voice.staff for voice, number in zip(score.voices, sounding, strict=True) if number}
    found = []
    for voice, number in zip(score.voices, sounding, strict=True):
        if number or voice.id in known:
            continue
        rests = [event.visible for bar in voice.bars for event in bar.events]
        if voice.staff not in in_use or 2 * sum(rests) > len(rests):
            found.append(_finding("silent", "the voice has no note", voice))
    return found


def _longest(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest run of True begins, and its length."""
    if not flags.any():
        return 0, 0
    framed = np.zeros(len(flags) + 2, dtype=bool)
    framed[1:-1] = flags
    edges = np.flatnonzero(framed[1:] != framed[:-1])
    lengths = edges[1::2] - edges[::2]
    best = int(lengths.argmax())
    return int(edges[2 * best]), int(lengths[best])


def _rests(score: Score, every: Notes, parts: list[Instrument | None]) -> list[Finding]:
    """Report long silences: of all voices, and of one that rests nowhere else."""
    bars, count = len(every.bar_length), len(score.voices)
    if bars < SILENCE:
        return []
    sounds = np.zeros((count, bars), dtype=bool)
    sounds[every.voice, every.bar] = True
    resting = ~sounds
    begin, length = _longest(np.logical_and.reduce(resting, axis=0))
    if length >= SILENCE:
        message = f"nothing sounds in {length} bars"
        return [_finding("long-rest", message, score.voices[0], begin + 1)]
    found = []
    for index in range(count) if count > 1 else ():
        here = np.flatnonzero(sounds[index])
        if not len(here):
            continue
        inside = resting[index, here[0] : here[-1] + 1]
        begin, length = _longest(inside)
        if length < SILENCE:
            continue
        part = parts[index]
        sung = part is not None and part.family == "voice" and count - 1 > 0
        alone = np.count_nonzero(resting[index]) == length
        others = [row for row in range(count) if row != index and sounds[row].any()]
        if alone and not (sung and not _all_sung(parts)) and not resting[others].any():
            found.append(
                _finding(
                    "long-rest",
                    f"the voice rests for {length} bars and nowhere else, "
                    "and no other voice ever rests",
                    score.voices[index],
                    int(here[0]) + begin + 1,
                )
            )
    return found


def _all_sung(parts: list[Instrument | None]) -> bool:
    return all(part is not None and part.family == "voice" for part in parts)


def _high_bass(score: Score, every: Notes, pitched: NDArray[np.bool_]) -> list[Finding]:
    """Report a bass that is above other parts, and above its clef, on many beats."""
    sounding = np.bincount(every.voice, minlength=len(score.voices)) > 0
    rows = np.flatnonzero(sounding & pitched).tolist()
    if len(rows) < 2 or not score.voices[rows[-1]].clef.startswith("bass"):
        return []
    lows = lowest_pitches(score)
    beats = {row: int(np.count_nonzero(lows[row] != SILENT)) for row in rows}
    staff = score.voices[rows[-1]].staff
    last = [row for row in rows if score.voices[row].staff == staff]
    # The last voice of the last staff, but not a second layer that sounds now and then.
    enough = LAYER * max(beats[row] for row in last)
    bass = next(row for row in reversed(last) if beats[row] >= enough)
    line, others = lows[bass], lows[[row for row in rows if row != bass]].min(axis=0)
    both = (line != SILENT) & (others != SILENT)
    together = np.count_nonzero(both)
    if together < LEAST:
        return []
    above = np.count_nonzero(line[both] > others[both]) / together
    high = np.count_nonzero((line != SILENT) & (line > TOP_OF_BASS_CLEF)) / beats[bass]
    left_hand = score.voices[bass].brace is not None
    middle = float(np.median(line[line != SILENT])) if left_hand else 0.0
    if above + high >= HIGH:
        message = "the bass lies above other parts or far above its clef"
        where = f"above others on {above:.0%} of the beats, above E4 on {high:.0%}"
    elif middle >= HIGH_LEFT_HAND:
        message = "the left hand lies where right hands do"
        where = f"half of its notes at {pitch_name(int(middle))} or above"
    else:
        return []
    return [_finding("bass-high", message, score.voices[bass], found=where)]


def _percussion_clefs(score: Score, every: Notes, parts: list[Instrument | None]) -> list[Finding]:
    """Report a percussion clef on a named part with pitches, or on one that has a scale of them."""
    found = []
    for index, (voice, part) in enumerate(zip(score.voices, parts, strict=True)):
        if not voice.clef.startswith("perc") or (part is not None and not part.pitched):
            continue
        named = part is not None and bool(part.family)
        steps = len(np.unique(every.pitch[every.voice == index] % 12))
        if named or steps >= SCALE:
            whose = (
                f"the {part.key}, which has pitches" if named and part else f"{steps} pitch classes"
            )
            message = f"a percussion clef for {whose}"
            found.append(_finding("percussion-clef", message, voice, found=voice.clef))
    return found


def _chords(score: Score, every: Notes, parts: list[Instrument | None]) -> list[Finding]:
    """Report chords of one singer or wind player, and of more notes than strings."""
    staves = len({voice.staff for voice in score.voices})
    real = np.flatnonzero(~every.grace)
    # The notes of one event stand side by side.
    new = np.ones(len(real), dtype=bool)
    new[1:] = (
        (np.diff(every.voice[real]) != 0)
        | (np.diff(every.bar[real]) != 0)
        | (np.diff(every.onset[real]) != 0)
    )
    begins = np.flatnonzero(new)
    size = np.diff(np.append(begins, len(real)))
    voice, bar = every.voice[real[begins]], every.bar[real[begins]]
    found = []
    for index in np.flatnonzero(np.bincount(voice[size > 1])).tolist():
        part, one = parts[index], score.voices[index]
        mine = voice == index
        most = most_notes_of_strings(part)
        if most is not None and part is not None:
            many = np.flatnonzero(mine & (size > most))
            if len(many):
                number = int(bar[many[0]]) + 1
                message = f"{int(size[many[0]])} notes at once for the {part.key}"
                expected = f"at most {most}, one a string"
                found.append(
                    _finding("string-chord", message, one, number, "critical", None, expected)
                )
        elif one_wind_player(one, part):
            worst: Severity = "critical" if staves < ORCHESTRA else "warning"
            found += _chords_of_one(one, part, size[mine], bar[mine], worst)
        elif one_singer(one, part):
            found += _chords_of_one(one, part, size[mine], bar[mine], "warning")
    return found


def _chords_of_one(
    voice: Voice,
    part: Instrument | None,
    size: NDArray[np.int64],
    bar: NDArray[np.int64],
    worst: Severity,
) -> list[Finding]:
    """Return the finding on chords of a part that sounds one note at a time."""
    chords, triads = np.flatnonzero(size > 1), np.flatnonzero(size > 2)
    if not len(chords):
        return []
    key = part.key if part is not None else "part"
    wind = part is not None and part.family != "voice"
    if worst == "critical" and len(triads) > TRIADS:
        message = f"{len(triads)} chords of three notes and more for one {key}"
        return [_finding("wind-triads", message, voice, int(bar[triads[0]]) + 1, "critical")]
    code = "wind-chord" if wind else "singer-chord"
    several = "s" if len(chords) > 1 else ""
    message = f"{len(chords)} chord{several} for one {key}, which sounds one note at a time"
    return [_finding(code, message, voice, int(bar[chords[0]]) + 1)]


def _runs(score: Score, every: Notes) -> list[Finding]:
    """Report the first run of each voice that is too fast to play."""
    tempo = score.tempo or USUAL_TEMPO
    shortest = SHORTEST * tempo / 240  # in whole notes
    length = every.end - every.onset
    quick = ~every.grace & (length < shortest) & (length > 0)
    if np.count_nonzero(quick) < RUN:
        return []
    found = []
    for index in np.flatnonzero(np.bincount(every.voice[quick])).tolist():
        mine = np.flatnonzero((every.voice == index) & ~every.grace)
        moves = np.zeros(len(mine), dtype=bool)
        moves[1:] = np.diff(every.pitch[mine]) != 0
        begin, run = _longest(quick[mine] & moves)
        if run + 1 >= RUN:
            number = int(every.bar[mine[begin]]) + 1
            seconds = float(length[mine[begin]]) * 240 / tempo
            found.append(
                _finding(
                    "too-fast",
                    f"a run of {run + 1} notes of {1000 * seconds:.0f} ms each "
                    f"at {tempo:g} quarter notes a minute",
                    score.voices[index],
                    number,
                    expected=f"{1000 * SHORTEST:.0f} ms and more",
                )
            )
    return found


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Has every part music of its own that its player can play?",
    check=check,
)
