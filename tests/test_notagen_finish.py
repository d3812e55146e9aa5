"""From the model's text to finished ABC."""

from __future__ import annotations

from fractions import Fraction

import pytest

from scoregate.notagen.text.finish import finish, mend_score, undeclared_voices
from scoregate.notagen.text.lengths import bar_length, read_length, show_length
from scoregate.notagen.text.patches import split_text
from scoregate.notagen.training.stream import leave_out_rests

HEADER = "%%score [ ( 1 2 ) 3 ]\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 treble\nV:3 bass\n"
PROMPT = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n"


def lines_of(body, header=HEADER):
    text = finish(PROMPT + header + body)
    assert text.startswith("X:1\n" + header)
    return text.removeprefix("X:1\n" + header).splitlines()


def test_counters_and_prompt_go_and_a_number_comes():
    assert finish(PROMPT + HEADER + "[r:0/0][V:1]C8|[V:2]E8|[V:3]G8|\n") == (
        "X:1\n" + HEADER + "[V:1]C8|[V:2]E8|[V:3]G8|\n"
    )


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("[V:1]C4 D4|[V:3]C,8|]", "[V:1]C4 D4|[V:2]x8|[V:3]C,8|]"),
        ("[V:2]C8|", "[V:1]z8|[V:2]C8|[V:3]z8|"),
        ("[V:3]C8:|", "[V:1]z8:|[V:2]x8:|[V:3]C8:|"),
        ("[V:1]|:C8|[V:3]|:C,8|", "[V:1]|:C8|[V:2]|:x8|[V:3]|:C,8|"),
        ("[V:1]C4|D2|[V:3]C,4|D,2|", "[V:1]C4|D2|[V:2]x4|x2|[V:3]C,4|D,2|"),
        ("[V:1]C|[V:3]C,|", "[V:1]C|[V:2]x|[V:3]C,|"),
        ("[V:1]C>D|[V:2](3CDE|", "[V:1]C>D|[V:2](3CDE|[V:3]z2|"),
        ('[V:1]"D.S. |"C8|[V:2]C8|', '[V:1]"D.S. |"C8|[V:2]C8|[V:3]z8|'),
    ],
)
def test_resting_voices_are_filled_in(line, completed):
    assert lines_of(f"[r:0/0]{line}\n") == [completed]


def test_voices_stand_in_the_headers_order():
    assert lines_of("[r:0/0][V:3]C,8|[V:1]C8|\n") == ["[V:1]C8|[V:2]x8|[V:3]C,8|"]


def test_length_is_that_of_most_voices():
    header = HEADER + "V:4 bass\n"
    assert lines_of("[V:1]C8|[V:2]C7|[V:3]C8|\n", header) == ["[V:1]C8|[V:2]C7|[V:3]C8|[V:4]z8|"]


def test_last_line_is_left_out_where_the_model_was_stopped():
    raw = PROMPT + HEADER + "[r:0/1][V:1]C8|[V:2]E8|[V:3]G8|\n[r:1/0][V:1]C8|[V:2]E"
    assert finish(raw, whole=False).endswith("[V:3]G8|\n")
    assert finish(raw).endswith("[V:2]E[V:3]z8|\n")


def test_header_alone_is_still_a_tune():
    assert finish(PROMPT + "K:C\n") == "X:1\nK:C\n"


def test_header_without_a_score_line_has_leaders_only():
    text = finish("L:1/8\nK:C\nV:1\nV:2\n[r:0/0][V:1]C8|\n")
    assert text == "X:1\nL:1/8\nK:C\nV:1\nV:2\n[V:1]C8|[V:2]z8|\n"


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("%%score [ ( 1 2 ) ( 3 4 ) ]", "%%score [ ( 1 2 ) ( 3 4 ) ]"),
        ("%%score { ( 1 2 ) 3", "%%score { ( 1 2 ) 3 }"),
        ("%%score [ ( 1 2 ]", "%%score [ ( 1 2  )]"),
        ("%%score 1 2 )", "%%score 1 2"),
    ],
)
def test_brackets_of_the_score_line_are_mended(line, mended):
    assert mend_score(line) == mended


@pytest.mark.parametrize(
    "music",
    [
        "c" + "7" * 6000,
        "c" + "/" * 6000,
        "c/" + "7" * 6000,
        "(3:" + "9" * 6000 + "c",
        "c" + ">" * 6000,
        "[" * 6000,
        "{" * 6000,
        '"' * 6001,
        "[V:",
        "(" * 6000,
        "!" * 6001,
        "[c" + "9" * 6000 + "]9/",
    ],
)
def test_what_a_model_caught_in_a_loop_writes_is_finished(music):
    """The other voices are filled in beside it, with whatever length can be read."""
    text = finish(PROMPT + HEADER + f"[r:0/1][V:1]{music}|\n[r:1/0][V:1]c8|\n")
    assert text.startswith("X:1\n" + HEADER)
    assert text.endswith("[V:1]c8|[V:2]x8|[V:3]z8|\n")


@pytest.mark.parametrize(
    ("bar", "length"),
    [
        ("C2 D2 E2 F2", 8),
        ("C/ D// E3/2 z/4", Fraction(1, 2) + Fraction(1, 4) + Fraction(3, 2) + Fraction(1, 4)),
        ("[CEG]2 [C2E2]2", 6),
        ("(3CDE (5CDEFG (3:2:2CD", 2 + 2 + Fraction(4, 3)),
        ("C>D E<<F", 4),
        ('{cd}C2 !trill!D2 "a2 b"E2', 6),
        ("[K:G]C4 & D2", 4),
        ("^C2 _D,2 =E'2 x2", 8),
        ("", 0),
    ],
)
def test_length_of_a_bar(bar, length):
    assert bar_length(bar) == length


def test_lengths_are_read_as_they_are_shown():
    for length in (Fraction(1), Fraction(3), Fraction(1, 2), Fraction(3, 4), Fraction(7, 8)):
        assert read_length(show_length(length)) == length


@pytest.mark.real
def test_real_pieces_come_back_with_their_rests(real_pieces):
    """Their rests were filled in by the released demo; taken out, they are found again."""
    same = total = 0
    for path in real_pieces:
        text = path.read_text()
        _, body = split_text(text)
        for line in body:
            short = leave_out_rests(line.rstrip("\n"))
            if short != line.rstrip("\n"):
                total += 1
                header = "".join(split_text(text)[0])
                done = finish(header + short + "\n").splitlines()[-1]
                same += bar_lengths(done) == bar_lengths(line)
    assert total > 100
    assert same / total > 0.97


def bar_lengths(line):
    from scoregate.notagen.text.finish import _VOICE, _shape

    marks = list(_VOICE.finditer(line))
    ends = [mark.start() for mark in marks[1:]] + [len(line)]
    return {m[1]: _shape(line[m.end() : e].strip()) for m, e in zip(marks, ends, strict=True)}


def test_voices_that_no_field_declares_are_found():
    raw = "%%score 1 2\nV:1 treble\nV:2 bass\n[r:0/1][V:1]C4|[V:3]D4|[V:2]E4|[V:10]z4|\n"
    assert undeclared_voices(raw) == ["10", "3"]
    assert undeclared_voices(raw.replace("V:2 bass", "V:2\nV:3\nV:10")) == []
