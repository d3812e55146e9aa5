"""The examples in the docstrings of the ABC modules, which show the rule for each token."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import scoregate.abc
import scoregate.convert

FLAGS = doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    module.name
    for package in (scoregate.abc, scoregate.convert)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
)


@pytest.mark.parametrize("name", [*MODULES, "scoregate.abc", "scoregate.notagen.text.rests"])
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_the_readers_rules_have_examples() -> None:
    tried = {
        name: doctest.testmod(importlib.import_module(name), optionflags=FLAGS).attempted
        for name in MODULES
        if name.startswith("scoregate.abc.")
    }
    with_examples = (
        "lexer",
        "note_tokens",
        "lengths",
        "keys",
        "fields",
        "special_tokens",
        "finish",
    )
    assert all(tried[f"scoregate.abc.{name}"] for name in with_examples)
    assert sum(tried.values()) > 60
