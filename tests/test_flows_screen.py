"""`scoregate screen`: any source, filed by verdict, resumable, stopped by no bad file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import zipfile
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import SCOREGATE, scoregate, scoregate_here

GOOD = 'X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1 treble nm="Flute"\n[V:1]c2 d2 e2 f2|\n[V:1]g8|]\n'
SHORT = GOOD.replace("c2 d2 e2 f2|", "c2 d2 e2 f2|\n[V:1]c2 d2 e2 f|\n[V:1]c2 d2 e2 f2|")

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture(scope="module")
def environment(prefect_server) -> dict[str, str]:
    return os.environ | {"PREFECT_API_URL": prefect_server.url}


@pytest.fixture(scope="module")
def screen(prefect_server):
    """Return a function that screens in this process."""
    return partial(scoregate_here, "screen", url=prefect_server.url)


def rows(out: Path) -> dict[str, dict]:
    return {
        Path(row["file"]).name: row for row in pq.read_table(out / "results.parquet").to_pylist()
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    from music21 import converter

    folder = tmp_path_factory.mktemp("mixed")
    (folder / "good.abc").write_text(GOOD)
    (folder / "short.abc").write_text("%short\n" + SHORT)
    (folder / "empty.abc").write_bytes(b"")
    (folder / "binary.abc").write_bytes(bytes(range(256)) * 40)
    (folder / "new\nline.abc").write_text("% 2\n" + GOOD)
    os.mkfifo(folder / "pipe.abc")
    (folder / "gone.abc").symlink_to(folder / "nowhere")
    converter.parse("tinynotation: 4/4 c4 d e f g1").write("musicxml", folder / "a.musicxml")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("../../climbs.abc", "% 3\n" + GOOD)
    lines = ("% 4\n" + GOOD, "% 5\n" + SHORT)
    (folder / "more.jsonl").write_text("".join(json.dumps({"abc": t}) + "\n" for t in lines))
    return folder


@pytest.fixture(scope="module")
def screened(prefect_server, mixed, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened")
    return out, scoregate("screen", mixed, "--out", out, url=prefect_server.url)


def test_every_piece_gets_its_verdict_and_nothing_stops_the_run(screened):
    out, done = screened
    assert done.returncode == 1, done.stderr
    assert {name: row["status"] for name, row in rows(out).items()} == {
        "good.abc": "passed",
        "short.abc": "rejected",
        "empty.abc": "rejected",
        "binary.abc": "rejected",
        "new\nline.abc": "passed",
        "pipe.abc": "could not be judged",
        "gone.abc": "could not be judged",
        "a.musicxml": "passed",
        "climbs.abc": "passed",
        "more.jsonl:1": "passed",
        "more.jsonl:2": "rejected",
    }


def test_pieces_lie_by_verdict_with_their_findings_beside_them(screened):
    out, _ = screened
    for row in rows(out).values():
        path = out / row["output"]
        assert path.resolve().is_relative_to(out.resolve())
        assert path.parent.name == ("passed" if row["status"] == "passed" else "rejected")
    short = out / rows(out)["short.abc"]["output"]
    findings = json.loads(Path(f"{short}.findings.json").read_text())["findings"]
    assert (findings[0]["code"], findings[0]["line"]) == ("bars.too-short", 9)


def test_musicxml_is_judged_by_its_abc(screened):
    assert len(list((screened[0] / "passed").glob("*.musicxml.abc"))) == 1


def test_the_same_command_again_judges_nothing(screen, mixed, screened):
    out, _ = screened
    before = rows(out)
    done = screen(mixed, "--out", out)
    assert done.stdout.startswith("0 judged")
    assert rows(out) == before


def test_the_same_content_under_another_name_is_known(screen, mixed, screened):
    out, _ = screened
    shutil.copy(mixed / "short.abc", mixed / "copy.abc")
    screen(mixed, "--out", out)
    assert rows(out)["copy.abc"]["output"] == rows(out)["short.abc"]["output"]
    (mixed / "copy.abc").unlink()


def noted(journal: Path) -> int:
    """Return how many pieces a journal holds, 0 where it isn't made yet."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM file").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_a_run_that_was_killed_goes_on_where_it_was(screen, environment, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(600):
        (folder / f"{number}.abc").write_text(f"% {number}\n" + GOOD)
    out = tmp_path / "out"
    running = subprocess.Popen(
        [SCOREGATE, "screen", str(folder), "--out", str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not noted(out / "journal.sqlite") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = screen(folder, "--out", out)
    judged = int(done.stdout.split()[0])
    assert 0 < judged < 600
    assert len(rows(out)) == 600
    assert done.returncode == 0


def test_a_dask_cluster_gives_the_same_verdicts(prefect_server, mixed, screened, tmp_path):
    words = ("screen", mixed, "--out", tmp_path, "--dask", "local", "--processes", 1)
    done = scoregate(*words, url=prefect_server.url)
    assert done.returncode == 1, done.stderr
    expected = {name: row["status"] for name, row in rows(screened[0]).items()}
    expected.pop("copy.abc", None)
    assert {name: row["status"] for name, row in rows(tmp_path).items()} == expected


def test_nothing_to_read_is_said(screen, tmp_path):
    done = screen(tmp_path / "none.abc", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "no such file" in done.stdout


def test_a_piece_that_was_mended_leaves_no_copy_among_the_rejected(screen, tmp_path):
    (tmp_path / "in").mkdir()
    piece, out = tmp_path / "in" / "a.abc", tmp_path / "in" / "out"
    piece.write_text(SHORT)
    screen(tmp_path / "in", "--out", out)
    assert len(list((out / "rejected").glob("*.abc"))) == 1
    piece.write_text(GOOD)
    done = screen(tmp_path / "in", "--out", out)
    assert done.returncode == 0, done.stdout
    assert list((out / "rejected").iterdir()) == []
    assert {name: row["status"] for name, row in rows(out).items()} == {"a.abc": "passed"}


def test_an_empty_folder_is_told(screen, tmp_path):
    done = screen(tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "Nothing to judge" in done.stderr


def test_an_inbox_is_watched_from_empty_on(environment, tmp_path):
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()
    words = [SCOREGATE, "screen", str(inbox), "--out", str(out), "--watch", "--every", "0.5"]
    watching = subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # Where the tests run in the background of a script, SIGINT comes to them ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        time.sleep(3)
        (inbox / "late.abc").write_text(GOOD)
        deadline = time.monotonic() + 120
        while not (out / "results.parquet").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1)
    finally:
        watching.send_signal(signal.SIGINT)
        text, _ = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert "1 judged" in text
    assert {name: row["status"] for name, row in rows(out).items()} == {"late.abc": "passed"}
