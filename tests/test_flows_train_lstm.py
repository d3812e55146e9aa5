"""`scoregate train --model lstm`: from a folder of scores to weights that the line takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import scoregate, scoregate_here
from test_lstm_training import tunes

from scoregate.errors import RequestError
from scoregate.lstm.notation import to_abc
from scoregate.requests import TrainRequest, checked


def test_the_lstm_is_not_trained_from_other_weights():
    with pytest.raises(RequestError, match="random weights"):
        checked(TrainRequest, model="lstm", weights="embedded")


def test_each_model_has_its_own_default_style():
    assert checked(TrainRequest).style == "Baroque/Bach, Johann Sebastian/Choral"
    assert checked(TrainRequest, model="lstm").style == ""


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    """Twelve MIDI files, a MusicXML file, a damaged file."""
    from music21 import converter

    folder = tmp_path_factory.mktemp("scores")
    for number, piece in enumerate(tunes(13)):
        text = f"X:1\nT:{number}\n" + to_abc(piece, "Fiddle")
        score = converter.parse(text.replace("[V:1]", ""), format="abc")
        kind = ("midi", "mid") if number else ("musicxml", "musicxml")
        score.write(kind[0], folder / f"{number}.{kind[1]}")
    (folder / "broken.mid").write_bytes(b"MThd and no more")
    return folder


@pytest.mark.slow
@pytest.mark.server
def test_a_folder_of_midi_becomes_weights_that_write(prefect_server, scores, tmp_path):
    folder = tmp_path / "project"
    words = ("train", scores, "--model", "lstm", "--folder", folder, "--steps", 6, "--pieces", 3)
    words = (*words, "--style", "Folk/Nobody/Fiddle", "--threads", 1, "--seeds", 2)
    done = scoregate(*words, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "broken.mid: music21 can't read it" in done.stdout
    assert "by seed:" in done.stdout
    card = (folder / "mine.md").read_text()
    assert card.startswith("# mine")
    assert "of 3 sampled pieces pass the gates" in card
    assert (folder / "curve.csv").read_text().startswith("step,")

    out = tmp_path / "out"
    words = ("produce", "--model", "lstm", "--weights", folder / "mine.safetensors", "--out", out)
    words = (*words, "--count", 1, "--rounds", 1, "--seed", 1, "--max-steps", 30)
    done = scoregate_here(*words, url=prefect_server.url)
    assert done.returncode in (0, 1), done.stderr  # six steps teach nothing: it may not pass
    assert "Traceback" not in done.stderr
    assert list(out.glob("runs/*/run.json"))


@pytest.mark.slow
@pytest.mark.server
def test_a_folder_without_scores_is_told(prefect_server, tmp_path):
    (tmp_path / "empty").mkdir()
    done = scoregate_here("train", tmp_path / "empty", "--model", "lstm",
                          "--folder", tmp_path / "project", url=prefect_server.url)  # fmt: skip
    assert done.returncode == 2
    assert str(tmp_path / "empty") in done.stderr
    assert "Traceback" not in done.stderr
