"""Parts that copy, rest, lie too high, or that nobody can play."""

from __future__ import annotations

import re

import pytest

from scoregate.abc.reader import read
from scoregate.validators.gates.parts import check

BARS = ("CEGc", "FAcA", "GBdB", "ceGE", "DFAd", "GFED", "EGcG", "AFDF", "BGDG", "CGEC")
LOW = ("C,2E,2", "F,2A,2", "G,2B,2", "C2G,2", "D,2F,2", "G,2F,2", "E,2G,2", "A,2F,2",
       "B,2G,2", "C,2C,2")  # fmt: skip


def duo(upper=BARS, lower=LOW, first='nm="Violin"', second='bass nm="Violoncello"', tempo=90):
    """Return a piece for two parts; a bar of each in every line."""
    lines = "".join(f"[V:1]{a}|[V:2]{b}|\n" for a, b in zip(upper, lower, strict=True))
    head = f"X:1\nL:1/4\nQ:1/4={tempo}\nM:4/4\nK:C\nV:1 treble {first}\nV:2 {second}\n"
    return head + lines


def found(text: str) -> list[tuple]:
    return [
        (f.code.partition(".")[2], f.severity, f.voice, f.bar) for f in check(read(text)).findings
    ]


def test_a_good_piece_brings_no_remark():
    assert found(duo()) == []


def test_a_copy_names_its_model():
    (item,) = check(read(duo(lower=BARS, second='nm="Violin II"'))).findings
    assert (item.code, item.voice) == ("parts.copy", "2")
    assert item.message == "the voice has the same notes as voice 1"


def test_a_voice_at_the_octave_is_no_copy():
    lower = [bar.upper().replace("C", "C,") for bar in BARS]
    assert "copy" not in [code for code, *_ in found(duo(lower=lower))]


def test_an_emptied_voice():
    assert found(duo(lower=["z4"] * 10)) == [("silent", "warning", "2", None)]
    # A second layer of a staff that is not in use has invisible rests.
    layer = duo(lower=["x4"] * 10).replace("K:C", "%%score (1 2)\nK:C")
    assert found(layer) == []


def test_eight_bars_of_rests():
    rests = ["z4"] * 8
    assert found(duo(upper=["CEGc", *rests, "c4"], lower=["C,4", *rests, "C,4"])) == [
        ("long-rest", "warning", "1", 2)
    ]
    assert found(duo(upper=[*BARS[:1], *rests, "c4"])) == [("long-rest", "warning", "1", 2)]
    seven = [*BARS[:2], *rests[:7], "c4"]
    assert found(duo(upper=seven)) == []


def test_a_high_bass():
    raised = [bar.replace(",", "'") for bar in (b.lower() for b in LOW)]
    assert ("bass-high", "warning", "2", None) in found(duo(lower=raised))


def test_a_left_hand_at_the_height_of_a_right_one():
    # Below the right hand, and not above E4: only its own height tells.
    right = [bar.lower().replace("c", "c'") for bar in BARS]
    high = ["C2E2", "C2A,2", "B,2D2", "C2G,2", "D2A,2", "B,2D2", "C2E2", "C2A,2", "B,2D2", "C4"]
    low = [re.sub(r"([A-G],*)", r"\1,", bar) for bar in high]
    hands = {"upper": right, "first": 'nm="Piano"', "second": "bass"}
    brace = duo(lower=high, **hands).replace("K:C", "%%score { 1 2 }\nK:C")
    assert found(brace) == [("bass-high", "warning", "2", None)]
    assert found(duo(lower=low, **hands).replace("K:C", "%%score { 1 2 }\nK:C")) == []


def test_a_percussion_clef_on_a_pitched_part():
    assert ("percussion-clef", "warning", "1", None) in found(
        duo().replace("V:1 treble", "V:1 perc")
    )
    drum = duo(first='perc nm="Snare drum"').replace("V:1 treble perc", "V:1 perc")
    assert "percussion-clef" not in [code for code, *_ in found(drum)]


def test_a_percussion_clef_without_a_name_is_judged_by_its_pitches():
    tune = "X:1\nL:1/4\nQ:1/4=90\nM:4/4\nK:C clef=perc\n"
    assert "percussion-clef" in [code for code, *_ in found(tune + "CDEF|GABc|\n")]
    assert found(tune + "CCEG|CEGc|\n") == []


def test_in_an_orchestra_one_name_may_stand_for_several_players():
    staves = "".join(f'V:{n} treble nm="Violin"\n' for n in range(3, 9))
    text = duo(upper=TRIADS, first='nm="Horn"').replace("[V:1]", staves + "[V:1]", 1)
    assert ("wind-chord", "warning", "1", 1) in found(text)
    assert "critical" not in [severity for _, severity, *_ in found(text)]


DYADS = ["[Ec]2[Fd]2", *BARS[1:]]
TRIADS = ["[EGc][FAd][Gce][Adf]", "[EGc][FAd][Gce][Adf]", *BARS[2:]]
FIVE = ["[G,DAea]4", *BARS[1:]]


@pytest.mark.parametrize(
    ("name", "bars", "expected"),
    [
        ("Soprano", DYADS, ("singer-chord", "warning")),
        ("Flute", DYADS, ("wind-chord", "warning")),
        ("Flute", TRIADS, ("wind-triads", "critical")),
        ("Clarinet in Bb", TRIADS, ("wind-triads", "critical")),
        ("Violin", FIVE, ("string-chord", "critical")),
        ("Viola", FIVE, ("string-chord", "critical")),
        ("2 Flutes", DYADS, None),
        ("Flauti", TRIADS, None),
        ("Ob. 1 2", DYADS, None),
        ("Flöten", DYADS, None),
        ("Chor", DYADS, None),
        ("Violin", TRIADS, None),
        ("Piano", FIVE, None),
    ],
)
def test_chords_are_for_those_who_can_play_them(name, bars, expected):
    items = [it[:2] for it in found(duo(upper=bars, first=f'nm="{name}"')) if "chord" in it[0]
             or "triads" in it[0]]  # fmt: skip
    assert items == ([expected] if expected else [])


def test_runs_are_measured_in_seconds():
    run = "".join(f"{letter}/32" for letter in "CDEFGABcdefgfedc" * 2)
    bars = [f"{run}C3", *BARS[1:]]
    ((code, severity, voice, bar),) = found(duo(upper=bars))
    assert (code, severity, voice, bar) == ("too-fast", "warning", "1", 1)
    assert found(duo(upper=bars, tempo=30)) == []  # 1/32 of a beat of two seconds
    tremolo = "C/32" * 32
    assert found(duo(upper=[f"{tremolo}C3", *BARS[1:]])) == []


def test_silence_is_no_music_to_remark_on():
    assert check(read("X:1\nK:C\nz4|\n")).findings == []


@pytest.mark.slow
def test_a_text_with_endless_voices_is_judged_in_little_memory():
    import tracemalloc

    head = "X:1\nL:1/4\nQ:1/4=90\nM:4/4\nK:C\n" + "".join(f"V:{n}\n" for n in range(400))
    body = "".join(f"[V:{n}]" + "|".join(["CDEF", "GABc"] * 12) + "|\n" for n in range(400))
    score = read(head + body)
    from scoregate.validators.gates import harmony

    tracemalloc.start()
    try:
        assert check(score).gate == "parts"
        assert harmony.check(score).gate == "harmony"
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()
