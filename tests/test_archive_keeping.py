"""Keeping an archive: old versions, deletion, export, backup, restore, later verdicts."""

import doctest
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from scoregate.archive import backup as backups
from scoregate.archive import catalog, cleaning, export, query, verdicts
from scoregate.archive.backup import backup, restore
from scoregate.archive.cleaning import collect, parse_age
from scoregate.archive.export import export_dataset, split_of, tune_of
from scoregate.archive.query import Filter
from scoregate.archive.records import FORMAT, PieceReport, RunRecord, now
from scoregate.archive.store import Archive
from scoregate.archive.verdicts import LaterVerdict, verdicts_of, write_judgement
from scoregate.archive.verify import verify
from scoregate.errors import ArchiveError, CorruptError, RequestError
from scoregate.flows.cli import app

OLD = Path(__file__).parent / "data" / "archive-0.1.zip"
CHORALE = "Baroque/Bach, Johann Sebastian/Choral"


def tune(number: int, key: str = "C") -> str:
    """Return a piece whose opening depends on the number, in any key."""
    notes = "".join("CDEFGAB"[int(digit, 7)] for digit in f"{number:012b}") + "CEG"
    return f"X:1\nL:1/4\nK:{key}\nV:1\n[V:1]{notes}|]\n% {number} {key}\n"


@pytest.fixture
def store(tmp_path):
    store = Archive(tmp_path / "out")
    passing = [
        ({"score.abc": tune(number), "raw.abc": "raw", "score.mid": b"MThd"},
         PieceReport(status="passed", style=CHORALE, run_id="r", title=f"No. {number}",
                     summary={"bars": 1, "key": "C"}, measures={"measures.notes": number},
                     provenance={"seed": number}))
        for number in range(6)
    ]  # fmt: skip
    finding = {"gate": "bars", "code": "bars.short", "message": "short", "bar": 1}
    failing = [
        ({"score.abc": tune(number, "D")},
         PieceReport(status="rejected", run_id="r", created=created, findings=[finding],
                     reasons=["bars: short"]))
        for number, created in ((7, "2020-01-01T00:00:00+00:00"), (8, now()))
    ]  # fmt: skip
    store.add_all(passing + failing)
    store.write_run(RunRecord(run_id="r", started=now()), {"report.html": "<html>"})
    return store


def listed(store, wanted=None) -> list[str]:
    with catalog.opened(store) as connection:
        return sorted(row["id"] for row in query.rows(connection, wanted))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("catalog")
    }


# Archives of older versions


@pytest.fixture
def old(tmp_path):
    with zipfile.ZipFile(OLD) as archive:
        archive.extractall(tmp_path / "old")
    return Archive(tmp_path / "old")


def test_an_archive_of_version_0_1_is_read(old):
    assert [problem.kind for problem in verify(old)] == ["catalog"]  # of an older version
    with catalog.opened(old) as connection:
        passed = query.rows(connection, Filter(status="passed"))
        rejected = query.rows(connection, Filter(status="rejected"))
        runs = connection.execute("SELECT id, status FROM runs").fetchall()
    assert [row["name"] for row in passed] == ["Chorale in F sharp major, 9 bars"]
    assert passed[0]["resampled_lines"] is not None
    assert len(rejected) == 1
    assert [row["status"] for row in runs] == ["finished", "finished"]
    assert list(verify(old)) == []


def test_an_archive_of_version_0_1_takes_new_pieces(old):
    old.add({"score.abc": tune(1)}, PieceReport(status="passed"))
    assert len(listed(old)) == 3
    assert list(verify(old)) == []


# The catalog against the folders


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda store: shutil.rmtree(store.path_of(next(store.ids()))), "in the catalog only"),
        (lambda store: shutil.rmtree(store.runs / "r"), "in the catalog only"),
        (lambda store: catalog.of(store).path.write_bytes(b"x" * 5000), "can't be used"),
    ],
)
def test_verify_names_what_the_catalog_gets_wrong(store, damage, said):
    with catalog.opened(store) as connection:
        connection.execute("SELECT 1")
    damage(store)
    found = list(verify(store))
    assert {problem.kind for problem in found} == {"catalog"}
    assert said in found[0].message
    catalog.reindex(store)
    assert list(verify(store)) == []


# Deletion


def test_old_rejected_pieces_are_deleted_and_nothing_else(store):
    before = listed(store)
    dry = list(collect(store, parse_age("30d"), dry_run=True))
    assert listed(store) == before
    assert [removed.kind for removed in dry] == ["rejected"]
    assert list(collect(store, parse_age("30d"))) == dry
    left = listed(store)
    assert len(left) == len(before) - 1
    assert len(list(store.ids())) == 6
    assert list(verify(store)) == []
    assert list(collect(store, timedelta(0)))
    assert len(listed(store)) == 6
    assert not (store.rejected / "r").exists()


def test_unfinished_folders_are_deleted_once_they_are_old(store):
    dead = store.incoming / "1-dead"
    (dead / "0").mkdir(parents=True)
    assert list(collect(store, timedelta(days=30), dry_run=True))[-1].kind == "rejected"
    long_ago = time.time() - 2 * cleaning.YOUNGEST_UNFINISHED_S
    os.utime(dead, (long_ago, long_ago))
    assert [r.kind for r in collect(store, timedelta(days=30))] == ["rejected", "unfinished"]
    assert not dead.exists()


def test_deletion_that_is_killed_leaves_no_half_piece(store):
    child = os.fork()
    if child == 0:
        cleaning.shutil.rmtree = lambda *_, **__: os._exit(9)
        list(collect(store, timedelta(0)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert {problem.kind for problem in verify(store)} == {"unfinished"}
    assert len(listed(store)) == len(list(store.folders())) == 7


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1e9d"])
def test_an_age_that_is_none_is_refused(text):
    with pytest.raises(RequestError):
        parse_age(text)


# Export


def test_an_export_is_a_data_set(store, tmp_path):
    target = tmp_path / "set"
    counts = export_dataset(store, target, Filter(status="passed"), validation=0.5)
    assert sum(counts.values()) == 6
    assert min(counts.values()) > 0
    rows = []
    for split, count in counts.items():
        table = pq.read_table(target / "data" / f"{split}-00000-of-00001.parquet")
        assert table.num_rows == count
        rows += table.to_pylist()
        assert {split_of(row["tune"], 0.5) for row in table.to_pylist()} == {split}
    assert sorted(row["id"] for row in rows) == sorted(store.ids())
    row = next(row for row in rows if row["title"] == "No. 3")
    assert row["abc"] == tune(3)
    assert row["measures"] == [{"name": "measures.notes", "value": 3.0}]
    # Hugging Face's `datasets` refuses a table with maps.
    assert not any(pa.types.is_map(kind) for kind in export.SCHEMA.types)
    assert (row["composer"], row["seed"], row["raw"]) == ("Bach, Johann Sebastian", 3, "raw")
    copied = target / "files" / row["id"][:2] / row["id"]
    assert content(copied) == content(store.path_of(row["id"]))
    card = (target / "README.md").read_text()
    configs = json.loads(card.split("configs: ")[1].splitlines()[0])
    assert [file["split"] for file in configs[0]["data_files"]] == ["train", "validation"]


def test_rejected_pieces_are_exported_with_their_findings(store, tmp_path):
    export_dataset(store, tmp_path / "set", Filter(status="rejected"), files=False)
    rows = pq.read_table(tmp_path / "set" / "data").to_pylist()
    assert [row["findings"][0]["code"] for row in rows] == ["bars.short"] * 2
    assert not (tmp_path / "set" / "files").exists()


def test_an_export_to_a_zip_has_the_same_bytes_each_time(store, tmp_path):
    for name in ("a.zip", "b.zip"):
        export_dataset(store, tmp_path / name, Filter(status="passed"))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert "data/train-00000-of-00001.parquet" in archive.namelist()


def test_a_damaged_piece_stops_an_export_and_leaves_nothing(store, tmp_path):
    (store.path_of(next(store.ids())) / "score.mid").write_bytes(b"x")
    with pytest.raises(ArchiveError, match="damaged"):
        export_dataset(store, tmp_path / "new" / "set", Filter())
    assert list((tmp_path / "new").iterdir()) == []


def test_an_export_replaces_nothing(store, tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(ArchiveError, match="there already"):
        export_dataset(store, tmp_path / "set", Filter())


def test_the_same_tune_in_another_key_is_the_same_tune():
    assert tune_of(tune(5)) == tune_of(tune(5, "C % as well"))
    assert tune_of("X:1\nL:1/4\nK:C\nCDEF|GABc|]") == tune_of("X:1\nL:1/8\nK:D\nDEFG|ABcd|]")
    assert tune_of(tune(5)) != tune_of(tune(6))
    assert tune_of("") == ""
    assert doctest.testmod(export).failed == doctest.testmod(cleaning).failed == 0


# Backup and restore


@pytest.fixture(scope="module")
def s3():
    """Start a real S3 server on loopback, with a bucket."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    server = subprocess.Popen(
        [sys.executable, "-c",
         "from moto.server import ThreadedMotoServer as S; import time\n"
         "s = S('127.0.0.1', 0, verbose=False); s.start()\n"
         "print(s.get_host_and_port()[1], flush=True); time.sleep(600)"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    patch = pytest.MonkeyPatch()
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                            "AWS_DEFAULT_REGION": "us-east-1",
                            "AWS_ENDPOINT_URL": address}.items():  # fmt: skip
            patch.setenv(name, value)
        request = urllib.request.Request(f"{address}/scores", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield "s3://scores/backups"
    finally:
        patch.undo()
        server.kill()
        server.wait()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def destination(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "backup")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def test_what_is_restored_is_what_was_backed_up(store, destination, tmp_path):
    first = backup(store, destination)
    assert first.files == first.copied == len(content(store.out))
    again = backup(store, destination)
    assert again.copied < first.copied
    store.add({"score.abc": tune(99)}, PieceReport(status="passed"))
    assert backup(store, destination).files == first.files + 2
    copy = Archive(tmp_path / "copy")
    restore(destination, copy)
    assert content(copy.out) == content(store.out)
    assert listed(copy) == listed(store)
    assert list(verify(copy)) == []


def test_a_damaged_backup_is_told_when_it_is_restored(store, destination, tmp_path):
    import fsspec

    backup(store, destination)
    system, root = fsspec.core.url_to_fs(destination)
    name = next(name for name in system.find(root) if name.endswith("score.mid"))
    system.pipe_file(name, b"MThx")
    with pytest.raises(CorruptError, match="is not what was archived"):
        restore(destination, Archive(tmp_path / "copy"))


def test_an_interrupted_backup_is_completed_by_the_next(store, destination, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "AT_ONCE", 3)
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append(done)
        if done > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(store, destination, interrupt)
    with pytest.raises(CorruptError, match="no complete backup"):
        restore(destination, Archive(tmp_path / "copy"))
    done = backup(store, destination)
    assert done.copied < done.files
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        restore(destination, Archive(tmp_path / "copy"), interrupt)
    restore(destination, Archive(tmp_path / "copy"))
    assert content(tmp_path / "copy") == content(store.out)


def test_a_backup_during_a_run_is_one_state_that_can_be_restored(store, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "AT_ONCE", 3)
    begun = RunRecord(run_id="s", started=now())
    store.write_run(begun)
    left = [0]

    def go_on(done: int, total: int) -> None:
        if left[0] == 0:
            store.add({"score.abc": tune(50)}, PieceReport(status="passed", run_id="s"))
            store.write_run(begun.model_copy(update={"finished": now()}), {"report.html": "<p>"})
            store.write_run(RunRecord(run_id="t", started=now()), {"report.html": "<b>"})
            shutil.rmtree(store.rejected)
        left[0] = total - done

    backup(store, str(tmp_path / "backup"), go_on)
    assert left == [0]
    copy = Archive(tmp_path / "copy")
    restore(str(tmp_path / "backup"), copy)
    assert list(verify(copy)) == []
    assert copy.run_ids() == ["r", "s"]
    assert not copy.run("s").finished


def test_a_folder_that_cannot_be_read_stops_a_backup(store, tmp_path, monkeypatch):
    real = os.scandir

    def refused(path):
        if str(path).endswith("reviews"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    (store.out / "reviews").mkdir()
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ArchiveError, match="Permission denied"):
        backup(store, str(tmp_path / "backup"))


def test_a_restore_goes_into_a_new_folder_only(store, tmp_path):
    backup(store, str(tmp_path / "backup"))
    with pytest.raises(ArchiveError, match="not empty"):
        restore(str(tmp_path / "backup"), store)


@pytest.mark.parametrize("name", ["..%2f/x", ".hidden", "archive/.x", "a b"])
def test_a_backup_with_foreign_names_is_refused(store, tmp_path, name):
    backup(store, str(tmp_path / "backup"))
    planted = tmp_path / "backup" / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("x")
    with pytest.raises(CorruptError, match="no backup writes"):
        restore(str(tmp_path / "backup"), Archive(tmp_path / "copy"))


def test_a_backup_of_a_newer_version_is_refused_with_a_word(store, tmp_path):
    backup(store, str(tmp_path / "backup"))
    (tmp_path / "backup" / "backup.json").write_text(json.dumps({"format": FORMAT + 1, "files": 1}))
    with pytest.raises(ArchiveError, match="newer Scoregate"):
        restore(str(tmp_path / "backup"), Archive(tmp_path / "copy"))
    with pytest.raises(ArchiveError, match="newer Scoregate"):
        backup(store, str(tmp_path / "backup"))


@pytest.mark.parametrize("address", ["nosuch://x/y", "/proc/nowhere/backup"])
def test_a_destination_that_cannot_be_used_is_one_clear_error(store, address):
    with pytest.raises(ArchiveError, match="can't be"):
        backup(store, address)


def test_a_database_is_backed_up_as_one_state(store, tmp_path):
    import sqlite3

    reviews = sqlite3.connect(store.out / "reviews.sqlite")
    reviews.execute("PRAGMA journal_mode = WAL")
    reviews.execute("CREATE TABLE events (id)")
    reviews.execute("INSERT INTO events VALUES (1)")
    reviews.commit()  # In the WAL file: the database's own file has no row yet.
    backup(store, str(tmp_path / "backup"))
    copy = sqlite3.connect(tmp_path / "backup" / "reviews.sqlite")
    assert copy.execute("SELECT id FROM events").fetchall() == [(1,)]
    copy.close()
    reviews.close()


# Later verdicts


def test_a_later_verdict_stands_beside_the_first(store):
    identifier = next(store.ids())
    verdict = LaterVerdict(
        entry=identifier, status="rejected", before="passed", gates={"bars": "2"},
        thresholds="2", reasons=["bars: short"],
    )  # fmt: skip
    path = write_judgement(store, [verdict])
    assert store.report(identifier).status == "passed"
    assert [row["status"] for row in verdicts_of(store, identifier)] == ["rejected"]
    catalog.reindex(store)
    (row,) = verdicts_of(store, identifier)
    assert (row["before"], row["status"], row["judgement"]) == ("passed", "rejected", path.stem)
    assert verdicts.read_judgement(path) == [verdict]
    assert list(verify(store)) == []
    path.write_bytes(path.read_bytes().replace(b"rejected", b"passed"))
    assert [problem.kind for problem in verify(store)] == ["damaged"]


@pytest.mark.slow
def test_rejudge_gives_the_same_verdict_under_the_same_gates(old, monkeypatch):
    done = CliRunner().invoke(app, ["archive", "rejudge", "--out", str(old.out)])
    assert done.exit_code == 0, done.output
    assert "2 judged again, 0 differ" in done.output
    from scoregate.flows import rejudge
    from scoregate.validators.checking import check_bytes

    def stricter(*words, **options):
        checked = check_bytes(*words, **options)
        checked.status, checked.reasons = "rejected", ["a new gate"]
        return checked

    monkeypatch.setattr(rejudge, "check_bytes", stricter)
    done = CliRunner().invoke(app, ["archive", "rejudge", "--out", str(old.out)])
    assert "passed -> rejected  a new gate" in done.output
    identifier = next(old.ids())
    assert [row["status"] for row in verdicts_of(old, identifier)] == ["passed", "rejected"]
    shown = CliRunner().invoke(app, ["archive", "show", identifier, "--out", str(old.out)])
    assert shown.output.splitlines()[0].split()[1] == "passed"
    assert shown.output.count("judged again") == 2


# Commands


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ls", "--status", "rejected"], "2 pieces"),
        (["ls", "--status", "all", "--finding", "bars.short"], "2 pieces"),
        (["ls", "--search", "major bach"], "6 pieces"),
        (["reindex"], "8 pieces"),
        (["gc", "--keep", "30d", "--dry-run"], "to delete: 1 rejected"),
        (["gc"], "deleted: 1 rejected"),
        (["verify"], "8 pieces hashed again, 0 problems"),
    ],
)
def test_commands(store, arguments, said):
    done = CliRunner().invoke(app, ["archive", *arguments, "--out", str(store.out)])
    assert done.exit_code == 0, done.output
    assert said in done.output


def test_a_file_of_a_piece_is_written(store, tmp_path):
    identifier = next(store.ids())
    target = tmp_path / "x.mid"
    done = CliRunner().invoke(
        app, ["archive", "file", identifier, "midi", "--out", str(store.out), "--to", str(target)]
    )
    assert done.exit_code == 0, done.output
    assert target.read_bytes() == b"MThd"


def test_backup_and_restore_from_the_command_line(store, tmp_path):
    place, copy = str(tmp_path / "b"), str(tmp_path / "copy")
    for arguments in (["backup", place, "--out", str(store.out)], ["restore", place, "--out", copy],
                      ["export", str(tmp_path / "set"), "--out", copy]):  # fmt: skip
        done = CliRunner().invoke(app, ["archive", *arguments])
        assert done.exit_code == 0, done.output
    assert len(listed(Archive(copy))) == 8
