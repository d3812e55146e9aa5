"""Measures of four-part writing, each on a few bars written for it."""

import math
from fractions import Fraction

import pytest

from scoregate.errors import RequestError
from scoregate.evaluation import (
    GROUPS,
    bootstrap,
    dissonance,
    features,
    form,
    measure_piece,
    melody,
    read_grid,
    rhythm,
    separation,
    table,
)
from scoregate.evaluation import counterpoint as cp
from scoregate.notagen.training.synthetic import chorale
from scoregate.theory import seventh_of


def grid(*voices: str, key: str = "C", metre: str = "4/4"):
    """Read a piece of the given voices, bars divided by ``|``."""
    numbers = range(1, len(voices) + 1)
    head = f"L:1/8\nM:{metre}\nK:{key}\n" + "".join(f"V:{v}\n" for v in numbers)
    bars = [voice.split("|") for voice in voices]
    lines = []
    for i in range(len(bars[0])):
        cells = "".join(f"[V:{v}]{bars[v - 1][i].strip()}|" for v in numbers)
        lines.append(f"[r:{i}/{len(bars[0]) - 1 - i}]{cells}\n")
    return read_grid(head + "".join(lines))


# --- reading ---------------------------------------------------------------------------------


def test_tied_notes_are_one():
    found = grid("c4 c4- | c4 B4", "C8 | C8")
    assert [(n.onset, n.duration, n.pitch) for n in found.notes[0]] == [
        (0, 2, 72), (2, 4, 72), (6, 2, 71),
    ]  # fmt: skip
    assert found.quarters == 8


def test_a_resting_voice_is_silent():
    found = grid("c4 z4", "C8")
    assert found.pitch.tolist() == [[72, 0], [60, 60]]


@pytest.mark.parametrize(
    ("key", "tonic", "minor"), [("C", 0, False), ("Am", 9, True), ("Bb", 10, False)]
)
def test_the_key_field_gives_the_tonic(key, tonic, minor):
    found = grid("c8", "C8", key=key)
    assert (found.tonic, found.minor) == (tonic, minor)


# --- counterpoint ----------------------------------------------------------------------------


def test_parallel_fifths():
    assert cp.parallels(grid("G4 A4", "C4 D4")) == (1, 0)


def test_parallel_octaves_and_unisons():
    assert cp.parallels(grid("c4 d4", "C4 D4")) == (0, 1)
    assert cp.parallels(grid("C4 D4", "C4 D4")) == (0, 1)


def test_repeated_and_contrary_intervals_are_no_parallels():
    assert cp.parallels(grid("G4 G4", "C4 C4")) == (0, 0)
    assert cp.parallels(grid("G4 A4", "c4 D4")) == (0, 0)


def test_the_rate_is_per_hundred_changes():
    measured = cp.measures(grid("G4 A4 | B4 c4", "C4 D4 | F4 E4"))
    assert cp.chord_changes(grid("G4 A4 | B4 c4", "C4 D4 | F4 E4")) == 3
    assert measured["parallels"] == pytest.approx(100 / 3)


def test_a_leap_into_a_fifth_in_similar_motion_is_direct():
    assert cp.direct_intervals(grid("G4 d4", "E4 G4")) == 1
    assert cp.direct_intervals(grid("c4 d4", "E4 G4")) == 0  # the upper voice steps
    assert cp.direct_intervals(grid("G4 d4", "A4 G4")) == 0  # contrary motion


def test_crossing_and_overlap():
    assert cp.crossing(grid("E4 C4", "C4 E4")) == 0.5
    assert cp.overlaps(grid("E4 A4", "C4 F4")) == 1  # F rises above the last E
    assert cp.overlaps(grid("E4 G4", "C4 D4")) == 0


def test_upper_voices_more_than_an_octave_apart():
    assert cp.wide_spacing(grid("c'4 c4", "E4 E4", "C,4 C,4")) == 0.5


# --- tendency tones and dissonances ----------------------------------------------------------


def test_sevenths_of_chords_are_known_by_root_and_third():
    assert seventh_of(frozenset([7, 11, 5])) == 5
    assert seventh_of(frozenset([7, 11, 2, 5])) == 5
    assert seventh_of(frozenset([0, 4, 7])) is None
    assert seventh_of(frozenset([7, 2, 5])) is None
    assert seventh_of(frozenset([2, 5, 11])) is None  # a diminished triad, not half a seventh
    assert seventh_of(frozenset([2, 5, 11, 8])) is not None


def test_a_seventh_resolves_downwards_by_a_step():
    assert dissonance.sevenths(grid("f4 e4", "d4 c4", "B4 c4", "G,4 C,4")) == (1, 0)
    assert dissonance.sevenths(grid("f4 g4", "d4 c4", "B4 c4", "G,4 C,4")) == (1, 1)
    # An ornament may come first.
    assert dissonance.sevenths(grid("f2 g2 e4", "d4 c4", "B4 c4", "G,4 C,4")) == (1, 0)


def test_leading_tones():
    right = grid("B4 c4", "G4 G4", "D4 E4", "G,4 C,4")
    assert dissonance.leading_tones(right) == (1, 0, 1, 0)
    falling = grid("B4 G4", "G4 E4", "D4 C4", "G,4 C,4")
    assert dissonance.leading_tones(falling) == (1, 0, 1, 1)
    doubled = grid("B4 c4", "G4 G4", "B,4 C4", "D,4 C,4")
    assert dissonance.leading_tones(doubled)[1] == 1


def test_a_suspension_is_held_dissonant_and_falls():
    held = grid("c4- c2 B2", "G4 G4", "E4 D4", "C,4 G,4")
    assert dissonance.suspensions(held) == 1
    assert dissonance.suspensions(grid("c4 B4", "G4 G4", "E4 D4", "C,4 G,4")) == 0
    leaps = grid("c4- c2 G2", "G4 G4", "E4 D4", "C,4 G,4")
    assert dissonance.suspensions(leaps) == 0


def test_a_semitone_clash_without_a_step_is_irregular():
    assert dissonance.irregular_dissonances(grid("G4 f4 c4", "C4 E4 G4")) == 1
    assert dissonance.irregular_dissonances(grid("e2 f2 g4", "c4 E4")) == 0  # a passing note


# --- melody ----------------------------------------------------------------------------------


def test_steps_and_leaps():
    voice = grid("C2 D2 F2 F2", "C8").notes[0]
    assert melody.intervals(voice) == [(1, 2), (2, 3), (0, 0)]
    assert melody.stepwise(voice) == 0.5


def test_sevenths_and_augmented_intervals():
    assert melody.forbidden_leaps(grid("C4 B4", "C8")) == (1, 1, 0)
    assert melody.forbidden_leaps(grid("F4 ^G4", "C8")) == (1, 0, 1)
    assert melody.forbidden_leaps(grid("F4 _A4", "C8")) == (1, 0, 0)


def test_a_leap_is_answered_by_the_other_direction():
    assert melody.unanswered_leaps(grid("C4 A4 G4", "C8", "C8")) == 0
    assert melody.unanswered_leaps(grid("C4 A4 B4", "C8", "C8")) == 1


# --- cadences and form -----------------------------------------------------------------------


CADENCES = {
    "authentic": ("B4 !fermata!c4", "G4 G4", "D4 E4", "G,4 C,4"),
    "half": ("c4 !fermata!B4", "G4 G4", "E4 D4", "C,4 G,4"),
    "plagal": ("c4 !fermata!c4", "A4 G4", "F4 E4", "F,4 C,4"),
    "other": ("B4 !fermata!c4", "G4 A4", "D4 E4", "G,4 A,,4"),
}


@pytest.mark.parametrize("kind", CADENCES)
def test_cadences(kind):
    found = grid(*CADENCES[kind])
    assert form.cadence(found, form.phrase_ends(found)[-1]).kind == kind


def test_phrases_that_return():
    again = "c2 d2 !fermata!e4 | c2 d2 !fermata!e4 | g2 d2 !fermata!c4"
    found = grid(again, "C8 | C8 | C8")
    assert len(form.phrases(found)) == 3
    assert form.returning(found) == 0.5


def test_triple_metre():
    assert form.measures(grid("c6", "C6", metre="3/4"))["triple metre"] == 1
    assert form.measures(grid("c8", "C8"))["triple metre"] == 0


# --- rhythm ----------------------------------------------------------------------------------


def test_off_beat_and_together():
    found = grid("c2 d e f4", "C2 D2 E4")
    assert rhythm.off_beat(found) == 0.25
    assert rhythm.together(found) == 0.75
    assert rhythm.density(found, 0) == 1
    assert rhythm.dotted(grid("c3 d c4", "C8")) == 0.25


# --- tables and the classifier ---------------------------------------------------------------


def test_every_group_has_figures_and_a_piece_without_music_has_none():
    measured = measure_piece(chorale(3))
    assert set(measured) == set(GROUPS)
    assert all(measured.values())
    assert all(not figures for figures in measure_piece("K:C\n").values())


def test_bootstrap_interval_holds_the_mean_and_leaves_nan_out():
    found = bootstrap([0.0, 1.0, 1.0, math.nan, 0.0] * 20)
    assert found.mean == 0.5
    assert found.low < 0.5 < found.high
    assert found.pieces == 80
    assert bootstrap([]).pieces == 0


def test_the_table_has_a_column_for_every_set():
    found = table({"a": [chorale(1)], "b": [chorale(2)]})
    assert set(found["rhythm"]["off-beat beats"]) == {"a", "b"}


@pytest.mark.slow
def test_like_sets_cannot_be_told_apart_and_unlike_ones_can():
    pytest.importorskip("sklearn")
    rows = features([measure_piece(chorale(i)) for i in range(40)], ("rhythm", "melody"))
    assert 0.2 < separation(rows[::2], rows[1::2]).auc < 0.8
    shifted = [{**row, "rhythm: off-beat beats": 2.0} for row in rows[1::2]]
    found = separation(rows[::2], shifted)
    assert found.auc > 0.95
    assert found.telling[0][0] == "rhythm: off-beat beats"


@pytest.mark.slow
def test_too_few_pieces_are_named():
    pytest.importorskip("sklearn")
    with pytest.raises(RequestError, match="too small"):
        separation([{"a": 1.0}], [{"a": 2.0}])


def test_a_measure_knows_times_exactly():
    assert grid("c3 d c4", "C8").times == [0, Fraction(3, 2), 2]
