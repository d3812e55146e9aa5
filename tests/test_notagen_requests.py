"""What is asked of the engine, well and badly: each case is named by its defect."""

from __future__ import annotations

import json
import math
import threading

import numpy as np
import pytest
import torch
from notagen_models import HEADER, ORACLE, PROMPT, generate, shorten

from scoregate import notagen
from scoregate.errors import RequestError
from scoregate.notagen.backends.device import choose_device, choose_precision, choose_threads
from scoregate.notagen.model.shape import ModelShape
from scoregate.sampling import Sampling


@pytest.fixture(scope="module")
def engine():
    return notagen.load(ORACLE / "weights.pth", threads=1)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seeds": 7}, "seeds must be a list"),
        ({"seeds": "1"}, "seeds must be a list"),
        ({"seeds": [1.0]}, "not a whole number"),
        ({"seeds": [None]}, "not a whole number"),
        ({"seeds": [2**40]}, "outside"),
        ({"prompts": 5}, "prompts must be a list"),
        ({"prompts": b"%a"}, "prompts must be a list"),
        ({"prompts": [5]}, "is not a prompt"),
        ({"prompts": [b"%a"]}, "is not a prompt"),
        ({"prompts": [("a", "b", "c")]}, "is not a prompt"),
        ({"prompts": ["\n \n"]}, "prompt is empty"),
        ({"prompts": ["%\n%\n"]}, "prompt is empty"),
        ({"prompts": ["hello"]}, "is no style"),
        ({"prompts": ["[V:1]C8|\n"]}, "is no style"),
        ({"prompts": ["%a\nM:3/4\n"]}, "begin with one %"),
        ({"prompts": ["%a\n%%score 1\n"]}, "begin with one %"),
        ({"prompts": ["%" + "a" * 5000]}, "the music has no room"),
        ({"prefix": 5}, "prefix must be a list"),
        ({"prefix": [5]}, "not a text to force"),
        ({"prefix": HEADER + "T:long\n" * 300}, "the music has no room"),
        ({"prefix": HEADER + "[V:1]C8|\n" * 20_000}, "longer than 102,400"),
        ({"prefix": "M:3/4\nM:4/4\n"}, "2 lines 'M:'"),
        ({"prefix": "V:1 treble\nV:1 bass\n"}, "2 lines 'V:1'"),
        ({"max_steps": 2.5}, "not a whole number"),
        ({"max_steps": "5"}, "not a whole number"),
        ({"max_steps": True}, "not a whole number"),
        ({"max_steps": math.nan}, "not a whole number"),
        ({"max_steps": -1}, "outside"),
        ({"max_seconds": "5"}, "max_seconds"),
        ({"max_seconds": math.nan}, "max_seconds"),
        ({"batch_size": 2.5}, "not a whole number"),
        ({"line_tries": 2.5}, "not a whole number"),
        ({"temperature": "1"}, "temperature of '1'"),
        ({"top_k": math.inf}, "top_k = inf"),
        ({"top_k": math.nan}, "top_k = nan"),
        ({"top_k": None}, "top_k = None"),
        ({"top_p": None}, "top_p = None"),
        ({"on_progress": 5}, "on_progress = 5 can't be called"),
        ({"accept_line": 5}, "accept_line = 5 can't be called"),
    ],
)  # fmt: skip
def test_wrong_request_is_refused(engine, change, what):
    with pytest.raises(RequestError, match=what) as caught:
        generate(engine, **change)
    assert caught.value.remedy


@pytest.fixture(scope="module")
def as_usual(engine) -> str:
    return generate(engine)[0].raw


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": np.array([1])},
        {"seeds": (seed for seed in [1])},
        {"prompts": np.array([PROMPT])},
        {"prompts": (prompt for prompt in [PROMPT])},
        {"prompts": [PROMPT.replace("\n", "\r\n")]},
        {"prompts": [PROMPT.replace("\n", "\r")]},
        {"prompts": ["\n\n" + PROMPT.replace("\n", "  \n\n")]},
        {"prompts": [PROMPT.rstrip()]},
        {"prompts": ["Baroque/Bach, Johann Sebastian/Choral"]},
        {"max_steps": np.int64(2)},
        {"temperature": np.float32(1.2), "top_k": np.int64(9), "top_p": 0.9},
        {"max_seconds": math.inf},
    ],
)
def test_same_request_in_another_form_gives_the_same_piece(engine, as_usual, change):
    expected = as_usual
    if "temperature" in change:  # 1.2 in single precision is another number
        expected = generate(engine, temperature=float(change["temperature"]))[0].raw
    (piece,) = generate(engine, **change)
    assert piece.raw == expected
    assert json.loads(json.dumps(piece.as_dict()))["seed"] == 1


def test_sampling_of_numpy_is_written_as_json():
    sampling = Sampling(np.float32(1.5), np.int64(3), np.float64(0.5))
    assert json.dumps(sampling.as_dict()) == '{"temperature": 1.5, "top_k": 3, "top_p": 0.5}'


@pytest.fixture(scope="module")
def trained():
    """Load the embedded model, which was trained on one style."""
    return notagen.load(threads=1)


@pytest.mark.parametrize("prompt", [PROMPT, PROMPT + "%end\n", "%Baroque\n", None])
def test_prompt_that_weights_were_trained_on(trained, prompt):
    (piece,) = generate(trained, prompts=[prompt])
    assert piece.notes == ()


@pytest.mark.parametrize("prompt", ["Romantic/Chopin, Frederic/Keyboard", "%a\n", PROMPT + "%b\n"])
def test_prompt_that_weights_were_not_trained_on(trained, prompt):
    with pytest.raises(RequestError, match="not trained on") as caught:
        generate(trained, prompts=[prompt], allow_untrained=False)
    assert "'Baroque/Bach, Johann Sebastian/Choral'" in caught.value.remedy
    (piece,) = generate(trained, prompts=[prompt])
    assert "not trained on" in piece.notes[0]


def test_control_codes_are_left_out_and_said_so(engine):
    (piece,) = generate(engine, prompts=["%a\x00b\x02\n"], prefix="M:3/4\x1b\n")
    assert piece.raw.startswith("%ab\n")
    assert piece.notes == (
        "The prompt held control codes, which were left out.",
        "The forced text held control codes, which were left out.",
    )


def test_prompt_that_is_closed_already_is_not_closed_again(engine):
    (piece,) = generate(engine, prompts=[PROMPT + "%end\n"], prefix=HEADER)
    assert piece.raw.startswith(PROMPT + "%end\n" + HEADER)
    assert piece.raw.count("%end") == 1


def test_more_forced_bars_than_the_context_holds_are_gone_on_with(tmp_path):
    engine = notagen.load(shorten(ORACLE / "weights.pth", tmp_path / "short.safetensors", 64))
    bars = "".join(f"[V:1]C{number}|[V:2]C,{number}|\n" for number in range(1, 60))
    counted = "".join(
        f"[r:{number}/{60 - number}]{line}\n" for number, line in enumerate(bars.splitlines())
    )
    (piece,) = generate(engine, prefix=HEADER + counted, max_steps=3)
    assert piece.raw.startswith(PROMPT + "%end\n" + HEADER + counted)
    assert piece.context_cuts
    assert piece.bars >= 59
    assert piece.steps == 3


@pytest.mark.parametrize(
    "bars",
    ['[V:1]"open [[(3||||\n', "[V:1]\n", "[V:1]!{[|\n[V:7]z|\n", f"[V:1]{'9' * 2000}|\n"],
)
def test_forced_bars_that_are_broken_do_no_harm(engine, bars):
    (piece,) = generate(engine, prefix=HEADER + bars, max_steps=6)
    assert piece.steps == 6
    assert piece.text.startswith("X:1\n%%score 1 2\n")


@pytest.mark.slow
def test_a_thousand_prompts(engine):
    seen = []
    pieces = generate(
        engine, prompts=[PROMPT] * 1000, seeds=range(1000), max_steps=1, on_progress=seen.append
    )
    assert [piece.seed for piece in pieces] == list(range(1000))
    assert (seen[-1].done, seen[-1].steps) == (1000, 1000)


def test_error_of_the_callers_own_comes_through_and_the_engine_goes_on(engine):
    def wrong(*_):
        raise ZeroDivisionError("mine")

    (expected,) = generate(engine)
    with pytest.raises(ZeroDivisionError, match="mine"):
        generate(engine, on_progress=wrong)
    assert engine._backend.slots == 0
    assert generate(engine)[0].raw == expected.raw


def test_call_from_within_is_refused(engine):
    with pytest.raises(RequestError, match="generating already"):
        generate(engine, on_progress=lambda _: generate(engine))
    assert len(generate(engine)) == 1


def test_calls_from_several_threads_wait_for_each_other(engine):
    expected = [generate(engine, seeds=[seed])[0].raw for seed in range(3)]
    found = [""] * 3

    def one(seed):
        found[seed] = generate(engine, seeds=[seed])[0].raw

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


@pytest.mark.parametrize(
    "name", ["", None, 5, "tpu", "cpu:0", "mps:0", "cuda:", "cuda:x", "cuda:-1", "cuda:²", "CUDA"]
)
def test_unknown_device(name):
    with pytest.raises(RequestError, match="There is no device"):
        choose_device(name)


def test_devices_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_precision("auto", "cuda:1") == "bf16"
    for name in ("cuda:2", "cuda:" + "9" * 5000):
        with pytest.raises(RequestError, match="has 2 of them"):
            choose_device(name)


@pytest.mark.parametrize("threads", [0, -1, 2.5, "2", True, 10**9])
def test_wrong_number_of_threads(threads):
    with pytest.raises(RequestError, match="threads = "):
        choose_threads(threads, ModelShape(64, 1, 1, 32))


@pytest.mark.slow
def test_voices_that_a_forced_header_does_not_declare_are_remarked(trained):
    """The embedded model writes four voices, whatever it is told."""
    forced = "%%score { 1 | 2 }\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n[V:1]C8|[V:2]C,8|\n"
    (piece,) = generate(trained, prefix=forced, max_steps=20)
    assert "[V:3]" in piece.raw
    assert piece.notes[-1].endswith("does not declare: 3, 4.")
    (piece,) = generate(trained, max_steps=40)
    assert "[V:4]" in piece.raw
    assert piece.notes == ()
