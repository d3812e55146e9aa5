"""Verification, tried by damaging an archive on purpose."""

import os
import shutil
import sqlite3

import pytest

from scoregate.archive import catalog, catalog_file, query
from scoregate.archive import verify as verify_module
from scoregate.archive.records import PieceReport, RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import ArchiveError

TEXT = "X:1\nL:1/4\nK:C\nCDEF|]\n"


@pytest.fixture
def store(tmp_path):
    store = Archive(tmp_path)
    for number in range(3):
        report = PieceReport(
            status="passed",
            style="Baroque/Bach" if number else "Romantic/Brahms",
            created=f"2026-11-2{number}T00:00:00+00:00",
            summary={"bars": number, "voices": 4},
            provenance={"seed": number},
            measures={"measures.groove": 0.5},
        )
        store.add({"score.abc": f"{TEXT}% {number}\n", "score.mid": b"MThd"}, report)
    store.reject("r", {"score.abc": TEXT}, PieceReport(status="rejected"))
    store.write_run(RunRecord(run_id="r"), {"report.html": "<html>"})
    return store


def kinds(store) -> list[str]:
    return [problem.kind for problem in verify(store)]


def first(store):
    return store.path_of(next(store.ids()))


def test_a_sound_archive_has_no_problems(store):
    assert kinds(store) == []


def flip_a_byte(store):
    path = first(store) / "score.mid"
    content = bytearray(path.read_bytes())
    content[2] ^= 1
    path.write_bytes(content)


def change_the_text(store):
    with open(first(store) / "score.abc", "a") as file:
        file.write("%\n")


def change(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def change_a_measure(store):
    path = first(store) / "report.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))


def truncate_the_report(store):
    path = first(store) / "report.json"
    path.write_bytes(path.read_bytes()[:40])


def swap_for_a_link(store):
    path = first(store) / "score.mid"
    path.rename(store.out / "elsewhere.mid")
    path.symlink_to(store.out / "elsewhere.mid")


def swap_folders(store):
    one, two, *_ = (store.path_of(identifier) for identifier in store.ids())
    for path in one.iterdir():
        path.write_bytes((two / path.name).read_bytes())


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (flip_a_byte, "damaged"),
        (change_the_text, "damaged"),
        (change_a_measure, "damaged"),
        (truncate_the_report, "damaged"),
        (swap_folders, "damaged"),
        (swap_for_a_link, "missing"),
        (lambda store: (first(store) / "score.mid").unlink(), "missing"),
        (lambda store: (first(store) / "report.json").unlink(), "missing"),
        (lambda store: (first(store) / "notes.txt").write_text("x"), "foreign"),
        (lambda store: (store.pieces / "stray").write_text("x"), "foreign"),
        (lambda store: (store.pieces / "zz").joinpath("y").mkdir(parents=True), "foreign"),
        (lambda store: (store.rejected / "r" / "x").write_text("x"), "foreign"),
        (lambda store: (store.incoming / "1-dead").mkdir(), "unfinished"),
        (lambda store: (store.runs / "r" / "run.json").write_text("{"), "damaged"),
        (
            lambda store: change(store.runs / "r" / "run.json", '"missing": 0', '"missing": 1'),
            "damaged",
        ),
        (lambda store: change(store.runs / "r" / "report.html", "html", "htm"), "damaged"),
        (lambda store: (store.runs / "r" / "report.html").unlink(), "missing"),
    ],
)
def test_each_damage_is_named(store, damage, kind):
    damage(store)
    found = kinds(store)
    assert found
    assert set(found) == {kind}


def test_a_rejected_piece_is_checked_too(store):
    next(store.rejected.glob("r/*/score.abc")).write_text("x")
    assert kinds(store) == ["damaged"]


def test_a_killed_writer_leaves_only_an_unfinished_folder(store):
    before = sorted(store.ids())
    child = os.fork()
    if child == 0:
        from scoregate.archive import atomic

        real = atomic._write_new

        def die_at_the_report(path, content):
            if path.name == "report.json":
                os._exit(9)
            real(path, content)

        atomic._write_new = die_at_the_report
        store.add({"score.abc": TEXT + "%\n"}, PieceReport(status="passed"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert sorted(store.ids()) == before
    assert kinds(store) == ["unfinished"]


def killed(store, name: str, texts: list[str], calls: int = 0) -> None:
    """Add texts as one batch in a process that dies in a function after so many calls of it."""
    child = os.fork()
    if child == 0:
        from scoregate.archive import atomic, schema

        module = schema if hasattr(schema, name) else atomic
        real, left = getattr(module, name), iter(range(calls))

        def die_in_the_end(*given):
            return os._exit(9) if next(left, None) is None else real(*given)

        setattr(module, name, die_in_the_end)
        store.add_all([({"score.abc": text}, PieceReport(status="passed")) for text in texts])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


BATCH = [f"{TEXT}% batch {number}\n" for number in range(5)]


@pytest.mark.parametrize(
    ("step", "calls", "placed"),
    [
        ("sync_filesystem", 0, 0),
        ("_rename_folder", 0, 0),
        ("_rename_folder", 2, 2),
        ("insert_pieces", 0, 5),
    ],
)
def test_a_batch_that_is_killed_leaves_whole_pieces_with_their_rows(store, step, calls, placed):
    before = set(store.ids())
    killed(store, step, BATCH, calls)
    assert len(set(store.ids()) - before) == placed
    with catalog.opened(store) as connection:
        assert query.count(connection, query.Filter(status="passed")) == 3 + placed
    assert kinds(store) == []
    assert not list(store.incoming.iterdir())
    entries = store.add_all([({"score.abc": text}, PieceReport(status="passed")) for text in BATCH])
    assert [entry.new for entry in entries] == [number >= placed for number in range(5)]
    with catalog.opened(store) as connection:
        assert query.count(connection, query.Filter(status="passed")) == 8


@pytest.mark.parametrize("way", ["killed", "locked"])
def test_the_row_of_a_run_follows_where_it_could_not_be_written(store, way, monkeypatch):
    run = RunRecord(run_id="r", finished="2026-11-22T00:00:00+00:00", missing=2)
    if way == "killed":
        child = os.fork()
        if child == 0:
            catalog.schema.insert_run = lambda *_: os._exit(9)
            store.write_run(run)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    else:
        monkeypatch.setattr(catalog_file, "WAIT_S", 0.05)
        other = sqlite3.connect(store.root / "catalog.sqlite", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        store.write_run(run)
        other.close()
    assert set(kinds(store)) == {"unfinished"}
    with catalog.opened(store) as connection:
        row = connection.execute("SELECT status, missing FROM runs").fetchone()
    assert tuple(row) == ("finished", 2)
    assert kinds(store) == []
    assert not list(store.incoming.iterdir())


@pytest.mark.slow
def test_what_goes_on_meanwhile_is_no_damage(store, monkeypatch):
    """A run, a killed writer and `archive gc` are between two of their steps."""
    killed(store, "insert_pieces", BATCH)
    assert kinds(store) == ["unfinished"]
    with catalog.opened(store):  # It inserts the rows.
        pass
    assert kinds(store) == []
    real = verify_module._compared

    def before_the_row(store, connection):
        found = real(store, connection)
        monkeypatch.setattr(verify_module, "_compared", real)
        return {**found, "runs/s": "The run s is not in the catalog."}

    monkeypatch.setattr(verify_module, "_compared", before_the_row)
    assert kinds(store) == []
    (rejected,) = (store.rejected / "r").iterdir()
    monkeypatch.setattr(verify_module, "faults_of", lambda folder, _: deleted(folder, rejected))
    assert kinds(store) == ["catalog"]  # without its row's deletion, which `gc` makes at once


def deleted(folder, which):
    """Yield what `verify` finds in a folder that is deleted while it looks."""
    if folder == which:
        shutil.rmtree(folder)
        yield "missing", f"{folder / 'report.json'} is missing."


def test_a_piece_twice_in_a_batch_is_one_entry(store):
    passing, failing = PieceReport(status="passed"), PieceReport(status="rejected", run_id="r")
    files = {"score.abc": BATCH[0]}
    entries = store.add_all([(files, passing), (files, failing), (files, passing)])
    assert [entry.new for entry in entries] == [True, True, False]
    assert entries[0].path == entries[2].path
    assert entries[1].path.parent == store.rejected / "r"
    assert kinds(store) == []


def test_a_batch_with_a_forbidden_name_stores_nothing(store):
    before = set(store.ids())
    batch = [({"score.abc": BATCH[0]}, PieceReport(status="passed")),
             ({"score.abc": BATCH[1], "x.sh": b""}, PieceReport(status="passed"))]  # fmt: skip
    with pytest.raises(ArchiveError):
        store.add_all(batch)
    assert set(store.ids()) == before


def test_an_archive_of_a_newer_version_is_refused_with_a_word(store):
    (store.root / "format.json").write_text('{"format": 2}')
    attempts = (
        store.check_writable,
        lambda: store.add({"score.abc": TEXT}, PieceReport(status="passed")),
        lambda: catalog.connect(store),
        lambda: list(verify(store)),
    )
    for attempt in attempts:
        with pytest.raises(ArchiveError, match="newer Scoregate"):
            attempt()


def test_rows_that_could_not_be_written_are_written_by_a_later_reader(store, monkeypatch):
    killed(store, "insert_pieces", BATCH)
    with monkeypatch.context() as full:

        def fails(*_):
            raise sqlite3.OperationalError("database or disk is full")

        full.setattr(catalog.schema, "insert_pieces", fails)
        with catalog.opened(store) as connection:
            assert query.count(connection) == 4
    with catalog.opened(store) as connection:
        assert query.count(connection) == 4 + len(BATCH)
    assert kinds(store) == []
