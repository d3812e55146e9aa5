"""Tuning by the model's own pieces: the masked teacher, and pairs of lines."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from training_runs import STYLE, tiny

from scoregate.errors import UnreadableError
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.training import guidance as guiding
from scoregate.notagen.training import project
from scoregate.notagen.training.encode import encode_example
from scoregate.notagen.training.guidance import Guidance, masked_lesson
from scoregate.notagen.training.preferences import (
    Choices,
    Pair,
    line_log_probabilities,
    preference_loss,
    read_pairs,
    write_pairs,
)
from scoregate.notagen.training.step import losses
from scoregate.notagen.training.stream import stream_text
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.training.train import Run, Settings, Stage

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = tiny(length=256).shape
TEXT = stream_text(chorale(3), STYLE)
LINES = TEXT.splitlines(keepends=True)
BODY = next(i for i, line in enumerate(LINES) if line.startswith("[r:"))
PARALLELS = (
    "%%score [ 1 2 3 4 ]\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\nV:3\nV:4\n"
    "[r:0/0][V:1]c4 d4|[V:2]G4 A4|[V:3]E4 F4|[V:4]C,4 D,4|]\n"
)


def model(seed: int = 1) -> NotaGen:
    torch.manual_seed(seed)
    return NotaGen(SHAPE).eval()


def pair(at: int = 3) -> Pair:
    return Pair("".join(LINES[: BODY + at]), LINES[BODY + at], LINES[BODY + at + 1])


# --- pairs -----------------------------------------------------------------------------------


def test_the_lines_of_a_piece_add_up_to_its_loss():
    """Log-probabilities behind each text, against the loss of the whole piece."""
    one = model()
    whole = losses(one, encode_example(TEXT))
    head = losses(one, encode_example("".join(LINES[:BODY])))
    asked = [("".join(LINES[:i]), LINES[i]) for i in range(BODY, len(LINES))]
    with torch.no_grad():
        found = line_log_probabilities(one, asked)
        alone = torch.cat([line_log_probabilities(one, [each]) for each in asked])
    torch.testing.assert_close(found, alone, atol=1e-4, rtol=1e-4)
    # Both texts end with a patch that no line has.
    nats = [each.text.item() * each.characters for each in (whole, head)]
    assert float(-found.sum()) == pytest.approx(nats[0] - nats[1], rel=0.01)


def test_the_loss_of_equal_models_is_that_of_a_coin():
    one = model()
    loss, right = preference_loss(one, one, [pair(2), pair(3)], beta=0.1)
    assert loss.item() == pytest.approx(np.log(2), abs=1e-5)
    assert right <= 1


def test_the_accepted_line_becomes_more_probable_than_the_refused_one():
    one, frozen = model(), model()
    # A larger rate overshoots: it would end in the right order with the wrong sign as well.
    optimiser = torch.optim.SGD(one.parameters(), lr=2e-4)
    wanted = pair()
    for _ in range(5):
        loss, _ = preference_loss(one, frozen, [wanted], beta=0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    loss, right = preference_loss(one, frozen, [wanted], beta=0.5)
    assert loss.item() < 0.5
    assert right == 1.0
    assert wanted.reference is not None


def test_a_judge_is_remembered_by_the_text_behind_which_it_was_asked():
    choices = Choices(lambda _, line: line == "good")
    said = [choices("a\n", line) for line in ("bad", "worse", "bad", "good")]
    said += [choices("a\ngood\n", "good")]  # nothing was refused here
    said += [choices("b\n", "bad")]  # nothing was accepted here
    assert said == [False, False, False, True, True, False]
    assert choices.pairs() == [Pair("a\n", "good\n", "bad\n"), Pair("a\n", "good\n", "worse\n")]
    assert len(choices.pairs(most=1)) == 1


def test_pairs_are_read_as_they_were_written(tmp_path):
    wanted = [pair(2), pair(3)]
    write_pairs(tmp_path / "pairs.jsonl", wanted)
    assert read_pairs(tmp_path / "pairs.jsonl") == wanted
    (tmp_path / "pairs.jsonl").write_text('["cut off')
    with pytest.raises(UnreadableError, match="can't be read"):
        read_pairs(tmp_path / "pairs.jsonl")


# --- the masked teacher ----------------------------------------------------------------------


def test_a_piece_of_ones_own_is_no_authority():
    """The second D of the bass makes octaves with the soprano: forbidden in one's own piece."""
    letters = "CDEFGABcdefgab"

    def bits_at_bass(exceptions: bool) -> int:
        example = encode_example(PARALLELS, exceptions=exceptions)
        rows = ["".join(chr(c) for c in patch) for patch in example.patches]
        row = next(i for i, text in enumerate(rows) if "[V:4]C,4 D" in text)
        return int(example.forbidden[row, rows[row].index("D")])

    assert bits_at_bass(True) == 0
    assert bits_at_bass(False) >> letters.index("D") & 1


def test_the_lesson_of_a_model_about_itself_is_what_the_forbidden_letters_weigh():
    one = model()
    free = encode_example(TEXT)
    free.forbidden[:] = 0
    assert masked_lesson(one, one, free).item() == pytest.approx(0, abs=1e-6)
    assert masked_lesson(one, one, encode_example(TEXT, exceptions=False)).item() > 1e-6


@pytest.mark.slow
def test_the_lesson_takes_probability_from_forbidden_letters_only():
    one, teacher = model(), model()
    example = encode_example(PARALLELS, exceptions=False)

    def forbidden_mass() -> float:
        with torch.no_grad():
            return losses(one, example, unlikelihood=True).forbidden.item()

    before = forbidden_mass()
    optimiser = torch.optim.Adam(one.parameters(), lr=1e-3)
    for _ in range(40):
        loss = masked_lesson(one, teacher, example)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert forbidden_mass() < before / 2
    assert masked_lesson(one, teacher, example).item() < 0.01


def test_where_only_forbidden_letters_are_left_the_teacher_is_not_masked():
    chances = torch.full((2, 128), 1e-9)
    chances[:, ord("C")] = 1.0
    chances[1, ord("D")] = 1.0
    chances /= chances.sum(-1, keepdim=True)
    found = guiding._without(chances, np.array([1, 1], dtype=np.uint16))
    assert found[0, ord("C")] == pytest.approx(1)
    assert found[1, ord("C")] == 0
    assert found[1, ord("D")] == pytest.approx(1, abs=1e-4)


# --- the run ---------------------------------------------------------------------------------


def settings(**changes) -> Settings:
    stage = Stage(6, 0.0, 0.0, 1e-3, 0.0)
    return tiny(stage, length=256, auxiliary=0.0, warmup=2, **changes)


@pytest.mark.slow
def test_a_guided_run_learns_from_own_pieces_and_pairs(tmp_path):
    prepared = project.Prepared(STYLE, {"a": chorale(1)}, {"b": chorale(2)}, {"c": chorale(4)})
    guidance = Guidance(model(), own=[TEXT], pairs=[pair(2), pair(3)])
    run = project.train_model(
        prepared, settings(own=0.5, pairs=2, preference=1.0), tmp_path,
        initial=dict(model().state_dict()), guidance=guidance,
    )  # fmt: skip
    assert run.step == 6
    assert all(not p.requires_grad for p in guidance.teacher.parameters())
    again = Run.load(tmp_path / "checkpoint.pt")
    assert len(again.sums) == 5


def test_what_was_written_is_taken_from_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(guiding, "load", lambda _: pytest.fail("nothing is left to write"))
    (tmp_path / "own.json").write_text(json.dumps([TEXT]))
    write_pairs(tmp_path / "pairs.jsonl", [pair()])
    found = guiding.gather_guidance(
        "embedded", model(), tmp_path, ["%A\n"], lambda *_: True, own=5, judged=5, line_tries=8
    )
    assert found.own == [TEXT]
    assert found.pairs == [pair()]


class Writer:
    """An engine that writes a chorale, and then pieces that break off in their header."""

    def generate(self, prompts, *, accept_line, **_):
        if accept_line is not None:
            for line in LINES[BODY : BODY + 2]:
                accept_line("".join(LINES[:BODY]), line)
        return [SimpleNamespace(raw=text) for text in (TEXT, *prompts)][: len(prompts)]


def test_own_pieces_and_pairs_are_what_the_weights_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr(guiding, "load", lambda _: Writer())
    found = guiding.gather_guidance(
        "w", model(), tmp_path, ["%A\n"], lambda _, line: line == LINES[BODY + 1],
        own=3, judged=1, line_tries=8,
    )  # fmt: skip
    assert found.own == [TEXT]
    assert found.pairs == [Pair("".join(LINES[:BODY]), LINES[BODY + 1], LINES[BODY])]


@pytest.mark.slow
def test_starting_weights_write_own_pieces_and_pairs(tmp_path):
    run = Run(settings())
    project.write_weights(tmp_path / "w.safetensors", run, "w", [STYLE], "nothing", {})
    prepared = project.Prepared(STYLE, {}, {}, {})
    refused = []

    def every_other(text: str, line: str) -> bool:
        refused.append(len(refused) % 2 == 0)
        return not refused[-1]

    found = project.guidance_for(
        prepared, settings(own=0.5, own_pieces=2, pairs=1, judged_pieces=1),
        tmp_path / "w.safetensors", tmp_path, every_other, line_tries=2,
    )  # fmt: skip
    assert found is not None
    assert len(found.own) <= 2
    assert (tmp_path / "pairs.jsonl").exists()
    assert project.guidance_for(prepared, settings(), "embedded", tmp_path, every_other,
                                line_tries=2) is None  # fmt: skip
