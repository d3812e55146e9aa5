"""A faulty piece is engraved in the rows that the gate saw, so that boxes stand right."""

import pytest

from scoregate.abc.reader import read
from scoregate.findings import Finding
from scoregate.render.interleave import interleaved_text
from scoregate.render.pool import Job, render_pieces

HEAD = "X:1\nL:1/4\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n"
ROW = "[V:1]CDEF|[V:2]C,4|\n"


def rows(body: str, *findings: Finding) -> list[str]:
    return interleaved_text(read(HEAD + body), findings).splitlines()[6:]


@pytest.mark.parametrize(
    ("row", "written"),
    [
        (ROW, "[V:1]CDEF |[V:2]C,4 |"),
        ("[V:1]CDEF|\n", "[V:1]CDEF |[V:2]x4 |"),
        ("[V:2]C,4|[V:1]CDEF|\n", "[V:1]CDEF |[V:2]C,4 |"),
        ("[V:1]CD|EF|[V:2]C,4|\n", "[V:1]CD EF |[V:2]C,4 |"),
        ("[V:1]CDEF[V:2]C,4|\n", "[V:1]CDEF |[V:2]C,4 |"),
        ("[V:1]CDEF|[V:2]C,4|[V:1]G4|\n", "[V:1]CDEF  G4 |[V:2]C,4 |"),
        ('[V:1]"^a|b"C!p!D[EG]F|[V:2]C,4|\n', '[V:1]"^a|b"C!p!D[EG]F |[V:2]C,4 |'),
        ("[V:1]CDEF|[V:9]C4|[V:2]C,4|\n", "[V:1]CDEF |[V:2]C,4 |"),
    ],
)
def test_a_row_has_one_bar_for_each_voice(row, written):
    assert rows(row + ROW)[0] == written


def test_a_bar_that_cannot_be_read_is_given_by_its_notes():
    finding = Finding("syntax", "syntax.chord-open", "critical", "x", voice="1", bar=1)
    assert rows("[V:1]C[DEF|[V:2]C,4|\n" + ROW, finding)[0].count("[V:1]C ") == 1


def test_a_missing_x_is_given_and_a_text_in_parts_is_left_alone():
    assert interleaved_text(read(HEAD[4:] + ROW)).startswith("X:1\n")
    assert interleaved_text(read(HEAD + "[V:1]CDEF|GABc|\n[V:2]C4|G4|]\n")) == ""
    assert interleaved_text(read("")) == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        "[V:1]CDEF|\n",
        "[V:1]CDEF[V:2]C,4|\n",
        "[V:1]CD|EF|[V:2]C,4|\n",
        "[V:1]CDEF|[V:2]C,4|[V:1]CDEF|\n",
        "[V:1]CD[EF|[V:2]C,4|\n",
        '[V:1]CD"^EF|[V:2]C,4|\n',
        "[V:1]CD{EF|[V:2]C,4|\n",
        "[V:1]CDEF|[V:3]C,4|\n",
    ],
)
def test_a_fault_in_one_bar_moves_no_other(fault):
    score = read(HEAD + ROW + fault + ROW * 2 + "[V:1]CDEF|][V:2]C,4|]\n")
    finding = Finding("bars", "bars.x", "critical", "x", voice="1", bar=2)
    job = Job(score.text, score, [*score.findings, finding])
    (rendering,) = render_pieces([job])
    assert rendering.bars == score.bar_count == 5
    assert not [note for note in rendering.notes if "boxes" in note]
