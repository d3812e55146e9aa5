"""Going on with an existing score."""

from __future__ import annotations

import pytest
from notagen_models import ORACLE, PROMPT

from scoregate import notagen
from scoregate.errors import RequestError, UnreadableError
from scoregate.generator import Limits
from scoregate.notagen.text.continuation import score_prefix
from scoregate.notagen.text.forced import read_forced_text

INTERLEAVED = (
    "X:1\n%%score 1 2\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n"
    "[V:1]C4 D4|[V:2]C,8|\n[V:1]E4 F4|[V:2]G,,8|\n[V:1]C8|][V:2]C,8|]\n"
)
PARTWISE = "X:1\nL:1/8\nM:4/4\nK:C\nV:1 treble\nC4 D4|E4 F4|C8|]\nV:2 bass\nC,8|G,,8|C,8|]\n"


@pytest.mark.parametrize("text", [INTERLEAVED, PARTWISE])
def test_abc_is_gone_on_with(tmp_path, text):
    path = tmp_path / "score.abc"
    path.write_text(text)
    opening = read_forced_text(score_prefix(path), prompted=True)
    assert opening.bars == (
        "[V:1]C4 D4|[V:2]C,8|\n", "[V:1]E4 F4|[V:2]G,,8|\n", "[V:1]C8|[V:2]C,8|\n",
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_abc_in_any_encoding(tmp_path, encoding):
    path = tmp_path / "score.abc"
    text = INTERLEAVED.replace("treble", 'treble nm="Flûte"').replace("\n", "\r\n")
    path.write_bytes(text.encode(encoding))
    opening = read_forced_text(score_prefix(path), prompted=True)
    assert 'V:1 treble nm="Flute"\n' in opening.header
    assert len(opening.bars) == 3


def test_piece_as_a_model_wrote_it_is_gone_on_with(tmp_path):
    """Prompt and counters go, and voices that were left out come back before bars are counted."""
    path = tmp_path / "raw.abc"
    header = INTERLEAVED.partition("[V:1]")[0].removeprefix("X:1\n")
    path.write_text(PROMPT + "%end\n" + header + "[r:0/9][V:1]C8|[V:2]C,8|\n[r:1/8][V:2]D,8|\n")
    assert score_prefix(path) == header + "[V:1]C8|[V:2]C,8|\n[V:1]z8|[V:2]D,8|\n"


def test_rests_of_whole_bars_are_written_out(tmp_path):
    path = tmp_path / "score.abc"
    head = "X:1\nL:1/8\nM:3/4\nK:C\n"
    path.write_text(head + "V:1\nC6|D6|[M:4/4]E8|F8|]\nV:2\nZ2|[M:4/4]Z|z8|]\n")
    assert score_prefix(path).splitlines()[-4:] == [
        "[V:1]C6|[V:2]z6|",
        "[V:1]D6|[V:2]z6|",
        "[V:1][M:4/4]E8|[V:2][M:4/4]z8|",
        "[V:1]F8|[V:2]z8|",
    ]


def test_first_bars_are_written_before_the_models_own(tmp_path):
    path = tmp_path / "score.abc"
    path.write_text(INTERLEAVED)
    (piece,) = notagen.load(ORACLE / "weights.pth", threads=1).generate(
        [PROMPT], seeds=[1], limits=Limits(max_steps=3), prefix=score_prefix(path, 2)
    )
    assert "/2][V:1]C4 D4|[V:2]C,8|\n[r:1/1][V:1]E4 F4|[V:2]G,,8|\n" in piece.raw
    assert piece.bars == 2


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".musicxml", ".mid"])
def test_other_formats_are_gone_on_with(tmp_path, ending):
    from music21 import converter

    path = tmp_path / f"score{ending}"
    score = converter.parse("tinyNotation: 4/4 c4 d4 e4 f4 g1")
    score.write("midi" if ending == ".mid" else "musicxml", fp=path)
    bars = read_forced_text(score_prefix(path, 1), prompted=True).bars
    assert len(bars) == 1
    assert "2 D2 E2 F2|" in bars[0]


def test_file_that_is_no_score(tmp_path):
    (tmp_path / "a.abc").write_text("nothing here")
    (tmp_path / "a.txt").write_text("nothing here")
    for name, what in (("a.abc", "can't be continued"), ("a.txt", "by its suffix"),
                       ("b.abc", "no score")):  # fmt: skip
        with pytest.raises(UnreadableError, match=what):
            score_prefix(tmp_path / name)


@pytest.mark.parametrize("bars", [0, -1, 2.5, "2", True])
def test_wrong_number_of_bars(tmp_path, bars):
    with pytest.raises(RequestError, match="bars = "):
        score_prefix(tmp_path / "a.abc", bars)


@pytest.mark.parametrize("path", [None, 5, b"a.abc"])
def test_path_of_another_type(path):
    with pytest.raises(RequestError, match="not the path of a file"):
        score_prefix(path)
