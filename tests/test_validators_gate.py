"""All gates over one piece: none can pass a piece by crashing."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoregate.abc.reader import MAX_BYTES
from scoregate.findings import Outcome
from scoregate.validators import examine as gate
from scoregate.validators.examine import GATES, examine
from scoregate.validators.gates import bars

PIECES = Path(__file__).parent / "pieces"
CHORALE = (PIECES / "chorale.abc").read_text()


def test_every_gate_judges_a_good_piece() -> None:
    seen = examine(CHORALE)
    assert tuple(seen.outcomes) == GATES
    assert seen.judged
    assert [f for f in seen.findings if f.severity == "critical"] == []
    assert seen.measures["bars.count"] == 10


def test_a_gate_that_crashes_has_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> Outcome:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(bars, "check", crash)
    seen = examine(CHORALE, gates=("bars",))
    assert not seen.judged
    assert seen.outcomes["bars"].reason == "ZeroDivisionError: by zero"


def test_a_gate_that_does_not_exist_has_not_judged() -> None:
    assert not examine(CHORALE, gates=("beauty",)).judged


def test_the_style_comes_from_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    styles = []

    def note(score: object, *, style: str | None = None) -> Outcome:
        styles.append(style)
        return Outcome("bars", "1")

    monkeypatch.setattr(bars, "check", note)
    examine("%Baroque\n%Bach, Johann Sebastian\n%Choral\nK:C\n[r:0/0][V:1]C|]\n", gates=("bars",))
    examine(CHORALE, gates=("bars",))
    examine(CHORALE, gates=("bars",), style="Romantic/Brahms, Johannes/Choral")
    assert styles == [
        "Baroque/Bach, Johann Sebastian/Choral",
        None,
        "Romantic/Brahms, Johannes/Choral",
    ]


def test_a_refused_text_reaches_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "look", None)
    seen = examine("A" * (MAX_BYTES + 1))
    assert not seen.judged
    assert [f.code for f in seen.findings] == ["syntax.refused"]
