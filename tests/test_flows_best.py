"""``scoregate produce --quality best`` end to end: a real server, real drafts, and a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from commands import SCOREGATE

from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.evaluation import critic_of
from scoregate.seeds import seeds_of_drafts, seeds_of_round

pytestmark = [pytest.mark.slow, pytest.mark.server]

WORDS = ("produce", "--count", "1", "--quality", "best", "--drafts", "2", "--seed", "5",
         "--batch", "1", "--threads", "1")  # fmt: skip


def test_a_killed_run_goes_on_with_its_drafts_and_keeps_the_best(prefect_server, tmp_path):
    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCOREGATE, *WORDS, "--out", str(tmp_path)],
            env=os.environ | {"PREFECT_API_URL": prefect_server.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def drafts() -> list[dict]:
        for path in tmp_path.glob("runs/*/work/journal.jsonl"):
            text = path.read_text()
            lines = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
            return [line for line in lines if line["event"] == "draft"]
        return []

    first = begun()
    deadline = time.monotonic() + 280
    while not drafts():
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    kept = drafts()

    stdout, stderr = begun().communicate(timeout=280)
    assert "1 of 1 pieces passed" in stdout, stderr
    assert "1 pieces were chosen among 2 drafts" in " ".join(stdout.split())
    store = Archive(tmp_path)
    assert list(verify(store)) == []
    (report,) = store.reports()
    choice = report.provenance["choice"]
    assert (
        choice["drafts"][0]["processor_seconds"]
        == kept[0]["generation"]["draft"]["processor_seconds"]
    ), "the finished draft was resampled"

    assert [each["seed"] for each in choice["drafts"]] == seeds_of_drafts(
        seeds_of_round(5, 1, 1)[0], 2
    )
    critic = critic_of(report.style or "")
    assert critic is not None
    score, _ = critic.score((store.path_of(report.piece_id) / "raw.abc").read_text())
    assert score == pytest.approx(max(choice["scores"]), abs=1e-4)
    assert report.provenance["seed"] == choice["drafts"][choice["chosen"] - 1]["seed"]
