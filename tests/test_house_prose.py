"""Plain English, held as far as a test can: phrases that CONTRIBUTING.md rules out don't come back.

docs/log.md and CHANGELOG.md are history and stay as they were written.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HISTORY = {"docs/log.md", "CHANGELOG.md"}
ROOMS = ("archive", "dashboard", "flows", "lstm", "notagen", "render", "scoregate", "tasks",
         "validators")  # fmt: skip

INSTEAD = {
    r"\blest\b": "so that ... not",
    r"(has|have) done (its|their) duty": "is no longer needed",
    r"\bis news\b": "is logged at INFO",
    r"\bnobody reads\b": "say what is kept and what is counted",
    r"\b(re)?drawn? again\b": "resampled",
    r"\bdraws? (its|their|the) lines?\b": "thresholds",
    r"\blooked through by\b": "checked with",
    r"\bteams? of threads race": "data race",
    r"\bon its way out\b": "say what is removed and when",
    r"\bis theirs\b": "name whose fault or whose value it is",
}


def written_files() -> list[str]:
    """Return the project's own code and docs."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.c", "*.h", "*.inc"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    own = Path(__file__).relative_to(ROOT).as_posix()
    return [
        name for name in listed
        if name not in HISTORY | {own} and "vendor/" not in name
        and not name.startswith("benchmarks/results/") and (ROOT / name).is_file()
    ]  # fmt: skip


@pytest.mark.parametrize("phrase", INSTEAD)
def test_a_phrase_that_was_replaced_does_not_come_back(phrase):
    pattern = re.compile(phrase, re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in written_files()
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"write instead: {INSTEAD[phrase]}"


@pytest.mark.slow
def test_messages_name_no_command_of_the_source_folder():
    """Who has installed the package has no Makefile."""
    found = []
    for name in written_files():
        if name.endswith(".py") and name.split("/")[0] in ROOMS:
            for node in ast.walk(ast.parse((ROOT / name).read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found += [f"{name}:{node.lineno}" for _ in re.findall("`make ", node.value)]
    assert found == []
