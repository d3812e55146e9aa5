"""Tunebooks: each tune is found with its place and the header's fields, whatever its size."""

from __future__ import annotations

import io
import itertools
import json
import random
import re
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scoregate import tunebooks
from scoregate.errors import UnreadableError
from scoregate.flows import cli
from scoregate.sources import Source, find, read_bytes
from scoregate.tunebooks import find_tunes, tunes_of

BOOK = """% a book
M:6/8
L:1/8
%%propagate-accidentals pitch

X:5
T:First
K:G
GAB c2d|G3-G3:|

X:5
T:Broken
K:D
DEF|DEF DEF GGG|

free text between the tunes
X:9
T:Third
M:9/8
K:D
DEF DEF GGG|DEF DEF G3|]
"""


def by_lines(book: bytes) -> list[tuple[int, int, int]]:
    """Return offset, length and line of each tune, found line by line."""
    starts, offset, blank, key = [], 0, True, False
    for number, line in enumerate(re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", book), 1):
        if line.startswith(b"X:") and (blank or key or not starts):
            starts.append((offset, number))
            blank = key = False
        elif line.startswith(b"K:"):
            key, blank = True, False
        elif not line.strip():
            blank = True
        offset += len(line)
    starts.append((len(book), 0))
    pairs = [(a, b - a, n) for (a, n), (b, _) in itertools.pairwise(starts)]
    return pairs if len(pairs) > 1 else []


@pytest.mark.parametrize("block", [7, 40, 300])
def test_tunes_are_found_at_every_size_of_a_block(monkeypatch, block):
    monkeypatch.setattr(tunebooks, "BLOCK", block)
    for seed in range(150):
        draw = random.Random(seed)
        end = draw.choice(["\n", "\r\n", "\r"])
        words = ["X:1", "K:C", "M:2/4", "CDEF|", "", "  ", "%%x", "X", "X:2"]
        book = "".join(draw.choice(words) + end for _ in range(draw.randrange(1, 40))).encode()
        found = [(tune.offset, tune.length, tune.line) for tune in find_tunes(io.BytesIO(book))]
        assert found == by_lines(book), book


def test_the_header_holds_for_every_tune_that_has_no_field_of_its_own():
    tunes = tunes_of(BOOK.encode())
    assert [tune.count(b"M:") for _, tune in tunes] == [1, 1, 1]
    assert all(b"%%propagate-accidentals pitch\n" in tune for _, tune in tunes)
    assert b"M:9/8" in tunes[2][1]
    assert b"M:6/8" not in tunes[2][1]


def test_a_file_with_one_tune_is_no_book():
    assert tunes_of(b"% notes\nM:4/4\n\nX:1\nK:C\nCDEF|]\n") == []
    assert tunes_of(b"") == []


def test_check_judges_every_tune_by_itself(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(BOOK)
    result = CliRunner().invoke(cli.app, ["check", str(path), "--json"])
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["file"] for row in rows] == [f"{path}#{number}" for number in (1, 2, 3)]
    assert [row["title"] for row in rows] == ["First", "Broken", "Third"]
    assert [row["status"] for row in rows] == ["passed", "rejected", "passed"]
    (fault,) = [f for f in rows[1]["findings"] if f["severity"] == "critical"]
    assert BOOK.split("\n")[fault["line"] - 1] == "DEF|DEF DEF GGG|"
    assert result.exit_code == 1
    shown = CliRunner().invoke(cli.app, ["check", str(path)]).output
    assert "book.abc#2  Broken  rejected" in shown
    assert "3 pieces: 2 passed, 1 rejected" in shown
    piped = CliRunner().invoke(cli.app, ["check", "-", "--json"], input=BOOK)
    assert [json.loads(line)["file"] for line in piped.stdout.splitlines()] == ["-#1", "-#2", "-#3"]


def test_sources_are_the_tunes_of_files_and_of_members_of_archives(tmp_path):
    (tmp_path / "book.abc").write_text(BOOK)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("in/book.abc", BOOK)
        archive.writestr("in/one.abc", "X:1\nK:C\nC|]\n")
        archive.writestr("nested.zip", b"PK")
    found = list(find([str(tmp_path)]))
    sources = [source for source in found if isinstance(source, Source)]
    names = [source.name.removeprefix(f"{tmp_path}/") for source in sources]
    assert names == [
        *(f"all.zip!in/book.abc#{number}" for number in (1, 2, 3)),
        "all.zip!in/one.abc",
        *(f"book.abc#{number}" for number in (1, 2, 3)),
    ]
    assert read_bytes(sources[1]) == read_bytes(sources[5])
    (error,) = [source for source in found if isinstance(source, UnreadableError)]
    assert "nested.zip: an archive within an archive is not opened" in error.problem


@pytest.mark.slow
def test_a_large_book_is_read_in_flat_memory(tmp_path: Path):
    path = tmp_path / "large.abc"
    tune = b"X:1\nT:A tune\nM:4/4\nL:1/8\nK:C\n" + b"CDEF GABc|" * 150 + b"\n\n"
    with path.open("wb") as file:
        for _ in range(12):
            file.write(tune * 300)
    tracemalloc.start()
    count = sum(len(read_bytes(source)) == len(tune) for source in find([str(path)]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3_600
    assert most < 8 * 2**20
