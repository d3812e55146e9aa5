"""Notes at random, a voice a semitone or a beat off, and music that is neither."""

from __future__ import annotations

import random
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from scoregate.abc.reader import read
from scoregate.validators import examine
from scoregate.validators.analysis import chance, misplaced
from scoregate.validators.gates import harmony

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import note_mutants

CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
SONG = (Path(__file__).parent / "pieces" / "song.abc").read_text()


def critical(text: str, style: str | None = None) -> list[str]:
    found = harmony.check(read(text), style=style).findings
    return [item.code for item in found if item.severity == "critical"]


def all_voices(text: str) -> tuple:
    score = read(text)
    return score, np.ones(len(score.voices), dtype=bool)


@pytest.mark.parametrize(
    "make",
    [note_mutants.random_in_range, note_mutants.random_letters, note_mutants.random_in_scale,
     note_mutants.shuffled],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_random_pitches_are_critical(make):
    assert critical(CHORALE) == []
    piece = note_mutants.Good.of(CHORALE)
    spoilt = [make(piece, random.Random(seed)) for seed in range(10)]
    # In ten bars chance itself may be in some order.
    assert sum(critical(text) == ["harmony.chance"] for text in spoilt) >= 9
    assert not examine(spoilt[0], gates=["harmony"]).verdict().passed


def test_order_is_0_for_chance_and_1_where_nothing_is_left_to_it():
    score, voices = all_voices(CHORALE)
    assert chance.order(score, voices) > 0.5
    thirds = "X:1\nM:4/4\nL:1/4\nK:C\nV:1\nV:2\n" + "[V:1]EEEE|[V:2]CCCC|\n" * 12
    score, voices = all_voices(thirds)
    assert chance.chordal_order(score, voices) != chance.chordal_order(score, voices)  # NaN
    scales = "X:1\nM:4/4\nL:1/4\nK:C\nV:1\nV:2\n" + "[V:1]EFGA|[V:2]CDEF|\n" * 12
    score, voices = all_voices(scales)
    assert chance.chordal_order(score, voices) == 1


def test_a_share_of_the_chance_is_what_the_formula_says():
    # One voice, the notes C and c by turns: no step; every second note is the same.
    leaps = "X:1\nM:4/4\nL:1/4\nK:C\n" + "CcCc|" * 12 + "\n"
    score, voices = all_voices(leaps)
    assert chance.melodic_order(score, voices) == pytest.approx(1)
    assert np.isnan(chance.order(score, voices))  # one voice has no chords


def test_music_without_a_key_is_not_judged():
    rng = random.Random(3)
    lines = []
    for _ in range(14):
        row = rng.sample(range(12), 12)
        cells = ["".join(note_mutants.spelled(60 - 12 * v + it) for it in row[v * 4 : v * 4 + 4])
                 for v in range(3)]  # fmt: skip
        lines.append("".join(f"[V:{v + 1}]{cell}|" for v, cell in enumerate(cells)))
    rows = "X:1\nM:4/4\nL:1/4\nK:none\nV:1\nV:2\nV:3\n" + "\n".join(lines) + "\n"
    score, voices = all_voices(rows)
    assert chance.chordal_order(score, voices) < 0.2
    assert chance.variety(score, voices) > chance.ATONAL
    assert critical(rows) == []


def test_percussion_and_single_voices_are_not_judged():
    rng = random.Random(1)
    notes = ["".join(rng.choice("CDEFGABcdefgab") for _ in range(4)) for _ in range(40)]
    one = "X:1\nM:4/4\nL:1/4\nK:C\n" + "|".join(notes) + "|\n"
    drums = "X:1\nM:4/4\nL:1/4\nK:C\nV:1 perc\nV:2 perc\n" + "\n".join(
        f"[V:1]{a}|[V:2]{b}|" for a, b in zip(notes[:20], notes[20:], strict=True)
    )
    assert critical(one) == critical(drums + "\n") == []
    pitched = drums.replace(" perc", "")
    assert critical(pitched + "\n") == ["harmony.chance"]


@pytest.mark.parametrize("voice", ["1", "2", "3", "4"])
@pytest.mark.parametrize("move", [1, -1])
def test_a_voice_a_semitone_off_is_critical_and_named(voice, move):
    piece = note_mutants.Good.of(CHORALE)
    spoilt = note_mutants.repitched(piece, lambda _, pitch, __: pitch + move, {voice})
    (found,) = [it for it in harmony.check(read(spoilt)).findings if it.severity == "critical"]
    assert (found.code, found.voice) == ("harmony.semitone", voice)
    assert ("lower" if move > 0 else "higher") in found.message


def test_a_wrong_transposition_is_a_semitone_off():
    wrong = re.sub(r"^(V:4 .*)$", r"\1 transpose=1", CHORALE, flags=re.MULTILINE)
    assert critical(wrong) == ["harmony.semitone"]


def test_a_displaced_voice_is_a_warning_with_its_beats():
    piece = note_mutants.Good.of(CHORALE)
    found = 0
    for seed in range(12):
        for make in (note_mutants.beat_late, note_mutants.bar_late):
            spoilt = make(piece, random.Random(seed))
            if spoilt is None:
                continue
            codes = [it.code for it in harmony.check(read(spoilt)).findings]
            found += "harmony.displaced" in codes
    assert found >= 20
    assert "harmony.displaced" not in [it.code for it in harmony.check(read(CHORALE)).findings]


def test_a_voice_is_compared_with_itself_moved():
    score, voices = all_voices(CHORALE)
    assert misplaced.by_semitone(score, voices) is None
    spoilt = note_mutants.repitched(
        note_mutants.Good.of(CHORALE), lambda _, pitch, __: pitch + 1, {"2"}
    )
    score, voices = all_voices(spoilt)
    found = misplaced.by_semitone(score, voices)
    assert (found.voice, found.move) == (1, -1)
    assert found.gain == found.moved - found.as_written > 0.1


def test_a_folk_tune_or_a_song_has_no_new_critical_finding():
    for name in ("duet", "reel", "song", "winds"):
        text = (Path(__file__).parent / "pieces" / f"{name}.abc").read_text()
        assert critical(text) == [], name


def test_spelled_pitches_are_read_as_meant():
    for pitch in range(21, 109):
        score = read(f"X:1\nL:1/4\nK:Eb\n{note_mutants.spelled(pitch)}|\n")
        assert score.voices[0].bars[0].events[0].pitches == (pitch,)
    assert note_mutants.length_text(Fraction(3, 2)) == "3/2"
