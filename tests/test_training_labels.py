"""Labels of the auxiliary task: absolute pitches, motion, and letters that break a rule."""

import pytest

from scoregate.evaluation.lines import leading_tone
from scoregate.notagen.training.encode import encode_example, voices_above
from scoregate.notagen.training.forbidden import (
    breaks_melody,
    forbidden_letters,
    is_seventh,
    makes_lost_seventh,
    parallel,
)
from scoregate.notagen.training.labels import Memory, line_labels, pitch_class_of, read_unit
from scoregate.notagen.training.stream import stream_text

C_MAJOR = (0,) * 7
HEAD = "%%score [ 1 2 3 4 ]\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\nV:3\nV:4\n"


def letters(bits: int) -> str:
    return "".join(x for i, x in enumerate("CDEFGABcdefgab") if bits >> i & 1)


def test_parallel_fifths_and_octaves_are_found_in_similar_motion_only():
    assert parallel(60, 62, 67, 69)  # C-D under G-A
    assert parallel(60, 62, 72, 74)
    assert not parallel(60, 60, 67, 67)  # nobody moves
    assert not parallel(60, 72, 67, 67)
    assert not parallel(62, 60, 69, 79)  # contrary motion
    assert not parallel(60, 62, 0, 69)  # the other voice was silent


def test_leaps_of_sevenths_and_augmented_intervals_break_the_melody():
    assert breaks_melody(60, 71, 6, C_MAJOR, {})  # C-B, a major seventh
    assert breaks_melody(60, 74, 8, C_MAJOR, {})  # C-d, a ninth
    assert breaks_melody(65, 71, 6, C_MAJOR, {})  # F-B, an augmented fourth
    assert breaks_melody(65, 68, 4, C_MAJOR, {4: 1})  # F-G sharp, an augmented second
    assert not breaks_melody(60, 72, 7, C_MAJOR, {})
    assert not breaks_melody(57, 60, 0, C_MAJOR, {})  # A-C, a minor third


def test_a_seventh_is_known_by_its_root_and_third():
    assert is_seventh(65, (55, 59))  # F over G and B
    assert not is_seventh(65, (55, 62))  # no third
    assert not is_seventh(64, (48, 55))
    assert is_seventh(71, (48, 64))  # C E B


def test_a_note_that_makes_another_voices_note_a_lost_seventh():
    rising = [(65, 65, False, 67), (59, 59, False, 60)]  # F rises to G, B to C
    falling = [(65, 65, False, 64), (59, 59, False, 60)]
    assert makes_lost_seventh(55, rising)
    assert not makes_lost_seventh(55, falling)


def test_forbidden_letters_of_a_bass_under_a_moving_soprano():
    # Soprano goes from G to A over a bass on C: D would be parallel fifths, B a seventh.
    bits = forbidden_letters(48, [(67, 69, True, 0)], C_MAJOR, {}, 11)
    assert "D" in letters(bits)
    assert "F" not in letters(bits)
    # The soprano holds: nothing is parallel.
    assert "D" not in letters(forbidden_letters(48, [(67, 67, False, 0)], C_MAJOR, {}, 11))


def test_the_leading_tone_is_not_doubled():
    bits = forbidden_letters(67, [(72, 71, True, 0)], C_MAJOR, {}, 11)
    assert "B" in letters(bits)


def test_the_truth_is_never_forbidden():
    line = "[V:1]G4 A4|[V:2]E4 F4|[V:3]C4 C4|[V:4]C,4 D,4|]\n"  # fifths and octaves on purpose
    example = encode_example(stream_text(HEAD + line))
    codes = [ord(x) for x in "CDEFGABcdefgab"]
    for patch, row in zip(example.patches, example.forbidden, strict=True):
        for character, bits in zip(patch, row, strict=True):
            if bits:
                assert int(character) not in codes or not bits >> codes.index(character) & 1


def test_a_tied_note_begins_nothing_in_the_next_bar():
    memory = Memory()
    line_labels(["[V:1]c8-|\n"], C_MAJOR, memory, 3, 11)
    bar = read_unit("[V:1]c4 d4|\n", C_MAJOR, memory)
    assert bar.begins.nonzero()[0].tolist() == [8]


def test_a_bar_that_ends_in_a_unit_chord_keeps_it():
    bar = read_unit("[V:1]C4 F3 [C,E,]|\n", C_MAJOR, Memory())
    assert bar.length == 16
    assert bar.pitch[15] == 52
    assert len(bar.events) == 3


@pytest.mark.parametrize("ending", ["|", "|]", "||", ":|", "|:", "::", "[|", ":|]", ""])
def test_any_barline_at_the_end_is_left_out(ending):
    bar = read_unit(f"[V:2]C4 F4{ending}\n", C_MAJOR, Memory())
    assert [e.duration for e in bar.events] == [4, 4]


def test_voices_beyond_the_fourth_are_labelled_where_a_piece_has_them():
    head = HEAD.replace("[ 1 2 3 4 ]", "[ 1 2 3 4 5 6 ]")
    text = head + "".join(f"[V:{v}]{n}8|" for v, n in enumerate("gecGEC", 1)) + "\n"
    assert voices_above([text]) == 5
    example = encode_example(stream_text(text), 5)
    last = example.now[-2]  # the patch of the sixth voice
    assert (last[last[:, 0] >= 0][0] == [pitch_class_of(p) for p in (79, 76, 72, 67, 64)]).all()


@pytest.mark.parametrize(
    ("key", "pitch"), [("C", 11), ("Am", 8), ("G", 6), ("Bb", 9), ("F#m", 5), ("Cmaj", 11)]
)
def test_the_leading_tone_of_a_key(key, pitch):
    assert leading_tone(key) == pitch
