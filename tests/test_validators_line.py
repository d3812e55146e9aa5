"""The judge of a line while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_abc_finish import as_stream

from scoregate.abc.reader import read
from scoregate.validators.line_judge import accept_line

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
        (FULL, "[V:1]C3|[V:2]C3|", "[V:1]C2||[V:2]C2||"),
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
    assert accepted(FULL, short.replace("|]", "|"), of=1)


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
    lines = [f"[r:{i}/{20 - i}]{FULL}\n" for i in range(20)]
    lines[7] = "[r:7/13][V:1]C2-|[V:2]C2|[V:3]C2|\n"
    text = HEAD
    for line in lines[:8]:
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
def test_real_lines(real_pieces: list[Path]) -> None:
    """What the gates pass as a whole is accepted line by line."""
    from scoregate.validators.gates import bars

    for path in real_pieces[::7]:
        text = path.read_text()
        score = read(text)
        findings = score.findings + bars.check(score).findings
        if not any(finding.severity == "critical" for finding in findings):
            assert refused(as_stream(text)) == [], path
