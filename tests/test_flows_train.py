"""`scoregate train`: from a folder of scores to weights that the line takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import scoregate, scoregate_here

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    from music21 import corpus

    folder = tmp_path_factory.mktemp("scores")
    for work in ("66.6", "7.7", "10.7", "12.7"):
        corpus.parse(f"bach/bwv{work}").write("musicxml", folder / f"{work}.musicxml")
    (folder / "broken.mxl").write_text("no score")
    return folder


def test_four_steps_from_the_embedded_model_end_in_weights_that_write(
    prefect_server, scores, tmp_path
):
    folder = tmp_path / "project"
    words = ("--from", "embedded", "--folder", folder, "--steps", 4, "--pieces", 3)
    done = scoregate("train", scores, *words, "--threads", 1, "--seeds", 2, url=prefect_server.url)
    assert done.returncode == 0, done.stderr
    assert "broken.mxl" in done.stdout
    assert "by seed:" in done.stdout
    weights = folder / "mine.safetensors"
    found = scoregate_here("weights", "check", weights)
    assert "Baroque/Bach, Johann Sebastian/Choral" in found.stdout
    assert (folder / "mine.md").read_text().startswith("# mine")


def test_a_folder_without_scores_is_told(prefect_server, tmp_path):
    (tmp_path / "empty").mkdir()
    done = scoregate_here(
        "train", tmp_path / "empty", "--folder", tmp_path / "project", url=prefect_server.url
    )
    assert done.returncode == 2
    assert str(tmp_path / "empty") in done.stderr
    assert "Traceback" not in done.stderr
