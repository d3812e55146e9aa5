"""Which next notes would break a rule of voice leading, as note letters of the text.

Used by training: at the character where a note begins, probability on these letters is
punished (unlikelihood training: Welleck et al., Neural Text Generation with Unlikelihood
Training, ICLR 2020). The context is always a real piece's, so the rhythm, the dissonances and
everything else that the rules do not name keep the distribution of the corpus.

The rules, each judged with the voices that are already written (the earlier voices of the line):

- parallel fifths and octaves: two voices move in the same direction from one perfect fifth
  (octave) to another;
- melodic intervals: sevenths, more than an octave, augmented intervals;
- a chord's seventh in this voice that does not stay or fall by a step, where the voices written
  so far show the seventh, the third and the root;
- a note that makes a seventh of another voice's note whose continuation, already written, does
  not fall by a step;
- the leading tone in two voices at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from scoregate.convert.bar_events import midi_pitch
from scoregate.theory import is_seventh

LETTER_CODES = tuple(ord(x) for x in "CDEFGABcdefgab")
PERFECT = (0, 7)
Motion = tuple[int, int, bool, int]
_AUGMENTED = {(1, 3), (2, 5), (3, 6), (4, 8)}  # steps, semitones
_DOUBTFUL = {size for _, size in _AUGMENTED}


def forbidden_letters(
    own: int,
    motions: Sequence[Motion],
    alters: tuple[int, ...],
    signs: dict[int, int],
    leading: int,
) -> int:
    """Bits of the letters ``C..B c..b`` that would break a rule as the next note.

    Parameters
    ----------
    own : int
        MIDI pitch that the voice sounds just before; 0 for silence.
    motions : sequence of (int, int, bool, int)
        Of each earlier voice: MIDI pitch just before, now, whether a note begins now, and its
        next different pitch within the bar. 0 stands for silence or unknown.
    alters : tuple of int
        Of the key signature.
    signs : dict of int to int
        Accidentals in force, by step.
    leading : int
        Pitch class of the leading tone.
    """
    sounding = tuple(now for _, now, _, _ in motions)
    taken = any(now and now % 12 == leading for now in sounding)
    resolves = own and is_seventh(own, tuple(b for b, _, _, _ in motions if b))
    bits = 0
    for letter in range(14):
        step = _nearest(letter, own)
        pitch = midi_pitch((step, signs.get(step, alters[step % 7])))
        bad = (taken and pitch % 12 == leading) or (
            bool(own) and (
                breaks_melody(own, pitch, step, alters, signs)
                or any(parallel(own, pitch, b, n) for b, n, begins, _ in motions if begins)
                or bool(resolves and pitch != own and own - pitch not in (1, 2))
            )
        ) or makes_lost_seventh(pitch, motions)  # fmt: skip
        bits |= bad << letter
    return bits


def parallel(own: int, pitch: int, other_before: int, other_now: int) -> bool:
    """Whether two voices move in parallel fifths or octaves (MIDI pitches; 0 is silence)."""
    if not (other_before and other_now):
        return False
    mine, theirs = pitch - own, other_now - other_before
    if mine * theirs <= 0:
        return False
    width = abs(own - other_before) % 12
    return width in PERFECT and abs(pitch - other_now) % 12 == width


def breaks_melody(
    own: int, pitch: int, step: int, alters: tuple[int, ...], signs: dict[int, int]
) -> bool:
    """Whether a voice would leap a seventh, more than an octave, or an augmented interval."""
    size = abs(pitch - own)
    if size in (10, 11) or size > 12:
        return True
    if size not in _DOUBTFUL:
        return False
    steps = {abs(step - s) for s in _spellings(own, alters, signs)}
    return bool(steps) and all((s, size) in _AUGMENTED for s in steps)


def makes_lost_seventh(pitch: int, motions: Sequence[Motion]) -> bool:
    """Whether a note turns another voice's note into a seventh that is known not to resolve."""
    now = [n for _, n, _, _ in motions if n]
    for _, other, _, following in motions:
        if other and following and other - following not in (1, 2):
            rest = tuple(n for n in now if n != other)
            if is_seventh(other, (*rest, pitch)) and not is_seventh(other, rest):
                return True
    return False


@cache
def _nearest(letter: int, own: int) -> int:
    """Return the step that a letter names in the octave nearest to a pitch (middle C for 0)."""
    octaves = (0, -7, -14) if letter < 7 else (0, 7)
    middle = own or 60
    return min(
        (letter + octave for octave in octaves),
        key=lambda step: abs(midi_pitch((step, 0)) - middle),
    )


def _spellings(pitch: int, alters: tuple[int, ...], signs: dict[int, int]) -> list[int]:
    """Return steps that may have sounded as a pitch under the signature and the accidentals."""
    around = round((pitch - 60) * 7 / 12)
    return [
        step
        for step in range(around - 2, around + 3)
        if midi_pitch((step, signs.get(step, alters[step % 7]))) == pitch
    ]
