"""All gates over one piece: none can pass a piece by crashing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scoregate.abc.source_text import MAX_BYTES
from scoregate.findings import Outcome
from scoregate.validators import FunctionGate, examination, examine, registry

PIECES = Path(__file__).parent / "pieces"
CHORALE = (PIECES / "chorale.abc").read_text()


def test_every_gate_judges_a_good_piece() -> None:
    seen = examine(CHORALE)
    assert tuple(seen.outcomes) == registry.names()
    assert seen.judged
    assert [f for f in seen.findings if f.severity == "critical"] == []
    assert seen.measures["bars.count"] == 10


def put(monkeypatch: pytest.MonkeyPatch, check: Callable[..., Outcome]) -> None:
    """Put a function in the place of the gate ``bars``."""
    gates = tuple(
        replace(gate, check=check)
        if isinstance(gate, FunctionGate) and gate.name == "bars"
        else gate
        for gate in registry.gates()
    )
    monkeypatch.setattr(registry, "gates", lambda: gates)


def test_a_gate_that_crashes_has_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> Outcome:
        raise ZeroDivisionError("by zero")

    put(monkeypatch, crash)
    seen = examine(CHORALE, gates=("bars",))
    assert not seen.judged
    assert seen.outcomes["bars"].reason == "ZeroDivisionError: by zero"


def test_the_style_comes_from_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    styles = []

    def note(score: object, *, style: str | None = None) -> Outcome:
        styles.append(style)
        return Outcome("bars", "1")

    put(monkeypatch, note)
    examine("%Baroque\n%Bach, Johann Sebastian\n%Choral\nK:C\n[r:0/0][V:1]C|]\n", gates=("bars",))
    examine(CHORALE, gates=("bars",))
    examine(CHORALE, gates=("bars",), style="Romantic/Brahms, Johannes/Choral")
    assert styles == [
        "Baroque/Bach, Johann Sebastian/Choral",
        None,
        "Romantic/Brahms, Johannes/Choral",
    ]


def test_a_refused_text_reaches_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_judge", None)
    seen = examine("A" * (MAX_BYTES + 1))
    assert not seen.judged
    assert [f.code for f in seen.findings] == ["syntax.refused"]
    versions = {name: outcome.version for name, outcome in seen.outcomes.items()}
    assert versions == registry.versions(registry.names())
