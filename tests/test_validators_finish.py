"""From a stream to finished ABC, and back to the stream's lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.abc.score import Score

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


def test_a_stream_is_finished() -> None:
    finished = finish(read(STREAM + "[V:1]G4|][V:3]G,4|]"))
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
    ]
    assert finished.lines == (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    assert [finished.source_line(line) for line in (1, 2, 12, 13, 0)] == [None, 5, 15, None, None]


def test_the_finished_text_reads_like_the_stream() -> None:
    score = read(STREAM + "[V:1]G4|][V:3]G,4|]")
    again = read(finish(score).text)
    assert again.findings == []
    assert not again.stream
    assert music(again) == music(score)


def music(score: Score) -> list[tuple]:
    """Return what sounds, without the rests' looks."""
    return [
        (voice.id, bar.number, bar.duration, bar.right, event.onset, event.pitches)
        for voice in score.voices
        for bar in voice.bars
        for event in bar.events
    ]


@pytest.mark.parametrize("name", ["chorale", "song", "winds", "reel", "duet"])
def test_a_finished_piece_stays_as_it_is(name: str) -> None:
    text = (PIECES / f"{name}.abc").read_text()
    finished = finish(read(text))
    assert finished.text == text
    assert finished.lines == tuple(range(1, text.count("\n") + 2))


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
    assert music(score) == music(read(text))
    assert music(read(finish(score).text)) == music(read(text))


@pytest.mark.real
def test_real_pieces_as_streams(real_pieces: list[Path]) -> None:
    for path in real_pieces[::8]:
        text = path.read_text()
        score = read(as_stream(text))
        assert score.stream
        assert music(score) == music(read(text)), path
