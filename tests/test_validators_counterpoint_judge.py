"""The judge of counterpoint: each rule on a bar written for it, and what it leaves alone."""

from random import Random

import pytest

from scoregate.abc.reader import read
from scoregate.evaluation.dissonance import suspensions
from scoregate.evaluation.reading import read_grid
from scoregate.validators import counterpoint_judge as judge
from scoregate.validators.analysis.counterpoint import moments
from scoregate.validators.analysis.counterpoint import parallels as gate_parallels
from scoregate.validators.counterpoint_judge import CounterpointJudge, Rule, faults, line_judge
from scoregate.validators.line_judge import accept_line

HEAD = (
    "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%%score [ 1 2 3 4 ]\nL:1/8\nM:4/4\nK:C\n"
    'V:1 treble nm="Soprano"\nV:2 treble nm="Alto"\nV:3 bass nm="Tenor"\nV:4 bass nm="Bass"\n'
)


def line(number: int, *voices: str) -> str:
    cells = "".join(f"[V:{v}]{music}|" for v, music in enumerate(voices, 1))
    return f"[r:{number}/{9 - number}]{cells}\n"


GOOD = ("c4 B4", "G4 G4", "E4 D4", "C,4 G,4")
BAD = {
    "parallels": ("c4 d4", "G4 A4", "E4 F4", "C,4 D,4"),
    "leaps": ("c4 b4", "G4 G4", "E4 D4", "C,4 G,4"),
    "sevenths": ("f2 g2 a4", "d4 c4", "B4 c4", "G,4 F,4"),
    "leading tones": ("B4 c4", "G4 G4", "B,4 C4", "D,4 E,4"),
}


def test_good_writing_breaks_no_rule():
    assert faults(HEAD, line(0, *GOOD)) == {"motion", "suspensions"}
    moving = line(0, "c6 BA", *GOOD[1:])
    assert faults(HEAD, moving) == set()
    assert CounterpointJudge()(HEAD, moving)


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_finds_its_fault(rule):
    assert rule in faults(HEAD, line(0, *BAD[rule]))


@pytest.mark.parametrize("rule", BAD)
def test_a_fault_into_the_bar_from_the_line_before_counts(rule):
    first = line(0, "e8", "G8", "C8", "C,8")
    assert rule in faults(HEAD + first, line(1, *BAD[rule]))


def test_a_phrase_ends_with_a_cadence_or_breaks_the_rule():
    assert "cadences" in faults(HEAD, line(0, "A4 !fermata!G4", "F4 E4", "C4 C4", "F,4 C,4"))
    full = line(0, "B4 !fermata!c4", "G4 G4", "D4 E4", "G,4 C,4")
    assert "cadences" not in faults(HEAD, full)
    # Without a fermata no phrase ends; the dominant may stand in the line before.
    assert "cadences" not in faults(HEAD, full.replace("!fermata!", "").replace("G,4", "A,4"))
    before = line(0, "c4 B4", "G4 G4", "E4 D4", "C,4 G,4")
    assert "cadences" not in faults(HEAD + before, line(1, "!fermata!c8", "G8", "E8", "C,8"))
    assert "cadences" in faults(HEAD + before, line(1, "!fermata!c8", "G8", "E8", "E,8"))


def test_the_piece_ends_with_a_cadence_in_its_key_or_breaks_the_rule():
    ends = ("B4 c4|]", "G4 G4|]", "D4 E4|]", "G,4 C,4|]")
    last = line(9, *ends).replace("|]|", "|]")
    before = "".join(line(number, *GOOD) for number in range(9))
    assert "ending" not in faults(HEAD + before, last)
    assert "ending" in faults(HEAD.replace("K:C", "K:G") + before, last)
    assert "ending" in faults(HEAD + before, last.replace("G,4", "F,4").replace("B4", "A4"))
    # The header may name the relative key.
    for key in ("Am", "C"):
        named = HEAD.replace("K:C", f"K:{key}") + before
        assert "ending" not in faults(named, last)
        minor = line(9, "B4 A4|]", "^G4 E4|]", "E4 C4|]", "E,4 A,,4|]").replace("|]|", "|]")
        assert "ending" not in faults(named, minor)
    # Any other line may end as it likes.
    assert "ending" not in faults(HEAD, line(0, *GOOD))


def test_a_line_without_motion_is_one_in_which_all_notes_begin_on_beats():
    assert "motion" in faults(HEAD, line(0, "c2 d2 e4", "G8", "E8", "C,8"))
    assert "motion" not in faults(HEAD, line(0, "c2 d3 e f2", "G8", "E8", "C,8"))
    assert "motion" not in faults(HEAD, line(0, "c8", "G8", "E8", "C,8"))


def test_a_suspension_is_held_onto_a_beat_where_it_clashes_and_falls():
    held = ("G4 G4", "E4 D4", "C,4 G,4")
    assert "suspensions" not in faults(HEAD, line(0, "c6 B2", *held))
    assert "suspensions" not in faults(HEAD, line(0, "c4 c2 B2", *held))
    assert "suspensions" in faults(HEAD, line(0, "c6 d2", *held))
    assert "suspensions" in faults(HEAD, line(0, "c6 B2", "G8", "E8", "C,8"))
    first = line(0, "c8-", "G8", "E8", "C,8")
    assert "suspensions" not in faults(HEAD + first, line(1, "c2 B6", "G8", "D8", "G,8"))
    assert "suspensions" in faults(HEAD + first, line(1, "c2 c6", "G8", "D8", "G,8"))


def test_suspensions_are_those_of_the_evaluation():
    """Both count on the same text: a line has one here where its figure there is above 0."""
    random = Random(3)
    pitches = list("CDEFGABcdefg")
    found = 0
    for _ in range(200):
        voices = [
            " ".join(f"{random.choice(pitches)}{n}" for n in random.choice(RHYTHMS))
            for _ in range(4)
        ]
        text = HEAD + line(0, *voices)
        expected = suspensions(read_grid(text)) > 0
        assert ("suspensions" not in faults(HEAD, line(0, *voices))) is expected
        found += expected
    assert found > 10


@pytest.mark.slow
def test_the_parallels_are_those_of_the_gate():
    """The judge's rule on whole numbers, and the gate's on arrays, on random lines."""
    random = Random(1)
    pitches = list("CDEFGABcdefg")
    found = 0
    for _ in range(200):
        voices = [
            " ".join(f"{random.choice(pitches)}{n}" for n in random.choice(RHYTHMS))
            for _ in range(4)
        ]
        lines = [line(0, *voices), line(1, *random.sample(voices, 4))]
        score = read("X:1\n" + HEAD + "".join(lines))
        expected = any(clash.bar == 1 for clash in gate_parallels(moments(score)))
        assert ("parallels" in faults(HEAD + lines[0], lines[1])) is expected
        found += expected
    assert 20 < found < 160


RHYTHMS = ((2, 2, 2, 2), (4, 4), (3, 1, 4), (1, 1, 2, 4), (8,), (2, 1, 1, 3, 1))


def test_a_place_is_held_to_a_rule_however_often_it_is_tried():
    place = CounterpointJudge((Rule("motion", 0.5, "", "place"),))
    piece = CounterpointJudge((Rule("motion", 0.5, "", "piece"),))
    tries = [line(0, f"{a}4 {b}4", *GOOD[1:]) for a in "cdefg" for b in "Bcde"]
    heads = [HEAD.replace("M:4/4", f"Q:1/4={n}\nM:4/4") for n in range(60, 160)]
    answers = [{place(head, one) for one in tries[:4]} for head in heads]
    assert all(len(found) == 1 for found in answers)
    assert 35 < sum(found == {True} for found in answers) < 65
    for head in heads[:9]:
        first = line(0, "c3 d e4", *GOOD[1:])
        so_far, whole = head + first, set()
        for number in range(1, 4):
            whole.add(piece(so_far, line(number, *GOOD)))
            so_far += line(number, "c3 d e4", *GOOD[1:])
        assert len(whole) == 1


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
    assert "sevenths" not in faults(HEAD, line(0, "f4 e4", "d4 c4", "B4 c4", "G,4 C,4"))
    assert "sevenths" not in faults(HEAD, line(0, "f2 g2 e4", "d4 c4", "B4 c4", "G,4 C,4"))
    # The bar ends before the voice has moved twice: nothing is known yet.
    assert "sevenths" not in faults(HEAD, line(0, "f8", "d8", "B8", "G,8"))


def test_the_rules_of_the_gates_come_first():
    assert not CounterpointJudge()(HEAD, line(0, "c4 B2", *GOOD[1:]))


def test_a_strength_is_the_share_of_lines_that_are_refused():
    half = CounterpointJudge((Rule("parallels", 0.5, ""),))
    texts = [HEAD.replace("M:4/4", f"Q:1/4={n}\nM:4/4") for n in range(60, 160)]
    bad = line(0, *BAD["parallels"])
    answers = [half(text, bad) for text in texts]
    assert 35 < answers.count(False) < 65
    assert [half(text, bad) for text in texts] == answers
    never = CounterpointJudge((Rule("parallels", 0.0, ""),))
    always = CounterpointJudge((Rule("parallels", 1.0, ""),))
    assert never(HEAD, bad)
    assert not always(HEAD, bad)


@pytest.mark.parametrize("rule", ["parallels", "leaps"])
def test_a_line_is_refused_as_soon_as_its_voices_break_a_rule(rule):
    judge = CounterpointJudge()
    music = {"parallels": ("c4 d4", "F4 G4"), "leaps": ("c4 b4", "G4 G4")}[rule]
    begun = line(0, *music, *GOOD[2:]).split("[V:4]")[0]
    assert not judge.accept_part(HEAD, begun)
    assert not judge.accept_part(HEAD, begun.rstrip("|"))
    assert judge.accept_part(HEAD, line(0, *GOOD).split("[V:4]")[0])
    assert judge.accept_part(HEAD, begun.split("[V:3]")[0])
    # The rules of chords need all voices, and a weaker rule is asked once, of the whole line.
    assert judge.accept_part(HEAD, line(0, *BAD["sevenths"]).split("[V:4]")[0])
    weaker = CounterpointJudge((Rule(rule, 0.5, ""),))
    assert weaker.accept_part(HEAD, begun)


def test_what_is_refused_in_part_is_refused_as_a_whole():
    random = Random(2)
    judge = CounterpointJudge()
    for _ in range(100):
        voices = [" ".join(random.choice("CDEFGABcdefg") + "2" for _ in range(4)) for _ in range(4)]
        whole = line(0, *voices)
        parts = [whole[: whole.index(f"[V:{number}]")] for number in (2, 3, 4)]
        answers = [judge.accept_part(HEAD, part) for part in parts]
        assert answers == sorted(answers, reverse=True)
        assert all(answers) or not judge(HEAD, whole)


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
