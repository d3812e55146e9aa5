"""The dashboard's pages by their addresses: filters, faults, exports, and who is let in."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sqlite3
import zipfile

import dashboard_archive
import pyarrow.parquet as pq
import pytest
from dashboard_archive import PAYLOADS, RUNS, STYLE
from starlette.testclient import TestClient

from scoregate.archive import catalog
from scoregate.archive.store import Archive
from scoregate.dashboard.app.application import create_app
from scoregate.dashboard.app.figures import Rate
from scoregate.dashboard.app.filters import PieceFilter
from scoregate.dashboard.app.jobs import Jobs
from scoregate.dashboard.app.library import Library
from scoregate.dashboard.app.routes_review import drawn_pair
from scoregate.dashboard.app.security import POLICY
from scoregate.intervals import wilson

HOST = "http://127.0.0.1:8765"
OURS = {"origin": HOST}


@pytest.fixture
def out(dashboard_folder, tmp_path):
    shutil.copytree(dashboard_folder, tmp_path / "out")
    return tmp_path / "out"


def client_of(out, **options) -> TestClient:
    return TestClient(create_app(out, **options), base_url=HOST, raise_server_exceptions=False)


@pytest.fixture
def client(out):
    return client_of(out)


def rows_of(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/pieces/([^"?]+)', text)


def count(client, query: str) -> int:
    text = client.get(f"/pieces?{query}").text
    return len(rows_of(text))


PAGES = ("/", "/pieces", "/review", "/ab", "/compare", "/compare?by=settings", "/start",
         "/exports", f"/runs/{RUNS[0]}")  # fmt: skip


@pytest.mark.slow
def test_the_overview_shows_the_last_alarm_as_text(out):
    store = Archive(out)
    assert "pieces are missing: the rounds were used up" in client_of(out).get("/").text
    for run, said in zip(RUNS, ("the older one", f"2 pieces short {PAYLOADS[0]}"), strict=True):
        record = store.run(run)
        record.alarms = [said]
        store.write_run(record)
    text = client_of(out).get("/").text
    assert "2 pieces short &lt;script&gt;" in text
    assert "the older one" not in text


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_with_its_policy(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe-inline" not in POLICY
    # Nothing that the policy would forbid, and nothing from outside.
    assert not re.search(r"<[^>]+ (style|on[a-z]+)=", answer.text)
    assert not re.search(r"<script(?![^>]* src=\"/)", answer.text)
    assert not re.findall(r'(?:src|href|action)="(?!/|#|\?)[^"]', answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_archive_has_pages_too(tmp_path, path):
    answer = client_of(tmp_path / "none").get(path)
    assert answer.status_code == (404 if path.startswith("/runs/") else 200)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 16),
        ("verdict=passed", 12),
        ("verdict=rejected", 4),
        ("verdict=nonsense", 16),
        (f"run={RUNS[0]}", 8),
        (f"run={RUNS[0]}&verdict=rejected", 2),
        ("finding=bars.voices-disagree", 4),
        ("finding=unknown", 0),
        ("style=" + STYLE.replace(" ", "%20"), 16),
        ("temperature=1.4", 8),
        ("weights=chorales", 16),
        ("measure=bars.count&low=10&high=10", 16),
        ("measure=bars.count&low=11", 0),
        ("measure=bars.count&low=x", 16),
        ("since=2026-11-21", 8),
        ("until=2026-11-20", 8),
        ("q=chorale+major", 16),
        ("q=window.hacked", 1),
        ("q=a%22+OR+%22b", 0),
        ("q=Ch", 16),
        ("q=%25", 0),
        ("rating=open", 16),
        ("rating=4", 0),
        ("page=99", 16),
        ("page=-1&sort=bars", 16),
    ],
)
def test_filters(client, query, expected):
    assert count(client, query) == expected


def test_the_filter_stands_in_the_address_and_in_next_and_previous(client):
    query = "verdict=rejected&sort=oldest"
    listed = rows_of(client.get(f"/pieces?{query}").text)
    page = client.get(f"/pieces/{listed[1]}?{query}").text
    assert f'rel="prev" href="/pieces/{listed[0]}?{query.replace("&", "&amp;")}"' in page
    assert f'rel="next" href="/pieces/{listed[2]}?{query.replace("&", "&amp;")}"' in page
    wanted = PieceFilter.of({"q": "a b", "verdict": "passed", "sort": "bars"})
    assert wanted.address == "q=a+b&verdict=passed&sort=bars"
    assert not PieceFilter().narrows


def test_ratings_filter_and_sort(client):
    listed = rows_of(client.get("/pieces?sort=oldest").text)
    for identifier, rating in zip(listed[:3], "521", strict=True):
        answer = client.post(f"/pieces/{identifier}/review", data={"rating": rating}, headers=OURS)
        assert answer.status_code == 200
    assert count(client, "rating=4") == 1
    assert count(client, "rating=low") == 2
    assert count(client, "rating=none") == 13
    assert count(client, "rating=mine") == 3
    assert rows_of(client.get("/pieces?sort=rating").text)[:2] == listed[:2]
    client.post(f"/pieces/{listed[0]}/review", data={"tag": "a & b"}, headers=OURS)
    assert count(client, "tag=a+%26+b") == 1
    client.post(f"/pieces/{listed[0]}/review", data={"decision": "keep"}, headers=OURS)
    assert count(client, "decision=keep") == 1


def test_a_review_moves_on_and_ends(client):
    seen = []
    answer = client.get("/review?verdict=rejected&rating=open")
    for _ in range(4):
        seen.append(answer.url.path)
        identifier = answer.url.path.removeprefix("/review/")
        answer = client.post(
            f"/pieces/{identifier}/review?verdict=rejected&rating=open",
            data={"rating": "3", "mode": "review"},
            headers=OURS,
        )
    assert len(set(seen)) == 4
    assert "That was the last one" in answer.text


def test_by_htmx_the_next_piece_comes_with_the_answer(client):
    listed = rows_of(client.get("/pieces").text)
    answer = client.post(
        f"/pieces/{listed[0]}/review", data={"rating": "3", "mode": "review"},
        headers={**OURS, "hx-request": "true"},
    )  # fmt: skip
    assert answer.headers["hx-push-url"] == f"/review/{listed[1]}"
    assert f"/pieces/{listed[1]}/review" in answer.text
    undone = client.post("/undo", data={"mode": "review"}, headers={**OURS, "hx-request": "true"})
    assert undone.headers["hx-push-url"] == f"/review/{listed[0]}"
    assert 'aria-pressed="true"' not in undone.text.split('class="rates"')[1].split("</div>")[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site", "origin": HOST},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
@pytest.mark.parametrize("path", ["/pieces/{id}/review", "/undo", "/reviewer", "/ab", "/start"])
def test_a_form_of_another_site_is_refused(client, out, headers, path):
    identifier = dashboard_archive.ids(out)[0]
    answer = client.post(path.format(id=identifier), data={"rating": "5"}, headers=headers)
    assert answer.status_code == 403
    assert not list(Library(out).reviews.events())


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "", "localhost:1"])
def test_another_name_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 403


def test_other_methods_and_large_forms_are_refused(client):
    assert client.request("DELETE", "/pieces", headers=OURS).status_code == 403
    answer = client.post("/reviewer", content=b"name=" + b"x" * 300_000, headers=OURS)
    assert answer.status_code == 413
    answer = client.post("/reviewer", content=(b"x" * 200_000 for _ in range(2)), headers=OURS)
    assert answer.status_code == 422


def test_beyond_loopback_a_token_is_needed(out):
    client = TestClient(create_app(out, host="0.0.0.0", token="secret"), base_url=HOST)
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    assert client.get("/static/app.css").status_code == 401
    answer = client.get("/pieces?verdict=passed&token=secret", follow_redirects=False)
    assert answer.headers["location"] == "/pieces?verdict=passed"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/").status_code == 200


@pytest.mark.slow
def test_hostile_text_is_escaped_everywhere(client, out):
    for identifier in dashboard_archive.ids(out)[:2]:
        for payload in PAYLOADS:
            for field in ("tag", "note"):
                client.post(
                    f"/pieces/{identifier}/review", data={field: payload[:60]}, headers=OURS
                )
    listed = rows_of(client.get("/pieces").text)
    for path in (*PAGES, *(f"/pieces/{one}" for one in listed),
                 *(f"/pieces/{one}/context" for one in listed[:3]),
                 "/pieces?q=%3Cscript%3E&tag=%3Cimg+onerror%3D1%3E&run=%22%3E%3Csvg"):  # fmt: skip
        text = client.get(path).text
        assert "<script>window" not in text
        assert "<img" not in text
        assert "<b onclick" not in text
        assert not re.search(r"<svg[^>]* on", text)


def test_files_are_downloads_and_nothing_else_is_served(client, out):
    (identifier, *_) = dashboard_archive.ids(out)
    for name in ("score.abc", "raw.abc", "score.mid", "score.musicxml", "score-1.svg",
                 "report.json"):  # fmt: skip
        answer = client.get(f"/pieces/{identifier}/files/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["content-disposition"].startswith('attachment; filename="chorale-in')
    for name in ("..%2f..%2fcatalog.sqlite", "catalog.sqlite", "%2e%2e", "score.exe"):
        assert client.get(f"/pieces/{identifier}/files/{name}").status_code == 404


@pytest.mark.parametrize("identifier", ["0" * 64, "nonsense", "../etc", "%00", "a" * 500])
def test_unknown_pieces_are_told(client, identifier):
    for path in ("", "/timeline.json", "/context", "/engraving/1", "/files/score.mid"):
        assert client.get(f"/pieces/{identifier}{path}").status_code in (404, 200)
    assert client.get(f"/pieces/{identifier}").status_code == 404


def test_a_damaged_piece_shows_what_is_missing(client, out):
    first, second, third = dashboard_archive.ids(out)[:3]
    folder = {one: out / "archive/pieces" / one[:2] / one for one in (first, second, third)}
    (folder[first] / "score-1.svg").unlink()
    (folder[first] / "score.mid").write_bytes(b"damaged")
    (folder[second] / "report.json").write_text("{")
    shutil.rmtree(folder[third])
    text = client.get(f"/pieces/{first}").text
    assert "score-1.svg is missing" in text
    assert "score.mid is not what was archived" in text
    assert "No engraving of this piece" in text or "This page is missing" in text
    for one in (second, third):
        answer = client.get(f"/pieces/{one}")
        assert answer.status_code == 200
        assert "missing or damaged" in answer.text
        assert client.get(f"/pieces/{one}/timeline.json").status_code == 200


def test_an_older_catalog_is_made_anew_and_the_reviews_stay(client, out):
    identifier = dashboard_archive.ids(out)[0]
    client.post(f"/pieces/{identifier}/review", data={"rating": "5"}, headers=OURS)
    path = catalog.of(Archive(out)).path
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE pieces")
        db.execute("PRAGMA user_version = 1")
    assert count(client, "") == 16
    assert count(client, "rating=5") == 1


def test_damaged_reviews_do_not_keep_the_pieces_from_being_seen(client, out):
    Library(out).reviews.path.write_bytes(b"nothing" * 1000)
    identifier = dashboard_archive.ids(out)[0]
    assert client.post(
        f"/pieces/{identifier}/review", data={"rating": "5"}, headers=OURS
    ).status_code == 500  # fmt: skip
    assert client.get("/").status_code == 200


def test_blind_pairs_are_drawn_by_a_seed():
    pieces = [f"p{number}" for number in range(6)]
    assert drawn_pair(pieces, set(), 3) == drawn_pair(pieces, set(), 3)
    done: set[frozenset[str]] = set()
    for seed in range(15):
        pair = drawn_pair(pieces, done, seed)
        assert pair
        assert frozenset(pair) not in done
        done.add(frozenset(pair))
    assert drawn_pair(pieces, done, 99) is None
    assert drawn_pair(["p"], set(), 1) is None
    firsts = {drawn_pair(["p", "q"], set(), seed) for seed in range(20)}
    assert firsts == {("p", "q"), ("q", "p")}


def test_exports(client, out):
    listed = rows_of(client.get("/pieces?verdict=passed&sort=oldest").text)
    for identifier, rating in zip(listed[:4], "5432", strict=True):
        client.post(f"/pieces/{identifier}/review", data={"rating": rating}, headers=OURS)
    client.post(f"/pieces/{listed[0]}/review", data={"note": "=1+1"}, headers=OURS)
    for outcome in ("a", "tie"):
        client.post("/ab", headers=OURS, data={
            "first": listed[0], "second": listed[1], "outcome": outcome, "seed": "4"})  # fmt: skip

    (pair,) = [json.loads(line) for line in client.get("/exports/pairs.jsonl").text.splitlines()]
    prompt = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n"
    assert pair.keys() == {"prompt", "chosen", "rejected"}
    assert pair["prompt"] == prompt
    assert "Q:1/4=70" in pair["chosen"]
    assert "Q:1/4=71" in pair["rejected"]
    assert not pair["chosen"].startswith("%B")

    rated = client.get("/exports/rated-pairs.jsonl").text.splitlines()
    assert len(rated) == 3  # 5 over 3 and 2, 4 over 2

    labels = [json.loads(line) for line in client.get("/exports/kto.jsonl").text.splitlines()]
    assert [one["label"] for one in labels] == [True, True, False]
    assert all(one.keys() == {"prompt", "completion", "label"} for one in labels)

    with zipfile.ZipFile(io.BytesIO(client.get("/exports/notagen.zip").content)) as archive:
        assert archive.namelist() == ["baroque-bach-johann-sebastian-choral.json"]
        lists = json.loads(archive.read(archive.namelist()[0]))
    assert (len(lists["chosen"]), len(lists["rejected"])) == (2, 1)
    assert all(path.endswith("/raw.abc") for path in lists["chosen"])

    table = list(csv.DictReader(io.StringIO(client.get("/exports/reviews.csv").text)))
    assert sorted(row["rating"] for row in table) == ["2", "3", "4", "5"]
    assert "'=1+1" in [row["note"] for row in table]
    parquet = pq.read_table(io.BytesIO(client.get("/exports/reviews.parquet").content))
    assert sorted(parquet["rating"].to_pylist()) == [2, 3, 4, 5]
    assert len(client.get("/exports/events.jsonl").text.splitlines()) == 7
    assert client.get("/exports/passwd").status_code == 404


def test_rates_are_of_first_rounds_and_keep_repaired_runs_apart(client):
    text = client.get("/").text
    assert text.count(">lines resampled</td>") == 3
    assert text.count(">as written</td>") == 3
    assert Rate(6, 8).text == "75 % (41 to 93 %, n = 8)"
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_comparison_shows_only_what_differs(client):
    text = client.get(f"/compare?by=run&a={RUNS[0]}&b={RUNS[1]}").text
    differing = text.split("What differs")[1].split("</section>")[0]
    names = re.findall(r'<th scope="row">([^<]+)', differing)
    assert names == ["temperature", "repair lines"]


@pytest.mark.slow
def test_a_selection_is_exported_as_a_folder(client):
    answer = client.get("/export-site?verdict=rejected")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        pages = [name for name in names if re.search(r"pieces/\d+-\w+\.html$", name)]
        assert len(pages) == 4
        assert "scoregate-export/assets/vendor/sound.js" in names
        assert "scoregate-export/assets/vendor/LICENSE-FluidR3Mono.md" in names
        page = archive.read(pages[0]).decode()
    assert "data-midi64=" in page
    assert 'data-bar="7"' in page
    assert not re.findall(r'(?:src|href)="(?:/|http)', page)


def test_faults_in_the_form_for_a_run_are_told(client, monkeypatch):
    from scoregate.dashboard.app import routes_start

    monkeypatch.setattr(routes_start, "styles_of", lambda weights: [STYLE])
    for fields, said in (
        ({"style": STYLE, "count": "0"}, "count"),
        ({"style": STYLE, "temperature": "hot"}, "temperature"),
        ({"style": "Jazz/Nobody/Kazoo"}, "not trained on"),
        ({"style": PAYLOADS[0]}, "not trained on"),
    ):
        answer = client.post("/start", data=fields, headers=OURS)
        assert answer.status_code == 422
        assert said in answer.text
        assert "<script>window" not in answer.text


def test_a_style_in_another_script_is_started_under_its_name(client, monkeypatch):
    from scoregate.dashboard.app import routes_start

    started = []
    monkeypatch.setattr(routes_start, "styles_of", lambda weights: [STYLE])
    monkeypatch.setattr(Jobs, "start", lambda self, request: started.append(request))
    for typed in ("巴洛克/巴赫/合唱", "bach/choral"):
        fields = {"style": typed, "count": "1"}
        client.post("/start", data=fields, headers=OURS, follow_redirects=False)
    assert [request.style for request in started] == [STYLE, STYLE]


def test_again_with_these_settings(client):
    text = client.get(f"/start?again={RUNS[1]}").text
    assert re.search(r'name="temperature" value="1.4"', text)
    assert re.search(r'name="count" value="8"', text)
    assert re.search(r'name="seed" value=""', text)
