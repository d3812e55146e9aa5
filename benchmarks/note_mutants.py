"""Generators of wrong notes, parts and marks, for ``benchmarks/wrong_notes.py``.

Each takes a good piece and a random generator, and returns the text of the spoilt piece, or
None where the fault can't be put into that piece. Notes are written with explicit accidentals.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from scoregate.abc.reader import read
from scoregate.abc.score import Bar, Event, Score, Voice
from scoregate.validators.analysis.chords import SILENT, beat_length, lowest_pitches
from scoregate.validators.analysis.parts import assign

_NAMES = ("C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B")
_PITCH = re.compile(r"[_=^]{0,2}[A-Ga-g][,']*")
NewPitch = Callable[[Voice, int, str], int | str]
"""From a voice, a sounding pitch and its token to a new sounding pitch or token."""


@dataclass(slots=True)
class Good:
    """A piece without faults: its text and what was read of it."""

    text: str
    score: Score

    @classmethod
    def of(cls, text: str) -> Good:
        """Read a piece."""
        return cls(text, read(text))

    def replaced(self, edits: Iterable[tuple[int, int, int, str]]) -> str:
        """Return the text with (line, column, length, new text) exchanged, all from 1."""
        lines = self.text.split("\n")
        for line, column, length, new in sorted(edits, reverse=True):
            old = lines[line - 1]
            lines[line - 1] = old[: column - 1] + new + old[column - 1 + length :]
        return "\n".join(lines)


def spelled(pitch: int) -> str:
    """Return a written pitch as a token with its accidental."""
    name, octave = _NAMES[pitch % 12], pitch // 12 - 1
    sign, letter = (name[0], name[1]) if len(name) > 1 else ("=", name)
    if octave >= 5:
        return sign + letter.lower() + "'" * (octave - 5)
    return sign + letter + "," * (4 - octave)


def length_text(length: Fraction) -> str:
    """Return a length in units as ABC: ``3/2``, ``2``, empty for 1."""
    if length.denominator == 1:
        return "" if length == 1 else str(length.numerator)
    return f"{length.numerator}/{length.denominator}"


def repitched(piece: Good, new: NewPitch, voices: set[str] | None = None) -> str:
    """Return the text with the pitches of some or all voices exchanged."""
    edits = []
    for voice in piece.score.voices:
        if voices is not None and voice.id not in voices:
            continue
        for bar in voice.bars:
            for event in bar.events:
                if not event.pitches:
                    continue
                pitches = iter(event.pitches)

                def exchange(match: re.Match[str], pitches=pitches, voice=voice) -> str:
                    pitch = next(pitches, None)
                    if pitch is None:
                        return match[0]
                    put = new(voice, pitch, match[0])
                    return put if isinstance(put, str) else spelled(put - voice.transpose)

                edits.append(
                    (event.line, event.column, len(event.text), _PITCH.sub(exchange, event.text))
                )
    return piece.replaced(edits)


def _pitches(voice: Voice) -> list[int]:
    return [pitch for bar in voice.bars for event in bar.events for pitch in event.pitches]


def _sounding(score: Score, least: int = 12) -> list[Voice]:
    """Return the voices with some music."""
    return [voice for voice in score.voices if len(_pitches(voice)) >= least]


def random_in_range(piece: Good, rng: random.Random) -> str | None:
    """Draw every pitch from the semitones between the lowest and the highest of its voice."""
    span = {v.id: (min(_pitches(v)), max(_pitches(v))) for v in _sounding(piece.score, 1)}
    return repitched(piece, lambda voice, *_: rng.randint(*span[voice.id]))


def random_letters(piece: Good, rng: random.Random) -> str | None:
    """Draw every letter, and leave accidentals, octaves and the key as they are."""

    def drawn(voice: Voice, pitch: int, token: str) -> str:
        return re.sub(
            "[A-Ga-g]", lambda m: rng.choice("CDEFGAB" if m[0].isupper() else "cdefgab"), token
        )

    return repitched(piece, drawn)


def random_in_scale(piece: Good, rng: random.Random) -> str | None:
    """Draw every pitch from those that the seven most frequent classes have in the range."""
    counts = [0] * 12
    for voice in piece.score.voices:
        for pitch in _pitches(voice):
            counts[pitch % 12] += 1
    scale = sorted(range(12), key=lambda step: -counts[step])[:7]
    choices = {
        voice.id: [
            pitch
            for pitch in range(min(_pitches(voice)), max(_pitches(voice)) + 1)
            if pitch % 12 in scale
        ]
        or _pitches(voice)
        for voice in _sounding(piece.score, 1)
    }
    return repitched(piece, lambda voice, *_: rng.choice(choices[voice.id]))


def shuffled(piece: Good, rng: random.Random) -> str | None:
    """Put the pitches of each voice into random order."""
    left = {voice.id: _pitches(voice) for voice in piece.score.voices}
    for pitches in left.values():
        rng.shuffle(pitches)
    return repitched(piece, lambda voice, *_: left[voice.id].pop())


def semitone_voice(piece: Good, rng: random.Random) -> str | None:
    """Move one voice by a semitone in all bars."""
    voices = _sounding(piece.score)
    if len(voices) < 2:
        return None
    voice, move = rng.choice(voices), rng.choice((1, -1))
    return repitched(piece, lambda _, pitch, __: pitch + move, {voice.id})


def _main(bar: Bar) -> list[Event]:
    return [event for event in bar.events if not event.grace and not event.overlay]


def _rewritten(piece: Good, voice: Voice, music: list[list[tuple]]) -> str | None:
    """Return the text with new notes and rests in each bar of a voice, decorations left out."""
    edits = []
    for bar, content in zip(voice.bars, music, strict=True):
        events = bar.events
        if not events:
            return None
        first, last = events[0], events[-1]
        if first.line != last.line or bar.implied or any(e.text[:1] in "ZX" for e in events):
            return None
        begin, end = first.column, last.column + len(last.text)
        words = []
        for length, pitches, *tied in content:
            units = length_text(length / piece.score.unit)
            tokens = [spelled(pitch - voice.transpose) for pitch in pitches]
            note = tokens[0] if len(tokens) == 1 else f"[{''.join(tokens)}]"
            words.append((note if tokens else "z") + units + ("-" if any(tied) else ""))
        edits.append((first.line, begin, end - begin, " ".join(words)))
    return piece.replaced(edits)


def _plain(voice: Voice) -> bool:
    """Return whether a voice can be written anew: no tuplets, one layer."""
    return all(
        event.overlay == 0 and (event.duration.denominator & (event.duration.denominator - 1)) == 0
        for bar in voice.bars
        for event in bar.events
    )


def _displaced(piece: Good, rng: random.Random, by_bar: bool) -> str | None:
    voices = [voice for voice in _sounding(piece.score) if _plain(voice)]
    if len(_sounding(piece.score)) < 2 or not voices:
        return None
    voice = rng.choice(voices)
    full = max(bar.duration for bar in voice.bars)
    move = full if by_bar else Fraction(beat_length(voice.bars[0].metre_text))
    if not by_bar and full <= move:
        return None
    stream = [(move, ())] + [
        (event.duration, event.pitches) for bar in voice.bars for event in _main(bar)
    ]
    if rng.random() < 0.5:  # earlier: what is before the piece is left out, the end is silent
        cut = move
        stream = stream[1:]
        while cut > 0 and stream:
            length, pitches = stream.pop(0)
            if length > cut:
                stream.insert(0, (length - cut, pitches))
            cut -= min(cut, length)
        stream.append((move, ()))
    music = []
    for bar in voice.bars:
        content, room = [], bar.duration
        while room > 0 and stream:
            length, pitches = stream.pop(0)
            if length > room:
                stream.insert(0, (length - room, pitches))
                length = room
            content.append((length, pitches))
            room -= length
        music.append(content)
    return _rewritten(piece, voice, music)


def beat_late(piece: Good, rng: random.Random) -> str | None:
    """Move one voice by a beat against the others."""
    return _displaced(piece, rng, by_bar=False)


def bar_late(piece: Good, rng: random.Random) -> str | None:
    """Move one voice by a bar against the others."""
    return _displaced(piece, rng, by_bar=True)


def copied_voice(piece: Good, rng: random.Random) -> str | None:
    """Let one voice have the notes of another."""
    voices = _sounding(piece.score, 16)
    if len(voices) < 2:
        return None
    model, copy = rng.sample(voices, 2)
    if not _plain(model) or [b.duration for b in model.bars] != [b.duration for b in copy.bars]:
        return None
    music = [[(e.duration, e.pitches, e.tied_to) for e in _main(bar)] for bar in model.bars]
    return _rewritten(piece, copy, music)


def emptied_voice(piece: Good, rng: random.Random) -> str | None:
    """Let one voice rest in all bars."""
    voices = _sounding(piece.score)
    if len(voices) < 2:
        return None
    voice = rng.choice(voices)
    return _rewritten(piece, voice, [[(bar.duration, ())] for bar in voice.bars])


def silent_bars(piece: Good, rng: random.Random) -> str | None:
    """Let all voices rest for eight bars."""
    bars = min(len(voice.bars) for voice in piece.score.voices)
    if bars < 10:
        return None
    begin = rng.randrange(1, bars - 8)
    edits = []
    for voice in piece.score.voices:
        for bar in voice.bars[begin : begin + 8]:
            if not bar.events or bar.implied or bar.events[0].line != bar.events[-1].line:
                return None
            column = bar.events[0].column
            end = bar.events[-1].column + len(bar.events[-1].text)
            rest = f"z{length_text(bar.duration / piece.score.unit)}"
            edits.append((bar.events[0].line, column, end - column, rest))
    return piece.replaced(edits)


def _bass_up(piece: Good, octaves: int) -> str | None:
    """Move the voice that is the lowest on most beats."""
    if len(_sounding(piece.score)) < 2:
        return None
    lows = lowest_pitches(piece.score)
    lowest = np.bincount(lows.argmin(axis=0)[lows.min(axis=0) != SILENT])
    voice = piece.score.voices[int(lowest.argmax())]
    if max(_pitches(voice)) + 12 * octaves > 108 or not voice.clef.startswith("bass"):
        return None
    return repitched(piece, lambda _, pitch, __: pitch + 12 * octaves, {voice.id})


def bass_octave_up(piece: Good, rng: random.Random) -> str | None:
    """Move the bass up an octave."""
    return _bass_up(piece, 1)


def bass_two_octaves_up(piece: Good, rng: random.Random) -> str | None:
    """Move the bass up two octaves."""
    return _bass_up(piece, 2)


def impossible_run(piece: Good, rng: random.Random) -> str | None:
    """Put a run of 128ths in place of a note."""
    spots = [
        (voice, event)
        for voice in piece.score.voices
        for bar in voice.bars
        for event in _main(bar)
        if event.pitches and event.duration >= Fraction(1, 8) and "-" not in event.text
        and event.duration.denominator in (1, 2, 4, 8, 16) and not event.tied_from
    ]  # fmt: skip
    if not spots:
        return None
    voice, event = rng.choice(spots)
    count = int(event.duration * 128)
    unit = length_text(Fraction(1, 128) / piece.score.unit)
    pitch = event.pitches[0] - voice.transpose
    steps = [0, 2, 4, 5, 7, 5, 4, 2]
    run = "".join(spelled(pitch + steps[number % 8]) + unit for number in range(count))
    return piece.replaced([(event.line, event.column, len(event.text), run)])


def wild_tempo(piece: Good, rng: random.Random) -> str | None:
    """Give a tempo that nobody plays."""
    number = rng.choice((rng.randint(5, 12), rng.randint(500, 999)))
    text = re.sub(r"^Q:.*\n", "", piece.text, flags=re.MULTILINE)
    return re.sub(r"^(K:.*)$", rf"Q:1/4={number}\n\1", text, count=1, flags=re.MULTILINE)


def _at_bar(piece: Good, rng: random.Random, sign: str) -> str | None:
    """Put a sign at the beginning of one bar of every voice."""
    if re.search(r"\|:|:\||\[[1-9]|\|[1-9]|::", piece.text):
        return None
    bars = min(len(voice.bars) for voice in piece.score.voices)
    if bars < 8:
        return None
    index = rng.randrange(2, bars - 2)
    spots = [voice.bars[index] for voice in piece.score.voices]
    if any(bar.implied for bar in spots):
        return None
    return piece.replaced([(bar.line, bar.column, 0, sign) for bar in spots])


def open_repeat(piece: Good, rng: random.Random) -> str | None:
    """Begin a repeat and do not end it."""
    return _at_bar(piece, rng, "|:")


def open_ending(piece: Good, rng: random.Random) -> str | None:
    """Begin a first ending and do not end it."""
    return _at_bar(piece, rng, "[1 ")


def second_ending_alone(piece: Good, rng: random.Random) -> str | None:
    """Begin a second ending where there is no first one."""
    return _at_bar(piece, rng, "[2 ")


def _before_note(piece: Good, rng: random.Random, sign: str) -> str | None:
    events = [
        event
        for voice in piece.score.voices
        for bar in voice.bars
        for event in _main(bar)
        if event.pitches and not event.tied_from
    ]
    if not events:
        return None
    event = rng.choice(events)
    return piece.replaced([(event.line, event.column, 0, sign)])


def open_octave(piece: Good, rng: random.Random) -> str | None:
    """Begin an octave sign and do not end it."""
    return _before_note(piece, rng, rng.choice(("!8va(!", "!8vb(!", "!15ma(!")))


def open_hairpin(piece: Good, rng: random.Random) -> str | None:
    """Begin a hairpin and do not end it."""
    return _before_note(piece, rng, rng.choice(("!<(!", "!>(!", "!crescendo(!", "!diminuendo(!")))


def too_many_syllables(piece: Good, rng: random.Random) -> str | None:
    """Put words under a line of music that are more than its notes."""
    lines = piece.text.split("\n")
    rows = sorted({e.line for v in piece.score.voices for b in v.bars for e in b.events})
    if not rows or "\nw:" in piece.text:
        return None
    row = rng.choice(rows)
    count = sum(
        1
        for voice in piece.score.voices
        for bar in voice.bars
        for event in bar.events
        if event.line <= row and event.pitches
    )
    words = "w:" + " ".join(["la"] * (count + 3))
    return "\n".join([*lines[:row], words, *lines[row:]])


def percussion_clef(piece: Good, rng: random.Random) -> str | None:
    """Give a part with pitches the clef of percussion."""
    fields = list(
        re.finditer(
            r"^V:\s*\S+ +(treble|bass|alto|tenor)\b(?=[^\n]*\bnm=)", piece.text, re.MULTILINE
        )
    )
    if not fields:
        return None
    match = rng.choice(fields)
    return piece.text[: match.start(1)] + "perc" + piece.text[match.end(1) :]


def _with_chords(
    piece: Good, voice: Voice, rng: random.Random, steps: tuple[int, ...], share: float
) -> str | None:
    """Add notes below some notes of a voice."""
    edits = []
    for bar in voice.bars:
        for event in _main(bar):
            simple = len(event.pitches) == 1 and not event.tied_from and "-" not in event.text
            if not simple or rng.random() > share:
                continue
            match = _PITCH.match(event.text)
            if match is None:
                continue
            written = event.pitches[0] - voice.transpose
            notes = "".join(spelled(written - step) for step in steps)
            edits.append((event.line, event.column, len(match[0]), f"[{match[0]}{notes}]"))
    return piece.replaced(edits) if len(edits) > 4 else None


def singers_chords(piece: Good, rng: random.Random) -> str | None:
    """Give a singer two notes at once."""
    singers = [
        voice
        for voice, part in zip(piece.score.voices, assign(piece.score), strict=True)
        if part is not None and part.family == "voice" and " " not in part.key
    ]
    voices = [voice for voice in singers if len(_pitches(voice)) > 8]
    return _with_chords(piece, rng.choice(voices), rng, (4,), 0.3) if voices else None


def _as_instrument(
    piece: Good, rng: random.Random, names: tuple[str, ...]
) -> tuple[Good, Voice] | None:
    """Return the piece with its first named voice written for another instrument, and the voice."""
    match = re.search(r'^V:\s*(\S+)[^\n]*\bnm="([^"]*)"', piece.text, re.MULTILINE)
    if match is None:
        return None
    name = rng.choice(names)
    other = Good.of(piece.text[: match.start(2)] + name + piece.text[match.end(2) :])
    voice = next((voice for voice in other.score.voices if voice.id == match[1]), None)
    return (other, voice) if voice is not None else None


_WINDS = ("Flute", "Oboe", "Clarinet", "Flauto", "Trumpet", "Flöte", "Hautbois", "Horn")


def winds_chords(piece: Good, rng: random.Random) -> str | None:
    """Give a wind player two notes at once."""
    other = _as_instrument(piece, rng, _WINDS)
    return _with_chords(*other, rng, (4,), 0.3) if other else None


def winds_triads(piece: Good, rng: random.Random) -> str | None:
    """Give a wind player triads."""
    other = _as_instrument(piece, rng, _WINDS)
    return _with_chords(*other, rng, (3, 8), 0.6) if other else None


def five_strings(piece: Good, rng: random.Random) -> str | None:
    """Give a violin chords of five notes."""
    other = _as_instrument(piece, rng, ("Violin", "Violino", "Violine", "Violin I"))
    return _with_chords(*other, rng, (3, 5, 8, 12), 0.1) if other else None


Maker = Callable[[Good, random.Random], str | None]


def _fault(level: str, codes: str, make: Maker) -> tuple[str, frozenset[str], Maker]:
    return level, frozenset(codes.split()), make


MUTANTS: dict[str, tuple[str, frozenset[str], Maker]] = {
    "all pitches at random, in range": _fault("critical", "harmony.chance", random_in_range),
    "all letters at random": _fault("critical", "harmony.chance", random_letters),
    "all pitches at random, in the scale": _fault("critical", "harmony.chance", random_in_scale),
    "pitches of each voice shuffled": _fault("critical", "harmony.chance", shuffled),
    "a voice a semitone off": _fault("critical", "harmony.semitone harmony.chance", semitone_voice),
    "second ending without a first": _fault(
        "critical", "marks.ending-without-first", second_ending_alone
    ),
    "a wind player's triads": _fault("critical", "parts.wind-triads", winds_triads),
    "five notes for a violin": _fault("critical", "parts.string-chord", five_strings),
    "a voice a beat off": _fault("warning", "harmony.displaced harmony.chance", beat_late),
    "a voice a bar off": _fault("warning", "harmony.displaced harmony.chance", bar_late),
    "a voice that copies another": _fault("warning", "parts.copy", copied_voice),
    "an emptied voice": _fault("warning", "parts.silent syntax.voice-silent", emptied_voice),
    "eight bars of rests": _fault("warning", "parts.long-rest", silent_bars),
    "the bass an octave up": _fault(
        "warning", "parts.bass-high ranges.out-of-range", bass_octave_up
    ),
    "the bass two octaves up": _fault(
        "warning", "parts.bass-high ranges.out-of-range", bass_two_octaves_up
    ),
    "a run of 128ths": _fault("warning", "parts.too-fast", impossible_run),
    "a tempo nobody plays": _fault("warning", "marks.tempo", wild_tempo),
    "an unended repeat": _fault("warning", "marks.repeat-open", open_repeat),
    "an unended first ending": _fault("warning", "marks.ending-open", open_ending),
    "an unended octave sign": _fault("warning", "marks.octave-open", open_octave),
    "an unended hairpin": _fault("warning", "marks.hairpin-open", open_hairpin),
    "more syllables than notes": _fault("warning", "marks.syllables", too_many_syllables),
    "percussion clef on a pitched part": _fault(
        "warning", "parts.percussion-clef", percussion_clef
    ),
    "a singer's chords": _fault("warning", "parts.singer-chord", singers_chords),
    "a wind player's chords": _fault("warning", "parts.wind-chord parts.wind-triads", winds_chords),
}
"""Each fault: the severity that a finding on it must have, its codes, its generator."""
