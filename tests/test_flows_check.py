"""`scoregate check`: exit codes, JSON, and files of every bad kind."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scoregate import sources
from scoregate.errors import ToolError
from scoregate.flows import cli
from scoregate.validators import abc2midi

GOOD = """X:1
%%score ( 1 2 )
L:1/8
Q:1/4=90
M:4/4
K:C
V:1 treble nm="Violin"
V:2 treble
[V:1]c2 d2 e2 f2|[V:2]E2 F2 G2 A2|
[V:1]g2 a2 b2 c'2|[V:2]B2 c2 d2 e2|
[V:1]b2 g2 e2 d2|[V:2]G2 E2 C2 B,2|
[V:1]c8|][V:2]C8|]
"""
STREAM = """%Baroque
%Bach, Johann Sebastian
%Choral
%end
%%score ( 1 2 )
L:1/8
Q:1/4=90
M:4/4
K:C
V:1 treble nm="Women"
V:2 treble
[r:0/3][V:1]c2 d2 e2 f2|[V:2]E2 F2 G2 A2|
[r:1/2][V:1]g2 a2 b2 c'2|
[r:2/1][V:1]b2 g2 e2 d2|[V:2]G2 E2 D2 F2|
[r:3/0][V:1]c8|][V:2]E8|]
"""
FIELDS = {
    "gate", "code", "severity", "message", "voice", "bar", "line", "column", "found", "expected",
    "part", "printed",
}  # fmt: skip


def check(*words: str):
    return CliRunner().invoke(cli.app, ["check", *map(str, words)])


def write(folder: Path, text: str | bytes, name: str = "piece.abc") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [GOOD, STREAM], ids=["finished", "as the model writes it"])
def test_a_good_piece_passes(tmp_path, text):
    result = check(write(tmp_path, text))
    assert result.exit_code == 0, result.output
    assert "passed" in result.output


def test_a_short_voice_is_named_with_its_place(tmp_path):
    path = write(tmp_path, GOOD.replace("[V:2]B2 c2 d2 e2|", "[V:2]B2 c2 d2 e|"))
    result = check(path)
    assert result.exit_code == 1
    assert "bars: Violin, voice 2, bar 2: 7/8 found, 4/4 expected (line 10, column" in result.output


def test_a_voice_left_out_is_a_fault_in_finished_text_and_a_rest_in_the_models(tmp_path):
    missing = GOOD.replace("[V:2]B2 c2 d2 e2|", "")
    assert check(write(tmp_path, missing)).exit_code == 1
    assert check(write(tmp_path, STREAM)).exit_code == 0


def test_json_is_one_object_a_line(tmp_path):
    good = write(tmp_path, GOOD, "good.abc")
    bad = write(tmp_path, GOOD.replace("e2|", "e|"), "bad.abc")
    result = check(good, bad, "--json")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["file"], first["passed"], first["status"]) == (str(good), True, "passed")
    assert (second["passed"], second["status"]) == (False, "rejected")
    assert all(set(finding) == FIELDS for finding in second["findings"])
    assert {"bars"} <= {finding["gate"] for finding in second["findings"]}
    assert all(isinstance(value, float | int | None) for value in first["measures"].values())
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"   \n\n", bytes(range(256)) * 4, b"\x00" * 50, b"\xff\xfe\x41\x00", b"<html></html>"],
    ids=["empty", "blank", "binary", "NULs", "UTF-16", "HTML"],
)
def test_what_is_no_score_never_passes(tmp_path, content):
    result = check(write(tmp_path, content), "--json")
    (answer,) = map(json.loads, result.stdout.splitlines())
    assert answer["passed"] is False
    assert answer["findings"]
    assert result.exit_code in (1, 2)


def test_latin_1_is_read_and_remarked_on(tmp_path):
    text = GOOD.replace("X:1\n", "X:1\nT:Frühling\n").encode("latin-1")
    answer = json.loads(check(write(tmp_path, text), "--json").stdout)
    assert answer["status"] == "passed"
    assert any("UTF-8" in finding["message"] for finding in answer["findings"])


def test_files_that_cannot_be_read_do_not_stop_the_others(tmp_path):
    os.mkfifo(tmp_path / "pipe.abc")
    good = write(tmp_path, GOOD)
    result = check(tmp_path / "none.abc", tmp_path / "pipe.abc", tmp_path, good)
    assert result.exit_code == 2
    assert "1 passed, 3 could not be read" in result.output


def test_pieces_within_an_archive_or_a_list_are_judged_one_by_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("good.abc", GOOD)
        archive.writestr("more.zip", b"PK")
    lines = tmp_path / "all.jsonl"
    lines.write_text(json.dumps({"abc": GOOD}) + "\nnothing\n")
    for holder, good, bad in (
        (tmp_path / "all.zip", "!good.abc", "!more.zip"),
        (lines, ":1", ":2"),
    ):
        result = check(holder, "--json")
        judged = {answer["file"]: answer for answer in map(json.loads, result.stdout.splitlines())}
        assert judged[f"{holder}{good}"]["passed"] is True
        assert judged[f"{holder}{bad}"]["status"] == "could not be judged"
        assert result.exit_code == 2


@pytest.mark.slow
def test_tunes_of_a_book_are_judged_as_each_by_itself(tmp_path):
    """They are heard by abc2midi together; a tune with a fault costs none of the others."""
    tunes = [
        f"X:{number}\nT:{number}\nM:4/4\nL:1/8\nQ:1/4=90\nK:C\n{music}\n"
        for number, music in enumerate(["CDEF GABc|c8|]", "CDEF [GAB|c8|]", "C-D E6|c8|]"] * 7)
    ]
    book = write(tmp_path, "\n".join(tunes), "book.abc")
    together = [json.loads(line) for line in check(book, "--json").stdout.splitlines()]
    assert len(together) == len(tunes)
    for number, tune in enumerate(tunes):
        alone = json.loads(check(write(tmp_path, tune), "--json").stdout)
        assert together[number]["status"] == alone["status"]
        assert together[number]["measures"] == alone["measures"]
        assert [finding["code"] for finding in together[number]["findings"]] == [
            finding["code"] for finding in alone["findings"]
        ]


def test_a_file_far_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 1000)
    result = check(write(tmp_path, b"c" * 1001))
    assert result.exit_code == 2
    assert "larger than" in result.output


def test_names_cannot_forge_a_verdict(tmp_path):
    path = write(tmp_path, GOOD, "a\n✓ b.abc  passed\x1b[2J.abc")
    result = check(path)
    assert "\x1b" not in result.output
    assert "\n✓ b.abc" not in result.output


def test_without_abc2midi_nothing_is_judged_and_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(abc2midi.shutil, "which", lambda name: None)
    monkeypatch.setattr(abc2midi, "_bundled", lambda: None)
    abc2midi._find.cache_clear()
    result = check(write(tmp_path, GOOD))
    abc2midi._find.cache_clear()
    assert isinstance(result.exception, ToolError)
    assert "pip install symusic" in result.exception.remedy


def test_standard_input(tmp_path):
    result = CliRunner().invoke(cli.app, ["check", "-"], input=GOOD)
    assert result.exit_code == 0, result.output


def test_the_help_teaches_by_example():
    for command in ("produce", "check", "screen", "styles"):
        text = CliRunner().invoke(cli.app, [command, "--help"]).output
        assert f"scoregate {command}" in text


@pytest.mark.slow
def test_the_page_shows_the_piece_and_its_fault(tmp_path):
    path = write(tmp_path, GOOD.replace("[V:2]B2 c2 d2 e2|", "[V:2]B2 c2 d2 e|"))
    page = tmp_path / "page.html"
    assert check(path, "--html", page).exit_code == 1
    text = page.read_text()
    assert "<svg" in text
    assert "7/8 found" in text


@pytest.mark.real
@pytest.mark.slow
def test_every_real_piece_is_judged(real_pieces):
    result = check(*real_pieces, "--json")
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(real_pieces)
    assert {answer["status"] for answer in answers} == {"passed", "rejected"}


@pytest.mark.real
def test_a_copy_passes_unless_copies_are_asked_about(real_pieces):
    """NotaGen's output65 shares more than seven bars with a chorale of Bach's."""
    (copy,) = [path for path in real_pieces if path.match("*Bach*/output65.abc")]
    assert check(copy).exit_code == 0
    result = check(copy, "--novelty", "--json")
    assert result.exit_code == 1
    (finding,) = [
        finding
        for finding in json.loads(result.stdout)["findings"]
        if finding["gate"] == "novelty" and finding["severity"] == "critical"
    ]
    assert "373" in finding["message"]
