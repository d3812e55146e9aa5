"""The catalog in PostgreSQL: the same answers as SQLite, and every fault in one line."""

from __future__ import annotations

import builtins
import json
import multiprocessing
import random
import re
import shutil
import sqlite3
import traceback

import dashboard_archive
import pytest
from commands import scoregate
from postgresql import PASSWORD
from starlette.testclient import TestClient

from scoregate.archive import backup, catalog, catalog_server, cleaning, postgres, query
from scoregate.archive.dialects import DatabaseFault
from scoregate.archive.query import Filter
from scoregate.archive.records import FindingRecord, PieceReport, RunRecord
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.dashboard.app.application import create_app
from scoregate.errors import ArchiveError, RequestError, ScoregateError
from scoregate.flows import server as prefect_server
from scoregate.flows.operations import doctor

pytestmark = pytest.mark.server

SETTING = "SCOREGATE_DATABASE"
TEXT = "X:1\nL:1/4\nK:C\nCDEF|]\n"
TITLES = ("Ähre", "ähnlich 100 %", "snake_case", "back\\slash", "two\0parts", "Ωmega", "'; DROP",
          '"quoted" OR', "Bach bach BACH", "")  # fmt: skip
STYLES = ("Baroque/Bach, Johann Sebastian/Choral", "Romantic/Brahms, Johannes/Art Song", "élan", "")


@pytest.fixture
def server(postgresql, monkeypatch):
    monkeypatch.setenv(SETTING, postgresql.url)
    return postgresql


def report(chance: random.Random, number: int, **fields) -> PieceReport:
    """Return a report whose values are often missing, alike, or hard to sort."""
    findings = [
        FindingRecord(
            gate=gate,
            code=f"{gate}.{chance.choice(('short', 'long'))}",
            severity=chance.choice(("critical", "warning", "info")),
            message="m",
        )
        for gate in chance.sample(("bars", "barsx", "harmony"), chance.randint(0, 3))
    ]
    return PieceReport(
        status=chance.choice(("passed", "passed", "rejected", "could not be judged")),
        style=chance.choice(STYLES),
        title=chance.choice(TITLES),
        name=chance.choice(("Chorale", "chorale", "Étude", "Z", "a b")),
        run_id=chance.choice(("r1", "r2")),
        created=f"2026-10-2{chance.randint(0, 3)}T00:00:00+00:00",
        summary={"bars": chance.choice((None, 4, 8, 16))},
        provenance={
            "seed": chance.choice((number, 2**63 - 1, 2**70)),
            "weights": {"name": chance.choice(("chorales", "x"))},
            "temperature": chance.choice((None, 1.0, 1.2)),
        },
        measures={"groove": chance.choice((0.1, 0.5, None, 0.9)), "always": float(number % 3)},
        findings=findings,
        **fields,
    )


def fill(store: Archive, count: int = 60) -> Archive:
    chance = random.Random(7)
    store.add_all(
        [({"score.abc": f"{TEXT}% {number}\n"}, report(chance, number)) for number in range(count)]
    )
    for number in (1, 2):
        store.write_run(
            RunRecord(run_id=f"r{number}", request={"style": STYLES[0], "count": number})
        )
    return store


FILTERS = (
    Filter(),
    *(Filter(text=word) for word in
      ("bach", "ÄH", "äh", "Ähre", "ähre", "00 %", "100 %", "snake_", "e_c", "\\sl", "Ωmega",
       "ωmeg", "'; DROP", '"quoted" OR', "ch", "é", "é cho", "bach chorale", "abc", "fade", "two")),
    Filter(status="passed", style="BACH"),
    Filter(style="É"),
    Filter(style="é"),
    Filter(run_id="r1", weights="x"),
    Filter(finding="bars"),
    Filter(finding="bars.short", severity="critical"),
    Filter(severity="warning"),
    Filter(measures={"groove": (0.2, None)}),
    Filter(measures={"groove": (None, None), "always": (1, 1)}),
    Filter(since="2026-10-21", until="2026-10-23"),
)  # fmt: skip
SORTS = (*query.SORTS, "measure:groove", "-measure:groove", "measure:always", "-measure:none")


def answers(store: Archive) -> dict[str, list]:
    """Return the ids that every filter finds in every order, with counts and pages."""
    found = {}
    with catalog.opened(store) as connection:
        for wanted in FILTERS:
            found[f"count {wanted}"] = query.count(connection, wanted)
            for sort in SORTS:
                rows = query.rows(connection, wanted, sort=sort)
                paged = query.rows(connection, wanted, sort=sort, limit=5, offset=2)
                found[f"{sort} {wanted}"] = [row["id"] for row in rows]
                assert [row["id"] for row in paged] == [row["id"] for row in rows][2:7]
        found["styles"] = query.styles(connection)
    return found


def test_the_same_folders_give_the_same_answers_in_both(server, tmp_path, monkeypatch):
    store = fill(Archive(tmp_path))
    assert answers(store)
    catalog.reindex(store)  # Orders end with the number, which is the place in the folders then.
    in_postgresql = answers(store)
    assert list(verify(store)) == []
    assert not (store.root / "catalog.sqlite").exists()

    monkeypatch.delenv(SETTING)
    (store.root / "catalog.json").unlink()
    assert answers(store) == in_postgresql
    assert (store.root / "catalog.sqlite").exists()
    monkeypatch.setenv(SETTING, server.url)
    assert answers(store) == in_postgresql
    assert not (store.root / "catalog.sqlite").exists()


def _add(folder: str, numbers: list[int], done) -> None:
    store = Archive(folder)
    for start in range(0, len(numbers), 5):
        part = numbers[start : start + 5]
        store.add_all(
            [({"score.abc": f"{TEXT}% {number}\n"}, PieceReport(status="passed"))
             for number in part]
        )  # fmt: skip
    done.put(True)


def test_two_processes_add_at_once_and_a_third_reindexes(server, tmp_path):
    Archive(tmp_path).begin_writing()
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    workers = [
        context.Process(target=_add, args=(str(tmp_path), list(numbers), done))
        for numbers in (range(40), range(20, 60))
    ]
    for worker in workers:
        worker.start()
    store = Archive(tmp_path)
    catalog.reindex(store)
    assert [done.get(timeout=60) for _ in workers] == [True, True]
    for worker in workers:
        worker.join(60)
    with catalog.opened(store) as connection:
        rows = query.rows(connection)
    assert len(rows) == len({row["id"] for row in rows}) == 60
    assert list(verify(store)) == []


def test_what_is_archived_while_the_server_is_away_has_its_rows_later(server, tmp_path, caplog):
    store = fill(Archive(tmp_path), 3)
    run = RunRecord(run_id="r9", request={})
    server.stop()
    try:
        entry = store.add({"score.abc": TEXT}, PieceReport(status="passed"))
        store.write_run(run)
        assert entry.new
        assert store.report(entry.piece_id).status == "passed"
        for attempt in (store.check_writable, lambda: catalog.connect(store)):
            with pytest.raises(DatabaseFault, match="can't be reached") as caught:
                attempt()
            assert "Start the server" in caught.value.remedy
        kinds = [problem.kind for problem in verify(store)]
        assert kinds == ["unfinished", "unfinished", "catalog"]
    finally:
        server.start()
    assert PASSWORD not in caplog.text
    assert "next reader of the catalog inserts their rows" in caplog.text
    with catalog.opened(store) as connection:
        assert query.count(connection) == 4
        assert connection.execute("SELECT id FROM runs WHERE id = 'r9'").fetchone()
    assert list(verify(store)) == []


def test_archives_in_one_database_are_apart_and_a_restored_one_is_another(server, tmp_path):
    one, two = fill(Archive(tmp_path / "one"), 4), fill(Archive(tmp_path / "two"), 2)
    backup.backup(one, str(tmp_path / "copy"))
    restored = Archive(tmp_path / "restored")
    backup.restore(str(tmp_path / "copy"), restored)
    stores = (one, two, restored)
    names = {json.loads((store.root / "catalog.json").read_text())["schema"] for store in stores}
    assert len(names) == 3
    for store, count in zip(stores, (4, 2, 4), strict=True):
        with catalog.opened(store) as connection:
            assert query.count(connection) == count
    said = server.execute(
        "SELECT obj_description(oid) FROM pg_namespace WHERE nspname = ANY(%s)", (list(names),)
    )
    assert any(str(two.root) in row[0] for row in said)


def test_rows_go_with_deleted_pieces(server, tmp_path):
    store = fill(Archive(tmp_path), 20)
    with catalog.opened(store) as connection:
        passed = query.count(connection, Filter(status="passed"))
    deleted = list(cleaning.collect(store, cleaning.parse_age("0h")))
    assert len(deleted) == 20 - passed
    with catalog.opened(store) as connection:
        assert query.count(connection) == passed
        for table, key in (
            ("findings", "piece"),
            ("measures", "piece"),
            ("piece_search", "number"),
        ):
            left = f"SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT number FROM pieces)"
            assert connection.execute(left).fetchone()[0] == 0
    assert list(verify(store)) == []


def wrong_password(url: str) -> str:
    return url.replace(PASSWORD, "wrong-s3cret")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (wrong_password, "refuses the user or the password"),
        (lambda url: re.sub("/postgres$", "/nowhere", url), "does not exist"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "can't be reached"),
        (lambda url: url.replace(PASSWORD, f"{PASSWORD}@x"), "can't hold"),
        (lambda url: url.replace(PASSWORD, f"{PASSWORD}/x"), "can't hold"),
        (lambda url: url.replace("postgresql:", "mysql:"), "no address of a PostgreSQL server"),
        (lambda url: url + f"?nonsense={PASSWORD}", "no address that PostgreSQL's driver can read"),
        (lambda url: re.sub(r":\d+/", f":{PASSWORD}/", url), "no name with a port"),
    ],
)
def test_a_fault_is_one_line_without_the_password(server, tmp_path, monkeypatch, changed, said):
    (tmp_path / "archive").mkdir()
    monkeypatch.setenv(SETTING, changed(server.url))
    with pytest.raises(ScoregateError) as caught:
        catalog.connect(Archive(tmp_path))
    assert re.search(said, caught.value.problem)
    assert "\n" not in caught.value.problem
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_command_ends_with_one_line(server, tmp_path):
    store = fill(Archive(tmp_path), 2)
    url = wrong_password(server.url)
    answer = scoregate("archive", "ls", "--out", store.out, SCOREGATE_DATABASE=url)
    assert answer.returncode == 2
    assert "refuses the user or the password" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "s3cret" not in answer.stdout + answer.stderr


def test_the_password_may_be_in_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv(SETTING, server.url.replace(f":{PASSWORD}", ""))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    fill(Archive(tmp_path), 2)
    assert catalog.answer(Archive(tmp_path), query.count) == 2


def test_a_missing_driver_is_named(server, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_psycopg(name, *rest, **more):
        if name == "psycopg":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(ScoregateError, match="driver psycopg is not installed") as caught:
        Archive(tmp_path).check_writable()
    assert "scoregate[postgres]" in caught.value.remedy


def test_a_process_without_the_address_is_refused(server, tmp_path, monkeypatch):
    store = fill(Archive(tmp_path), 2)
    monkeypatch.delenv(SETTING)
    for attempt in (
        lambda: catalog.connect(store),
        store.check_writable,
        lambda: store.add({"score.abc": TEXT}, PieceReport(status="passed")),
        lambda: catalog.reindex(store),
    ):
        with pytest.raises(ArchiveError, match=f"{SETTING} is not set"):
            attempt()
    assert not (store.root / "catalog.sqlite").exists()


def test_a_catalog_of_another_version(server, tmp_path):
    store = fill(Archive(tmp_path), 2)
    schema = catalog_server.schema_name(store.root / "catalog.json")
    server.execute(f'UPDATE "{schema}".catalog_state SET version = version + 1')
    with pytest.raises(ArchiveError, match="newer Scoregate"):
        catalog.connect(store)
    catalog.reindex(store)
    assert catalog.answer(store, query.count) == 2
    for damage in ("UPDATE {}.catalog_state SET version = 1", "DROP SCHEMA {} CASCADE"):
        server.execute(damage.format(f'"{schema}"'))
        assert catalog.answer(store, query.count) == 2
    (store.root / "catalog.json").write_text("{}")
    with pytest.raises(ArchiveError, match="is damaged"):
        catalog.connect(store)


def test_a_user_without_rights_and_a_database_of_another_encoding(server, tmp_path, monkeypatch):
    server.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    (tmp_path / "archive").mkdir()
    own = server.url.replace(f"tests:{PASSWORD}", "guest:guest")
    monkeypatch.setenv(SETTING, own)
    with pytest.raises(DatabaseFault, match="permission denied") as caught:
        catalog.connect(Archive(tmp_path))
    assert "create schemas" in caught.value.remedy
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    monkeypatch.setenv(SETTING, re.sub("/postgres$", "/latin", server.url))
    with pytest.raises(ArchiveError, match="LATIN1"):
        catalog.connect(Archive(tmp_path))


def test_without_the_extension_a_search_finds_the_same(server, tmp_path, monkeypatch):
    server.execute("CREATE ROLE writer LOGIN PASSWORD 'writer'")
    server.execute("CREATE DATABASE plain")
    server.execute("GRANT CREATE ON DATABASE plain TO writer")
    # Where the extension is missing or may not be created.
    monkeypatch.setattr(
        catalog_server, "EXTENSION", catalog_server.EXTENSION.replace("pg_trgm", "no_such_thing")
    )
    url = server.url.replace(f"tests:{PASSWORD}", "writer:writer")
    monkeypatch.setenv(SETTING, re.sub("/postgres$", "/plain", url))
    store = fill(Archive(tmp_path), 30)
    wanted = Filter(text="bach chorale")
    found = catalog.answer(store, lambda connection: query.rows(connection, wanted))
    assert found
    assert all("bach" in f"{row['style']}{row['title']}".lower() for row in found)


def test_the_address_for_prefect():
    given = postgres.parse(
        "postgresql://me:p%40ss@db:5433/scores?sslmode=require&application_name=x"
    )
    assert given.of_prefect == "postgresql+asyncpg://me:p%40ss@db:5433/scores?ssl=require"
    assert given.shown == "db:5433/scores"
    assert "p%40ss" not in repr(given)
    with pytest.raises(RequestError):
        postgres.parse("scores.example.org")


def test_prefect_is_given_the_same_database(server, tmp_path, monkeypatch):
    own = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    monkeypatch.delenv(own, raising=False)
    expected = server.url.replace("postgresql:", "postgresql+asyncpg:")
    assert prefect_server._database() == {own: expected}
    check = doctor._catalog(tmp_path)
    assert (check.level, check.found) == ("ok", f"PostgreSQL, 127.0.0.1:{server.port}/postgres")
    monkeypatch.setenv(own, "sqlite+aiosqlite:///own.db")
    assert prefect_server._database() == {}
    monkeypatch.delenv(own)
    monkeypatch.setenv(SETTING, wrong_password(server.url))
    with pytest.raises(DatabaseFault, match="refuses"):
        prefect_server._database()
    monkeypatch.delenv(SETTING)
    assert prefect_server._database() == {}


ADDRESSES = (
    "/", "/pieces", "/pieces?sort=rating", "/pieces?sort=bars-down", "/pieces?rating=open",
    "/pieces?rating=4", "/pieces?rating=none", "/pieces?tag=nice", "/pieces?decision=keep",
    "/pieces?q=chorale+major", "/pieces?q=Ch", "/pieces?q=window.hacked", "/pieces?q=100%25",
    "/pieces?finding=bars.voices-disagree", "/pieces?measure=bars.count&low=10&high=10",
    "/pieces?temperature=1.4&verdict=passed&sort=warnings", "/review?rating=open", "/compare",
    "/compare?by=settings", "/start", "/exports", f"/runs/{dashboard_archive.RUNS[0]}",
)  # fmt: skip


def test_the_dashboard_shows_the_same_pages(server, dashboard_folder, tmp_path, monkeypatch):
    shutil.copytree(dashboard_folder, tmp_path / "one")
    with catalog.opened(Archive(tmp_path / "one")) as connection:
        pieces = [row["id"] for row in query.rows(connection, sort="oldest")]
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "archive" / "catalog.json").unlink()
    for folder in ("one", "two"):
        reviews = Reviews(tmp_path / folder)
        for rating, piece in zip((5, 2, 1), pieces, strict=False):
            reviews.rate("A", piece[:64], rating)
        reviews.tag("A", pieces[4][:64], "nice")
        reviews.decide("A", pieces[5][:64], "keep")
    shown = {}
    for folder, address in (("one", server.url), ("two", "")):
        monkeypatch.setenv(SETTING, address)
        client = TestClient(create_app(tmp_path / folder), base_url="http://127.0.0.1:8765")
        shown[folder] = {path: client.get(path) for path in ADDRESSES}
        shown[folder]["piece"] = client.get(f"/pieces/{pieces[1]}?sort=oldest")
        Reviews(tmp_path / folder).rate("A", pieces[7][:64], 5)
        shown[folder]["rated later"] = client.get("/pieces?rating=5")
    for path, answer in shown["one"].items():
        assert answer.status_code == 200, path
        assert plain(answer.text) == plain(shown["two"][path].text), path
    assert shown["one"]["rated later"].text.count('<th scope="row">') == 2
    with sqlite3.connect(tmp_path / "two" / "archive" / "catalog.sqlite") as db:
        assert db.execute("SELECT count(*) FROM pieces").fetchone()[0] == len(pieces)


def plain(page: str) -> str:
    """Return a page without what differs from one answer to the next."""
    return re.sub(r"/(one|two)\b", "/out", page)
