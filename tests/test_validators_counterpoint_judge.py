"""The judge of counterpoint: each rule on a bar written for it, and what it leaves alone."""

import pytest

from scoregate.validators import counterpoint_judge as judge
from scoregate.validators.counterpoint_judge import CounterpointJudge, Rule, faults, line_judge
from scoregate.validators.line_judge import accept_line

HEAD = (
    "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%%score [ 1 2 3 4 ]\nL:1/8\nM:4/4\nK:C\n"
    'V:1 treble nm="Soprano"\nV:2 treble nm="Alto"\nV:3 bass nm="Tenor"\nV:4 bass nm="Bass"\n'
)


def line(number: int, *voices: str) -> str:
    cells = "".join(f"[V:{v}]{music}|" for v, music in enumerate(voices, 1))
    return f"[r:{number}/{9 - number}]{cells}\n"


GOOD = line(1, "c4 B4", "G4 G4", "E4 D4", "C,4 G,4")
BAD = {
    "parallels": line(1, "c4 d4", "G4 A4", "E4 F4", "C,4 D,4"),
    "leaps": line(1, "c4 b4", "G4 G4", "E4 D4", "C,4 G,4"),
    "sevenths": line(1, "f2 g2 a4", "d4 c4", "B4 c4", "G,4 F,4"),
    "leading tones": line(1, "B4 c4", "G4 G4", "B,4 C4", "D,4 E,4"),
}


def test_good_writing_breaks_no_rule():
    assert faults(HEAD, GOOD) == set()
    assert CounterpointJudge()(HEAD, GOOD)


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_finds_its_fault(rule):
    assert rule in faults(HEAD, BAD[rule])


@pytest.mark.parametrize("rule", BAD)
def test_a_fault_into_the_bar_from_the_line_before_counts(rule):
    first = line(0, "e8", "G8", "C8", "C,8")
    assert rule in faults(HEAD + first, BAD[rule])


def test_parallels_across_the_barline_are_the_later_lines_fault():
    first = line(0, "c8", "E8", "C8", "C,8")
    second = line(1, "d8", "F8", "B,8", "D,8")
    assert "parallels" in faults(HEAD + first, second)
    # What the first line did is not asked again.
    third = line(2, "d8", "F8", "B,8", "D,8")
    assert "parallels" not in faults(HEAD + first + second, third)


def test_a_leap_after_a_fermata_or_a_rest_is_free():
    first = line(0, "!fermata!c8", "E8", "C8", "C,8")
    assert "leaps" not in faults(HEAD + first, line(1, "b8", "E8", "E8", "C,8"))
    assert "leaps" in faults(HEAD + first.replace("!fermata!", ""),
                             line(1, "b8", "E8", "E8", "C,8"))  # fmt: skip
    first = line(0, "c4 z4", "E8", "C8", "C,8")
    assert "leaps" not in faults(HEAD + first, line(1, "b8", "E8", "E8", "C,8"))


def test_a_seventh_that_falls_or_waits_is_resolved():
    assert "sevenths" not in faults(HEAD, line(1, "f4 e4", "d4 c4", "B4 c4", "G,4 C,4"))
    assert "sevenths" not in faults(HEAD, line(1, "f2 g2 e4", "d4 c4", "B4 c4", "G,4 C,4"))
    # The bar ends before the voice has moved twice: nothing is known yet.
    assert "sevenths" not in faults(HEAD, line(1, "f8", "d8", "B8", "G,8"))


def test_the_rules_of_the_gates_come_first():
    assert not CounterpointJudge()(HEAD, line(1, "c4 B2", "G4 G4", "E4 D4", "C,4 G,4"))


def test_a_strength_is_the_share_of_lines_that_are_refused():
    half = CounterpointJudge((Rule("parallels", 0.5, ""),))
    texts = [HEAD.replace("M:4/4", f"Q:1/4={n}\nM:4/4") for n in range(60, 160)]
    refused = sum(not half(text, BAD["parallels"]) for text in texts)
    assert 35 < refused < 65
    assert [half(t, BAD["parallels"]) for t in texts] == [half(t, BAD["parallels"]) for t in texts]
    never = CounterpointJudge((Rule("parallels", 0.0, ""),))
    always = CounterpointJudge((Rule("parallels", 1.0, ""),))
    assert never(HEAD, BAD["parallels"])
    assert not always(HEAD, BAD["parallels"])


def test_only_choral_styles_are_judged_so():
    assert isinstance(line_judge("Baroque/Bach, Johann Sebastian/Choral"), CounterpointJudge)
    assert line_judge("Baroque/Bach, Johann Sebastian/Choral", counterpoint=False) is accept_line
    assert line_judge("Romantic/Chopin, Frederic/Keyboard") is accept_line


def test_every_rule_gives_a_reason_and_a_probability():
    for rule in judge.CHORAL_RULES:
        assert 0 <= rule.strength <= 1
        assert rule.reason


def test_a_text_that_cannot_be_read_is_left_to_the_gates():
    assert faults("", "nothing at all") == set()
    assert faults(HEAD, "[r:1/2][V:1]|\n") == set()
