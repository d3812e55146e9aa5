"""What is wrong with a line of four-part writing, seen together with the line before it.

The rules work on whole numbers and on notes that are made once for each line, because a line may
be tried dozens of times. Times are in `TICKS` of a whole note and count from the barline before
the judged line, so that they are negative in the line before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import combinations, pairwise
from typing import NamedTuple

from scoregate.evaluation.lines import tonic_of
from scoregate.theory import seventh_of
from scoregate.validators.line_state import LineState

TICKS = 40320
"""Of a whole note; divisible by all lengths up to 128ths, triplets, quintuplets and septuplets."""
QUARTER = TICKS // 4
FOURTH, FIFTH = 5, 7
_DISSONANT = frozenset((1, 2, 6, 10, 11))
FERMATA = "!fermata!"

_AUGMENTED = frozenset(((1, 3), (2, 5), (3, 6), (4, 8), (5, 10)))
_NOTE = re.compile(r"(?:\^\^|\^|__|_|=)?([A-Ga-g])([,']*)")
_KEY = re.compile(r"\s*([A-G])([#b]?)\s*(m(?!aj|ix)|min|aeo)?", re.I)


class Note(NamedTuple):
    """A note of two neighbouring lines.

    Attributes
    ----------
    onset, end : int
        In ticks from the barline between the two lines.
    pitch, step : int
        MIDI number, and staff step.
    begins : bool
        False where a tie carries the note over.
    fermata : bool
    """

    onset: int
    end: int
    pitch: int
    step: int
    begins: bool
    fermata: bool


Voices = list[list[Note]]
Beats = dict[int, list[tuple[int, int]]]
"""For each quarter, counted from the barline: voice and index of each note that sounds on it."""


class Passage:
    """A line to be judged, and the line before it.

    Attributes
    ----------
    voices : list of list of Note
        From the highest voice down.
    first : list of int
        For each voice, the index of its first note in the judged line.
    key : str
        As written in the header.
    last : bool
        Whether the judged line is the piece's last one, by its counter.
    """

    def __init__(self, before: LineState, after: LineState) -> None:
        if before.notes is None:
            before.notes = _earlier(before)
        now = _notes(after)
        self.voices: Voices = [a + b for a, b in zip(before.notes, now, strict=True)]
        self.first = [len(a) for a in before.notes]
        self.key = after.head.key
        self.last = after.counter is not None and after.counter[1] == 0

    @cached_property
    def beats(self) -> Beats:
        """What sounds on each quarter."""
        beats: Beats = {}
        for row, voice in enumerate(self.voices):
            for index, note in enumerate(voice):
                for beat in range(-(-note.onset // QUARTER), -(-note.end // QUARTER)):
                    beats.setdefault(beat, []).append((row, index))
        return beats


def _notes(state: LineState) -> Voices:
    """Return the notes of a state's last line; a chord counts as its lowest note."""
    found: dict[str, list[Note]] = {name: [] for name in state.head.voices}
    for name, bar in state.row:
        voice = found.get(name)
        if voice is None:
            continue  # The header does not declare it.
        for event in bar.events:
            step = _step(event.text) if event.pitches else None
            if step is None or event.grace or event.overlay:
                continue
            onset, length = event.onset, event.duration
            at = TICKS * onset.numerator // onset.denominator
            end = at + TICKS * length.numerator // length.denominator
            fermata = state.line.endswith(FERMATA, 0, event.column - 1)
            pitch = min(event.pitches)
            voice.append(Note(at, end, pitch, step, pitch not in event.tied_pitches, fermata))
    return list(found.values())


def _earlier(state: LineState) -> Voices:
    """Return the notes of a state's last line as the next line sees them."""
    length = max((bar.duration for _, bar in state.row), default=None)
    back = 0 if length is None else TICKS * length.numerator // length.denominator
    return [
        [note._replace(onset=note.onset - back, end=note.end - back) for note in voice]
        for voice in _notes(state)
    ]


@lru_cache(maxsize=8192)
def _step(token: str) -> int | None:
    """Return the staff step of a note; None for what is no note."""
    name = _NOTE.search(token)
    if name is None:
        return None
    letter, octave = name[1], name[2]
    step = "CDEFGAB".index(letter.upper()) + (7 if letter.islower() else 0)
    return step + 7 * (octave.count("'") - octave.count(","))


def parallels(passage: Passage) -> bool:
    """Whether two voices move in parallel fifths or octaves into a note of the judged line.

    The same rule as :func:`scoregate.validators.analysis.counterpoint.parallels`.
    """
    moving: dict[int, list[tuple[int, int]]] = {}
    for voice, first in zip(passage.voices, passage.first, strict=True):
        for index in range(max(first, 1), len(voice)):
            one, other = voice[index - 1], voice[index]
            if other.begins and one.end == other.onset and one.pitch != other.pitch:
                moving.setdefault(other.onset, []).append((one.pitch, other.pitch))
    for voices in moving.values():
        for (high, higher), (low, lower) in combinations(voices, 2):
            width = abs(high - low) % 12
            alike = (higher > high) == (lower > low)
            if alike and width in (0, FIFTH) and abs(higher - lower) % 12 == width:
                return True
    return False


def bad_leap(passage: Passage) -> bool:
    """Whether a voice moves by a seventh, beyond an octave, or by an augmented interval.

    The interval counts where its second note lies in the judged line. Rests and fermatas end a
    phrase: what follows them may lie anywhere.
    """
    for voice, first in zip(passage.voices, passage.first, strict=True):
        for index in range(max(first, 1), len(voice)):
            a, b = voice[index - 1], voice[index]
            if a.end == b.onset and not a.fermata:
                steps, size = abs(b.step - a.step), abs(b.pitch - a.pitch)
                if size in (10, 11) or size > 12 or (steps, size) in _AUGMENTED:
                    return True
    return False


def lost_seventh(passage: Passage) -> bool:
    """Whether a seventh on the beat whose next pitches lie in the judged line does not resolve.

    It resolves where one of its voice's next two pitches lies one or two semitones lower (the
    first may be an ornament). Where only one is known, or a phrase ends, it is not judged.
    """
    voices = passage.voices
    for sounding in passage.beats.values():
        seventh = seventh_of(frozenset([voices[row][i].pitch % 12 for row, i in sounding]))
        if seventh is None:
            continue
        for row, i in sounding:
            note = voices[row][i]
            if note.pitch % 12 == seventh and not note.fermata and _lost(voices[row], i):
                return True
    return False


def _lost(voice: list[Note], index: int) -> bool:
    note = voice[index]
    last, following = note.pitch, []
    for later in voice[index + 1 :]:
        if later.pitch != last:
            following.append(later)
            last = later.pitch
            if len(following) == 2:
                break
    return (
        len(following) == 2
        and following[1].onset >= 0
        and not any(note.pitch - later.pitch in (1, 2) for later in following)
    )


def doubled_leading_tone(passage: Passage) -> bool:
    """Whether two voices have the leading tone of the key in a dominant chord on a beat."""
    tonic = tonic_of(passage.key)
    if tonic is None:
        return False
    leading, dominant = (tonic + 11) % 12, {(tonic + x) % 12 for x in (7, 11, 2, 5)}
    for beat, sounding in passage.beats.items():
        if beat < 0:
            continue
        classes = [passage.voices[row][i].pitch % 12 for row, i in sounding]
        if classes.count(leading) > 1 and len(set(classes)) > 2 and set(classes) <= dominant:
            return True
    return False


def weak_cadence(passage: Passage) -> bool:
    """Whether the judged line ends a phrase, at a fermata, otherwise than by a full cadence."""
    return any(_full_cadence(passage, time) is None for time in _phrase_ends(passage))


def weak_ending(passage: Passage) -> bool:
    """Whether the judged line ends the piece otherwise than by a full cadence in its key.

    The key is the major or the minor one of the signature, because headers often name the other.
    """
    tonic, match = tonic_of(passage.key), _KEY.match(passage.key)
    times = [voice[-1].onset for voice in passage.voices if voice]
    if not passage.last or not times or tonic is None or match is None:
        return False
    relative = tonic + (3 if match[3] else 9)
    return _full_cadence(passage, max(times)) not in (tonic, relative % 12)


def _phrase_ends(passage: Passage) -> list[int]:
    """Return where fermatas begin in the judged line; those a quarter apart are one."""
    ends: list[int] = []
    found = {n.onset for voice in passage.voices for n in voice if n.fermata and n.onset >= 0}
    for time in sorted(found):
        if ends and time - ends[-1] <= QUARTER:
            ends[-1] = time
        else:
            ends.append(time)
    return ends


def _full_cadence(passage: Passage, time: int) -> int | None:
    """Return the root of a full (authentic) cadence whose last chord begins at a time.

    A triad in root position within a quarter from there, and within one and a half quarters
    before a chord with its leading tone and its fifth or second. None where there is none.
    """
    later = {
        note.onset for voice in passage.voices for note in voice
        if time < note.onset <= time + QUARTER
    }  # fmt: skip
    root = next(
        (found for at in (time, *sorted(later))
         if (found := _triad_root(frozenset(_classes(passage.voices, at)))) is not None),
        None,
    )  # fmt: skip
    bass = next((n.pitch for n in passage.voices[-1] if n.onset <= time < n.end), None)
    if root is None or bass is None or bass % 12 != root:
        return None
    leading, fifth, second = (root + 11) % 12, (root + 7) % 12, (root + 2) % 12
    sounding = (n for voice in passage.voices for n in voice)
    before = {n.onset for n in sounding if time - 2 * TICKS < n.onset < time}
    changes = [*sorted(before), time]
    for at, until in pairwise(changes):
        if time - until < 3 * QUARTER // 2:
            classes = set(_classes(passage.voices, at))
            if leading in classes and (fifth in classes or second in classes):
                return root
    return None


def _classes(voices: Voices, time: int) -> Iterator[int]:
    for voice in voices:
        for note in voice:
            if note.onset <= time < note.end:
                yield note.pitch % 12


@lru_cache(maxsize=4096)
def _triad_root(classes: frozenset[int]) -> int | None:
    """Return the root of a triad, whose fifth may be missing; None for anything else."""
    for root in classes:
        shape = {(x - root) % 12 for x in classes} - {0}
        if shape in ({4, 7}, {4}, {3, 7}, {3}):
            return root
    return None


def no_motion(passage: Passage) -> bool:
    """Whether no note of the judged line begins off the beat; lines of one beat are left out."""
    onsets = [
        note.onset
        for voice, first in zip(passage.voices, passage.first, strict=True)
        for note in voice[first:]
        if note.begins
    ]
    return len(set(onsets)) > 1 and not any(onset % QUARTER for onset in onsets)


def no_suspension(passage: Passage) -> bool:
    """Whether no suspension of the judged line resolves in it; lines of one beat are left out.

    A note held or repeated onto a beat is a suspension where it is a second, a seventh or a
    tritone from a note that begins there, or a fourth above the bass, and falls by a step.
    """
    judged = {beat: sounding for beat, sounding in passage.beats.items() if beat >= 0}
    return len(judged) > 1 and not any(
        _suspended(passage, beat, row, index, sounding)
        for beat, sounding in judged.items()
        for row, index in sounding
    )


def _suspended(
    passage: Passage, beat: int, row: int, index: int, sounding: list[tuple[int, int]]
) -> bool:
    """Whether a note is a suspension on a beat on which others sound."""
    voice, time = passage.voices[row], beat * QUARTER
    note = voice[index]
    repeated = note.onset == time and index > 0 and voice[index - 1].pitch == note.pitch
    if note.onset == time and not repeated:
        return False
    following = next((later.pitch for later in voice[index:] if later.pitch != note.pitch), 0)
    if note.pitch - following not in (1, 2):
        return False
    others = [passage.voices[other][i] for other, i in sounding if other != row]
    bass = min([note.pitch, *(other.pitch for other in others)])
    return any(
        other.onset == time
        and (
            (width := abs(note.pitch - other.pitch) % 12) in _DISSONANT
            or (width == FOURTH and bass in (note.pitch, other.pitch))
        )
        for other in others
    )
