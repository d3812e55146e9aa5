"""Sounding pitch against the range of each part."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.validators.analysis.hands import reachable
from scoregate.validators.analysis.parts import assign, is_choral
from scoregate.validators.gates.ranges import check

CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
CHORAL = "Baroque/Bach, Johann Sebastian/Choral"


def piece(voices: str, *bars: str, score: str = "") -> str:
    score = f"%%score {score}\n" if score else ""
    return f"X:1\n{score}L:1/4\nQ:1/4=90\nM:4/4\nK:C\n{voices}\n" + "\n".join(bars) + "\n"


def one(name: str, music: str, clef: str = "treble") -> str:
    return piece(f'V:1 {clef} nm="{name}"', f"[V:1]{music}|]")


def critical(text: str, style: str | None = None) -> list[str]:
    found = check(read(text), style=style).findings
    return [str(finding) for finding in found if finding.severity == "critical"]


def codes(text: str, style: str | None = None) -> list[str]:
    return [finding.code for finding in check(read(text), style=style).findings]


def test_a_note_below_the_violin():
    assert critical(one("Violino I", "c F, E G")) == [
        "ranges: voice 1, bar 1: F3 is below the range of the violin (line 7, column 8)"
    ]


def test_a_part_without_a_name_is_held_to_every_instruments_range():
    ranges = critical(piece("V:1", "[V:1]c''''''''' d C,,,,,,,, d|]"))
    assert ranges == [
        "ranges: voice 1, bar 1: C-1 or lower is below the range of every instrument, "
        "and 1 more in this bar (line 7, column 19)"
    ]


def test_the_finding_says_what_is_expected():
    (finding,) = check(read(one("Violino I", "c F, E G"))).findings
    assert (finding.found, finding.expected) == ("F3", "G3 to A7")
    assert finding.code == "ranges.out-of-range"


@pytest.mark.parametrize(
    ("name", "clef", "inside", "outside"),
    [
        ("Clarinetti in B", "treble transpose=-2", "E,", "D,"),
        ("Corni in F", "treble transpose=-7", "c'", "e'' "),
        ("Contrabbasso", "bass transpose=-12", "C,", "B,,,"),
        ("Piccolo", "treble transpose=12", "D", "C"),
        ("Tenor", "treble-8", "B,", "F,"),
        ("Piano", "bass", "A,,,,", "G,,,,"),
    ],
)
def test_transposition_and_octave_clefs_count(name, clef, inside, outside):
    assert critical(one(name, f"{inside}4", clef)) == []
    assert len(critical(one(name, f"{outside}4", clef))) == 1


def test_a_transposition_left_unsaid_is_allowed_for():
    assert critical(one("Contrabbasso", "E,,4", "bass")) == []
    assert critical(one("Piccolo", "d4")) == []


def test_a_tie_keeps_the_pitch_out_of_range():
    text = piece('V:1 treble nm="Flute"', "[V:1]_B,4-|", "[V:1]B,4|]")
    assert len(critical(text)) == 2


def test_key_signatures_count():
    assert critical(one("Violin", "G,4")) == []
    flat = one("Violin", "G,4").replace("K:C", "K:Gb")
    assert len(critical(flat)) == 1


def test_one_finding_for_a_bar_names_the_worst_note():
    (finding,) = critical(one("Violin", "F, E, D, C,"))
    assert "C3 is below the range of the violin, and 3 more in this bar" in finding


def test_a_grace_note_is_a_warning():
    assert critical(one("Violin", "{F,}G,4")) == []
    assert codes(one("Violin", "{F,}c4")) == ["ranges.grace-out-of-range"]


def test_uncomfortable_notes_are_one_warning():
    (finding,) = check(read(one("Soprano", "b b b c"))).findings
    assert (finding.code, finding.severity) == ("ranges.uncomfortable", "warning")
    assert finding.message.startswith("3 of 4 notes")


def test_an_unknown_instrument_is_never_passed_in_silence():
    outcome = check(read(one("Zorgophon", "c4")))
    assert [f.code for f in outcome.findings] == ["ranges.unknown-instrument"]
    assert outcome.measures["ranges.unknown_voices"] == 1
    assert len(critical(one("Zorgophon", "C,,,,4"))) == 1


def test_a_part_without_any_name_is_told_once():
    text = piece("V:1 treble\nV:2 bass", "[V:1]c4|][V:2]C4|]")
    (finding,) = check(read(text)).findings
    assert (finding.code, finding.severity) == ("ranges.no-instrument", "info")
    assert len(critical(text.replace("C4", "C,,,,4"))) == 1


def test_a_voice_without_a_name_takes_that_of_its_staff():
    text = piece('V:1 treble nm="Flute"\nV:2 treble', "[V:1]c4|][V:2]G,4|]", score="( 1 2 )")
    assert critical(text) == [
        "ranges: voice 2, bar 1: G3 is below the range of the flute (line 9, column 15)"
    ]


def test_a_brace_without_a_name_is_a_keyboard():
    text = piece("V:1 treble\nV:2 bass", "[V:1]c4|][V:2]C,4|]", score="{ 1 | 2 }")
    assert [part.key for part in assign(read(text)) if part] == ["piano", "piano"]


def test_women_and_men_are_four_voices_in_a_chorale():
    parts = assign(read(CHORALE), CHORAL)
    assert [part.key for part in parts if part] == ["soprano", "alto", "tenor", "bass voice"]


def test_nameless_voices_of_a_choral_style_are_four_voices():
    text = piece(
        "V:1 treble\nV:2 treble\nV:3 bass\nV:4 bass",
        "[V:1]c4|][V:2]G4|][V:3]E,4|][V:4]C,,4|]",
    )
    parts = assign(read(text), CHORAL)
    assert [part.key for part in parts if part] == ["soprano", "alto", "tenor", "bass voice"]
    assert critical(text, CHORAL) == []
    assert len(critical(text.replace("C,,4", "G,,,4"), CHORAL)) == 1


@pytest.mark.parametrize(
    ("others", "key"),
    [("Soprano Tenore", "bass voice"), ("Violino Viola", "bass part")],
)
def test_basso_is_what_the_others_are(others, key):
    first, second = others.split()
    text = piece(
        f'V:1 treble nm="{first}"\nV:2 treble nm="{second}"\nV:3 bass nm="Basso"',
        "[V:1]c4|][V:2]c4|][V:3]C,4|]",
    )
    part = assign(read(text))[2]
    assert part is not None
    assert part.key == key


def test_o_in_a_brace_is_an_organ():
    text = piece('V:1 treble nm="O"\nV:2 bass', "[V:1]c4|][V:2]C,,4|]", score="{ 1 | 2 }")
    assert [part.key for part in assign(read(text)) if part] == ["organ", "organ"]


def test_names_of_singers_make_a_choir():
    assert is_choral(read(CHORALE))
    assert not is_choral(read(CHORALE), "Romantic/Schubert, Franz/Art Song")
    assert not is_choral(read(one("Violin", "c4")))


def test_drums_have_no_range():
    assert codes(one("Triangolo", "C,,,,4")) == []


# --- hands --------------------------------------------------------------------------


def keyboard(right: str, left: str) -> str:
    return piece(
        'V:1 treble nm="Piano"\nV:2 bass', f"[V:1]{right}|][V:2]{left}|]", score="{ 1 | 2 }"
    )


def test_two_hands_reach_a_wide_chord():
    assert codes(keyboard("[cegc']4", "[C,,G,,C,]4")) == []


def test_a_third_hand_would_be_needed():
    outcome = check(read(keyboard("[Cc'']4", "[C,,]4")))
    assert [(f.code, f.severity, f.bar) for f in outcome.findings] == [
        ("ranges.stretch", "warning", 1)
    ]
    assert outcome.findings[0].found == "C2 C4 C7"


@pytest.mark.parametrize(
    ("chord", "possible"),
    [
        ([36, 52, 60, 76], True),
        ([36, 53, 60, 77], False),
        ([36, 60, 84], False),
        ([40], True),
        (list(range(48, 58)), True),
        (list(range(48, 59)), False),
    ],
)
def test_what_two_hands_reach(chord, possible):
    assert reachable(chord) is possible


def test_a_rolled_chord_is_reachable():
    assert codes(keyboard("!arpeggio![Cc'']4", "[C,,]4")) == []


# --- notes an octave off ------------------------------------------------------------


def slips(text: str) -> list[tuple]:
    found = check(read(text), style=CHORAL).findings
    return [(f.voice, f.bar, f.found, f.expected) for f in found if f.code == "ranges.octave-slip"]


def test_a_chorale_has_no_slip():
    assert slips(CHORALE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[V:1]c2 cB", "[V:1]c2 c'B", ("1", 2, "C6", "C5")),
        ("[V:2]F2 G2 A2", "[V:2]F2 G,2 A2", ("2", 1, "G3", "G4")),
    ],
)
def test_an_octave_slip_is_found_in_its_place(old, new, expected):
    lines = [
        "X:1", "%%score [ ( 1 2 ) ( 3 4 ) ]", "L:1/8", "Q:1/4=60", "M:4/4", "K:F",
        'V:1 treble nm="Women"', "V:2 treble", 'V:3 bass nm="Men"', "V:4 bass",
        "[V:1]A2 B2 c2 B2|[V:2]F2 G2 A2 G2|[V:3]C2 D2 C2 C2|[V:4]F,2 F,2 F,2 E,2|",
        "[V:1]c2 cB A4|][V:2]F2 E2 F4|][V:3]C2 C2 C4|][V:4]A,2 G,2 F,4|]",
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    assert slips(text) == []
    assert slips(text.replace(old, new, 1)) == [expected]


def test_a_leap_of_the_bass_is_no_slip():
    text = piece(
        'V:1 treble nm="S"\nV:2 treble nm="A"\nV:3 bass nm="T"\nV:4 bass nm="B"',
        "[V:1]c d e c|][V:2]G G G G|][V:3]E D C E|][V:4]C, G,, C, C,,|]",
    )
    assert slips(text) == []
