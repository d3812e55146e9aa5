"""Measures: by their formulas, and equal to muspy's where it has the same one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from scoregate.abc.reader import read
from scoregate.validators.analysis.chords import beat_length, harmony_fit
from scoregate.validators.analysis.key_finding import tonic_of
from scoregate.validators.gates import measures
from scoregate.validators.gates.measures import (
    check,
    groove_consistency,
    key_clarity,
    pitch_class_entropy,
    pitch_entropy,
    scale_consistency,
    transition_entropy,
    transition_matrix,
)

CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
HEAD = "X:1\nL:1/16\nQ:1/4=90\nM:4/4\nK:C\nV:1\nV:2\nV:3\nV:4\n"

# 70 notes drawn at random. muspy 0.5.0 was given the same notes (resolution 4, 16 steps a
# bar) and answered what stands below. The last bar ends with a rest, because muspy counts
# one bar more where the last one is full.
RANDOM = (
    HEAD + "[V:1]^f2z8=g2z4|[V:2]^c8=A4=d4|[V:3]^F1=B,4=A,4=G4=E1=D2|"
    "[V:4]^G,,2=D,2=C,2=E,8=B,,2|\n"
    "[V:1]=f4z4=a2=f4=c'2|[V:2]=B4^G2z2^d2^A4=E2|[V:3]=D8^G,2=A,4=G,2|"
    "[V:4]=D,2=G,,1=G,2=B,,2=E,4=A,,2=A,,3|\n"
    "[V:1]=c4=c2=d8=g2|[V:2]=E2^F4=B2z4=F1=B3|[V:3]=E4=D4=C2=B,6|"
    "[V:4]=A,,4^C,1=C,2z2^G,,2=B,,4=B,,1|\n"
    "[V:1]=d4=g4=b2^g2=e3z|]" + "[V:2]=B2=F2^c2^G8=A1z|][V:3]=C1z2=B,4=D8z|][V:4]z8=G,,1^F,6z|]\n"
)
MUSPY = {
    pitch_entropy: 4.9718608739641965,
    pitch_class_entropy: 3.34190435356023,
    scale_consistency: 0.7857142857142857,
    groove_consistency: 0.6041666666666667,
}


def one(music: str, key: str = "C", metre: str = "4/4") -> str:
    return f"X:1\nL:1/4\nQ:1/4=90\nM:{metre}\nK:{key}\nV:1\n[V:1]{music}|]\n"


@pytest.mark.parametrize("measure", list(MUSPY), ids=lambda measure: measure.__name__)
def test_muspy_says_the_same(measure):
    assert measure(read(RANDOM)) == pytest.approx(MUSPY[measure], abs=1e-12)


@pytest.mark.parametrize(
    ("music", "bits"), [("c c c c", 0), ("c d c d", 1), ("c d e f", 2), ("c e c e", 1)]
)
def test_entropy_of_pitches(music, bits):
    assert pitch_entropy(read(one(music))) == pytest.approx(bits)


def test_octaves_are_one_pitch_class():
    score = read(one("C c c' C,"))
    assert pitch_entropy(score) == pytest.approx(2)
    assert pitch_class_entropy(score) == 0


def test_a_tied_note_counts_once_and_a_grace_note_not_at_all():
    assert check(read(one("c2- c {d}e"))).measures["measures.notes"] == 2


def test_scale_consistency_finds_the_scale():
    assert scale_consistency(read(one("c d e f g a b c'"))) == 1
    assert scale_consistency(read(one("c d e ^f g a b ^g"))) == pytest.approx(7 / 8)


def test_groove_compares_neighbouring_bars():
    text = one("c c c c|[V:1]d d d d|[V:1]d4").replace("|[V:1]", "|\n[V:1]")
    assert groove_consistency(read(text)) == pytest.approx(1 - (0 + 3) / (16 * 2))


def test_transitions_are_counted_within_a_voice():
    text = "X:1\nL:1/4\nM:4/4\nK:C\nV:1\nV:2\n[V:1]c z d [ce]|[V:2]G G G G|\n[V:1]c4|][V:2]A4|]\n"
    counts = transition_matrix(read(text))
    expected = np.zeros((12, 12), dtype=int)
    expected[0, 2] = expected[2, 4] = expected[4, 0] = 1  # of the chord its highest note
    expected[7, 7], expected[7, 9] = 3, 1
    assert (counts == expected).all()


def test_transition_entropy_weighs_by_how_often():
    text = "X:1\nL:1/4\nM:4/4\nK:C\nV:1\n[V:1]c d c e|\n[V:1]c d c e|]\n"
    # From c: d, e, d, e (one bit, four of seven); from d and e always to c.
    assert transition_entropy(read(text)) == pytest.approx(4 / 7)


def test_key_clarity_is_pearsons_r_with_the_profile():
    score = read(one("c2 e g"))
    weights = np.array([2, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0])
    from scoregate.validators.analysis.key_finding import KEY_PROFILES

    every = [
        np.corrcoef(weights, np.roll(row, root))[0, 1] for row in KEY_PROFILES for root in range(12)
    ]
    best, second = sorted(every)[:-3:-1]
    assert key_clarity(score) == pytest.approx((best, best - second))


@pytest.mark.slow
@pytest.mark.parametrize("music", ["c2 d e f g a b c'2 g2 c4", "a2 ^g a b c' b a e2 a2 e4"])
def test_music21_finds_the_same_key_as_clearly(music):
    from music21 import note, stream

    score = read(one(music.replace("  ", " ")))
    flat = stream.Stream()
    for bar in score.voices[0].bars:
        for event in bar.events:
            flat.append(note.Note(event.pitches[0], quarterLength=float(event.duration * 4)))
    key = flat.analyze("key.krumhanslkessler")
    assert key_clarity(score)[0] == pytest.approx(key.correlationCoefficient, abs=1e-6)


@pytest.mark.parametrize(
    ("key", "music", "tonic"),
    [
        ("G", "G2 B d g2 f g", 7),
        ("G", "E2 G B e2 ^d e", 4),
        ("Em", "E2 G B e2 ^d e", 4),
        ("Ddor", "D2 F A d2 c d", 2),
        ("Bb", "B,2 D F B2 A B", 10),
        ("none", "c d e f", None),
    ],
)
def test_the_tonic_is_the_signatures_that_the_notes_fit(key, music, tonic):
    assert tonic_of(read(one(music, key))) == tonic


@pytest.mark.parametrize(
    ("chords", "fit"),
    [
        ("[CEG] [CEGB] [B,DF] [CE^G]", 1),
        ("[CEG] [CDE] [CEG] [CFB]", 0.5),
        ("[CG] [CE] [C^F] [C^C]", 1),
        ("[CEG] C z [CDE]", 0.5),
        ("[CDFA] [CEG_B]", 1),
    ],
)
def test_harmony_fit_is_the_share_of_beats_that_are_chords(chords, fit):
    assert harmony_fit(read(one(chords))) == pytest.approx(fit)


@pytest.mark.parametrize(
    ("metre", "beat"),
    [
        ("4/4", 0.25),
        ("3/8", 0.125),
        ("6/8", 0.375),
        ("9/8", 0.375),
        ("3/2", 0.5),
        ("C|", 0.5),
        ("C", 0.25),
        ("none", 0.25),
        ("4/0", 0.25),
        ("1/1000000", 1 / 64),
    ],
)
def test_beats(metre, beat):
    assert beat_length(metre) == beat


def test_nothing_to_measure_is_nan_and_not_zero():
    values = check(read(one("z4"))).measures
    assert values.pop("measures.notes") == 0
    assert all(math.isnan(value) for value in values.values()), values


def test_one_voice_has_no_harmony_to_fit():
    assert math.isnan(check(read(one("c d e f"))).measures["measures.harmony_fit"])


@pytest.mark.parametrize(
    ("beats", "severity", "fit"),
    [
        ("[CDE] [CDE] [CDE] [CEG]", "critical", "0.25"),
        ("[CDE] [CEG] [CEG] [CDE] | [CEG] z3", "warning", "0.60"),
    ],
)
def test_a_chorale_without_harmony_is_remarked_on(beats, severity, fit):
    clusters = one(beats)
    style = "Baroque/Bach, Johann Sebastian/Choral"
    (finding,) = check(read(clusters), style=style).findings
    assert (finding.code, finding.severity, finding.found) == (
        "measures.harmony_fit",
        severity,
        fit,
    )
    assert check(read(clusters)).findings == []


def test_shifting_the_voices_lowers_the_fit():
    score = read(CHORALE)
    plain = harmony_fit(score)
    assert plain > 0.8
    lines = CHORALE.replace("[V:1]", "[V:1]z").replace("[V:3]", "[V:3]z")
    assert harmony_fit(read(lines)) < plain - 0.1


@pytest.mark.real
def test_real_chorales_fit_as_the_docs_say(real_pieces):
    chorales = [
        path for path in real_pieces if path.parent.name == "Baroque_BachJohannSebastian_Choral"
    ]
    fits = [harmony_fit(read(path.read_bytes())) for path in chorales]
    assert 0.85 < sum(fits) / len(fits) < 0.93


def test_every_measure_states_its_formula_and_when_it_is_nan():
    for name in ("pitch_entropy", "scale_consistency", "groove_consistency", "key_clarity"):
        text = getattr(measures, name).__doc__
        assert "NaN" in text, name
