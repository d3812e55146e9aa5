"""The judge of tunes: full bars between plain barlines, and an end on the tonic."""

import pytest

from scoregate.validators.counterpoint_judge import CounterpointJudge, line_judge
from scoregate.validators.line_judge import accept_line
from scoregate.validators.line_tunes import TuneJudge

STYLE = "Folk/O'Neill, Francis/Fiddle"
HEAD = '%Folk\n%O\'Neill, Francis\n%Fiddle\nL:1/8\nM:6/8\nK:D\nV:1 treble nm="Violin"\n'
FIRST = "[r:0/3][V:1]A|\n"
SECOND = "[r:1/2][V:1]d2A FAd|\n"
THIRD = "[r:2/1][V:1]faf ecA|\n"


def test_tunes_have_a_judge_of_their_own():
    assert isinstance(line_judge(STYLE), TuneJudge)
    assert isinstance(line_judge("Baroque/Bach, Johann Sebastian/Choral"), CounterpointJudge)
    assert line_judge(STYLE, counterpoint=False) is accept_line


@pytest.mark.parametrize(
    ("music", "kept"),
    [
        ("faf ecA|", True),
        ("faf e2|", False),  # the next bar could complete it, as the gates have it
        ("faf e2||", True),
        ("faf e2:|", True),
        ("faf ecA B|", False),
    ],
)
def test_bars_between_plain_barlines_are_full(music, kept):
    line = f"[r:2/1][V:1]{music}\n"
    assert TuneJudge()(HEAD + FIRST + SECOND, line) is kept


def test_the_pickup_and_the_last_bar_may_be_short():
    judge = TuneJudge()
    assert judge(HEAD, FIRST)
    assert judge(HEAD + FIRST + SECOND + THIRD, "[r:3/0][V:1]d3 d2|]\n")


@pytest.mark.parametrize(("end", "kept"), [("d3 d2", True), ("d3 A2", False), ("d3 D2", True)])
def test_the_last_line_ends_on_the_tonic(end, kept):
    judge = TuneJudge(final=1.0)
    assert judge(HEAD + FIRST + SECOND + THIRD, f"[r:3/0][V:1]{end}|]\n") is kept
    # Only the last line has to.
    assert judge(HEAD + FIRST + SECOND, "[r:2/1][V:1]faf edA|\n")


def test_the_share_of_pieces_that_must_is_drawn_from_their_text():
    held = 0
    for number in range(200):
        first = f"[r:0/1][V:1]{'ABcdefga'[number % 8]}{number // 8 + 1}|\n"
        held += not TuneJudge(final=0.5)(HEAD + first, "[r:1/0][V:1]d3 A3|]\n")
    assert 70 < held < 130


def test_without_a_key_any_end_will_do():
    head = HEAD.replace("K:D", "K:none")
    assert TuneJudge(final=1.0)(head + FIRST + SECOND + THIRD, "[r:3/0][V:1]d3 A2|]\n")
