"""Imports run one way between the rooms, as tools/rooms.py says and docs/rooms.svg draws."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "setuptools"
]["package-dir"]

sys.path.insert(0, str(ROOT / "tools"))

from draw_rooms import TARGET, picture  # noqa: E402
from rooms import CORE, ROOMS  # noqa: E402

NAMES = [room.package for room in ROOMS]


def room_of(module: str) -> str:
    """Return the room that holds a module: the longest name that it begins with."""
    owners = {name: name for name in NAMES} | {
        extra: room.package for room in ROOMS for extra in room.modules
    }
    return owners[max((name for name in owners if f"{module}.".startswith(f"{name}.")), key=len)]


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Yield every module of the program that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def crossings() -> set[tuple[str, str, str]]:
    """Return (importing room, imported room, file) for every import between two rooms."""
    found = set()
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            inside = path.relative_to(ROOT / folder).with_suffix("").parts
            own = room_of(".".join((package, *inside)))
            for module in imports_of(ast.parse(path.read_bytes())):
                if module.startswith("scoregate") and room_of(module) != own:
                    found.add((own, room_of(module), str(path.relative_to(ROOT))))
    return found


def test_every_folder_of_the_package_is_a_room():
    assert set(FOLDERS) <= set(NAMES)


def test_a_room_imports_lower_rooms_only():
    layer = {room.package: room.layer for room in ROOMS}
    for room in ROOMS:
        assert all(layer[name] < room.layer for name in room.imports), room.package


@pytest.mark.slow
def test_imports_run_one_way():
    allowed = {room.package: room.imports | {CORE} for room in ROOMS if room.package != CORE}
    wrong = [crossing for crossing in sorted(crossings())
             if crossing[1] not in allowed.get(crossing[0], ())]  # fmt: skip
    assert wrong == []


def test_the_picture_is_up_to_date():
    assert TARGET.read_text() == picture(), "docs/rooms.svg is out of date: run `make docs`"
