"""The engine's surface: what it gives back, what it refuses, how it stops."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from notagen_models import ORACLE, PROMPT, generate, random_weights

from scoregate import notagen, styles
from scoregate.abc.finish import undeclared_voices
from scoregate.errors import GenerationError, RequestError
from scoregate.generator import Interrupted, Limits, Progress
from scoregate.notagen import scheduler
from scoregate.notagen.backends.device import choose_device, choose_precision, choose_threads
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.engine import Engine
from scoregate.notagen.model.shape import ModelShape
from scoregate.sampling import Sampling


@pytest.fixture(scope="module")
def engine() -> Engine:
    return notagen.load(ORACLE / "weights.pth", threads=1)


def test_package_exports_what_it_promises():
    assert sorted(notagen.__all__) == ["Engine", "load", "trained_styles", "weights_for"]
    assert all(hasattr(notagen, name) for name in notagen.__all__)


def test_embedded_model_is_found_and_knows_its_style():
    engine = notagen.load(threads=1)
    assert engine.name == "chorales"
    assert [str(style) for style in engine.styles or ()] == [
        "Baroque/Bach, Johann Sebastian/Choral"
    ]


def test_provenance_is_json_and_names_the_weights(engine):
    found = json.loads(json.dumps(engine.provenance().as_dict()))
    assert found["weights"]["sha256"].startswith("15966d0d419b6f73")
    assert found["shape"] == {"hidden": 64, "patch_layers": 2, "char_layers": 1, "length": 256}
    assert (found["device"], found["precision"]) == ("cpu", "fp32")


def test_pieces_come_in_the_order_of_the_prompts(engine):
    prompts = ["%a\n", "%b\n", "%c\n"]
    pieces = engine.generate(prompts, seeds=[1, 2, 3], limits=Limits(max_steps=4, batch_size=2))
    assert [piece.raw[:3] for piece in pieces] == prompts_of(prompts)
    assert [piece.seed for piece in pieces] == [1, 2, 3]
    assert [(piece.ended, piece.steps) for piece in pieces] == [("length", 4)] * 3


def prompts_of(prompts):
    return [prompt[:3] for prompt in prompts]


def test_style_and_missing_prompt_are_prompts_too(engine):
    style = styles.parse("a/b/c")
    by_style, without = engine.generate([style, None], seeds=[1, 1], limits=Limits(max_steps=2))
    assert by_style.raw.startswith("%a\n%b\n%c\n")
    assert not without.raw.startswith("%")


def test_seeds_are_drawn_where_there_are_none(engine):
    first, second = engine.generate([PROMPT, PROMPT], limits=Limits(max_steps=2))
    assert first.seed != second.seed


def test_foreign_prompt_is_transliterated_and_said_so(engine):
    (piece,) = engine.generate(["%Dvořák\n"], seeds=[1], limits=Limits(max_steps=2))
    assert piece.raw.startswith("%Dvorak\n")
    assert piece.notes == ("The prompt was transliterated to ASCII: '%Dvorak'",)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"prompts": []}, "no prompts"),
        ({"prompts": [""]}, "prompt is empty"),
        ({"prompts": ["音楽"]}, "leaves no ASCII"),
        ({"prompts": PROMPT}, "must be a list"),
        ({"seeds": [1, 2]}, "1 prompts and 2 seeds"),
        ({"seeds": [-1]}, "outside"),
        ({"temperature": 0}, "temperature"),
        ({"top_k": 129}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_seconds": -1}, "max_seconds"),
        ({"batch_size": 0}, "batch_size"),
        ({"line_tries": -1}, "line_tries"),
        ({"steps_back": -1}, "steps_back"),
        ({"prefix": [None, None]}, "2 prefixes"),
        ({"prefix": "nonsense"}, "not a header field"),
    ],
)
def test_wrong_request_is_refused(engine, change, what):
    with pytest.raises(RequestError, match=what):
        generate(engine, **change)


@pytest.mark.parametrize("wrong", [{"device": "tpu"}, {"precision": "fp16"}, {"threads": 0}])
def test_wrong_setting_is_refused(wrong):
    with pytest.raises(RequestError):
        notagen.load(ORACLE / "weights.pth", **wrong)


def test_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(RequestError, match="has no cuda"):
        choose_device("cuda")


def test_precision_follows_the_device():
    assert choose_precision("auto", "cpu") == "fp32"
    assert choose_precision("auto", "cuda") == "bf16"
    with pytest.raises(RequestError, match="fp32, bf16, int8"):
        choose_precision("fp16", "cpu")


def test_small_weights_take_one_thread(monkeypatch):
    monkeypatch.setattr("scoregate.notagen.backends.device.cores", lambda: 4)
    assert choose_threads(None, ModelShape(192, 4, 2, 512)) == 1
    assert choose_threads(3, ModelShape(192, 4, 2, 512)) == 3
    assert choose_threads(9, ModelShape(192, 4, 2, 512)) == 4


def test_threads_of_the_process_are_put_back():
    before = torch.get_num_threads()
    engine = notagen.load(ORACLE / "weights.pth", threads=before + 1)
    engine.generate([PROMPT], seeds=[1], limits=Limits(max_steps=1))
    assert torch.get_num_threads() == before


def test_progress_counts_pieces_and_patches(engine):
    seen = []
    engine.generate(
        [PROMPT] * 3, seeds=[1, 2, 3], limits=Limits(max_steps=3, batch_size=2),
        on_progress=lambda p: seen.append((p.done, p.total, p.steps)),
    )  # fmt: skip
    assert seen[0] == (0, 3, 2)
    assert seen[-1] == (3, 3, 9)


@pytest.mark.slow
def test_time_left_is_told_once_a_piece_has_named_its_bars():
    seen = []
    notagen.load(threads=1).generate(
        [PROMPT],
        seeds=[1],
        sampling=Sampling(temperature=1.0),
        limits=Limits(max_steps=40),
        on_progress=seen.append,
    )
    assert seen[0].left is None
    assert seen[-1].left is not None
    assert "bars" in str(seen[-1])
    assert " left" in str(seen[-1])


def test_forced_bars_and_the_most_patches_count_in_the_time_left():
    """Forced bars cost no time, and no piece takes more patches than it may."""
    rules = Rules(256, Limits(max_steps=100))
    draft = Draft("", 1, rules)
    call = scheduler.Scheduler(None, [None] * 2, rules, Sampling(), print)  # type: ignore[arg-type]
    call.queue = [1]
    draft.bars, draft.forced_bars, draft.total_bars, draft.sampled = 30, 20, 50, 80
    progress = Progress(done=0, total=2, bars=30, steps=80, seconds=40.0)
    # 10 bars written in 40 s and 70 to come; but 20 patches and 100, at half a second each.
    assert call._seconds_left(progress, [draft]) == pytest.approx(60.0)
    call.rules = Rules(256)
    assert call._seconds_left(progress, [draft]) == pytest.approx(280.0)
    draft.bars = draft.forced_bars
    assert call._seconds_left(Progress(0, 2, 20, 80, 40.0), [draft]) is None


def test_interruption_keeps_the_pieces(engine):
    def stop(progress):
        if progress.steps >= 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        engine.generate([PROMPT] * 3, seeds=[1, 2, 3], limits=Limits(max_steps=2, batch_size=1),
                        on_progress=stop)  # fmt: skip
    assert [(p.ended, p.steps) for p in caught.value.pieces] == [
        ("length", 2), ("length", 2), ("stopped", 1),
    ]  # fmt: skip


def test_interruption_while_a_piece_is_finished_keeps_that_piece(engine, monkeypatch):
    """Ctrl-C comes at any time: here while the text of the second piece is put together."""
    calls = []

    def slow(raw):
        calls.append(raw)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return undeclared_voices(raw)

    monkeypatch.setattr(scheduler, "undeclared_voices", slow)
    with pytest.raises(Interrupted) as caught:
        engine.generate([PROMPT] * 3, seeds=[1, 2, 3], limits=Limits(max_steps=2, batch_size=1))
    assert [(p.seed, p.ended) for p in caught.value.pieces] == [(1, "length"), (2, "length")]


def test_pieces_that_gave_their_slot_back_are_begun_first(engine, monkeypatch):
    """So the pieces of an interruption stand at the prompts' beginning, without gaps."""
    model, steps = engine._backend, []
    real = model.decode

    def scarce(*arguments):
        steps.append(1)
        if len(steps) == 2:
            raise MemoryError
        real(*arguments)

    def stop(progress):
        if progress.done == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(model, "decode", scarce)
    with pytest.raises(Interrupted) as caught:
        engine.generate([PROMPT] * 8, seeds=range(8), limits=Limits(max_steps=4, batch_size=4),
                        on_progress=stop)  # fmt: skip
    assert [p.seed for p in caught.value.pieces] == [0, 1, 2, 3]


def test_engine_works_again_after_an_interruption(engine):
    def stop(_):
        raise KeyboardInterrupt

    expected = engine.generate([PROMPT], seeds=[1], limits=Limits(max_steps=3))[0].raw
    with pytest.raises(KeyboardInterrupt):
        engine.generate([PROMPT], seeds=[1], limits=Limits(max_steps=3), on_progress=stop)
    assert engine.generate([PROMPT], seeds=[1], limits=Limits(max_steps=3))[0].raw == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error(tmp_path, value):
    path = random_weights(tmp_path / "w.safetensors", ModelShape(64, 1, 1, 32))
    engine = notagen.load(path, threads=1)
    engine._backend.char_norm[1][5] = value
    with pytest.raises(GenerationError, match="not finite"):
        engine.generate([PROMPT], seeds=[1], limits=Limits(max_steps=2))


def test_one_piece_that_breaks_does_not_take_the_others_along(engine, monkeypatch):
    """An overflow in a low precision hits the piece that it hits; nobody's text changes."""
    seeds, most = [1, 2, 3, 4], 12
    expected = engine.generate(
        [PROMPT] * 4, seeds=seeds, limits=Limits(max_steps=most, batch_size=3)
    )
    real, calls = engine._backend.begin_patch, []

    def break_one(slots):
        x = real(slots).clone()
        calls.append(len(slots))
        if len(calls) == 6:
            x[1] = torch.nan
        return x

    monkeypatch.setattr(engine._backend, "begin_patch", break_one)
    pieces = engine.generate([PROMPT] * 4, seeds=seeds, limits=Limits(max_steps=most, batch_size=3))
    assert [piece.ended for piece in pieces] == ["length", "failed", "length", "length"]
    assert "not finite" in pieces[1].notes[-1]
    assert pieces[1].steps == 5
    assert expected[1].raw.startswith(pieces[1].raw)
    for number in (0, 2, 3):
        assert pieces[number].raw == expected[number].raw
        assert pieces[number].notes == ()


def test_batch_is_halved_where_memory_runs_out(engine, monkeypatch):
    model, slots = engine._backend, []
    real = model.open

    def scarce(count):
        slots.append(count)
        if count > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        real(count)

    expected = engine.generate([PROMPT] * 5, seeds=range(5), limits=Limits(max_steps=2))
    monkeypatch.setattr(model, "open", scarce)
    pieces = engine.generate([PROMPT] * 5, seeds=range(5), limits=Limits(max_steps=2))
    assert slots == [5, 2]
    assert [p.raw for p in pieces] == [p.raw for p in expected]
    assert "Memory ran out with 5 pieces" in pieces[0].notes[0]


def test_memory_that_runs_out_on_the_way_loses_no_piece(engine, monkeypatch):
    model, steps = engine._backend, []
    real = model.decode

    def scarce(*arguments):
        steps.append(1)
        if len(steps) == 2:
            raise RuntimeError("CUDA out of memory")
        real(*arguments)

    expected = engine.generate([PROMPT] * 3, seeds=range(3), limits=Limits(max_steps=4))
    monkeypatch.setattr(model, "decode", scarce)
    pieces = engine.generate([PROMPT] * 3, seeds=range(3), limits=Limits(max_steps=4))
    assert [p.raw for p in pieces] == [p.raw for p in expected]


@pytest.mark.parametrize("when", [1, 2, 5])
def test_memory_that_runs_out_while_drawing_loses_no_piece(engine, monkeypatch, when):
    """Nor do the pieces that go on lose random numbers."""
    model, draws = engine._backend, []
    real = model.sample

    def scarce(slots, *more):
        draws.append(len(slots))
        if len(draws) == when:
            raise MemoryError
        return real(slots, *more)

    expected = engine.generate(
        [PROMPT] * 4, seeds=range(4), limits=Limits(max_steps=4, batch_size=3)
    )
    monkeypatch.setattr(model, "sample", scarce)
    pieces = engine.generate([PROMPT] * 4, seeds=range(4), limits=Limits(max_steps=4, batch_size=3))
    assert [p.raw for p in pieces] == [p.raw for p in expected]
    assert "Memory ran out with 3 pieces side by side; went on with 1." in pieces[-1].notes


def test_memory_that_runs_out_again_and_again(engine, monkeypatch):
    """Also while what is left of the pieces is read again."""
    model = engine._backend
    real = model.prefill

    def scarce(*arguments):
        if model.slots > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        real(*arguments)

    expected = engine.generate([PROMPT] * 9, seeds=range(9), limits=Limits(max_steps=2))
    monkeypatch.setattr(model, "prefill", scarce)
    pieces = engine.generate([PROMPT] * 9, seeds=range(9), limits=Limits(max_steps=2))
    assert [p.raw for p in pieces] == [p.raw for p in expected]
    assert [note.partition("went")[0] for note in pieces[0].notes] == [
        f"Memory ran out with {count} pieces side by side; " for count in (9, 4, 2)
    ]


def test_other_errors_are_not_taken_for_want_of_memory(engine, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(engine._backend, "sample", broken)
    with pytest.raises(RuntimeError, match="do not match"):
        engine.generate([PROMPT] * 2, seeds=[1, 2], limits=Limits(max_steps=2))


def test_memory_that_does_not_hold_one_piece_is_an_error(engine, monkeypatch):
    def never(_):
        raise MemoryError

    monkeypatch.setattr(engine._backend, "open", never)
    with pytest.raises(GenerationError, match="single piece"):
        engine.generate([PROMPT] * 2, seeds=[1, 2], limits=Limits(max_steps=2))
