"""The journal of a screening: resumes by file and by content, exports what it holds."""

import csv

import pyarrow.parquet as pq
import pytest

from scoregate.archive.journal import Journal, known_row
from scoregate.errors import ArchiveError


def row(name: str, status: str = "passed", **more) -> dict:
    return {
        "file": name,
        "sha256": f"hash of {name}",
        "size": 10,
        "changed": 5,
        "status": status,
        "reasons": [] if status == "passed" else ["bars: 2 faults"],
        "critical": 0,
        "warnings": 0,
        "bars": 8,
        "voices": 4,
        "measures": {"measures.pitch_entropy": 3.5},
        "output": "passed/x.abc",
        "seconds": 0.01,
    } | more


def test_a_file_is_done_until_it_or_the_judge_changes(tmp_path):
    journal = Journal(tmp_path / "j.sqlite", "gates 1")
    journal.write([row("a.abc")])
    assert journal.is_done("a.abc", 10, 5)
    assert not journal.is_done("a.abc", 11, 5)
    assert not journal.is_done("a.abc", 10, 6)
    journal.close()
    assert not Journal(tmp_path / "j.sqlite", "gates 2").is_done("a.abc", 10, 5)


def test_content_is_known_under_any_name(tmp_path):
    path = tmp_path / "j.sqlite"
    Journal(path, "gates 1").write([row("a.abc")])
    assert known_row(str(path), "hash of a.abc", "gates 1") == row("a.abc")
    assert known_row(str(path), "hash of a.abc", "gates 2") is None


def test_counts_and_reasons(tmp_path):
    journal = Journal(tmp_path / "j.sqlite", "gates 1")
    journal.write([row("a"), row("b", "rejected"), row("c", "rejected")])
    assert journal.counts() == {"passed": 1, "rejected": 2}
    assert journal.reasons(5) == [("bars: 2 faults", 2)]


def test_the_tables_hold_every_row_and_undefined_measures_as_nothing(tmp_path):
    journal = Journal(tmp_path / "j.sqlite", "gates 1")
    journal.write([row("b"), row("a", measures={"measures.key_clarity": None})])
    table, sheet = journal.export(tmp_path)
    frame = pq.read_table(table).to_pylist()
    assert [line["file"] for line in frame] == ["a", "b"]
    assert [line["measures.pitch_entropy"] for line in frame] == [None, 3.5]
    with open(sheet, newline="") as file:
        assert [line["measures.pitch_entropy"] for line in csv.DictReader(file)] == ["", "3.5"]


def test_a_file_that_is_no_journal_is_named(tmp_path):
    path = tmp_path / "j.sqlite"
    path.write_text("not a database at all, but long enough to look like one")
    with pytest.raises(ArchiveError, match=r"j\.sqlite"):
        Journal(path, "gates 1")
