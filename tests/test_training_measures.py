"""Figures of raw generations and the rule-made chorales, on music whose answer is known."""

from fractions import Fraction

import pytest

from scoregate.convert.abc_text import read_abc
from scoregate.convert.bar_events import midi_pitch
from scoregate.convert.piece import aligned
from scoregate.evaluation import read_grid, rhythm
from scoregate.evaluation.counterpoint import parallels
from scoregate.evaluation.dissonance import sevenths
from scoregate.evaluation.lines import read_lines
from scoregate.notagen.training.baselines import ngram_bits, unigram_bits
from scoregate.notagen.training.measures import (
    CopyIndex,
    measure,
    shifted,
    sounding,
    summary,
)
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.training.voicing import RANGES, chord_of, voicings

HEAD = "%%score [ 1 2 3 ]\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\nV:3\n"
GOOD = (
    HEAD + "[r:0/1][V:1]c2 c2 B2 G2|[V:2]G4 G4|[V:3]C4 G,4|\n[r:1/0][V:1]c8|][V:2]G8|][V:3]C8|]\n"
)


def test_a_good_piece_is_right_throughout():
    found = measure(GOOD)
    assert (found.lines, found.equal, found.metre, found.harmony) == (2, 1.0, 1.0, 1.0)
    assert (found.final_triad, found.ended) == (True, True)


@pytest.mark.parametrize(
    ("line", "equal", "metre"),
    [
        ("[V:1]c8|[V:2]G8|[V:3]C6|", 2 / 3, 2 / 3),  # one voice short
        ("[V:1]c8 c2|[V:2]G8 G2|[V:3]C8 C2|", 1.0, 2 / 3),  # alike, longer than the metre
        ("[V:1]c4|[V:2]G4|[V:3]C4|", 1.0, 2 / 3),  # short in the middle
        ("[V:1]c4|][V:2]G4|][V:3]C4|]", 1.0, 1.0),  # short beside a double bar
        ("[V:1]c8|[V:2]G8|[V:1]C8|", 2 / 3, 2 / 3),  # a voice twice
    ],
)
def test_a_faulty_bar_counts(line, equal, metre):
    first, last = GOOD.splitlines()[-2:]
    # The bar stands in the middle: the first and the last may be short.
    found = measure(HEAD + f"{first}\n{line}\n{last}\n")
    assert (found.equal, found.metre) == (pytest.approx(equal), pytest.approx(metre))


def test_beats_outside_any_chord_do_not_fit():
    text = HEAD + "[V:1]c2 d2 e2 c2|[V:2]G2 c2 G2 G2|[V:3]C2 C2 C2 ^C2|\n"
    # C G C fits, C C D fits (a seventh without third and fifth), C G E fits, C sharp G C not.
    assert measure(text).harmony == 0.75


def test_text_that_is_no_music_measures_as_nothing():
    assert measure("%Baroque\nnonsense").lines == 0
    assert measure("").harmony is None


def test_copied_bars_are_found_in_any_key():
    copies = CopyIndex([HEAD + "[V:1]c2 d2 e2 c2|\n[V:1]g4 e4|\n[V:1]c8|\n"])
    moved = HEAD + "[V:1]f8|\n[V:1]d2 e2 ^f2 d2|\n[V:1]a4 ^f4|\n[V:1]e8|\n"
    assert copies.longest_run(read_lines(moved)[0]) == 2


def test_shifted_voices_keep_their_notes():
    lines, _, _ = read_lines(shifted(GOOD))
    assert sorted({n for line in lines for n in sounding(line, Fraction(0))}) != []
    assert all(len(line.voices) == 3 for line in lines)


def test_a_summary_pools_bars_and_takes_the_median_copy():
    found = summary([measure(GOOD), measure(HEAD + "[V:1]c8|[V:2]G8|[V:3]C6|\n")])
    assert found["equal bars"] == pytest.approx(2 / 3)
    assert found["ended"] == 0.5


def test_an_ngram_beats_counting_and_both_know_surprise():
    train = ["abcabcabc"] * 20
    assert ngram_bits(train, ["abcabc"], 3) < unigram_bits(train, ["abcabc"])
    assert ngram_bits(train, ["cba"], 3) > ngram_bits(train, ["abc"], 3)


def test_a_seed_gives_the_same_chorale():
    assert chorale(7) == chorale(7)
    assert chorale(7) != chorale(8)


@pytest.mark.parametrize("seed", range(20))
def test_rule_made_chorales_are_aligned_and_in_range(seed):
    text = chorale(seed)
    piece = aligned(read_abc(text, "x"))
    assert len(piece.voices) == 4
    found = measure(text)
    assert (found.equal, found.metre, found.final_triad) == (1.0, 1.0, True)
    assert found.harmony is not None
    assert found.harmony > 0.9
    lines, _, _ = read_lines(text)
    for voice, (low, high) in enumerate(RANGES, 1):
        steps = [p[0] for line in lines for e in line.voices[voice] for p in e.pitches]
        assert min(steps) >= low - 1  # a lower neighbour may reach one step further
        assert max(steps) <= high + 1


@pytest.mark.parametrize(
    ("name", "minor", "notes"),
    [
        ("V7", False, "GBDF"),
        ("viio6", False, "BDF"),
        ("V/V", False, "DF#A"),
        ("V", True, "EG#B"),
        ("iio6", True, "BDF"),
        ("VI", True, "FAC"),
    ],
)
def test_chords_are_spelt(name, minor, notes):
    chord = chord_of(name, minor)
    spelt = "".join(
        "CDEFGAB"[letter] + {0: "", 1: "#", -1: "b"}[alter]
        for letter, alter in zip(chord.letters, chord.alters, strict=True)
    )
    assert spelt == notes


def test_voicings_hold_the_chord_with_its_bass():
    steps, midi, _ = voicings(chord_of("V6", False))
    assert {s % 7 for s in steps[:, 3]} == {6}
    assert {m % 12 for row in midi for m in row} == {7, 11, 2}
    assert (steps[:, 0] > steps[:, 1]).all()
    assert midi_pitch((int(steps[0, 3]), 0)) == midi[0, 3]


@pytest.mark.slow
def test_rule_made_chorales_have_no_parallels_and_resolve_their_sevenths():
    grids = [read_grid(chorale(seed)) for seed in range(30)]
    assert sum(sum(parallels(grid)) for grid in grids) == 0
    counted, lost = map(sum, zip(*map(sevenths, grids), strict=True))
    assert counted > 30
    assert lost / counted < 0.05


def test_rule_made_chorales_keep_their_ornaments():
    off = [rhythm.off_beat(read_grid(chorale(seed))) for seed in range(30)]
    assert 0.15 < sum(off) / len(off) < 0.6
