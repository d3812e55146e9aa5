"""The recipes of docs/architecture.md work as they are written, and touch three files at most."""

from __future__ import annotations

import re
import shlex
import sys
import types
from pathlib import Path

import pytest
from commands import scoregate as run_scoregate
from typer.testing import CliRunner

from scoregate.abc.reader import read
from scoregate.archive.store import Archive
from scoregate.flows.cli import app
from scoregate.flows.printing import as_help
from scoregate.generator import find_generator
from scoregate.render import artefacts, formats, steps

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"
CHAPTERS = dict(re.findall(r"^## (Add .+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def code(chapter: str, kind: str, number: int = 0) -> str:
    """Return a block of code of a chapter."""
    return re.findall(rf"```{kind}\n(.*?)```", CHAPTERS[chapter], re.DOTALL)[number]


def module_of(text: str, name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


@pytest.fixture
def distribution(tmp_path) -> Path:
    """Install the gate and the generator of the page as another distribution would be."""
    entries = []
    for chapter in ("Add a gate", "Add a generator"):
        text = code(chapter, "python")
        (tmp_path / re.match(r'"""(\w+\.py)', text)[1]).write_text(text)
        group, name, target = re.match(
            r'\[project\.entry-points\."([\w.]+)"\]\n(\w+) = "(.+)"', code(chapter, "toml")
        ).groups()
        entries.append(f"[{group}]\n{name} = {target}\n")
    info = tmp_path / "example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(entries))
    return tmp_path


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_recipe_touches_three_files_at_most(chapter):
    rows = re.findall(r"^\| (?!file|---)(.+?) \|", CHAPTERS[chapter], re.MULTILINE)
    assert 0 < len(rows) <= 3
    for path in re.findall(r"`([\w/]+\.\w+)`", " ".join(rows)):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_a_gate_of_another_distribution_judges(distribution):
    command, _, printed = code("Add a gate", "text").partition("\n")
    name = shlex.split(command)[-1]
    done = run_scoregate("check", EXAMPLES / name, PYTHONPATH=str(distribution))
    assert done.returncode == 1, done.stderr
    assert done.stdout.replace(f"{EXAMPLES}/", "") == printed


def test_a_format_in_the_table_is_made_and_may_be_archived(tmp_path, monkeypatch):
    (tmp_path / "example_format.py").write_text(code("Add an output format", "python"))
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    artefacts.table.cache_clear()
    try:
        score = read((EXAMPLES / "minuet-corrected.abc").read_text())
        material = artefacts.Material(score=score)
        for _ in steps.make_all(steps.from_score(), material):
            pass
        assert material.files["bars.txt"].decode() == "voice 1: 8 bars\nvoice 2: 8 bars"
        assert artefacts.of_file("bars.txt").title == "list of bars"
    finally:
        artefacts.table.cache_clear()
        sys.modules.pop("scoregate.render.formats.example_format", None)


def test_a_generator_of_another_distribution_is_found(distribution, monkeypatch):
    monkeypatch.syspath_prepend(str(distribution))
    generator = find_generator("scale").load()
    first, again = (generator.generate(generator.styles, seeds=[7])[0] for _ in range(2))
    assert first.text == again.text
    assert read(first.text).bar_count == 4


@pytest.mark.slow
@pytest.mark.server
def test_a_generator_of_another_distribution_produces(distribution, tmp_path, prefect_server):
    _, *words = shlex.split(code("Add a generator", "sh"))
    out = tmp_path / "out"
    done = run_scoregate(*words, "--out", out, url=prefect_server.url, PYTHONPATH=str(distribution))
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = Archive(out).reports()
    assert report.provenance["generator"] == "scale"


def test_a_command_is_a_module_and_one_line():
    count = module_of(code("Add a command", "python"), "count")
    before = list(app.registered_commands)
    try:
        exec(code("Add a command", "python", 1), {"app": app, "as_help": as_help, "count": count})
        runner = CliRunner()
        done = runner.invoke(app, ["count", str(EXAMPLES / "minuet.abc")])
        assert done.output == "minuet.abc: 8 bars\n"
        assert "Count the bars of a score." in runner.invoke(app, ["count", "--help"]).output
    finally:
        app.registered_commands[:] = before
