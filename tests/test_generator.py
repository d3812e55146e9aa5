"""The protocol of generators, their registry, and the records that they give back."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import metadata

import pytest
from notagen_models import ORACLE

from scoregate import generator, notagen
from scoregate.errors import RequestError, ToolError
from scoregate.generator import (
    Generation,
    Generator,
    Interrupted,
    Limits,
    Progress,
    Provenance,
    find_generator,
    generators,
)
from scoregate.sampling import Sampling
from scoregate.styles import Style

STYLE = Style("Baroque", "Mock", "Flute")


class MockGenerator:
    """The least that meets the protocol: bars of one note, resampled where they are refused."""

    name, styles = "mock", (STYLE,)

    def provenance(self):
        return Provenance("mock", "mock", "0" * 64, {}, "cpu", "fp32", 1, "none", "1", "0", "0")

    def generate(self, prompts, *, seeds=None, sampling=None, limits=None, accept_line=None,
                 on_progress=None):  # fmt: skip
        limits, pieces = limits or Limits(), []
        for prompt, seed in zip(prompts, seeds or [1], strict=True):
            raw, resampled = f"%{prompt}\nX:1\nK:C\n", 0
            while resampled < limits.line_tries and accept_line and not accept_line(raw, "C8|"):
                resampled += 1
            raw += "C8|\n"
            pieces.append(Generation(raw, "finished", seed, 1 + resampled, 1, resampled))
            if on_progress:
                on_progress(Progress(len(pieces), 1, len(pieces), len(pieces), 0.0))
        return pieces


def test_protocol_is_met_by_the_mock_and_by_notagen():
    mock: Generator = MockGenerator()
    engine: Generator = notagen.load(ORACLE / "weights.pth", threads=1)
    assert isinstance(mock, Generator)
    assert isinstance(engine, Generator)
    assert not isinstance(types.SimpleNamespace(name="x", styles=None), Generator)


@pytest.mark.parametrize(
    "load", [MockGenerator, lambda: notagen.load(ORACLE / "weights.pth", threads=1)]
)
def test_generators_take_the_same_call(load):
    """One call with everything that the protocol names, on each generator."""
    seen, asked = [], []

    def accept(text_so_far, line):
        asked.append(line)
        return len(asked) > 2

    pieces = load().generate(
        [STYLE, STYLE], seeds=[3, 4], sampling=Sampling(1.0, 5, 0.9),
        limits=Limits(max_steps=6, batch_size=1), accept_line=accept, on_progress=seen.append,
    )  # fmt: skip
    assert [piece.seed for piece in pieces] == [3, 4]
    assert all(isinstance(piece, Generation) for piece in pieces)
    assert seen[-1].done == len(pieces) == 2
    assert load().provenance() == Provenance.from_dict(load().provenance().as_dict())


def test_mock_resamples_refused_lines():
    limits = Limits(line_tries=2)
    (piece,) = MockGenerator().generate(["a"], limits=limits, accept_line=lambda *_: False)
    assert (piece.resampled_lines, piece.steps) == (2, 3)


def test_built_in_generators_are_found():
    assert generators() == ["notagen", "lstm"]
    assert find_generator("notagen") is notagen


def test_unknown_generator_names_the_nearest():
    with pytest.raises(RequestError, match="no generator 'notgen'") as caught:
        find_generator("notgen")
    assert "Did you mean 'notagen'?" in caught.value.remedy
    with pytest.raises(RequestError) as caught:
        find_generator("xyz")
    assert caught.value.remedy == "There are: notagen, lstm."


def registered(monkeypatch, module):
    """Register a module as another package's generator ``foreign``."""
    monkeypatch.setitem(sys.modules, "foreign_module", module)
    entry = metadata.EntryPoint("foreign", "foreign_module", generator.ENTRY_POINTS)
    monkeypatch.setattr(generator.metadata, "entry_points", lambda group: [entry])


def test_generator_of_another_package_is_found(monkeypatch):
    module = types.ModuleType("foreign_module")
    module.load = MockGenerator  # type: ignore[attr-defined]
    module.trained_styles = lambda weights: (STYLE,)  # type: ignore[attr-defined]
    registered(monkeypatch, module)
    assert generators() == ["notagen", "lstm", "foreign"]
    assert isinstance(find_generator("foreign").load(), Generator)


def test_generator_that_lacks_a_function_is_refused(monkeypatch):
    registered(monkeypatch, types.ModuleType("foreign_module"))
    with pytest.raises(ToolError, match="no function 'load'"):
        find_generator("foreign")


def test_generator_that_cannot_be_imported_is_refused(monkeypatch):
    registered(monkeypatch, None)
    with pytest.raises(ToolError, match="can't be imported"):
        find_generator("foreign")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"max_steps": 0}, "max_steps = 0 is outside"),
        ({"max_steps": True}, "not a whole number"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"line_tries": None}, "line_tries"),
        ({"max_seconds": 0}, "max_seconds"),
    ],
)
def test_wrong_limits_are_refused(values, what):
    with pytest.raises(RequestError, match=what):
        Limits(**values)


def test_stored_provenance_of_any_age_is_read():
    old = {
        "weights": {"name": "chorales", "sha256": "ab"}, "shape": {"hidden": 64}, "device": "cpu",
        "precision": "fp32", "threads": 1, "engine": "1", "scoregate": "0.1", "torch": "2.13",
        "temperature": 1.2, "seed": 7,
    }  # fmt: skip
    found = Provenance.from_dict(old)
    assert (found.generator, found.weights, found.sha256) == ("notagen", "chorales", "ab")
    assert found.kernels == "none"
    assert found.as_dict()["weights"] == old["weights"]


def test_piece_is_stored_without_its_texts():
    piece = Generation("raw", "finished", 1, 2, 3, notes=("a",))
    assert piece.as_dict() == {
        "ended": "finished", "seed": 1, "steps": 2, "bars": 3, "resampled_lines": 0,
        "refused_lines": 0, "steps_back": 0, "characters_drawn": 0, "characters_kept": 0,
        "context_cuts": 0, "seconds": 0.0, "notes": ["a"],
    }  # fmt: skip


def test_progress_reads_as_a_sentence():
    assert str(Progress(0, 1, 3, 40, 1.0, unit="patches")) == "3 bars, 40 patches"
    assert str(Progress(0, 1, 3, 40, 1.0, left=7500.0)) == "3 bars, 40 steps, about 2 h 5 min left"


def test_interruption_carries_the_pieces():
    piece = Generation("raw", "stopped", 1, 2, 3)
    assert Interrupted([piece]).pieces == [piece]


def test_importing_the_registry_and_a_generator_imports_no_torch():
    script = (
        "import sys, scoregate.generator, scoregate.notagen\n"
        "scoregate.generator.find_generator('notagen')\n"
        "print([name for name in ('torch', 'numpy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
