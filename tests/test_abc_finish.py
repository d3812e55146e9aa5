"""From a stream to finished ABC, and back to positions in the stream."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoregate.abc.finish import finish, undeclared_voices
from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.abc.source_text import REFUSED
from scoregate.validators.examination import examine

PIECES = Path(__file__).parent / "pieces"

STREAM = """%Baroque
%Bach, Johann Sebastian
%Choral
%end
%%score [ ( 1 2 ) 3 ]
L:1/8
M:3/4
K:G
V:1 treble nm="Violino"
V:2 treble
V:3 bass nm="Cello"
[r:0/3][V:1]B2|[V:3]G,2|
[r:1/2][V:1]A6|:[V:2]D6|:[V:3]F,6|:
[r:2/1][V:2][L:1/16]E12:|
[r:3/0]"""
PROMPT = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n"
HEADER = "%%score [ ( 1 2 ) 3 ]\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 treble\nV:3 bass\n"


def finished_lines(body: str, header: str = HEADER) -> list[str]:
    """Return the finished lines of a stream's body."""
    text = finish(PROMPT + header + body).text
    assert text.startswith("X:1\n" + header)
    assert finish(text).text == text
    return text.removeprefix("X:1\n" + header).splitlines()


def test_a_stream_is_finished() -> None:
    finished = finish(STREAM + "[V:1]G4|][V:3]G,4|]")
    assert finished.text.split("\n") == [
        "X:1",
        "%%score [ ( 1 2 ) 3 ]",
        "L:1/8",
        "M:3/4",
        "K:G",
        'V:1 treble nm="Violino"',
        "V:2 treble",
        'V:3 bass nm="Cello"',
        "[V:1]B2|[V:2]x2|[V:3]G,2|",
        "[V:1]A6|:[V:2]D6|:[V:3]F,6|:",
        "[V:1]z6:|[V:2][L:1/16]E12:|[V:3]z6:|",
        "[V:1]G4|][V:2]x8|][V:3]G,4|]",
        "",
    ]
    assert finished.lines == (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0)
    assert finished.prompt == ("Baroque", "Bach, Johann Sebastian", "Choral")
    assert finished.score().prompt == finished.prompt


def test_positions_lead_back_to_the_text_as_it_was_handed_in() -> None:
    raw = STREAM + "[V:1]G4|][V:3]G,4|]"
    finished = finish(raw)
    text, source = finished.text.split("\n"), raw.split("\n")
    for number, line in enumerate(text, 1):
        for cell in re.finditer(r"\[V:\d\](\S*?[|:\]]+)(?=\[V|$)", line):
            if re.match("[zx]", cell[1]):
                continue  # A rest that was filled in.
            position = finished.source_position(number, cell.start() + 1)
            assert position is not None
            assert source[position[0] - 1][position[1] - 1 :].startswith(cell[0])
    filled = text[8].index("[V:2]") + 1
    assert finished.source_position(9, filled) == (12, 1)
    assert finished.source_position(9, filled + len("[V:2]x2|")) == (
        12,
        source[11].index("[V:3]") + 1,
    )
    assert finished.source_position(1, 1) is None
    assert finished.source_position(99, 1) is None


def test_findings_cite_the_file_that_was_handed_in() -> None:
    first = "[r:0/1][V:1]C8|[V:3]C,8 D,|"
    last = "[r:1/0][V:1]C8|][V:3]C,4 é D,4|]"
    raw = PROMPT + HEADER + f"{first}\n{last}\n"
    found = {(f.code, f.voice, f.bar, f.line, f.column) for f in examine(raw).findings}
    assert ("bars.voices-disagree", "3", 1, 12, first.index("C,8") + 1) in found
    assert ("syntax.character", "3", 2, 13, last.index("é") + 1) in found
    assert finish(raw).text.split("\n")[9].index("é") != last.index("é")


def music(score: Score) -> list[tuple]:
    """Return what sounds, without the rests' looks."""
    return [
        (voice.id, bar.number, bar.duration, bar.right, event.onset, event.pitches)
        for voice in score.voices
        for bar in voice.bars
        for event in bar.events
    ]


def test_the_finished_text_reads_like_the_stream() -> None:
    raw = STREAM + "[V:1]G4|][V:3]G,4|]"
    again = finish(raw).score()
    assert again.findings == []
    assert not again.stream
    assert music(again) == music(read(raw))


@pytest.mark.parametrize("name", ["chorale", "song", "winds", "reel", "duet"])
def test_a_finished_piece_stays_as_it_is(name: str) -> None:
    text = (PIECES / f"{name}.abc").read_text()
    finished = finish(text)
    assert finished.text == text
    assert finished.lines == tuple(range(1, text.count("\n") + 2))
    assert finish(text.replace("\n", "\r\n")).text == text
    assert finish(text.encode()).text == text


def as_stream(text: str) -> str:
    """Return a finished interleaved piece as the model would write it."""
    lines = [line for line in text.rstrip("\n").split("\n") if line != "X:1"]
    body = [line for line in lines if line.startswith("[V:")]
    head = [line for line in lines if not line.startswith("[V:")]
    written = ["%Romantic", "%Schubert, Franz", "%Art Song"]
    for index, line in enumerate(body):
        cells = re.findall(r"\[V:[^\]]+\](?:(?!\[V:).)*", line)
        sounding = [cell for cell in cells if not re.fullmatch(r"\[V:\d+\][zx]\d*[|:\]]+", cell)]
        marker = f"[r:{index}/{len(body) - index - 1}]"
        written.append(marker + "".join(sounding or cells[:1]))
    return "\n".join(written[:3] + head + written[3:]) + "\n"


@pytest.mark.parametrize("name", ["chorale", "song"])
def test_a_stream_and_its_finished_text_hold_the_same_music(name: str) -> None:
    text = (PIECES / f"{name}.abc").read_text()
    score = read(as_stream(text))
    assert score.findings == []
    assert music(score) == music(read(text)) == music(finish(as_stream(text)).score())


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
        # The voices' order is the header's.
        ("[V:3]C,8|[V:1]C8|", "[V:1]C8|[V:2]x8|[V:3]C,8|"),
        # A field within one voice leaves the others' lengths alone.
        ("[V:1][L:1/4]C4|", "[V:1][L:1/4]C4|[V:2]x8|[V:3]z8|"),
        # A field before all voices holds for each.
        ("[L:1/4][V:1]C4|", "[L:1/4][V:1]C4|[V:2]x4|[V:3]z4|"),
        # What looks like a voice within quotation marks is none.
        ('[V:1]"^as [V:9] has"C8|', '[V:1]"^as [V:9] has"C8|[V:2]x8|[V:3]z8|'),
        ("[V:1]C8|%solo", "[V:1]C8|[V:2]x8|[V:3]z8|%solo"),
        ("[V:1]C8|\\", "[V:1]C8|[V:2]x8|[V:3]z8|\\"),
        # No length of ABC has a denominator of 3: a tuplet is needed.
        ("[V:1](3:2:2C2D2|", "[V:1](3:2:2C2D2|[V:2](3:2:1x4|[V:3](3:2:1z4|"),
        ("[V:1]|", "[V:1]|[V:2]|[V:3]|"),
    ],
)
def test_resting_voices_are_filled_in(line: str, completed: str) -> None:
    assert finished_lines(f"[r:0/0]{line}\n") == [completed]


def test_a_unit_that_changed_earlier_holds_for_its_voice() -> None:
    body = "[r:0/2][V:1][L:1/4]C4|[V:3]C,8|\n[r:1/1][V:3]C,8|\n[r:2/0][V:1]C4|]\n"
    assert finished_lines(body) == [
        "[V:1][L:1/4]C4|[V:2]x8|[V:3]C,8|",
        "[V:1]z4|[V:2]x8|[V:3]C,8|",
        "[V:1]C4|][V:2]x8|][V:3]z8|]",
    ]
    field = "[r:0/1][V:1]C8|[V:2]C8|[V:3]C,8|\nL:1/16\n[r:1/0][V:1]C16|]\n"
    assert finished_lines(field)[-1] == "[V:1]C16|][V:2]x16|][V:3]z16|]"


def test_length_is_that_of_most_voices() -> None:
    body = "[V:1]C8|[V:2]C7|[V:3]C8|\n"
    assert finished_lines(body, HEADER + "V:4 bass\n") == ["[V:1]C8|[V:2]C7|[V:3]C8|[V:4]z8|"]


def test_a_last_line_is_left_out_where_the_model_was_stopped() -> None:
    raw = PROMPT + HEADER + "[r:0/1][V:1]C8|[V:2]E8|[V:3]G8|\n[r:1/0][V:1]C8|[V:2]E"
    assert finish(raw, whole=False).text.endswith("[V:3]G8|\n")
    assert finish(raw).text.endswith("[V:2]E[V:3]z8|\n")
    codes = [f.code for f in finish(raw, whole=False).score().findings]
    assert "syntax.stream-truncated" in codes


def test_a_header_alone_is_still_a_tune() -> None:
    assert finish(PROMPT + "K:C\n").text == "X:1\nK:C\n"


def test_a_voice_without_a_staff_rests_visibly() -> None:
    raw = "L:1/8\nK:C\nV:1\nV:2\n[r:0/0][V:1]C8|\n"
    assert finish(raw).text == "X:1\nL:1/8\nK:C\nV:1\nV:2\n[V:1]C8|[V:2]z8|\n"


def test_a_voice_is_filled_in_whether_or_not_it_is_declared_anywhere() -> None:
    raw = "L:1/8\nK:C\n[r:0/1][V:1]C8|[V:2]C8|\n[r:1/0][V:1]C8|]\n"
    assert finish(raw).text.endswith("[V:1]C8|][V:2]z8|]\n")


def test_blank_lines_and_comments_of_the_header_go() -> None:
    raw = f"\n{PROMPT}\n{HEADER}[r:0/0][V:1]C8|][V:2]C8|][V:3]C8|]\n"
    assert finish(raw).text.startswith("X:1\n" + HEADER)
    assert not [f for f in finish(raw).score().findings if f.severity == "critical"]


def test_the_score_line_is_not_repaired() -> None:
    """Else the archive would hold another text than the one that was rejected."""
    header = HEADER.replace("[ ( 1 2 ) 3 ]", "{ ( 1 2 ) 3")
    raw = PROMPT + header + "[r:0/0][V:1]C8|][V:2]C8|][V:3]C8|]\n"
    finished = finish(raw)
    assert finished.text.startswith("X:1\n" + header)
    for text in (raw, finished.text):
        codes = {f.code for f in examine(text).findings if f.severity == "critical"}
        assert codes == {"syntax.score-groups"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[r:0/2]{0}[r:2/1]{0}[r:2/0]{0}", ("syntax.stream-order", "critical", 13, 1)),
        ("[r:0/2]{0}[r:1/0]{0}[r:2/0]{0}", ("syntax.stream-count", "warning", 13, 1)),
        ("[r:0/2]{0}[r:1/1]{0}", ("syntax.stream-truncated", "critical", 13, 1)),
        ("[r:0/2]{0}[r:1/1]\n[r:2/0]{0}", ("syntax.stream-empty", "critical", 13, 1)),
        ("[r:0/1]{0}[r:1/0]\n", ("syntax.stream-empty", "warning", 13, 1)),
    ],
)
def test_findings_on_the_markers_are_not_lost(body: str, expected: tuple) -> None:
    line = "[V:1]C8|[V:2]C8|[V:3]C8|\n"
    for row in (line, line.replace("[V:2]C8|", "")):
        raw = PROMPT + HEADER + body.format(row)
        found = [(f.code, f.severity, f.line, f.column) for f in examine(raw).findings]
        assert expected in found
        assert any(f.code == expected[0] for f in finish(raw).score().findings)
        assert not any(f.code == expected[0] for f in read(finish(raw).text).findings)


def test_a_line_of_a_stream_is_one_bar_though_the_finished_text_may_be_ordinary() -> None:
    row = "[V:1]C8|C8|[V:2]C8|C8|[V:3]C8|C8|"
    raw = PROMPT + HEADER + f"[r:0/1]{row}\n[r:1/0]{row[:-1]}|]\n"
    codes = {f.code for f in examine(raw).findings if f.severity == "critical"}
    assert "syntax.stream-bars" in codes


def test_several_markers_before_a_line_go() -> None:
    assert finished_lines("[r:0/0][r:0/0][V:1]C8|[V:2]C8|[V:3]C8|\n") == [
        "[V:1]C8|[V:2]C8|[V:3]C8|"
    ]


def test_a_voice_that_never_occurs_is_filled_in_and_told() -> None:
    raw = PROMPT + HEADER + "[r:0/0][V:1]C8|][V:2]C8|]\n"
    assert finish(raw).text.endswith("[V:3]z8|]\n")
    (finding,) = (f for f in examine(raw).findings if f.code == "syntax.voice-silent")
    assert (finding.voice, finding.line, finding.severity) == ("3", 11, "warning")


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
def test_what_a_model_caught_in_a_loop_writes_is_finished(music: str) -> None:
    text = finish(PROMPT + HEADER + f"[r:0/1][V:1]{music}|\n[r:1/0][V:1]c8|\n").text
    assert text.startswith("X:1\n" + HEADER)
    refused = any(finding.code == REFUSED for finding in read(text).findings)
    assert text.endswith("[V:1]c8|\n" if refused else "[V:1]c8|[V:2]x8|[V:3]z8|\n")
    assert finish(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "\n", "no ABC at all", "X" * 600_000, b"\xff\xfeX\x00", "\0", "[r:0/0]", "[r:0/0]CDEF|"],
)
def test_what_the_reader_refuses_is_not_changed(text: str | bytes) -> None:
    finished = finish(text)
    assert finish(finished.text).text == finished.text
    assert {f.code for f in finished.score().findings} == {f.code for f in read(text).findings}


def test_an_encoding_is_told_whatever_becomes_of_the_text() -> None:
    raw = (PROMPT + HEADER + "[r:0/0][V:1]C8|][V:2]C8|][V:3]C8|]\n").replace("bass", 'bass nm="é"')
    for data in (raw.encode("latin-1"), raw.replace("%Baroque\n", "X:1\n").encode("latin-1")):
        found = [(f.code, f.line) for f in examine(data).findings]
        assert ("syntax.encoding", 11) in found


def test_voices_that_no_field_declares_are_found() -> None:
    raw = "%%score 1 2\nV:1 treble\nV:2 bass\n[r:0/1][V:1]C4|[V:3]D4|[V:2]E4|[V:10]z4|\n"
    assert undeclared_voices(raw) == ["10", "3"]
    assert undeclared_voices(raw.replace("V:2 bass", "V:2\nV:3\nV:10")) == []


@pytest.mark.real
def test_real_pieces_as_streams(real_pieces: list[Path]) -> None:
    for path in real_pieces[::8]:
        text = path.read_text()
        score = read(as_stream(text))
        assert score.stream
        assert music(score) == music(read(text)), path
