"""What the auxiliary task of training is taught: read off the bars of one line of the body.

While a voice is written, three things can be named that the text's loss hardly rewards: the
time reached in the bar, what the other voices sound at this moment, and how they came there.
The last one is what voice leading needs: parallels are a fault of two motions, so a label that
gives only the present pitch class cannot show them.

Pitches are absolute: class 0 is silence and class ``p`` is MIDI pitch ``LOWEST + p - 1``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from scoregate.abc.lexer import split_barline
from scoregate.convert.bar_events import Event, midi_pitch, parse_bar
from scoregate.notagen.training.forbidden import forbidden_letters

SLOTS = 8  # eighths of a bar that the patch level is asked for
TIMES = 48  # classes of the time reached, in sixteenths
LOWEST = 36  # MIDI pitch of class 1
PITCHES = 50  # classes of an absolute pitch; class 0 is silence
IGNORE = -1
UNIT = re.compile(r"^(?P<lead>\|?[\]|:]*)(?P<mark>\[r:[^\]]*\])?\[V:(?P<voice>\d+)\]")


@dataclass(slots=True)
class VoiceBar:
    """One bar of one voice, sampled on sixteenths.

    Attributes
    ----------
    voice : int
        Number of the voice, from 1.
    start : int
        Where its music begins in the unit's text.
    unit : str
        The unit: barline, mark, voice and music.
    events : list of Event
    length : int
        Sixteenths of the bar.
    pitch : ndarray of int, shape (max(length, 48) + 1,)
        MIDI pitch of each sixteenth; 0 where the voice is silent.
    begins : ndarray of bool, same shape
        Whether a note begins there; a note tied from the one before does not.
    """

    voice: int
    start: int
    unit: str
    events: list[Event]
    length: int
    pitch: np.ndarray
    begins: np.ndarray


@dataclass(slots=True)
class Memory:
    """What is carried from bar to bar.

    Attributes
    ----------
    ties : dict of int to dict
        Tied pitches of each voice, as :func:`~scoregate.convert.bar_events.parse_bar` wants them.
    last : dict of int to int
        MIDI pitch that each voice sounded last in the bar before; 0 for silence.
    tied : dict of int to bool
        Whether its last note is tied over.
    """

    ties: dict[int, dict[int, int]] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)
    tied: dict[int, bool] = field(default_factory=dict)


@dataclass(slots=True)
class UnitLabels:
    """Labels of one unit, character by character, ``IGNORE`` where nothing is asked.

    Attributes
    ----------
    time : ndarray (characters,)
        Time reached in the bar, in sixteenths.
    now, before : ndarray (characters, above)
        Pitch class (see the module) of each earlier voice at this moment and just before it.
    own : ndarray (characters,)
        The voice's own last pitch.
    chord : ndarray (characters,)
        Bits of all pitch classes that sound at this moment, later voices included.
    forbidden : ndarray (characters,)
        Bits of the note letters ``C..B c..b`` that would break a rule of voice leading; 0 where
        no note is begun.
    grid : ndarray (above, 8)
        Pitch of each earlier voice on each eighth of the bar.
    last : ndarray (above + 1,)
        Pitch of each voice at the end of the bar before.
    """

    time: np.ndarray
    now: np.ndarray
    before: np.ndarray
    own: np.ndarray
    chord: np.ndarray
    forbidden: np.ndarray
    grid: np.ndarray
    last: np.ndarray


def pitch_class_of(midi: int) -> int:
    """Class of an absolute pitch: 0 for silence (MIDI 0), else 1..49, clipped at both ends."""
    return min(max(midi - LOWEST + 1, 1), PITCHES - 1) if midi > 0 else 0


_CLASSES = np.array([pitch_class_of(midi) for midi in range(256)], dtype=np.int8)


def read_unit(unit: str, alters: tuple[int, ...], memory: Memory) -> VoiceBar:
    """Read one bar of one voice; ties of ``memory`` are followed and renewed."""
    match = UNIT.match(unit)
    assert match is not None
    voice, start = int(match["voice"]), match.end()
    music = unit[start:]
    music, _ = split_barline(music)
    bar = parse_bar(music, alters, memory.ties.setdefault(voice, {}))
    length = int(max(bar.duration * 2, 0))
    size = max(length, TIMES) + 1
    pitch, begins = np.zeros(size, np.int16), np.zeros(size, np.bool_)
    tied, held = memory.tied.get(voice, False), memory.last.get(voice, 0)
    for event in bar.events:
        a = int(event.onset * 2)
        b = max(a + 1, int((event.onset + event.duration) * 2))
        if event.pitches:
            sounding = midi_pitch(event.pitches[-1])
            pitch[a:b] = sounding
            begins[a : a + 1] = not (tied and sounding == held)
            held = sounding
        tied = event.tie
    return VoiceBar(voice, start, unit, bar.events, length, pitch, begins)


def line_labels(
    units: list[str],
    alters: tuple[int, ...],
    memory: Memory,
    above: int,
    leading: int,
    *,
    exceptions: bool = True,
) -> list[UnitLabels]:
    """Labels of every unit of one line of the body.

    Parameters
    ----------
    units : list of str
        One bar of each voice that is written in this line.
    alters : tuple of int
        Alterations of the key signature.
    memory : Memory
        Of the lines before; brought up to this line.
    above : int
        Earlier voices that are asked for.
    leading : int
        Pitch class of the leading tone, 0..11.
    exceptions : bool
        See :func:`scoregate.notagen.training.encode.encode_example`.
    """
    bars = [read_unit(unit, alters, memory) for unit in units]
    labels = [_unit_labels(bar, bars, memory, above) for bar in bars]
    for found, bar in zip(labels, bars, strict=True):
        _forbid(found, bar, bars, alters, memory, leading, exceptions)
    present = {bar.voice for bar in bars}
    for voice in list(memory.last):
        if voice not in present:
            memory.last[voice], memory.tied[voice] = 0, False
    for bar in bars:
        memory.last[bar.voice] = int(bar.pitch[max(bar.length - 1, 0)])
        memory.tied[bar.voice] = bool(bar.events and bar.events[-1].tie)
    return labels


def _unit_labels(bar: VoiceBar, bars: list[VoiceBar], memory: Memory, above: int) -> UnitLabels:
    size = len(bar.unit)
    found = UnitLabels(
        np.full(size, IGNORE, np.int8),
        np.full((size, above), IGNORE, np.int8),
        np.full((size, above), IGNORE, np.int8),
        np.full(size, IGNORE, np.int8),
        np.full(size, IGNORE, np.int16),
        np.zeros(size, np.uint16),
        np.full((above, SLOTS), IGNORE, np.int8),
        np.full(above + 1, IGNORE, np.int8),
    )
    for voice, pitch in memory.last.items():
        if voice <= above + 1:
            found.last[voice - 1] = pitch_class_of(pitch)
    earlier = [other for other in bars if other.voice < bar.voice and other.voice <= above]
    for other in earlier:
        found.grid[other.voice - 1] = _CLASSES[other.pitch[: 2 * SLOTS : 2]]
    at = bar.start
    for event in [*bar.events, None]:
        end = bar.start + event.end if event else size
        tick = min(int(event.onset * 2) if event else bar.length, TIMES - 1)
        found.time[at:end] = tick
        if event:
            found.own[at:end] = pitch_class_of(_just_before(bar, tick, memory))
            for other in earlier:
                found.now[at:end, other.voice - 1] = _CLASSES[other.pitch[tick]]
                was = _just_before(other, tick, memory)
                found.before[at:end, other.voice - 1] = pitch_class_of(was)
            found.chord[at:end] = _bits(other.pitch[tick] for other in bars)
        at = end
    return found


def _just_before(bar: VoiceBar, tick: int, memory: Memory) -> int:
    """Pitch that a voice sounds just before a sixteenth; 0 for silence."""
    return int(bar.pitch[tick - 1]) if tick else memory.last.get(bar.voice, 0)


def _bits(pitches) -> int:
    bits = 0
    for pitch in pitches:
        if pitch:
            bits |= 1 << (int(pitch) % 12)
    return bits


# More than six parameters: what line_labels has, and the bar with its labels.
def _forbid(
    found: UnitLabels,
    bar: VoiceBar,
    bars: list[VoiceBar],
    alters: tuple[int, ...],
    memory: Memory,
    leading: int,
    exceptions: bool,
) -> None:
    """Mark the note letters that would break a rule where each note of the bar begins."""
    others = [other for other in bars if other.voice < bar.voice]
    held: dict[int, int] = {}
    for event in bar.events:
        tick = int(event.onset * 2)
        if len(event.pitches) == 1 and tick < TIMES:
            step, alter = event.pitches[0]
            if bar.begins[tick]:
                place = bar.start + event.start
                own = _just_before(bar, tick, memory)
                motions = [
                    (_just_before(o, tick, memory), int(o.pitch[tick]), bool(o.begins[tick]),
                     _next_pitch(o, tick))
                    for o in others
                ]  # fmt: skip
                letter = place
                while bar.unit[letter] in "^_=":
                    letter += 1
                if letter > place:
                    natural = forbidden_letters(own, motions, alters, held, leading)
                    found.forbidden[place] = natural
                signed = held if letter == place else dict.fromkeys(range(-21, 22), alter)
                bits = forbidden_letters(own, motions, alters, signed, leading)
                truth = step % 7 + (7 if step >= 7 else 0)
                # A master's exception is left to the text's own loss.
                found.forbidden[letter] = 0 if exceptions and bits >> truth & 1 else bits
            held[step] = alter


def _next_pitch(bar: VoiceBar, tick: int) -> int:
    """Return the next different pitch of a voice within the bar; 0 where there is none."""
    later = bar.pitch[tick : bar.length]
    moved = np.flatnonzero(later != bar.pitch[tick])
    return int(later[moved[0]]) if len(moved) else 0
