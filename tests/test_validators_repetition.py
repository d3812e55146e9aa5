"""Loops are found, forms are not, and the fast warping equals the obvious one."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from scoregate.abc.reader import read
from scoregate.errors import GateError
from scoregate.validators.analysis import dtw
from scoregate.validators.analysis.dtw import bar_distances
from scoregate.validators.analysis.sounding import slices
from scoregate.validators.gates import repetition
from scoregate.validators.gates.repetition import check

CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
HEAD = 'X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1 treble nm="Flute"\n'


def melody(seed: int, bars: int) -> list[str]:
    """Bars that differ: eight notes each, drawn from a seed."""
    rng = random.Random(seed)
    return ["".join(rng.choice("CDEFGABcdefgab") for _ in range(8)) for _ in range(bars)]


def piece(bars: list[str]) -> str:
    return HEAD + "".join(f"[V:1]{bar}|\n" for bar in bars[:-1]) + f"[V:1]{bars[-1]}|]\n"


def loop_share(bars: list[str]) -> float:
    return check(read(piece(bars))).measures["repetition.loop_share"]


# --- distances ----------------------------------------------------------------------


def obvious(one: list[set[int]], other: list[set[int]]) -> float:
    """Dynamic time warping as the books write it, in exact fractions."""
    best: dict[tuple[int, int], tuple[Fraction, int]] = {}
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            union = left | right
            cost = Fraction(len(union) - len(left & right), len(union)) if union else Fraction(0)
            before = [best[p] for p in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if p in best]
            total, steps = min(before, default=(Fraction(0), 0))
            best[i, j] = (total + cost, steps + 1)
    total, steps = best[len(one) - 1, len(other) - 1]
    return float(total / steps)


def random_bars(count: int) -> tuple[list[list[set[int]]], np.ndarray]:
    rng = random.Random(11)
    sets = [
        [set(rng.sample(range(40, 90), rng.randrange(4))) for _ in range(4) for _ in range(4)]
        for _ in range(count)
    ]
    packed = np.zeros((count, 16, 2), dtype=np.uint64)
    for row, bar in zip(packed, sets, strict=True):
        for cell, pitches in zip(row, bar, strict=True):
            for pitch in pitches:
                cell[pitch // 64] |= np.uint64(1) << np.uint64(pitch % 64)
    return sets, packed


@pytest.mark.parametrize("table", [2048, 1], ids=["by table", "directly"])
def test_the_fast_warping_equals_the_obvious_one(monkeypatch, table):
    monkeypatch.setattr(dtw, "TABLE", table)
    monkeypatch.setattr(dtw, "CHUNK", 50)
    sets, packed = random_bars(16)
    left, right = np.triu_indices(len(sets))
    slow = [obvious(sets[i], sets[j]) for i, j in zip(left, right, strict=True)]
    assert bar_distances(packed, left, right) == pytest.approx(slow, abs=1e-6)


def test_slices_hold_what_sounds_at_their_beginning():
    text = HEAD + "[V:1][Ce]4 z2 {d}G2|]\n"
    (bar,) = slices(read(text))
    pitches = [{p for p in range(128) if int(cell[p // 64]) >> p % 64 & 1} for cell in bar]
    assert pitches == [{60, 76}] * 8 + [set()] * 4 + [{67}] * 4


# --- loops --------------------------------------------------------------------------


@pytest.mark.parametrize("period", [1, 2, 4, 8, 13])
def test_a_loop_of_any_period_is_rejected_and_named(period):
    start, loop = melody(1, 6), melody(2, period)
    times = max(4, 24 // period)
    outcome = check(read(piece(start + loop * times + melody(3, 2))))
    (finding,) = [f for f in outcome.findings if f.code == "repetition.loop"]
    assert finding.severity == "critical"
    assert finding.bar == 7
    assert f"bars 7-{6 + period * times} repeat with period {period}:" in finding.message
    assert finding.line == 13


@pytest.mark.parametrize("period", [1, 2, 4, 8])
def test_changed_notes_do_not_hide_a_loop(period):
    rng = random.Random(5)
    chords = [sorted(rng.sample("CDEFGABcdefgab", 4)) for _ in range(period)]
    loop = [list(chord) for chord in chords * (48 // period)]
    for index in range(period, len(loop), 5):  # another note for a whole bar: far from the same
        loop[index][rng.randrange(4)] = "c'"
    bars = ["[" + "".join(chord) + "]8" for chord in loop]
    assert loop_share(melody(1, 8) + bars) > 0.75


def test_a_loop_shifted_by_ornament_is_still_a_loop():
    bar = "c2d2e2f2"
    assert loop_share([bar, "c2de e2f2", bar, "c2d2ef f2", bar, bar, bar, bar]) > 0.9


@pytest.mark.parametrize(
    "form",
    ["AABB", "ABA", "AABA", "ABAB", "ABACA"],
)
def test_forms_are_no_loops(form):
    sections = {name: melody(seed, 8) for seed, name in enumerate("ABC")}
    assert loop_share([bar for name in form for bar in sections[name]]) == 0


def test_a_held_chord_is_no_loop():
    assert check(read(piece([*melody(1, 9), "c8", "c8", "c8"]))).findings == []
    outcome = check(read(piece([*melody(1, 9), "c8", "c8", "c8", "c8"])))
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("repetition.ostinato", "warning")
    assert outcome.measures["repetition.loop_share"] == 0
    assert loop_share([*melody(1, 9), "c8", "c8", "c8", "c8", "c8"]) > 0


def tune(metre: str, key: str, *voices: str) -> str:
    """Put together a piece of one or more voices, each on one line."""
    lines = [f"[V:{number}]{voice}|]\n" for number, voice in enumerate(voices, 1)]
    return f"X:1\nM:{metre}\nL:1/4\nQ:1/4=100\nK:{key}\n" + "".join(lines)


def test_four_rhythms_over_the_same_pitches_are_not_the_same_bar():
    outcome = check(read(tune("4/4", "C", "cdef|c>de>f|c/c/def|cde/e/f")))
    assert [f.code for f in outcome.findings] == ["repetition.recurrence"]  # pitches alone
    rhythms = ["c2d2e2f2", "c3de3f", "ccd2e2f2", "c2d2eef2"]
    assert loop_share(rhythms * 2 + melody(1, 2)) == 0
    assert loop_share([rhythms[1]] * 8 + melody(1, 2)) == 0  # an ostinato
    assert loop_share(melody(1, 2) + [rhythms[1]] * 8) > 0.7


def test_a_canon_on_a_tune_in_pairs_of_bars_is_no_loop():
    phrases = ["FGAF", "ABc2", "c/d/c/B/ A F", "F C F2"]
    song = [bar for bar in phrases for _ in range(2)]
    for rests in (1, 2):
        first, second = [*song, *["z4"] * rests], [*["z4"] * rests, *song]
        outcome = check(read(tune("4/4", "F", "|".join(first), "|".join(second))))
        assert [f for f in outcome.findings if f.severity == "critical"] == []
        assert outcome.measures["repetition.loop_share"] == 0


CAROL = "b a/b/ g|" * 8 + (
    "d' c'/d'/ b|d' c'/d'/ b|c' b/c'/ a|b a/b/ g|g ^f/g/ d|e ^f g|a b c'|b a g|"
    "d ^f a|g a b|c' d' c'|b a ^f|g2 d|g3"
)


def test_a_tune_may_open_on_an_ostinato_and_leave_it():
    outcome = check(read(tune("3/4", "Gm", CAROL)))
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("repetition.ostinato", "warning")
    assert finding.message == (
        "bars 1-8 repeat with period 1: the same bar 8 times, 36% of the piece"
    )
    longer = check(read(tune("3/4", "Gm", "b a/b/ g|" * 2 + CAROL)))
    assert longer.measures["repetition.loop_share"] == pytest.approx(10 / 24)
    alone = check(read(tune("3/4", "Gm", "b a/b/ g|" * 7 + "b a/b/ g")))
    assert alone.measures["repetition.loop_share"] == 1


def test_the_same_bar_is_said_only_of_equal_bars():
    def said(bars: list[str]) -> str:
        (finding,) = check(read(piece(melody(1, 4) + bars))).findings
        return finding.message

    assert ": the same bar 8 times" in said(["c2d2e2f2"] * 8)
    assert ": nearly the same bar 8 times" in said(["c2d2e2f2"] * 4 + ["c2d2eef2"] * 4)


def test_rests_are_left_out():
    assert loop_share([*melody(1, 4), *["z8"] * 40, *melody(2, 4)]) == 0


def test_a_shorter_loop_is_for_review():
    outcome = check(read(piece(melody(1, 30) + melody(2, 1) * 5)))
    (finding,) = outcome.findings
    assert (finding.code, finding.severity) == ("repetition.loop", "warning")


def test_recurrence_is_high_where_bars_come_back():
    bars = melody(1, 3)
    order = [0, 1, 2, 1, 0, 2, 2, 0, 1, 0, 2, 1, 1, 2, 0] * 2
    measures = check(read(piece([bars[i] for i in order]))).measures
    assert measures["repetition.recurrence"] > 0.9
    assert measures["repetition.copies"] == pytest.approx(1 - 3 / 30)
    assert check(read(piece(melody(7, 30)))).measures["repetition.recurrence"] < 0.6


def test_a_long_piece_is_judged_by_looking_back_less_far(monkeypatch):
    monkeypatch.setattr(repetition, "PAIRS", 500)
    bars = melody(1, 60) + melody(2, 20) * 6
    outcome = check(read(piece(bars)))
    assert outcome.measures["repetition.loop_share"] == pytest.approx(120 / 180)


def test_an_endless_piece_is_not_judged(monkeypatch):
    monkeypatch.setattr(repetition, "LONGEST", 20)
    with pytest.raises(GateError, match="has 21 bars"):
        check(read(piece(melody(1, 21))))


@pytest.mark.parametrize("bars", [["z8"], ["C8"], ["C8", "C8"]])
def test_a_tiny_piece_has_no_loop(bars):
    assert loop_share(bars) == 0


def test_a_chorale_has_no_loop():
    outcome = check(read(CHORALE))
    assert outcome.findings == []
    assert outcome.measures["repetition.loop_share"] == 0


@pytest.mark.real
def test_real_chorales_and_songs_have_no_loop(real_pieces):
    looped = [
        path.parent.name
        for path in real_pieces
        if check(read(path.read_bytes())).measures["repetition.loop_share"] >= 0.25
    ]
    # The one is true: an orchestra that plays the same twenty bars three times and a half.
    assert looped == ["Classical_MozartLeopold_Orchestra"]
