"""The task that generates a batch: its limits, what Ctrl-C leaves, and any generator by name."""

from __future__ import annotations

import pytest
from notagen_models import random_weights

from scoregate.errors import RequestError
from scoregate.flows.launch import check_request, minutes
from scoregate.generation import writing as module
from scoregate.generation.writers import Writers
from scoregate.generator import Generation, Limits, Provenance
from scoregate.notagen.model.shape import ModelShape
from scoregate.requests import ProduceRequest
from scoregate.styles import Style
from scoregate.tasks.generate import load_generator
from scoregate.validators.counterpoint_judge import LINE_TRIES, CounterpointJudge
from scoregate.validators.line_judge import accept_line

pytestmark = pytest.mark.slow


def made(count: int = 1, on_progress=None, **values):
    request = ProduceRequest(seed=1, batch=1, **values)
    return module.write_pieces(request, range(count), on_progress)


def test_no_more_patches_are_drawn_than_asked_for():
    (piece,), stopped = made(max_steps=60)
    assert (piece.ended, piece.steps, stopped) == ("length", 60, False)
    whole = piece.raw.split("\n")[:-1]
    assert piece.bars == sum(line.startswith("[r:") for line in whole) > 0


def test_no_more_time_is_taken_than_asked_for():
    (piece,), stopped = made(max_minutes=1e-6)
    assert (piece.ended, stopped) == ("time", False)


def test_ctrl_c_leaves_the_unfinished_piece_as_far_as_it_came():
    def stop(progress):
        if progress.done == 1 and progress.pieces and next(iter(progress.pieces.values()))[0] >= 2:
            raise KeyboardInterrupt

    found, stopped = made(count=3, on_progress=stop)
    assert stopped
    assert [piece.ended for piece in found] == ["finished", "stopped"]
    assert found[1].text.count("[V:1]") == 2


def test_ctrl_c_before_the_first_bar_leaves_no_piece():
    def stop(progress):
        raise KeyboardInterrupt

    assert made(on_progress=stop) == ([], True)


def test_what_the_engine_remarks_stands_in_the_provenance():
    style = "Romantic/Chopin, Frederic/Keyboard"
    (piece,), _ = made(style=style, allow_untrained=True, max_steps=2)
    (remark,) = piece.notes
    assert "not trained on" in remark


def test_weights_that_name_no_styles_leave_open_whether_they_know_one(tmp_path):
    path = random_weights(tmp_path / "w.safetensors", ModelShape(64, 1, 1, 64))
    with Writers(ProduceRequest(weights=str(path), max_steps=2, threads=1)) as writers:
        _, engine = load_generator.fn(writers)
    assert engine["trained_style"] is None
    assert engine["threads"] == 1


class _Entry:
    """An entry point of an installed package."""

    value = "mock:mock"

    def __init__(self, found):
        self.load = lambda: found


class _Mock:
    """A kind of generator and its weights in one: it writes the same bar for every seed."""

    name, styles = "mock", (Style("Baroque", "Mock", "Flute"),)

    def load(self, name_or_path=None, device="auto", precision="fp32", threads=None):
        return self

    def trained_styles(self, name_or_path):
        return self.styles

    def provenance(self):
        return Provenance("mock", "mock", "0" * 64, {}, "cpu", "fp32", 1, "none", "1", "0", "0")

    def generate(self, prompts, *, seeds=None, sampling=None, limits=None, accept_line=None,
                 on_progress=None):  # fmt: skip
        return [Generation("X:1\nK:C\nC8|]\n", "finished", seed, 1, 1) for seed in seeds]


def test_another_generator_is_taken_by_its_name(monkeypatch):
    """A generator of another package goes the same way; no module of the line names it."""
    mock = _Mock()
    monkeypatch.setattr("scoregate.generator._registered", lambda: {"mock": _Entry(mock)})
    request = ProduceRequest(model="mock", style="Baroque/Mock/Flute", seed=1)
    (piece,), _ = module.write_pieces(request, [5])
    provenance = module.generator_of(request).provenance().as_dict()
    engine = module.engine_of(request, provenance, list(map(str, mock.styles)))
    assert (engine["generator"], engine["trained_style"]) == ("mock", True)
    assert module.origin_of(request, engine)["generator"] == "mock"
    assert piece.seed == 5
    assert check_request(request) == request


def test_an_unknown_generator_is_named():
    with pytest.raises(RequestError, match="notagne") as caught:
        check_request(ProduceRequest(model="notagne"))
    assert "notagen" in caught.value.remedy


def test_off_a_terminal_a_line_is_printed_now_and_then(capsys):
    minutes(every=3600)("writing", 0, 2, "3 bars")
    assert capsys.readouterr().err == ""
    minutes(every=0)("writing", 1, 2, "3 bars, about 2 h 5 min left")
    assert capsys.readouterr().err == "writing: 1 of 2, 3 bars, about 2 h 5 min left\n"


def test_a_choral_style_is_judged_by_counterpoint_and_given_more_tries(monkeypatch):
    seen = {}

    class Listening:
        def generate(self, prompts, **more):
            seen.update(more)
            return []

    monkeypatch.setattr(module, "generator_of", lambda request: Listening())
    made()
    assert isinstance(seen["accept_line"], CounterpointJudge)
    assert seen["limits"].line_tries == LINE_TRIES
    made(counterpoint=False)
    assert seen["accept_line"] is accept_line
    assert seen["limits"].line_tries == Limits().line_tries
    made(repair_lines=False)
    assert seen["accept_line"] is None
