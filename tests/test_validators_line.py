"""The judge of a line while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_abc_finish import as_stream

from scoregate.abc.reader import read
from scoregate.validators.line_judge import accept_line
from scoregate.validators.line_rules import RULES

HEAD = (
    "%Baroque\n%Bach, Johann Sebastian\n%Choral\nL:1/4\nM:4/4\nK:C\n"
    "V:1 treble\nV:2 treble\nV:3 bass\n"
)
FULL = "[V:1]C4|[V:2]C4|[V:3]C4|"
PIECES = Path(__file__).parent / "pieces"


def accepted(*lines: str, head: str = HEAD, of: int = 9) -> bool:
    """Whether the last of the lines may follow the others."""
    marked = [f"[r:{index}/{of - index}]{line}\n" for index, line in enumerate(lines)]
    return accept_line(head + "".join(marked[:-1]), marked[-1])


@pytest.mark.parametrize(
    "lines",
    [
        (FULL,),
        ("[V:1]C|[V:2]C|[V:3]C|",),
        (FULL, FULL),
        (FULL, "[V:2]C4|"),
        (FULL, "[V:1]C2||[V:2]C2||"),
        (FULL, "[V:1]C4||[V:2]C4||", "[V:1]C2|[V:3]C2|"),
        (FULL, "[V:1]C3|[V:2]C3|"),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C|[V:2]C|"),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C|[V:2]C|", FULL),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C||[V:2]C||"),
        (FULL, "[V:1][M:3/4]C|[V:2][M:3/4]C|", "[V:1]C3|[V:2]C3|"),
        (FULL, "[V:1][M:3/4]C3|[V:2][M:3/4]C3|", "[V:1]C3|[V:3][M:3/4]C3|"),
        ("[V:1]C4-|[V:2]C4|", "[V:1]C4|[V:3]C4|"),
        ("[V:1]C4-:|[V:2]C4:|", "[V:1]D4|[V:3]C4|"),
    ],
)
def test_good_lines(lines: tuple[str, ...]) -> None:
    assert accepted(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("[V:1]C4|[V:2]C3|",),
        ("[V:1]C5|[V:2]C5|",),
        (FULL, "[V:1]C7/2|[V:2]C7/2|"),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C2|[V:2]C2|"),
        (FULL, "[V:1]C3|[V:2]C3|", FULL),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C2||[V:2]C2||"),
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C|[V:2]C|", "[V:1]C2 2|[V:2]C4|"),
        ("[V:1]C4|[V:2]C4",),
        ("[V:1]C4|[V:2]C4:|",),
        ("[V:1]C2|C2|[V:2]C4|",),
        ("[V:1]C2 2|[V:2]C4|",),
        ("[V:1][CE C2|[V:2]C4|",),
        ("[V:1]C4|[V:4]C4|",),
        ("[V:1]C4|[V:1]C4|",),
        ("C4|",),
        ("",),
        ("[V:1](3CD C2|[V:2]C4|",),
        ("[V:1]C4-|[V:2]C4|", "[V:1]D4|[V:2]C4|"),
        ("[V:1]C4-|[V:2]C4|", "[V:2]C4|"),
        (FULL, "[V:1][M:3/4]C3|[V:2][M:2/4]C3|"),
        (FULL, "[V:1]C4|[V:2]C4|(3"),
    ],
)
def test_bad_lines(lines: tuple[str, ...]) -> None:
    assert not accepted(*lines)


def test_the_last_line_may_be_short() -> None:
    short = "[V:1]C7/2|][V:2]C7/2|]"
    assert accepted(FULL, short, of=1)
    assert not accepted(FULL, "[V:1]C4-|][V:2]C4|]", of=1)


def test_a_short_last_line_needs_a_final_barline_or_a_pickup() -> None:
    """The gate says of others that the piece breaks off."""
    pickup = "[V:1]C|[V:2]C|[V:3]C|"
    last = "[V:1]C3|[V:2]C3|[V:3]C3|"
    assert not accepted(FULL, FULL, last, of=2)
    assert accepted(pickup, FULL, last, of=2)
    assert accepted(FULL, FULL.replace("4|", "3||"), pickup, last, of=3)
    assert not accepted(FULL, FULL, pickup, of=2)


def test_the_counter_counts_up_and_down() -> None:
    assert not accept_line(HEAD, f"[r:1/2]{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/3]{FULL}\n", f"[r:1/3]{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/3]{FULL}\n", f"[r:1/0]{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/0]{FULL}\n", f"[r:1/0]{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/0]{FULL}\n", f"{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/1]{FULL}\n", f"[r:1-/0]{FULL}\n")
    assert accept_line(HEAD + f"{FULL}\n", f"{FULL}\n")


def test_a_note_out_of_range_is_refused() -> None:
    head = HEAD.replace("V:1 treble", 'V:1 treble nm="Soprano"')
    assert accepted("[V:1]c'4|[V:2]C4|", head=head)
    assert not accepted("[V:1]c''4|[V:2]C4|", head=head)
    assert not accepted("[V:1]C,4|[V:2]C4|", head=head)
    # A grace note may be anywhere, and a voice of another name goes higher.
    assert accepted("[V:1]{c''}c'4|[V:2]C4|", head=head)
    assert accepted("[V:1]c''4|[V:2]C4|", head=head.replace("Soprano", "Violin"))


def test_more_notes_than_strings_and_a_winds_triads_are_refused() -> None:
    head = HEAD.replace("V:1 treble", 'V:1 treble nm="Violin"')
    assert accepted("[V:1][GBdg]4|[V:2]C4|", head=head)
    assert not accepted("[V:1][GBdgb]4|[V:2]C4|", head=head)
    head = HEAD.replace("V:1 treble", 'V:1 treble nm="Flute"')
    triads = "[V:1][ceg]2 [ceg]2|[V:2]C4|"
    assert accepted("[V:1][ceg]2 [ce]2|[V:2]C4|", triads, head=head)
    assert not accepted(triads, "[V:1][ceg]4|[V:2]C4|", triads, head=head)


def test_a_second_ending_needs_a_first_one() -> None:
    opening = "[V:1]|:C4|[V:2]|:C4|"
    first = "[V:1][1 C4:|[V:2][1 C4:|"
    second = "[V:1][2 C4|[V:2][2 C4|"
    assert accepted(opening, first, second)
    assert not accepted(opening, FULL, second)
    third = second.replace("[2", "[3")
    assert accepted(opening, first, second, third)
    assert not accepted(opening, first, second, second)


def test_a_repeat_does_not_begin_inside_another() -> None:
    begins, ends = "[V:1]|:C4|[V:2]|:C4|", "[V:1]C4:|[V:2]C4:|"
    assert accepted(begins, ends, begins)
    assert not accepted(begins, FULL, begins)
    # A voice that comes back after rests still has the barline behind which it was left out.
    upbeat = "[V:1]c|:[V:2]C|:[V:3]C|:"
    assert accepted(upbeat, "[V:2]E4|[V:3]C4|", "[V:2]F4|[V:3]C4|", "[V:1]e4|[V:2]G4|[V:3]C4|")


def test_half_of_the_lines_are_not_short_in_the_same_way() -> None:
    short = [f"[V:1]{a}2|[V:2]{b}2|[V:3]C2|" for a, b in ("cG", "dB", "eA", "fF", "gG", "aC")]
    assert accepted(*short[:4], of=9)
    assert accepted(*short[:5], of=9)
    assert not accepted(*short[:6], of=9)


def test_a_loop_is_refused_where_it_takes_a_quarter_of_the_piece() -> None:
    bars = [f"[V:1]{a}2 {b}2|[V:2]C4|[V:3]C,4|" for a, b in ("ce", "df", "eg", "Bd", "cA", "FA")]
    fresh = [f"[V:1]{a}4|[V:2]{a}2C2|[V:3]C,4|" for a in "cdefgab"]
    varied = [x for pair in zip(bars, fresh, strict=False) for x in pair]
    assert accepted(*varied, of=31)
    stuck = [*varied[:8], *[bars[5]] * 7]
    assert accepted(*stuck, of=31)
    assert not accepted(*stuck, bars[5], of=31)
    # In a longer piece the same lines are no quarter.
    assert accepted(*stuck, bars[5], of=63)


def test_each_rule_stands_in_the_table_and_in_the_documentation() -> None:
    text = (Path(__file__).parent.parent / "docs" / "line.md").read_text()
    for name in RULES:
        assert f"`{name}`" in text


def test_markers_count_on() -> None:
    assert accept_line(HEAD + f"[r:0/3]{FULL}\n", f"[r:1/2]{FULL}\n")
    assert not accept_line(HEAD + f"[r:0/3]{FULL}\n", f"[r:2/1]{FULL}\n")
    assert accept_line(HEAD, FULL)
    assert accept_line(HEAD, "% a comment")


def test_a_refused_line_leaves_no_trace() -> None:
    so_far = HEAD + f"[r:0/9]{FULL}\n"
    for _ in range(2):
        assert not accept_line(so_far, "[r:1/8][V:1]C4-|[V:2]C3|\n")
        assert accept_line(so_far, f"[r:1/8]{FULL}\n")


def test_one_candidate_does_not_spoil_the_next() -> None:
    so_far = HEAD + "[r:0/9][V:1]C4-|[V:2]C4|\n"
    assert accept_line(so_far, "[r:1/8][V:1]C4|[V:2]C4|\n")
    assert not accept_line(so_far, "[r:1/8][V:1]D4|[V:2]C4|\n")


def test_the_text_so_far_may_come_from_anywhere() -> None:
    """The same answer with the state kept from line to line, and from the bare text."""
    tune = "cdefgabg"
    lines = [f"[r:{i}/{20 - i}]{FULL.replace('C', tune[i], 1)}\n" for i in range(8)]
    lines[7] = "[r:7/13][V:1]C2-|[V:2]C2|[V:3]C2|\n"
    text = HEAD
    for line in lines:
        accept_line(text, line)
        text += line
    for candidate, good in (("[V:1]C2|[V:2]C2|", True), ("[V:1]D2|[V:2]C2|", False)):
        for so_far in (text, "% a comment\n" + text):
            assert accept_line(so_far, f"[r:8/12]{candidate}\n") is good


def test_every_line_of_good_pieces_is_accepted() -> None:
    for name in ("chorale", "song"):
        stream = as_stream((PIECES / f"{name}.abc").read_text())
        assert refused(stream) == []


def refused(stream: str) -> list[int]:
    """Return the numbers of the lines that are refused."""
    so_far, found = "", []
    number = 0
    for line in stream.splitlines(keepends=True):
        if line.startswith("[r:"):
            number += 1
            if not accept_line(so_far, line):
                found.append(number)
        so_far += line
    return found


@pytest.mark.real
@pytest.mark.slow
def test_real_lines(real_pieces: list[Path]) -> None:
    """What the gates pass as a whole is accepted line by line."""
    from scoregate.validators.gates import bars

    for path in real_pieces[::7]:
        text = path.read_text()
        score = read(text)
        findings = score.findings + bars.check(score).findings
        if not any(finding.severity == "critical" for finding in findings):
            assert refused(as_stream(text)) == [], path
