"""What a model is told of the notes that sound, as classes for the next character."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from operator import add, attrgetter
from typing import NamedTuple

from scoregate.abc.keys import SEMITONES, signature
from scoregate.form import STEPS_OF_DEGREES, Form, Phrase
from scoregate.notagen.sounding.classes import (
    BASE,
    CADENCES,
    FEATURES,
    LONGEST,
    NO_FORM,
    NOTHING,
    TICKS,
    TIME,
    VOICES,
    WAIT,
    class_of_motion,
    class_of_pitch,
)
from scoregate.notagen.sounding.reader import Reader, VoiceLine
from scoregate.theory import THIRD_AND_SEVENTH, is_seventh

_time_of = attrgetter("time")
_BARS = FEATURES.index("bars")


class Motion(NamedTuple):
    """MIDI pitches of a voice just before a moment, at it, and with its next note; 0 for none."""

    before: int
    now: int
    later: int


class Listener(Reader):
    """Tells what sounds where the next character of a piece is written.

    Attributes
    ----------
    features : tuple of int
        Rows of the table for the next character: one for each of
        :data:`~scoregate.notagen.sounding.classes.FEATURES`.
    """

    @property
    def features(self) -> tuple[int, ...]:
        """See the class."""
        if self._found is None:
            self._found = self._features()
        return self._found

    def _features(self) -> tuple[int, ...]:
        voice = self._voice
        if voice is None or not 1 <= voice <= VOICES:
            return self._at_counter()
        own, moved, time = self._own, self._moved, self._time
        if self._open:
            time = self._until()
            sound = 0 if self._rest else self._sound
            if sound and sound != own and own:
                moved = own
            own = sound
        tick = int(time)
        first = self._voices[0] if voice > 1 else None
        length = len(first.sounds) if first is not None else self._bar
        found = [
            voice,
            min(tick, TIME - 1),
            min(max(length - tick, 0), TIME - 1),
            class_of_pitch(own),
            self._degree(own),
            class_of_motion(moved, own),
            int(self._tied),
            0 if first is None else _fermata_in(first, tick),
        ]
        motions: list[Motion] = []
        for number in range(1, VOICES + 1):
            line = self._voices[number - 1] if number < voice else None
            found += self._of_voice(number, line, tick, own, motions)
        found += self._of_rules(own, motions)
        found += self._of_form(self._form, voice, tick, own) if self._form else NO_FORM
        found += [0 if self._left is None else min(self._left, 3) + 1, self._phase()]
        return tuple(map(add, BASE, found))

    def _phase(self) -> int:
        """Ticks by which the line begins behind a bar, as after a strain that ends early."""
        if not self._lines:
            return 0
        first = self._starts[1].time
        upbeat = first if first < self._bar else 0
        return min((self._start.time - upbeat) % self._bar, TIME - 1)

    def _at_counter(self) -> tuple[int, ...]:
        """Tell the first counter, which says how many bars follow, how long the form is."""
        at_first = not self._lines and self._inside is not None and self._inside[:5] == "[r:0/"
        if self._form is None or not at_first:
            return NOTHING
        quarters = sum(phrase.quarters for phrase in self._form.phrases)
        bars, rest = divmod(int(quarters * TICKS / 4), self._bar)
        found = [0] * len(FEATURES)
        found[_BARS], found[_BARS + 1] = min(bars, 64) + 1, min(rest, TIME - 1)
        return tuple(map(add, BASE, found))

    def _of_form(self, form: Form, voice: int, tick: int, own: int) -> list[int]:
        """Classes of the place in the form."""
        first = self._line if voice == 1 else self._voices[0]
        time = self._start.time + tick
        ends = self._phrase_ends(first)
        if voice == 1 and self._open and self._fermata:
            ends = (*ends, self._start.time + int(self._time))
        while ends and ends[-1] >= time:
            ends = ends[:-1]
        number, left = len(ends), len(form.phrases) - len(ends)
        if left <= 0:
            return [1, *NO_FORM[1:]]
        phrase = form.phrases[number]
        to_end = (ends[-1] if ends else 0) + int(phrase.quarters * TICKS / 4) - time
        found = [
            left + 1,
            1 if to_end < 0 else min(to_end, LONGEST) + 2,
            1 if phrase.degree is None else phrase.degree + 2,
            1 + phrase.major,
            CADENCES.index(phrase.kind) + 1,
        ]
        sung = self._sung(form.first_of(number), voice, ends, to_end)
        cue = self._cue(phrase, to_end, own)
        return [*found, *sung, 0, 0, *self._root(phrase.degree), *cue]

    def _root(self, degree: int | None) -> list[int]:
        """Classes of the root of the chord that the phrase ends on: its letter, its pitch class."""
        if degree is None or self._tonic is None:
            return [0, 0]
        tonic = _letter_of(self._tonic, self._fifths)
        letter = 0 if tonic is None else (tonic + STEPS_OF_DEGREES[degree]) % 7 + 1
        return [letter, (self._tonic + degree) % 12 + 1]

    def _cue(self, phrase: Phrase, to_end: int, own: int) -> list[int]:
        """Classes of the chord that the cadence calls for at this time.

        At the end of the phrase that is its last chord. In the half note before an authentic or a
        plagal one it is the triad on the fifth, or on the fourth, above: told apart for a quarter
        and for a half note before the end. The first class is for the letter of its root, the
        next two are for its root and its third where they lie nearest to one's own pitch, and the
        last one says whether the third is a tone of the key, or a half tone below or above it.
        """
        from_end = {"authentic": 7, "plagal": 5}.get(phrase.kind)
        if phrase.degree is None or self._tonic is None or not 0 <= to_end <= TICKS // 2:
            return [0, 0, 0, 0]
        if to_end == 0:
            degree, third = phrase.degree, 4 if phrase.major else 3
        elif from_end is None:
            return [0, 0, 0, 0]
        else:
            degree = (phrase.degree + from_end) % 12
            third = 4 if phrase.major or from_end == 7 else 3
        letter, pitch_class = self._root(degree)
        moment = -(-to_end // (TICKS // 4))
        near = [_nearest(pitch_class - 1 + up, own) if own else 0 for up in (0, third)]
        sign = 0
        if letter:
            at = (letter + 1) % 7
            sung = SEMITONES[at] + signature(self._fifths)[at]
            sign = (pitch_class - 1 + third - sung + 6) % 12 - 6
        return [
            1 + 7 * moment + letter - 1 if letter else 0,
            *map(class_of_pitch, near),
            {-1: 2, 0: 1, 1: 3}.get(sign, 0) if letter else 0,
        ]

    def _sung(self, first: int | None, voice: int, ends: tuple[int, ...], to_end: int) -> list[int]:
        """Classes of what a voice sang in the first of two phrases, as long before its end."""
        if first is None or to_end < 0:
            return [0, 0, 0]
        time = ends[first] - to_end
        if time < (0 if first == 0 else ends[first - 1] + 1):
            return [0, 0, 0]
        at = bisect_right(self._starts, time, key=_time_of) - 1
        line = self._bars[at][voice - 1] if at < len(self._bars) else None
        if line is None:
            return [0, 0, 0]
        tick = time - self._starts[at].time
        start = line.next_start(tick)
        wait = (len(line.sounds) if start is None else start) - tick
        return [
            class_of_pitch(line.at(tick)),
            1 + (tick in line.starts),
            min(max(wait, 0), WAIT - 1),
        ]

    def _of_voice(
        self, number: int, line: VoiceLine | None, tick: int, own: int, motions: list[Motion]
    ) -> list[int]:
        """Classes of another voice at a tick; its motion is added to ``motions``."""
        last = self._start.last[number - 1]
        if line is None:  # not written yet, or oneself: only the end of the line before is known
            return [0, class_of_pitch(last), 0, 0, self._degree(last), 0, 0, 0, 0]
        now = line.at(tick)
        before = line.at(tick - 1) if tick else last
        start = line.next_start(tick)
        later = line.at(start) if start is not None else 0
        motions.append(Motion(before, now, later))
        apart = abs(own - before) % 12 if own and before else None
        perfect = apart in (0, 7) and now and now != before
        return [
            class_of_pitch(now),
            class_of_pitch(before),
            class_of_pitch(later),
            class_of_pitch(own + now - before) if perfect else 0,
            self._degree(now),
            0 if apart is None else apart + 1,
            class_of_motion(before, now),
            2 * (tick in line.fermatas) + (tick in line.starts),
            min(start - tick, WAIT - 1) if start is not None else 0,
        ]

    def _of_rules(self, own: int, motions: list[Motion]) -> list[int]:
        """Classes of what the rules of voice leading say of the next note.

        Whether the voice comes from the seventh of a chord; the pitches, nearest to its own, that
        would turn another voice's note into a seventh which does not fall by a step, two of them at
        most; whether another voice sounds the leading tone.
        """
        lost: list[int] = []
        leading = (self._tonic - 1) % 12 if self._tonic is not None else None
        classes = {motion.now % 12 for motion in motions if motion.now}
        for motion in motions:
            now, later = motion.now, motion.later
            if now and later and later != now and now - later not in (1, 2):
                for third, seventh in THIRD_AND_SEVENTH:
                    root = (now - seventh) % 12
                    missing = {root, (root + third) % 12} - classes
                    if len(missing) == 1:
                        lost += [pitch for pitch in missing if pitch not in lost]
        near = sorted((_nearest(pitch, own) for pitch in lost) if own else ())
        first, second, *_ = *map(class_of_pitch, near), 0, 0
        resolves = own and is_seventh(own, tuple(m.before for m in motions if m.before))
        return [int(bool(resolves)), first, second, int(leading in classes)]

    def _degree(self, midi: int) -> int:
        """Class of a pitch above the tonic; 0 for silence, and where the key has no tonic."""
        return (midi - self._tonic) % 12 + 1 if midi and self._tonic is not None else 0


def _nearest(pitch_class: int, own: int) -> int:
    """Return the pitch of a class that lies nearest to one's own."""
    return own + (pitch_class - own + 6) % 12 - 6


def _fermata_in(line: VoiceLine, tick: int) -> int:
    """Class of the ticks until a note with a fermata begins; 0 where none follows."""
    later = [at - tick for at in line.fermatas if at >= tick]
    return min(min(later) + 1, WAIT - 1) if later else 0


@lru_cache(maxsize=256)
def _letter_of(pitch_class: int, fifths: int) -> int | None:
    """Return the letter, C as 0, that names a pitch class of the scale of a key signature."""
    alters = signature(fifths)
    names = (at for at in range(7) if (SEMITONES[at] + alters[at]) % 12 == pitch_class)
    return next(names, None)
