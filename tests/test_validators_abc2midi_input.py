"""What only abc2midi can't take is no fault of a piece."""

from __future__ import annotations

import pytest

from scoregate.abc.reader import read
from scoregate.validators.abc2midi_input import prepared
from scoregate.validators.examination import examine
from scoregate.validators.gates.syntax import check

HEAD = "X:1\nT:t\nM:4/4\nL:1/8\nK:C\n"
TAKEN = {
    "the words of a part": HEAD + "P:Trio, slower (2nd time)\nC8|C8|]\n",
    "notes, source, discography and history": HEAD
    + "C8|\nN:a note {\nS:a source [\nD:a disc |\nH:history (3\nC8|]\n",
    "lines of a staff in the key": HEAD.replace("K:C", "K:C stafflines=1") + "C8|C8|]\n",
    "lines of a staff in the voice": HEAD + 'V:1 stafflines=3 nm="A"\nC8|C8|]\n',
    "a capital with an apostrophe": HEAD + "C'2c,2 [C'E]2 d,,2|C8|]\n",
    "a voice with a tab and a comment": HEAD + "V:M\t% Melody\nC8|]\nV:B\t%bass\nC8|]\n",
    "an ornament on a spacer": HEAD + "C6 HyD2|C8|]\n",
    "a chord of unequal notes": HEAD + "[C2E]DE D4|[CE2]8|]\n",
    "a line of chord symbols": HEAD + 'C8|\n"Am"\nC8|]\n',
    "a line of a repeat sign": HEAD + "C8|\n::\nC8|]\n",
    "a tuplet with two colons": HEAD + "(3::3CDE D6|C8|]\n",
    "a tie over a repeat": HEAD + "C8-:|D8|]\n",
    "a tie into an ending": HEAD + "|:C8|1C8-:|2D8|]\n",
    "a tie of some notes of a chord": HEAD + "[CE-G]4E4|[CEG]4-[CF]4|[CEG]4-E4|]\n",
    "a tie that goes on in another voice": "X:1\nM:4/4\nL:1/8\n%%score (1 2)\nK:C\nV:1\nV:2\n"
    "[V:1]C8-|[V:2]E8|\n[V:1]D8|][V:2]C8|]\n",
    "two groups of grace notes": HEAD + "{AB}{c}C8|C8|]\n",
    "an invisible rest of a third": HEAD + "x8/3x8/3x8/3|C8|]\n",
    "a chord between plus signs": HEAD + "+C3E3+D +f+C4|+ff+C4+CE+4|C8|]\n",
    "staccato before a bracket": HEAD + "(C2>.)D2(E>.F)G2|(.C.D)E6.|C8|]\n",
    "voices without a V: in the header": "X:1\nM:4/4\nL:1/4\nK:C\n[V:a]CDEF|\n[V:b]CDEF|\n",
    "a fermata on an invisible rest": "X:1\nM:5/8\nL:1/8\nK:C\nGABcHx|GABcd|]\n",
    "a microtone among grace notes": HEAD + "{_/e}C8|C8|]\n",
    "accidentals glued to the mode": HEAD.replace("K:C", "K:Dm^c") + "cdef g4|[K:Am^g]gabc' d4|]\n",
    "endings called by names": HEAD + '|:C8|["first"D8:|["2.-3."C8|["^x"CE]8|]\n',
    "a key of a clef alone": HEAD.replace("K:C", "K:clef=treble") + "CDEF GABc|C8|]\n",
    "a key of accidentals alone": HEAD.replace("K:C", "K: ^f_B") + "CDEF GABc|C8|]\n",
    "a pickup of a new metre": "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|[M:3/4]G|c2d|c3|]\n",
}


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_it_is_no_fault_and_every_note_is_heard(text):
    outcome = check(read(text))
    assert [str(f) for f in outcome.findings if f.severity == "critical"] == []
    assert outcome.measures["syntax.notes_heard"] >= outcome.measures["syntax.notes_read"] > 0


@pytest.mark.parametrize(
    ("music", "code"),
    [
        ("[C2E]DE (3CD|C8|]", "syntax.tuplet-open"),
        ("C'2 2D4|C8|]", "syntax.length-stray"),
        ("C8-|D8|]", "syntax.tie-dangling"),
        ("C4 D4|C4[CE|]", "syntax.chord-open"),
    ],
)
def test_faults_beside_it_are_still_found(music, code):
    found = [f.code for f in check(read(f"{HEAD}{music}\n")).findings if f.severity == "critical"]
    assert code in found


def test_columns_stay_where_nothing_is_rewritten():
    line = '|:"Am"C2.D2!trill!E2 vF2-:|1 (3::3GAB c6:|2 C8|]'
    given = prepared(read(f"{HEAD}{line}\n")).text.split("\n")[5]
    assert len(given) == len(line)
    assert given.index("E2") == line.index("E2")
    assert '"' not in given


def test_a_tie_behind_a_space_disturbs_no_other_gate():
    """What is worked out of a score for one gate and for another has names of its own."""
    text = HEAD + "C2 -E2 G2 -c2|B2A2 G2F2|E2D2 C2B,2|c2d2 e2f2|g2f2 e2d2|" * 4 + "C8|]\n"
    outcomes = examine(text, profile="folk").outcomes
    assert [outcome.reason for outcome in outcomes.values() if not outcome.judged] == []
