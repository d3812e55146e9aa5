"""Text to patches and back."""

from __future__ import annotations

import pytest

from scoregate.errors import RequestError
from scoregate.notagen.text.patches import (
    BOS_PATCH,
    EOS_PATCH,
    decode,
    decode_patch,
    encode,
    encode_open,
    encode_unit,
    ends_piece,
    pad_after_end,
    units_of,
    units_of_line,
)


def text_of(patches):
    return ["".join(map(chr, patch)) for patch in patches]


@pytest.mark.parametrize(
    ("line", "units"),
    [
        ("[V:1]abc|[V:2]def|\n", ["[V:1]abc", "|[V:2]def|\n"]),
        ("[V:1]abc:|[V:2]def:|\n", ["[V:1]abc", ":|[V:2]def:|\n"]),
        ("[V:1]abc|][V:2]def|]\n", ["[V:1]abc", "|][V:2]def|]\n"]),
        ("[V:1]abc:||:[V:2]def:||:\n", ["[V:1]abc", ":||:[V:2]def:||:\n"]),
        ("[V:1]ab|cd|[V:2]ef|gh|\n", ["[V:1]ab", "|cd", "|[V:2]ef", "|gh|\n"]),
        ("|:[V:1]abc|[V:2]def|\n", ["|:[V:1]abc", "|[V:2]def|\n"]),
        ("[V:1]abc\n", ["[V:1]abc\n"]),
        ("[V:1]abc|", ["[V:1]abc|"]),
    ],
)
def test_line_is_cut_at_its_barlines(line, units):
    assert units_of_line(line) == units


def test_barline_in_quotes_cuts_nothing():
    assert units_of_line('[V:1]"D.S. |"abc|[V:2]def|\n') == ['[V:1]"D.S. |"abc', "|[V:2]def|\n"]


def test_open_quote_hides_no_barline():
    assert units_of_line('[V:1]"abc|[V:2]def|\n') == ['[V:1]"abc', "|[V:2]def|\n"]


def test_metadata_lines_are_units_and_empty_lines_are_left_out():
    assert units_of("%a\n\nM:4/4\n[V:1]c|\n") == ["%a\n", "M:4/4\n", "[V:1]c|\n"]


def test_short_unit_is_closed_and_padded():
    assert encode_unit("M:4/4\n") == [tuple(b"M:4/4\n\x02" + b"\0" * 9)]


def test_unit_of_sixteen_has_no_end():
    assert encode_unit("0123456789abcde\n") == [tuple(b"0123456789abcde\n")]


def test_long_unit_closes_its_last_patch_only():
    assert text_of(encode_unit("0123456789abcdefgh")) == ["0123456789abcdef", "gh\x02" + "\0" * 13]


def test_finished_text_ends_with_the_last_patch():
    patches = encode("M:4/4\n", finished=True)
    assert patches[0] == BOS_PATCH
    assert patches[-1] == EOS_PATCH
    assert ends_piece(patches[-1])
    assert not ends_piece(patches[0])


def test_open_text_leaves_its_last_unit_open():
    full, start = encode_open("%a\n", "[V:1]abc|[V:2]de")
    assert text_of(full[1:]) == ["%a\n\x02" + "\0" * 12, "[V:1]abc\x02" + "\0" * 7]
    assert "".join(map(chr, start)) == "|[V:2]de"


def test_open_text_of_whole_patches_has_no_start():
    full, start = encode_open("", "[V:1]abcdefghijk")
    assert text_of(full[1:]) == ["[V:1]abcdefghijk"]
    assert start == ()


def test_text_that_ends_on_a_barline_keeps_it():
    full, start = encode_open("", "[V:1]abc|[V:2]de|")
    assert decode([*full, start]) == "[V:1]abc|[V:2]de|"


def test_control_codes_are_no_text():
    assert decode_patch((65, 0, 1, 66, 2, 67) + (0,) * 10) == "AB"


def test_settled_patch_is_padded_behind_its_end():
    assert pad_after_end((65, 2, 66, 2) + (67,) * 12) == (65, 2) + (0,) * 14


def test_foreign_character_is_refused():
    with pytest.raises(RequestError, match="ASCII only"):
        encode_unit("Dvořák\n")


def test_whole_text_comes_back():
    text = "%a\n%%score 1 2\n[r:0/1][V:1]abc|[V:2]def|\n[r:1/0][V:1]abc|]\n"
    assert decode(encode(text, finished=True)) == text
