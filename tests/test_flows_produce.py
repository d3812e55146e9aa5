"""The line end to end: real server, real model, real gates."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from commands import scoregate, scoregate_here

from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.generation.writing import write_pieces
from scoregate.requests import ProduceRequest

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"


@pytest.fixture(scope="module")
def produced(prefect_server, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    out = tmp_path_factory.mktemp("line") / "out"
    words = ("produce", "--count", 2, "--seed", 11, "--rounds", 20, "--out", out)
    return out, scoregate(*words, url=prefect_server.url)


pytestmark = [pytest.mark.slow, pytest.mark.server]


def test_what_was_asked_for_is_archived_and_sound(produced):
    out, done = produced
    assert done.returncode == 0, done.stderr
    store = Archive(out)
    assert len(list(store.ids())) == 2
    assert list(verify(store)) == []


def test_each_piece_has_everything_that_shaped_it(produced):
    store = Archive(produced[0])
    for report in store.reports():
        origin = report.provenance
        assert {"weights", "seed", "temperature", "top_k", "top_p", "round"} <= set(origin)
        assert set(report.gates) >= {"syntax", "bars", "ranges", "repetition", "measures"}
        assert {"score.abc", "raw.abc", "score.mid", "score.musicxml", "score-1.svg"} <= set(
            report.files
        )
        assert report.thresholds["measures"]
        assert not [finding for finding in report.findings if finding.severity == "critical"]


def test_the_command_ends_with_what_to_type_next(produced):
    out, done = produced
    assert "2 of 2 pieces passed" in done.stdout
    assert "Next:" in done.stdout
    assert "scoregate archive show" in done.stdout
    (run,) = Archive(out).run_ids()
    page = (Archive(out).run_folder(run) / "report.html").read_text()
    assert "<svg" in page
    assert 'src="http' not in page


def test_an_archived_piece_passes_check_again(produced):
    store = Archive(produced[0])
    names = ("score.abc", "raw.abc")
    files = [store.path_of(identifier) / name for identifier in store.ids() for name in names]
    checked = scoregate_here("check", *files)
    assert checked.returncode == 0, checked.stdout
    assert "4 files: 4 passed" in checked.stdout


def test_the_same_seed_gives_the_same_pieces(produced):
    """What the line's processes wrote, written again in this one: alone, not in a batch."""
    store = Archive(produced[0])
    (run,) = store.run_ids()
    request = ProduceRequest(**store.run(run).request)
    for report in store.reports():
        (again,), _ = write_pieces(request, [report.provenance["seed"]])
        assert again.raw == (store.path_of(report.piece_id) / "raw.abc").read_text()


def test_the_run_has_its_artifacts(produced, prefect_server):
    request = urllib.request.Request(
        f"{prefect_server.url}/artifacts/filter", b"{}", {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        artifacts = json.load(answer)
    keys = {artifact["key"] for artifact in artifacts}
    assert {"verdicts", "report", "report-page", "trend"} <= keys
    (run,) = Archive(produced[0]).run_ids()
    assert any(run in str(artifact["data"]) for artifact in artifacts)


def test_out_of_rounds_says_what_is_missing_and_keeps_what_failed(prefect_server, tmp_path):
    words = ("produce", "--count", 2, "--temperature", 6, "--top-k", 0, "--top-p", 1)
    words += ("--rounds", 1, "--no-repair-lines", "--seed", 3, "--out", tmp_path)
    done = scoregate_here(*words, url=prefect_server.url)
    assert done.returncode == 1, done.stderr
    assert "2 missing" in done.stdout
    store = Archive(tmp_path)
    (run,) = store.run_ids()
    assert store.run(run).missing == 2
    assert any("2 pieces short" in alarm for alarm in store.run(run).alarms)
    assert len(store.rejected_reports(run)) == 2
    assert list(store.ids()) == []


def test_a_piece_beyond_the_limit_is_kept_apart_and_says_so(prefect_server, tmp_path):
    words = ("produce", "--count", 1, "--max-patches", 60, "--rounds", 1, "--seed", 3)
    done = scoregate_here(*words, "--out", tmp_path, url=prefect_server.url)
    assert done.returncode == 1, done.stderr
    assert "1 × ended: length limit" in done.stdout
    assert "1 cut off by max-steps" in " ".join(done.stdout.split())
    store = Archive(tmp_path)
    (run,) = store.run_ids()
    (report,) = store.rejected_reports(run)
    assert (report.provenance["ended"], report.provenance["max_steps"]) == ("length", 60)
    assert list(store.ids()) == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--style", "Baroque/Bach, J S/Choral"), CHORAL),
        (("--style", "Romantic/Chopin, Frederic/Keyboard"), "not trained"),
        (("--temperature", 0), "temperature"),
        (("--count", 0), "count"),
        (("--weights", "no-such-weights.pth"), "no-such-weights.pth"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(words, problem, tmp_path):
    done = scoregate_here("produce", *words, "--out", tmp_path / "out", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "scoregate-server.json").exists()


def test_a_folder_that_cannot_be_written_is_named(prefect_server, tmp_path):
    (tmp_path / "file").write_text("")
    done = scoregate("produce", "--out", tmp_path / "file", url=prefect_server.url)
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_where_one_was_chosen(tmp_path):
    done = scoregate("produce", "--out", tmp_path, url="http://127.0.0.1:1/api")
    assert done.returncode == 2
    assert "No Prefect server answers at http://127.0.0.1:1/api" in done.stderr
