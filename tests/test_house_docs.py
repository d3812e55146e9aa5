"""The docs hold what the program does: commands, links, paths and examples."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import shutil
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from commands import scoregate_here

ROOT = Path(__file__).resolve().parent.parent
ROOMS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
    "package-dir"
]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
# Entries of the log are history: they name files that have moved since.
CURRENT = [page for page in PAGES if page.name != "log.md"]

sys.path.insert(0, str(ROOT / "tools"))

from write_cli_reference import app, reference  # noqa: E402


@cache
def commands() -> dict[str, set[str]]:
    """Return the options of every command."""
    found = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        found[" ".join(path)] = {"--help"}.union(
            *({*each.opts, *each.secondary_opts} for each in command.params)
        )
        for name, member in getattr(command, "commands", {}).items():
            walk(member, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.slow
def test_the_reference_of_the_command_line_is_up_to_date():
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == reference(), "docs/cli.md is out of date: run `make docs`"


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_commands_named_in_the_docs_exist(page):
    """Every ``scoregate word ...`` in code is a command, and its options are the command's."""
    text = page.read_text()
    named = re.findall(r"`(scoregate [a-z][^`\n]*)`", text)
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        named += re.findall(r"^(?:\$ )?(scoregate [a-z].*)$", block, re.MULTILINE)
    for line in named:
        words = line.partition("#")[0].split()[1:]
        command = max((" ".join(words[:n]) for n in (1, 2) if " ".join(words[:n]) in commands()),
                      key=len, default=None)  # fmt: skip
        if command is None and words[0] in EXAMPLES_OF_NEW_COMMANDS:
            continue
        assert command, f"{page.name}: `{line}` is no command"
        options = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        assert options <= commands()[command], f"{page.name}: `{line}` has an unknown option"


EXAMPLES_OF_NEW_COMMANDS = {"count"}  # docs/architecture.md adds it


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES if page.name not in readme and page.stem != "README"] == []


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a page get on the usual hosts."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        aim = page.parent / file if file else page
        assert aim.exists(), f"{page.name}: {target} does not exist"
        if anchor:
            assert anchor in anchors(aim.read_text()), f"{page.name}: no heading for {target}"


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_source_files_named_in_the_docs_exist(page):
    folders = {*ROOMS.values(), "tests", "benchmarks", "docs", "tools"}
    named = re.findall(r"`((?:\w+/)+[\w.-]+\.(?:py|md|toml|txt|json|npz|csv))`", page.read_text())
    missing = [path for path in named
               if path.split("/")[0] in folders and not (ROOT / path).exists()]  # fmt: skip
    assert missing == []


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_modules_named_in_the_docs_exist(page):
    """Names such as ``scoregate.archive.store.Archive`` lead to something."""
    for name in set(re.findall(r"`(scoregate(?:\.\w+)+)`", page.read_text())):
        if name not in ENTRY_POINT_GROUPS:
            resolve(name)


ENTRY_POINT_GROUPS = {"scoregate.gates", "scoregate.generators"}


def resolve(name: str) -> object:
    """Import the longest part of a dotted name that is a module and get the rest from it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize(
    "page", [page for page in CURRENT if ">>> " in page.read_text()], ids=name_of
)
def test_python_examples_in_the_docs_give_what_they_show(page, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    failed, run = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert run
    assert not failed


def modules_with_examples() -> list[str]:
    """Return the modules of the program whose docstrings hold examples."""
    names = []
    for package, folder in ROOMS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text(errors="replace") and "vendor" not in path.parts:
                inside = path.relative_to(ROOT / folder).with_suffix("").parts
                names.append(".".join((package, *inside)).removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings_give_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, run = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert run
    assert not failed


NEED_NO_ARCHIVE = {"--version", "check", "styles"}


def console_examples() -> list:
    """Return each `$ scoregate ...` of a ``console`` block with the lines printed below it.

    What such a command needs lies in docs/examples; commands that need an archive are left out.
    """
    examples = []
    for page in CURRENT:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, printed = part.partition("\n")
                if command.split()[1] not in NEED_NO_ARCHIVE:
                    continue
                examples.append(pytest.param(command, printed, id=f"{page.name}: {command}"))
    return examples


@pytest.mark.parametrize(("command", "printed"), console_examples())
def test_commands_in_the_docs_print_what_they_show(command, printed, tmp_path, monkeypatch):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(command)
    assert program == "scoregate"
    done = scoregate_here(*words)
    assert (done.stdout + done.stderr).strip() == printed.strip()


@pytest.mark.slow
def test_the_archives_page_lists_what_the_verdict_puts_into_a_summary():
    from scoregate.generator import Generation
    from scoregate.piece import Piece
    from scoregate.validators.checking import check_bytes
    from scoregate.validators.verdict.pieces import judge_pieces

    text = (ROOT / "docs" / "examples" / "minuet.abc").read_text()
    piece = Piece("", 1, Generation(text, "finished", 1, 1, 8))
    piece.score = check_bytes("minuet.abc", text).score
    judge_pieces([piece], [])
    row = re.search(r"^\| `summary` \|.*$", (ROOT / "docs" / "archive.md").read_text(), re.M)[0]
    assert re.findall(r"`(\w+)`", row)[1:] == list(piece.summary)
