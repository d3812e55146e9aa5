"""Records of experiments, their pages, and what the dashboard shows of them."""

from __future__ import annotations

import json

import pytest
from dashboard_archive import PAYLOADS
from markdown_it import MarkdownIt
from starlette.testclient import TestClient

from scoregate.dashboard.app.application import create_app
from scoregate.errors import UnreadableError
from scoregate.experiments.record import (
    Experiment,
    Figure,
    Table,
    markdown,
    read_experiment,
    read_figure,
    tables_of,
    write_experiment,
)

HOST = "http://127.0.0.1:8765"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.hacked=6</script></svg>'


def hostile() -> Experiment:
    return Experiment(
        kind="sweep",
        title=PAYLOADS[0],
        command=f"scoregate sweep {PAYLOADS[1]}",
        facts=[(PAYLOADS[2], PAYLOADS[3])],
        paragraphs=[PAYLOADS[1]],
        tables=[
            Table(title=PAYLOADS[2], columns=["a|b", PAYLOADS[0]], rows=[[PAYLOADS[1], "c|d"]])
        ],
        figures=[Figure(file="one.svg", title=PAYLOADS[1])],
    )


@pytest.fixture
def client(tmp_path):
    write_experiment(tmp_path / "runs of mine" / "first", hostile(), {"one.svg": SVG})
    app = create_app(tmp_path / "out", experiments=tmp_path)
    return TestClient(app, base_url=HOST, raise_server_exceptions=False)


def test_a_record_is_read_as_it_was_written(tmp_path):
    paths = write_experiment(tmp_path, hostile(), {"one.svg": SVG})
    assert read_experiment(tmp_path) == hostile().model_copy(
        update={"created": read_experiment(tmp_path).created}
    )
    page = (tmp_path / "index.html").read_text()
    assert str(tmp_path / "index.html") == paths["page"]
    assert not any(payload in page for payload in PAYLOADS[:3])
    assert read_figure(tmp_path, hostile(), "one.svg") == SVG


def test_a_cell_of_markdown_ends_no_cell():
    lines = markdown(hostile()).splitlines()
    assert lines[-3].startswith("| a\\|b |")
    assert lines[-1].endswith("c\\|d |")


def test_a_hostile_name_in_a_cell_stays_text():
    name = "<img src=x> [a](javascript:alert(1)) ![](https://e.org/x.png) 2 < 3 [1, 2]"
    record = Experiment(
        kind="sweep",
        title=name,
        facts=[(name, name)],
        tables=[Table(title=name, columns=["a", name], rows=[[name, "c|d"]])],
    )
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown(record))
    assert not any(made in page for made in ("<img", "<a href"))
    assert "2 &lt; 3 [1, 2]" in page
    (table,) = tables_of(markdown(record))
    assert (table.columns, table.rows) == (["a", name], [[name, "c|d"]])


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"kind": "feast", "title": "x"}', b'{"kind": "sweep", "title": 3}', b"\xff",
     b'{"kind": "sweep", "title": "x", "format": 9}'],
)  # fmt: skip
def test_a_damaged_record_is_told(tmp_path, content):
    (tmp_path / "experiment.json").write_bytes(content)
    with pytest.raises(UnreadableError, match=r"experiment\.json"):
        read_experiment(tmp_path)


def test_only_listed_figures_are_read(tmp_path):
    write_experiment(tmp_path, hostile(), {"one.svg": SVG})
    (tmp_path / "secret.svg").write_bytes(b"x")
    assert read_figure(tmp_path, hostile(), "secret.svg") is None
    listed = hostile().model_copy(
        update={"figures": [Figure(file="../secret.svg", title=""), Figure(file="l.svg", title="")]}
    )
    assert read_figure(tmp_path, listed, "../secret.svg") is None
    (tmp_path / "l.svg").symlink_to(tmp_path / "secret.svg")
    assert read_figure(tmp_path, listed, "l.svg") is None


def test_the_dashboard_lists_experiments_and_shows_one(client):
    listing = client.get("/experiments")
    assert listing.status_code == 200
    assert "/experiments/page?name=runs%20of%20mine/first" in listing.text
    page = client.get("/experiments/page", params={"name": "runs of mine/first"})
    assert page.status_code == 200
    assert "c|d" in page.text
    for text in (listing.text, page.text):
        assert not any(payload in text for payload in PAYLOADS[:3])
    assert 'href="/experiments" aria-current="page"' in listing.text


def test_runs_that_a_table_names_are_links(tmp_path):
    table = Table(title="Rows", columns=["run"], rows=[["20261122-1"], ["It broke"]],
                  runs=["20261122-1"])  # fmt: skip
    write_experiment(tmp_path / "plan", Experiment(kind="plan", title="Plan", tables=[table]))
    app = create_app(tmp_path / "out", experiments=tmp_path)
    page = TestClient(app, base_url=HOST).get("/experiments/page", params={"name": "plan"}).text
    assert '<a href="/runs/20261122-1">20261122-1</a>' in page
    assert "<td>It broke</td>" in page


def test_a_figure_is_served_so_that_nothing_in_it_runs(client):
    where = {"name": "runs of mine/first", "file": "one.svg"}
    answer = client.get("/experiments/figure", params=where)
    assert answer.content == SVG
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "where",
    [{}, {"name": ".."}, {"name": "runs of mine"}, {"name": "/etc", "file": "passwd"},
     {"name": "runs of mine/first", "file": "experiment.json"},
     {"name": "runs of mine/first", "file": "../first/one.svg"}],
)  # fmt: skip
def test_no_address_leads_out_of_an_experiment(client, where):
    assert client.get("/experiments/figure", params=where).status_code == 404
    if "file" not in where:
        assert client.get("/experiments/page", params=where).status_code == 404


def test_links_are_not_followed_and_damage_is_named(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    write_experiment(outside / "far", hostile())
    root.mkdir()
    (root / "link").symlink_to(outside)
    (root / "broken").mkdir()
    (root / "broken" / "experiment.json").write_text(json.dumps({"title": "<b>x"}))
    app = create_app(tmp_path / "out", experiments=root)
    client = TestClient(app, base_url=HOST, raise_server_exceptions=False)
    text = client.get("/experiments").text
    assert "far" not in text.replace(str(tmp_path), "")
    assert "be read as the record of an experiment" in text
    answer = client.get("/experiments/page", params={"name": "broken"})
    assert answer.status_code == 404
