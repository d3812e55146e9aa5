"""The table of artefacts: what is in it, and that one module adds a format."""

import re
import sys
from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.errors import RequestError
from scoregate.render import artefacts, formats
from scoregate.render.artefacts import Material, NotMade, When, made_on_demand
from scoregate.render.pool import Job, render_pieces

ROOT = Path(__file__).parents[1]
PIECE = "X:1\nT:Duo\nL:1/4\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n" + "[V:1]CDEF|[V:2]C,4|\n" * 60


@pytest.fixture(scope="module")
def rendering():
    return render_pieces([Job(PIECE, read(PIECE))])[0]


def test_every_rendered_file_is_in_the_table(rendering):
    made = {artefacts.of_file(name) for name in rendering.files}
    assert None not in made
    always = {one for one in artefacts.table() if one.when == When.ALWAYS}
    assert made == always


def test_each_artefact_comes_after_those_it_is_made_from():
    seen = {"text", "score"}
    for artefact in artefacts.table():
        assert seen.issuperset(artefact.made_from), artefact.name
        seen.add(artefact.name)


def test_names_and_files_are_unique():
    table = artefacts.table()
    assert len({one.name for one in table}) == len({one.file for one in table}) == len(table)


@pytest.mark.parametrize(
    ("file", "name"),
    [("score.abc", "abc"), ("raw.abc", "raw"), ("score.mid", "midi"), ("score-12.svg", "engraving"),
     ("score.pdf", "pdf"), ("preview.ogg", "audio"), ("score-0.svg", None), ("score.svg", None),
     ("score-1.svg\n", None), ("../score.mid", None), ("", None)],
)  # fmt: skip
def test_a_file_is_known_by_its_name(file, name):
    found = artefacts.of_file(file)
    assert (found.name if found else None) == name


def test_pages_are_in_order():
    engraving = artefacts.find("engraving")
    assert engraving.of(["score-10.svg", "score-9.svg", "score.mid"]) == [
        "score-9.svg",
        "score-10.svg",
    ]


def test_an_unknown_artefact_is_refused():
    with pytest.raises(RequestError, match="musicxml"):
        artefacts.find("docx")


def test_the_documentation_has_a_row_for_each_artefact():
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", (ROOT / "docs/render.md").read_text(), re.M)
    assert rows == [(one.name, one.file) for one in artefacts.table()]


NEW_FORMAT = """
from scoregate.render.artefacts import Artefact, When

def make(material):
    return {"incipit.txt": material.texts[0].splitlines()[-1].encode()}

ARTEFACTS = (
    Artefact("incipit", "incipit", "incipit.txt", "text/plain", binary=False,
             made_from=("text",), make=make, isolated=True),
)
"""


def test_a_module_is_all_that_a_new_format_needs(tmp_path, monkeypatch):
    from scoregate.archive.records import PieceReport
    from scoregate.archive.store import Archive
    from scoregate.dashboard.cards import stored_card
    from scoregate.dashboard.inline_svg import Sheet

    (tmp_path / "incipit.py").write_text(NEW_FORMAT)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    artefacts.table.cache_clear()
    try:
        material = Material(texts=[PIECE])
        files = artefacts.make(artefacts.find("incipit"), material)
        assert files == {"incipit.txt": b"[V:1]CDEF|[V:2]C,4|"}
        entry = Archive(tmp_path / "out").add(
            {"score.abc": PIECE, **files}, PieceReport(status="passed")
        )
        report = Archive(tmp_path / "out").report(entry)
        assert "incipit.txt" in report.files
        card = stored_card(report, entry.path, "x", Sheet())
        assert ("Incipit", "x/incipit.txt") in [(link.label, link.address) for link in card.links]
    finally:
        monkeypatch.undo()
        sys.modules.pop("scoregate.render.formats.incipit", None)
        artefacts.table.cache_clear()


def test_the_pdf_has_a_sheet_for_each_page_and_the_same_bytes_each_time(rendering):
    pytest.importorskip("typst")
    pdf = made_on_demand("pdf", rendering.files, 'Duo #1 & <b>_2_</b> $x$ \\ " ]')
    assert pdf.startswith(b"%PDF-")
    assert f"/Count {len(rendering.pages)}/".encode() in pdf
    assert len(rendering.pages) > 1
    assert pdf == made_on_demand("pdf", rendering.files, 'Duo #1 & <b>_2_</b> $x$ \\ " ]')
    assert len(pdf) < 300_000


def test_a_pdf_needs_pages():
    with pytest.raises(NotMade, match="no engraving"):
        made_on_demand("pdf", {"score.abc": b"X:1\n"})


def test_a_pdf_of_a_damaged_page_says_so():
    pytest.importorskip("typst")
    with pytest.raises(NotMade, match="typst can't read the pages"):
        made_on_demand("pdf", {"score-1.svg": b"<svg"})


def test_a_page_can_read_no_file_outside_its_folder(tmp_path):
    pytest.importorskip("typst")
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    page = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 9 9"><image href="{secret}" width="9" height="9"/></svg>'
    )
    try:
        pdf = made_on_demand("pdf", {"score-1.svg": page.encode()})
    except NotMade:
        return
    empty = page.replace(f'<image href="{secret}" width="9" height="9"/>', "")
    assert pdf == made_on_demand("pdf", {"score-1.svg": empty.encode()})


def test_without_typst_the_pdf_says_what_to_install(monkeypatch, rendering):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(NotMade, match=r"scoregate\[pdf\]"):
        made_on_demand("pdf", rendering.files)
