"""`scoregate train`: from a folder of scores to weights that the line takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCOREGATE = Path(sys.executable).with_name("scoregate")

pytestmark = [pytest.mark.slow, pytest.mark.server]


def run(url: str, *words: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"PREFECT_API_URL": url}
    environment.pop("PREFECT_LOGGING_LEVEL", None)
    return subprocess.run(
        [SCOREGATE, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Path:
    from music21 import corpus

    folder = tmp_path_factory.mktemp("scores")
    for work in ("66.6", "7.7", "10.7", "12.7"):
        corpus.parse(f"bach/bwv{work}").write("musicxml", folder / f"{work}.musicxml")
    (folder / "broken.mxl").write_text("no score")
    return folder


def test_ten_steps_from_the_embedded_model_end_in_weights_that_write(
    prefect_server, scores, tmp_path
):
    folder = tmp_path / "project"
    words = ("--from", "embedded", "--folder", folder, "--steps", 10, "--pieces", 3)
    done = run(prefect_server.url, "train", scores, *words, "--threads", 1, "--seeds", 2)
    assert done.returncode == 0, done.stderr
    assert "broken.mxl" in done.stdout
    assert "by seed:" in done.stdout
    weights = folder / "mine.safetensors"
    found = run(prefect_server.url, "weights", "check", weights)
    assert "Baroque/Bach, Johann Sebastian/Choral" in found.stdout
    assert (folder / "mine.md").read_text().startswith("# mine")


def test_a_folder_without_scores_is_told(prefect_server, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(prefect_server.url, "train", tmp_path / "empty", "--folder", tmp_path / "project")
    assert done.returncode == 2
    assert str(tmp_path / "empty") in done.stderr
    assert "Traceback" not in done.stderr
