"""The catalog: rows come with the pieces, queries answer, and it can be rebuilt."""

import random
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scoregate.archive import catalog, catalog_file, measure_order, query, schema
from scoregate.archive.dialects import FAULTS
from scoregate.archive.query import Filter
from scoregate.archive.records import PieceReport, RunRecord
from scoregate.archive.store import Archive
from scoregate.errors import ArchiveError, RequestError

TEXT = "X:1\nL:1/4\nK:C\nCDEF|]\n"
CHORALE = "Baroque/Bach, Johann Sebastian/Choral"


def report(number: int, status: str = "passed", **fields) -> PieceReport:
    return PieceReport.model_validate(
        {
            "status": status,
            "style": CHORALE if number else "Romantic/Brahms, Johannes/Art Song",
            "title": f"Opus {number}",
            "run_id": "r",
            "round": 1,
            "created": f"2026-11-2{number}T00:00:00+00:00",
            "summary": {"bars": number, "voices": 4, "key": "Em", "metre": "3/4",
                        "tempo": "3/8=60"},
            "provenance": {
                "seed": number,
                "weights": {"name": "chorales", "sha256": "ab"},
                "temperature": 1.2,
                "top_k": 9,
                "top_p": 0.9,
                "redrawn_lines": 2,
            },
            "measures": {"measures.groove": number / 10, "measures.undefined": None},
            **fields,
        }
    )  # fmt: skip


FAULT = {
    "gate": "bars",
    "code": "bars.short",
    "severity": "critical",
    "message": "7/8 found, 3/4 expected",
    "voice": "2",
    "bar": 3,
    "line": 9,
    "column": 4,
}


BOTH = ("SQLite", pytest.param("PostgreSQL", marks=pytest.mark.server))


@pytest.fixture(scope="module", params=BOTH)
def archive_for_reading(request, tmp_path_factory):
    """Make an archive that no test changes, with its catalog in either database."""
    with pytest.MonkeyPatch.context() as patch:
        choose(patch, request)
        yield filled(tmp_path_factory.mktemp("archive"))


@pytest.fixture(params=BOTH)
def store(request, tmp_path, monkeypatch):
    """Make an archive whose catalog is in either database."""
    choose(monkeypatch, request)
    return filled(tmp_path)


@pytest.fixture
def file_store(tmp_path, monkeypatch):
    """Make an archive whose catalog is in SQLite."""
    monkeypatch.delenv("SCOREGATE_DATABASE", raising=False)
    return filled(tmp_path)


def choose(patch, request) -> None:
    patch.delenv("SCOREGATE_DATABASE", raising=False)
    if request.param == "PostgreSQL":
        patch.setenv("SCOREGATE_DATABASE", request.getfixturevalue("postgresql").url)


def filled(tmp_path) -> Archive:
    store = Archive(tmp_path)
    for number in range(3):
        store.add({"score.abc": f"{TEXT}% {number}\n"}, report(number))
    store.reject("r", {"score.abc": TEXT}, report(5, "rejected", findings=[FAULT]))
    store.write_run(RunRecord(run_id="r", request={"style": CHORALE, "count": 4}))
    return store


def seeds(store, wanted=None, **options) -> list[int]:
    with catalog.opened(store) as connection:
        found = query.rows(connection, wanted, **options)
        if not {"limit", "offset"} & options.keys():
            assert query.count(connection, wanted) == len(found)
    return [row["seed"] for row in found]


def everything(store) -> dict[str, list]:
    tables = ("pieces", "findings", "measures", "runs", "piece_search")
    with catalog.opened(store) as connection:
        return {
            table: [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 2")]
            for table in tables
        }


def test_a_piece_has_its_rows_as_soon_as_it_is_added(archive_for_reading):
    with catalog.opened(archive_for_reading) as connection:
        row = dict(connection.execute("SELECT * FROM pieces WHERE seed = 2").fetchone())
    del row["number"]
    identifier = row["id"]
    assert row == {
        "id": identifier,
        "text_sha256": identifier,
        "status": "passed",
        "name": "Chorale in E minor, 2 bars",
        "title": "Opus 2",
        "style": CHORALE,
        "run_id": "r",
        "round": 1,
        "seed": 2,
        "key": "Em",
        "metre": "3/4",
        "bars": 2,
        "voices": 4,
        "tempo": 90.0,
        "model": "",
        "weights": "chorales",
        "weights_sha256": "ab",
        "temperature": 1.2,
        "top_k": 9,
        "top_p": 0.9,
        "resampled_lines": 2,
        "warnings": 0,
        "created_utc": "2026-11-22T00:00:00+00:00",
        "folder": f"archive/pieces/{identifier[:2]}/{identifier}",
    }
    assert archive_for_reading.report(identifier).name == row["name"]


def test_a_rejected_piece_has_rows_with_its_findings(archive_for_reading):
    with catalog.opened(archive_for_reading) as connection:
        row = query.rows(connection, Filter(status="rejected"))[0]
        found = connection.execute(
            'SELECT gate, code, severity, voice, bar, line, "column", message FROM findings '
            "WHERE piece = ?",
            (row["number"],),
        ).fetchall()
    assert row["id"] == f"{row['text_sha256']}.r"
    assert (archive_for_reading.out / row["folder"] / "report.json").is_file()
    assert [tuple(one) for one in found] == [
        ("bars", "bars.short", "critical", "2", 3, 9, 4, "7/8 found, 3/4 expected")
    ]


def test_a_run_has_a_row_that_follows_its_record(store):
    run = store.run("r")
    run.finished, run.missing, run.seconds = "2026-11-21T10:00:00+00:00", 1, 2.5
    store.write_run(run)
    with catalog.opened(store) as connection:
        (row,) = connection.execute("SELECT * FROM runs").fetchall()
    assert (row["id"], row["style"], row["status"]) == ("r", CHORALE, "finished")
    assert (row["requested"], row["missing"], row["seconds"]) == (4, 1, 2.5)
    assert '"count": 4' in row["record"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), [5, 2, 1, 0]),
        (Filter(status="passed"), [2, 1, 0]),
        (Filter(status="could not be judged"), []),
        (Filter(style="bach"), [5, 2, 1]),
        (Filter(style="no such style"), []),
        (Filter(run_id="r", status="passed"), [2, 1, 0]),
        (Filter(weights="chorales"), [5, 2, 1, 0]),
        (Filter(finding="bars.short"), [5]),
        (Filter(finding="bars"), [5]),
        (Filter(finding="bar"), []),
        (Filter(finding="bars", severity="warning"), []),
        (Filter(severity="critical"), [5]),
        (Filter(measures={"measures.groove": (0.1, 0.2)}), [2, 1]),
        (Filter(measures={"measures.groove": (0.15, None)}), [5, 2]),
        (Filter(measures={"measures.undefined": (None, None)}), []),
        (Filter(since="2026-11-21", until="2026-11-22"), [1]),
        (Filter(text="e minor 2 bars"), [2]),
        (Filter(text="OPUS 1"), [1]),
        (Filter(text="brahms"), [0]),
        (Filter(text='"; DROP TABLE pieces'), []),
        (Filter(text="opus AND NOT"), []),
    ],
)
def test_filters(archive_for_reading, wanted, expected):
    assert seeds(archive_for_reading, wanted) == expected


def test_a_piece_is_found_by_the_beginning_of_its_id(archive_for_reading):
    identifier = max(archive_for_reading.ids())
    with catalog.opened(archive_for_reading) as connection:
        found = query.rows(connection, Filter(text=identifier[:10].upper()))
    assert [row["id"] for row in found] == [identifier]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", [5, 2, 1, 0]),
        ("oldest", [0, 1, 2, 5]),
        ("bars", [0, 1, 2, 5]),
        ("measure:measures.groove", [0, 1, 2, 5]),
        ("-measure:measures.groove", [5, 2, 1, 0]),
    ],
)
def test_orders_and_pages(archive_for_reading, sort, expected):
    assert seeds(archive_for_reading, sort=sort) == expected
    assert seeds(archive_for_reading, sort=sort, limit=2, offset=1) == expected[1:3]


def test_nothing_found_is_nothing_in_every_order(archive_for_reading):
    for sort in (*query.SORTS, "measure:measures.groove", "-measure:measures.groove"):
        assert seeds(archive_for_reading, Filter(style="no such style"), sort=sort) == []
        assert seeds(archive_for_reading, Filter(text="q" * 9), sort=sort, limit=9) == []


def test_an_unknown_order_is_refused(archive_for_reading):
    with pytest.raises(RequestError):
        seeds(archive_for_reading, sort="colour")


def test_the_same_piece_twice_is_one_row(store):
    store.add({"score.abc": f"{TEXT}% 1\n"}, report(1, run_id="other"))
    assert seeds(store) == [5, 2, 1, 0]


@pytest.mark.parametrize("damage", ["delete", "garbage", "older", "truncate", "flip"])
def test_the_catalog_is_rebuilt(file_store, damage):
    expected = everything(file_store)
    path = catalog.of(file_store).path
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"not a database at all, but long enough to be taken for one" * 40)
    elif damage == "truncate":
        path.write_bytes(content[:5000])
    elif damage == "flip":
        content[4096:] = bytes(len(content) - 4096)
        path.write_bytes(content)
    else:
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE piece (x)")
            connection.execute("PRAGMA user_version = 1")
        connection.close()
    rebuilt = catalog.answer(file_store, lambda connection: query.rows(connection))
    assert [row["seed"] for row in rebuilt] == [5, 2, 1, 0]
    assert {table: len(rows) for table, rows in everything(file_store).items()} == {
        table: len(rows) for table, rows in expected.items()
    }
    file_store.add({"score.abc": f"{TEXT}% 6\n"}, report(6))
    assert seeds(file_store) == [6, 5, 2, 1, 0]


def test_a_catalog_of_a_newer_version_is_refused_with_a_word(file_store):
    with sqlite3.connect(catalog.of(file_store).path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(ArchiveError, match="newer Scoregate") as caught:
        seeds(file_store)
    assert "reindex" in caught.value.remedy
    catalog.reindex(file_store)
    assert seeds(file_store) == [5, 2, 1, 0]


def test_a_catalog_that_many_create_at_once(tmp_path, monkeypatch):
    """SQLite tells one of two that turn a file to WAL that it is locked: one at a time may."""
    inside: list[int] = []
    most: list[int] = []
    real = catalog_file._configured

    def slow(connection):
        inside.append(1)
        time.sleep(0.02)
        most.append(len(inside))
        inside.pop()
        return real(connection)

    monkeypatch.setattr(catalog_file, "_configured", slow)
    places = [catalog_file.FileCatalog(Archive(tmp_path)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(catalog_file.FileCatalog.create, places))  # It raises what a thread raised.
    assert most == [1] * 4
    connection = places[0].sound()
    assert connection is not None
    with connection:
        assert query.count(connection, Filter()) == 0


def test_pieces_added_without_a_catalog_are_in_the_next_one(file_store):
    catalog.of(file_store).path.unlink()
    file_store.add({"score.abc": f"{TEXT}% 6\n"}, report(6))
    assert not catalog.of(file_store).path.exists()
    assert seeds(file_store) == [6, 5, 2, 1, 0]


def test_a_catalog_that_cannot_be_written_is_made_in_memory(file_store, monkeypatch):
    catalog.of(file_store).path.unlink()
    monkeypatch.setattr(
        catalog_file.os,
        "open",
        lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")),
    )
    assert seeds(file_store) == [5, 2, 1, 0]
    assert not catalog.of(file_store).path.exists()


def test_a_damaged_report_is_left_out_of_a_rebuilt_catalog(store):
    folder = store.path_of(next(store.ids()))
    (folder / "report.json").write_text("{")
    assert catalog.reindex(store) == 3


def test_queries_do_not_read_the_folders(archive_for_reading, monkeypatch):
    def walked(*_):
        raise AssertionError("a query walked the folders")

    for name in ("ids", "folders", "run_ids"):
        monkeypatch.setattr(Archive, name, walked)
    assert seeds(archive_for_reading, Filter(text="minor", status="passed")) == [2, 1, 0]


def test_readers_cannot_write(archive_for_reading):
    with (
        catalog.opened(archive_for_reading) as connection,
        pytest.raises(FAULTS, match=r"read-?only"),
    ):
        connection.execute("DELETE FROM pieces")


@pytest.mark.parametrize("values", ["all differ", "many alike", "some undefined"])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_by_a_measure_is_the_same_with_a_bound_from_a_sample(
    monkeypatch, values, descending
):
    chance = random.Random(3)
    made = {
        "all differ": lambda: chance.gauss(4, 1),
        "many alike": lambda: float(chance.randint(0, 3)),
        "some undefined": lambda: chance.choice((None, chance.random())),
    }[values]
    entries = [("groove", number, made()) for number in range(1, 601)]

    def fill(connection) -> int:
        for _, number, value in entries:
            row = dict.fromkeys(schema.piece_row(PieceReport(status="passed"), Path()), "")
            row |= {"id": str(number), "warnings": 0}
            connection.execute(
                f"INSERT INTO pieces VALUES ({', '.join('?' * (len(row) + 1))})",
                (number, *row.values()),
            )
            connection.execute("INSERT INTO measures VALUES (?, 'groove', ?)", (number, value))
        return len(entries)

    monkeypatch.setattr(measure_order, "SAMPLED", 60)
    lowest = float("-inf")
    expected = sorted(
        entries,
        key=lambda entry: lowest if entry[2] is None else entry[2],
        reverse=descending,  # a stable sort: alike values stay in the order of their numbers
    )
    connection = catalog_file.in_memory(fill)
    assert measure_order._bound(connection, "groove", descending, 10) is not None
    sort = f"{'-' * descending}measure:groove"
    for offset in (0, 7, 590):
        found = query.rows(connection, sort=sort, limit=10, offset=offset)
        page = [number for _, number, _ in expected[offset : offset + 10]]
        assert [row["number"] for row in found] == page
    # A sample may promise more than there is.
    monkeypatch.setattr(measure_order, "_bound", lambda *_: (99.0 if descending else -99.0,))
    found = query.rows(connection, sort=sort, limit=10)
    assert [row["number"] for row in found] == [number for _, number, _ in expected[:10]]
