"""The pages: self-contained, safe with text from anyone, complete."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from scoregate.abc.reader import read
from scoregate.archive.records import PieceReport, PieceRow, RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.dashboard import report
from scoregate.dashboard.archive_index import index_page
from scoregate.dashboard.cards import card_of
from scoregate.dashboard.formatting import measure_note
from scoregate.dashboard.inline_svg import Sheet
from scoregate.dashboard.offline import write_player
from scoregate.dashboard.pages import fill
from scoregate.dashboard.report import run_pages
from scoregate.findings import Status
from scoregate.render.pool import Job, render_pieces
from scoregate.validators.examination import examine

HOSTILE = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>"
PIECE = (
    "X:1\nT:{title}\nL:1/4\nQ:1/4=90\nM:4/4\nK:C\n"
    'V:1 treble nm="{title}"\nV:2 bass\n'
    '[V:1]"^{title}"CDEF|[V:2]C,4|\n[V:1]GAB|][V:2]G,4|]\n'
)
FINDING = {
    "gate": "bars",
    "code": "bars.voices-disagree",
    "severity": "critical",
    "message": f"3/4 found, 4/4 expected {HOSTILE}",
    "voice": "1",
    "bar": 2,
    "line": 10,
    "column": 6,
    "found": "3/4",
    "expected": "4/4",
}


class Elements(HTMLParser):
    """Every tag with its attributes, and every address that a browser would follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])

    def addresses(self) -> list[str]:
        names = ("src", "href", "xlink:href", "data", "action", "poster", "srcset", "formaction")
        return [attrs[name] for _, attrs in self.tags for name in names if name in attrs]


@pytest.fixture(scope="module")
def produced(tmp_path_factory):
    """Make an archive with two passing pieces, a rejected one and one that was not judged."""
    store = Archive(tmp_path_factory.mktemp("out"))
    run = RunRecord(
        run_id="20261120-090000-abcdef",
        started="2026-11-20T09:00:00+00:00",
        finished="2026-11-20T09:01:04+00:00",
        version="0.1.0",
        request={"style": "Baroque/Bach, Johann Sebastian/Choral", "count": 3, "note": HOSTILE},
        engine={"weights": {"name": HOSTILE}},
        rounds=[RoundRecord(round=1, drawn=4, passed=2, rejected=1, not_judged=1,
                            seconds={"generate": 12.5, "check": 0.25})],
        missing=1,
        seconds=64.2,
        orchestration_seconds=11.0,
    )  # fmt: skip
    titles = ["Plain", HOSTILE, HOSTILE + " rejected", "Not judged"]
    statuses = ["passed", "passed", "rejected", "could not be judged"]
    texts = [PIECE.format(title=title.replace('"', "”")) for title in titles]
    finding = PieceReport(status="rejected", findings=[FINDING]).findings[0]
    jobs = [
        Job(text, read(text), [finding] if status == "rejected" else [])
        for text, status in zip(texts, statuses, strict=True)
    ]
    renderings = render_pieces(jobs)
    for number, status in enumerate(statuses):
        written = PieceReport(
            status=status,
            title=titles[number],
            style=HOSTILE if number else "Baroque/Bach, Johann Sebastian/Choral",
            run_id=run.run_id,
            round=1,
            summary={"bars": 2, "voices": 2, "key": HOSTILE, "metre": "4/4"},
            provenance={"seed": number, "sampling": {"name": HOSTILE, "values": [1, 2]}},
            findings=[FINDING] if status == "rejected" else [],
            measures={
                "measures.groove_consistency": 0.8 + number / 100,
                "repetition.loop_share": 0.3 if status == "rejected" else 0.0,
                "measures.harmony_fit": float("nan"),
                "other.measure": 12345.0,
            },
            thresholds={"measures": {"repetition.loop_share": {"side": "high", "critical": 0.25}}},
            reasons=[] if status == "passed" else [HOSTILE],
            notes=[HOSTILE],
        )
        files = {"score.abc": texts[number], "raw.abc": texts[number], **renderings[number].files}
        if status == "passed":
            entry = store.add(files, written)
        else:
            entry = store.reject(run.run_id, files, written)
        run.pieces.append(PieceRow(piece_id=entry.piece_id, status=status, round=1))
    store.write_run(run, run_pages(store, run))
    write_player(store.out / "player")
    return store, run


@pytest.fixture(scope="module")
def page(produced):
    store, run = produced
    return (store.run_folder(run.run_id) / "report.html").read_text()


def test_nothing_is_requested_from_outside(page):
    plain = re.sub(r"[A-Za-z0-9+/]{60,}=*", "", page)  # fonts and MIDI, in base64
    # What a hostile text says stands there as text, escaped; it is no address.
    assert set(re.findall(r"(?:\w+:)?//[^\s\"'<>);&]+", plain)) == {"//evil.example/x"}
    for address in Elements(page).addresses():
        assert re.match(r"#|data:|\.\./", address), address
    assert "@import" not in page
    assert set(re.findall(r"url\(([a-z]*:?)", page)) <= {"data:"}


def test_hostile_text_is_escaped_everywhere(page):
    elements = Elements(page)
    assert "alert(1)" in page
    scripts = [attrs.get("src") for tag, attrs in elements.tags if tag == "script"]
    assert scripts == ["../../player/static/player.js", None]
    assert not [tag for tag, _ in elements.tags if tag in ("img", "iframe", "object", "embed")]
    assert not [name for _, attrs in elements.tags for name in attrs if name.startswith("on")]


def test_the_policy_lets_only_the_pages_own_script_run(page):
    policy = next(a["content"] for t, a in Elements(page).tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")
    allowed = re.search(r"script-src ([^;]+);", policy)[1].split()
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", allowed[0])
    assert set(allowed[1:]) == {"'self'", "file:", "data:", "'wasm-unsafe-eval'"}


def test_ids_are_unique_and_links_inside_the_page_lead_somewhere(page):
    elements = Elements(page)
    assert len(elements.ids) == len(set(elements.ids))
    targets = {address[1:] for address in elements.addresses() if address.startswith("#")}
    assert targets - set(elements.ids) <= {"rejected", "unjudged"}
    assert {"rejected", "unjudged", "passed"} <= set(elements.ids)


def test_links_to_files_lead_to_files(produced, page):
    store, run = produced
    folder = store.run_folder(run.run_id)
    files = [address for address in Elements(page).addresses() if address.startswith("../")]
    assert len(files) >= 4 * 5
    assert [address for address in files if not (folder / address).resolve().is_file()] == []


def test_the_page_says_what_came_of_the_run(page):
    text = re.sub(r"<[^>]+>", " ", page)
    for sentence in (
        "2 of 4 pieces passed",
        "1 of the pieces asked for is missing.",
        "bars.voices-disagree",
        "Voice 1, bar 2:",
        "line 10, column 6",
        "Loop share",
        "took 1\u00a0min\u00a04\u00a0s",
        "must be below 0.25 (rejects)",
        "Lines and columns of findings are those of the text as written (raw.abc)",
        "0.3 !",
    ):
        assert sentence in text, sentence


def test_the_failing_bar_is_boxed_and_glyphs_are_shared(page):
    assert page.count('class="mark"') == 1
    assert page.count("<defs>") == 1
    assert page.count("@font-face") == 0
    assert page.count('<svg class="engraving"') == 4


def test_the_page_is_small(page):
    assert len(page) < 200_000


def test_the_same_archive_gives_the_same_page(produced, page):
    store, run = produced
    assert run_pages(store, run) == {"report.html": page}


def test_a_large_run_has_several_pages_and_nothing_is_left_out(produced, monkeypatch):
    store, run = produced
    monkeypatch.setattr(report, "CARDS", 1)
    pages = run_pages(store, run)
    assert list(pages) == ["report.html", "report-2.html", "report-3.html", "report-4.html"]
    found = {name: Elements(html) for name, html in pages.items()}
    anchors = [f"piece-{row.piece_id[:12]}" for row in run.pieces]
    shown = [re.findall(r'<article class="card panel" id="([^"]+)"', html) for html in
             pages.values()]  # fmt: skip
    assert sorted(one for page in shown for one in page) == sorted(anchors)
    assert all(len(one) == 1 for one in shown)
    # The first page leads to every piece, and an address of before leads there too.
    assert set(anchors) <= set(found["report.html"].ids)
    folder = store.run_folder(run.run_id)
    for name, elements in found.items():
        assert len(elements.ids) == len(set(elements.ids))
        for address in elements.addresses():
            file, _, anchor = address.partition("#")
            if file.startswith("../"):
                assert (folder / file).resolve().is_file()
            elif not file.startswith("data:") and anchor.startswith("piece-"):
                assert anchor in found[file or name].ids, address
            elif file and not file.startswith("data:"):
                assert file in pages
    store_pages = {"report.html": "1", "report-2.html": "2"}
    copy = Archive(store.out.parent / "fewer")
    copy.write_run(run, store_pages)
    copy.write_run(run, {"report.html": "1"})
    assert [path.name for path in copy.run_folder(run.run_id).glob("*.html")] == ["report.html"]
    assert list(copy.run(run.run_id).files) == ["report.html"]


def test_a_page_is_closed_before_it_is_too_large(produced, monkeypatch):
    store, run = produced
    sizes = [len(page) for page in run_pages(store, run).values()]
    monkeypatch.setattr(report, "BUDGET", 20_000)
    smaller = run_pages(store, run)
    assert len(smaller) > len(sizes)
    assert sum(page.count("<article") for page in smaller.values()) == 4


@pytest.mark.slow
def test_the_list_of_many_pieces_leaves_the_first_page_below_two_megabytes(tmp_path):
    """Ten thousand pieces, of which only what the record says is there."""
    rows = [
        PieceRow(piece_id=f"{n:012x}" + "0" * 52, status="passed", title="Chorale in F & G, no. 7")
        for n in range(10_000)
    ]
    pages = run_pages(Archive(tmp_path), RunRecord(run_id="r", pieces=rows))
    first = pages["report.html"]
    assert first.count("<li id=") + first.count("<article") >= 10_000
    assert first.count("<article") == 1
    assert len(first.encode()) < 1.5e6
    assert len(pages) == 1 + -(-9_999 // report.CARDS)
    assert report._listed_size("<" * 60) >= len(f"<li id=...>{'&lt;' * 60}")


def test_a_run_without_pieces_has_a_page(tmp_path):
    html = run_pages(Archive(tmp_path), RunRecord(run_id="r", missing=4))["report.html"]
    assert "No piece was drawn" in html
    assert "still under way" in html


def test_the_shelf_lists_runs_and_pieces_and_leads_to_them(produced):
    store, run = produced
    html = index_page(store)
    elements = Elements(html)
    addresses = [a for a in elements.addresses() if not a.startswith(("#", "data:"))]
    assert len(addresses) == 1 + 2 * 2
    assert [a for a in addresses if not (store.out / a.split("#")[0]).is_file()] == []
    anchors = {a.split("#")[1] for a in addresses if "#" in a}
    assert anchors <= set(Elements((store.run_folder(run.run_id) / "report.html").read_text()).ids)
    assert "alert(1)" in html
    assert [tag for tag, _ in elements.tags if tag in ("script", "img")] == ["script"]


def test_the_shelf_names_a_damaged_run_and_an_empty_archive(produced, tmp_path):
    store, run = produced
    copy = Archive(tmp_path / "out")
    shutil.copytree(store.out, copy.out)
    (copy.run_folder(run.run_id) / "run.json").write_text("{")
    assert "is damaged" in index_page(copy)
    assert "No run yet" in index_page(Archive(tmp_path / "nowhere"))


def test_a_piece_that_is_gone_is_told(produced, tmp_path):
    store, run = produced
    copy = tmp_path / "out"
    shutil.copytree(store.out, copy)
    entry = Archive(copy).path_of(run.pieces[0].piece_id)
    (entry / "report.json").unlink()
    (Archive(copy).path_of(run.pieces[1].piece_id) / "score-1.svg").write_text("<svg")
    html = run_pages(Archive(copy), run)["report.html"]
    assert "report.json is missing" in html
    assert html.count('<svg class="engraving"') == 2


def test_pages_beyond_the_budget_are_linked():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0"/></svg>'
    sheet = Sheet(budget=30)
    assert sheet.page(svg, "one") is not None
    assert sheet.page(svg, "two") is None


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<a href="//evil/x" onclick="alert(1)"><path d="M0"/></a>',
        '<use href="//evil/x#a"/><path fill="url(//evil/x)" onload="alert(1)"/>',
        '<defs><g id="x&quot;&gt;&lt;script&gt;"><path/></g></defs>',
        '<style>@import "//evil/x";</style>',
        '<foreignObject><b xmlns="x">y</b></foreignObject>',
        "<text>&secret;</text>",
    ],
)
def test_only_what_an_engraving_is_made_of_comes_through(inside):
    entity = '<!DOCTYPE svg [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    svg = f'{entity}<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">{inside}</svg>'
    sheet = Sheet()
    written = f"{sheet.page(svg, HOSTILE)}{sheet.definitions}{sheet.fonts}"
    tags = Elements(written).tags
    assert {tag for tag, _ in tags} <= {"svg", "path", "use", "text", "g", "defs"}
    assert "evil/" not in written
    assert "@import" not in written
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]


def test_every_measure_of_the_gates_has_a_title_and_an_explanation():
    piece = examine(PIECE.format(title="x"), style="Baroque/Bach, Johann Sebastian/Choral")
    assert len(piece.measures) > 20
    assert [name for name in piece.measures if not measure_note(name)] == []


def card_page(said: PieceReport, pages=()) -> str:
    """Return a page with one card, as the page of a run shows it."""
    sheet = Sheet()
    card = card_of(said, sheet, pages=pages)
    run = RunRecord(run_id="r")
    return fill("run_pieces.html", sheet=sheet, run=run, heading="h", style="s", cards=[card],
                names=["report-2.html"], name="report-2.html")  # fmt: skip


def test_limits_say_what_must_be_and_what_comes_of_it():
    said = PieceReport(
        status="passed",
        measures={"measures.pitch_class_entropy": 2.744, "novelty.shared_bars": 1.0},
        thresholds={
            "measures": {
                "measures.pitch_class_entropy": {"side": "low", "warning": 1.5},
                "novelty.shared_bars": {"side": "high", "critical": 4, "warning": 3},
            }
        },
    )
    html = card_page(said)
    assert "must be above 1.5 (warning)" in html
    assert ">Limits<" in html
    assert ">Limits<" not in card_page(said.model_copy(update={"thresholds": {}}))
    assert "must be below 4 (rejects), must be below 3 (warning)" in html


def test_warnings_are_counted_as_such():
    page = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/>{}</svg>'
    warning = FINDING | {"severity": "warning"}
    said = PieceReport(status="passed", findings=[warning, FINDING | {"severity": "info"}])
    html = card_page(said, [page.format('<rect class="mark warning" x="1"/>')])
    assert 'class="mark warning"' in html
    assert "Warnings (1)" in html
    assert "Remarks" not in html


def test_a_rejected_piece_opens_at_the_page_that_shows_why():
    page = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M{} 0"/>{}</svg>'
    box = '<rect class="mark" x="1"/>'
    pages = [page.format(1, ""), page.format(2, ""), page.format(3, box)]
    html = card_page(PieceReport(status="rejected", title="x"), pages)
    assert [html.index(f'd="M{n} 0"') for n in (3, 1, 2)] == sorted(
        html.index(f'd="M{n} 0"') for n in (1, 2, 3)
    )
    assert "Page 3 of 3" in html


def test_a_piece_that_cannot_be_engraved_has_a_page_too():
    html = card_page(PieceReport(status="could not be judged", reasons=[HOSTILE], title="a.abc"))
    assert "could not be judged" in html
    assert "a.abc" in html


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine")


@pytest.mark.slow
def test_a_browser_opens_the_page_without_a_complaint(produced, tmp_path):
    """The page's own script and the player run (the players are shown), no other does."""
    store, run = produced
    path = store.run_folder(run.run_id) / "report.html"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command = [_chromium(), *options, f"--user-data-dir={tmp_path}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    players = re.findall(r'<section class="player"[^>]*>', done.stdout)
    assert len(players) == 4
    assert not [player for player in players if " hidden" in player]


def test_a_piece_that_a_shard_rejected_is_found_where_the_shard_put_it(tmp_path):
    store = Archive(tmp_path)
    report = PieceReport(status=Status.REJECTED, run_id="shard-1", title="Of a shard")
    entry = store.reject("shard-1", {"score.abc": "X:1\nK:C\nC|\n"}, report)
    row = PieceRow.model_validate(
        {"piece_id": entry.piece_id, "status": "rejected", "run_id": "shard-1"}
    )
    page = run_pages(store, RunRecord(run_id="joined", pieces=[row]))["report.html"]
    assert "Of a shard" in page
    assert "is missing" not in page
