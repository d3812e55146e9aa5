"""Sources: files, folders, globs, zip archives and JSONL; bad ones are reported, not raised."""

import json
import os
import zipfile

import pytest

from scoregate import sources
from scoregate.errors import UnreadableError
from scoregate.sources import Source, find, read_bytes

TUNE = "X:1\nL:1/8\nM:4/4\nK:C\nC8|]\n"


def test_a_folder_is_searched_below_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("z.abc", "b/a.abc", "b/notes.pdf"):
        (tmp_path / name).write_text(TUNE)
    found = [source.name for source in find([str(tmp_path)])]
    assert found == [str(tmp_path / "z.abc"), str(tmp_path / "b/a.abc")]


def test_a_pattern_is_expanded(tmp_path):
    for name in ("1.abc", "2.abc"):
        (tmp_path / name).write_text(TUNE)
    assert len(list(find([str(tmp_path / "*.abc")]))) == 2


def test_zip_members_are_read(tmp_path):
    path = tmp_path / "pieces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.abc", TUNE)
        archive.writestr("readme.md", "no score")
    (source,) = find([str(path)])
    assert source.name == f"{path}!../../evil.abc"
    assert read_bytes(source) == TUNE.encode()


def test_jsonl_lines_are_read_by_their_place(tmp_path):
    path = tmp_path / "pieces.jsonl"
    path.write_text(json.dumps({"abc": TUNE}) + "\n\n" + json.dumps({"abc": "X:2\n"}) + "\n")
    first, second = find([str(path)])
    assert (first.line, second.line) == (1, 3)
    assert read_bytes(second) == b"X:2\n"


@pytest.mark.parametrize("line", ["no json", "[]", '{"abc": 3}', '{"text": ""}', "[" * 100_000])
def test_a_line_that_holds_no_piece_is_an_error_of_its_own(tmp_path, line):
    path = tmp_path / "pieces.jsonl"
    path.write_text(line + "\n" + json.dumps({"abc": TUNE}) + "\n")
    bad, good = find([str(path)])
    with pytest.raises(UnreadableError, match=r"pieces\.jsonl:1"):
        read_bytes(bad)
    assert read_bytes(good) == TUNE.encode()


def test_a_line_too_long_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 40)
    path = tmp_path / "pieces.jsonl"
    path.write_text(json.dumps({"abc": "x" * 200}) + "\n" + json.dumps({"abc": "y"}) + "\n")
    long, short = find([str(path)])
    assert (long.line, short.line) == (1, 2)
    with pytest.raises(UnreadableError, match="larger"):
        read_bytes(long)
    assert read_bytes(short) == b"y"


def test_a_fifo_is_refused_at_once(tmp_path):
    path = tmp_path / "pipe.abc"
    os.mkfifo(path)
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_bytes(Source(str(path)))


def test_missing_files_and_patterns_are_yielded_as_errors(tmp_path):
    found = list(find([str(tmp_path / "no.abc"), str(tmp_path / "*.abc")]))
    assert [type(item) for item in found] == [UnreadableError, UnreadableError]


def test_a_damaged_zip_does_not_stop_the_search(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "b.abc").write_text(TUNE)
    bad, good = find([str(tmp_path)])
    assert isinstance(bad, UnreadableError)
    assert read_bytes(good) == TUNE.encode()


def test_a_piece_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 10)
    path = tmp_path / "large.abc"
    path.write_text("C" * 11)
    with pytest.raises(UnreadableError, match="larger"):
        read_bytes(Source(str(path)))
