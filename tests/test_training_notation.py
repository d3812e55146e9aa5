"""Training's small ABC: durations, accidentals, spelling, transposition."""

from fractions import Fraction

import pytest

from scoregate.abc.keys import key_fifths, signature, transpose_key
from scoregate.convert.bar_events import interval_steps, midi_pitch, parse_bar, write_bar
from scoregate.notagen.text.rests import leave_out_rests
from scoregate.notagen.training.stream import crop, stream_text, transpose_text

C_MAJOR = signature(0)
PIECE = """%%score [ 1 2 ]
L:1/8
M:4/4
K:Bb
V:1 treble nm="Soprano"
V:2 bass nm="Bass"
[V:1]b2 _d'=e ^F2 "^E"!fermata!B2|[V:2]B,,2 z2 C,4|
[V:1][K:Gm]g4 ^f4|][V:2]z8|]
"""


def pitches(text, alters=C_MAJOR, tied=None):
    return [[midi_pitch(p) for p in e.pitches] for e in parse_bar(text, alters, tied).events]


@pytest.mark.parametrize(
    ("key", "fifths"),
    [("C", 0), ("G", 1), ("Gm", -2), ("F#min", 3), ("Eb", -3), ("Ddor", 0), ("none", 0), ("C#", 7)],
)
def test_a_key_has_its_place_on_the_circle(key, fifths):
    assert key_fifths(key) == fifths


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("C2 D E/ F/ G3/2A/", "2 1 1/2 1/2 3/2 1/2"),
        ("(3CDE F2", "2/3 2/3 2/3 2"),
        ("C>D E<F", "3/2 1/2 1/2 3/2"),
        ("[CEG]2 z4 x", "2 4 1"),
        ("{g}C//D", "1/4 1"),
    ],
)
def test_durations(text, lengths):
    events = parse_bar(text, C_MAJOR).events
    assert " ".join(str(e.duration) for e in events) == lengths


def test_accidentals_hold_to_the_end_of_the_bar_in_their_octave():
    assert pitches("^F F f =F F") == [[66], [66], [77], [65], [65]]


def test_a_tie_carries_its_accidental_over_the_bar():
    tied: dict[int, int] = {}
    assert pitches("^F4-", C_MAJOR, tied) == [[66]]
    assert pitches("F2 F2", C_MAJOR, tied) == [[66], [65]]


def test_layers_are_marked_and_do_not_lengthen_a_bar():
    bar = parse_bar("C4 & E2 F2", C_MAJOR)
    assert (bar.duration, bar.layered) == (Fraction(4), True)


def test_writing_what_was_read_gives_the_same_music():
    text = "^F,2 FG A3B !fermata!_e2-"
    events = parse_bar(text, C_MAJOR).events
    assert write_bar(events, C_MAJOR) == text


@pytest.mark.parametrize("fifths", range(-5, 6))
def test_transposing_there_and_back_gives_the_same_text(fifths):
    assert transpose_text(transpose_text(PIECE, fifths), -fifths) == PIECE


def test_transposing_moves_every_pitch_by_the_same_interval():
    before = pitches("B2 ^F =e _d", signature(-2))
    moved = transpose_text(PIECE.replace("b2 _d'=e ^F2", "B2 ^F =e _d"), 3)
    line = next(x for x in moved.splitlines() if x.startswith("[V:1]"))
    after = pitches(line[5:].split('"')[0], signature(1))
    assert [
        [a - b for a, b in zip(x, y, strict=True)] for x, y in zip(after, before, strict=True)
    ] == [[-3]] * 4


def test_keys_keep_their_mode():
    assert [transpose_key("Gm", 1), transpose_key("Bb", -2), transpose_key("Ddor", 7)] == [
        "Dm",
        "Ab",
        "D#dor",
    ]
    assert [interval_steps(1), interval_steps(-1), interval_steps(7)] == [-3, 3, 0]


def test_a_voice_that_only_rests_is_left_out():
    assert leave_out_rests("[V:1]C8|[V:2]z8|") == "[V:1]C8|"
    assert leave_out_rests("[V:1]z8|[V:2]z8|") == "[V:1]z8|[V:2]z8|"


def test_stream_text_counts_its_lines():
    text = stream_text(PIECE, ("Baroque", "Bach, Johann Sebastian", "Choral"))
    assert text.startswith("%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n%%score")
    assert text.splitlines()[-2].startswith("[r:0/1][V:1]b2")
    assert text.splitlines()[-1] == "[r:1/0][V:1][K:Gm]g4 ^f4|]"


def test_a_long_piece_is_cropped_to_successive_lines():
    body = "".join("[V:1]C2 D2 E2 F2|[V:2]C,8|\n" for _ in range(40))
    text = stream_text(PIECE.split("[V:1]b2")[0] + body)
    lines = [x for x in crop(text, 60, 0.5).splitlines() if x.startswith("[r:")]
    first = int(lines[0][3 : lines[0].index("/")])
    assert 0 < first < 30
    assert [int(x[3 : x.index("/")]) for x in lines] == list(range(first, first + len(lines)))
