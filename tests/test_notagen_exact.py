"""Both paths against the released code's own answers, and against each other."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch
from notagen_models import HEADER, ORACLE, PROMPT, random_weights, shorten

from scoregate import notagen
from scoregate.generator import Limits
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.accelerator import AcceleratorBackend, sample_on_device
from scoregate.notagen.backends.selection import KERNELS_VARIABLE, cpu_backend
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.model.reference import generate, load_model, sample_patch
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.text.forced import read_forced_text
from scoregate.notagen.text.patches import encode, pad_after_end
from scoregate.notagen.weights import find, open_checkpoint
from scoregate.sampling import Sampling, random_stream
from scoregate.token_sampling import sample_tokens

pytestmark = pytest.mark.usefixtures("one_thread")

CASES = json.loads((ORACLE / "released.json").read_text())["cases"]
KERNELS = [*kernels.kernel_sets(), "none"]
"""All that this processor can compute with: compiled kernels, and PyTorch's operators."""
RUNS = [(case, kind) for case in range(3) for kind in ("greedy", "sampled", "hot")]


@pytest.fixture(scope="module")
def checkpoint():
    return open_checkpoint(ORACLE / "weights.pth")


@pytest.fixture(scope="module")
def slow(checkpoint):
    return load_model(checkpoint)


def model_on(kernel, checkpoint, precision="fp32"):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KERNELS_VARIABLE, kernel)
        return cpu_backend(checkpoint.shape, checkpoint.read(), precision)


@pytest.fixture(scope="module", params=[*KERNELS, "accelerated"])
def fast(checkpoint, request):
    if request.param == "accelerated":
        return AcceleratorBackend(checkpoint.shape, checkpoint.read(), "cpu", "fp32")
    return model_on(request.param, checkpoint)


def run_of(case, kind):
    run = CASES[case][kind]
    return (
        [tuple(patch) for patch in CASES[case]["prompt_patches"]],
        [pad_after_end(patch) for patch in run["patches"]],
        Sampling(run["temperature"], run["top_k"], run["top_p"]),
        random_stream(run["numpy_seed"]),
    )


@pytest.mark.parametrize("case", range(3))
def test_prompt_is_cut_into_the_same_patches(case):
    assert [list(p) for p in encode(CASES[case]["prompt"])] == CASES[case]["prompt_patches"]


@pytest.mark.parametrize("case", range(3))
def test_slow_path_gives_the_released_logits(slow, case):
    with torch.inference_mode():
        encoded = slow.encode(torch.tensor([CASES[case]["prompt_patches"]]))[0, -1:]
        codes = torch.tensor([[ord(char) for char in CASES[case]["after_chars"]]])
        logits = slow.char_logits(encoded, codes)[0]
    torch.testing.assert_close(
        encoded[0], torch.tensor(CASES[case]["hidden_last"]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(logits, torch.tensor(CASES[case]["char_logits"]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("case", "kind"),
    [RUNS[0], *(pytest.param(*run, marks=pytest.mark.slow) for run in RUNS[1:])],
)
def test_slow_path_writes_what_the_released_code_wrote(slow, case, kind):
    context, expected, sampling, random = run_of(case, kind)
    # Without caches each patch costs more than the one before; all 40 are compared once here, and
    # on every backend below.
    for patch in expected if (case, kind) == RUNS[0] else expected[:20]:
        drawn = pad_after_end(sample_patch(slow, context, (), random.random_sample(16), sampling))
        assert drawn == patch
        context.append(drawn)


@pytest.mark.parametrize("case", range(3))
def test_caches_give_the_released_hidden_state(fast, case):
    fast.open(2)
    with torch.inference_mode():
        fast.prefill(1, 0, [tuple(p) for p in CASES[case]["prompt_patches"]])
    torch.testing.assert_close(
        fast.hidden[1], torch.tensor(CASES[case]["hidden_last"]), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    "kind", ["sampled", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("greedy", "hot"))]
)
def test_caches_write_what_the_released_code_wrote(fast, kind):
    """The three runs of a sampling side by side."""
    runs = [run_of(case, kind) for case in range(3)]
    fast.open(3)
    with torch.inference_mode():
        for slot, (context, *_) in enumerate(runs):
            fast.prefill(slot, 0, context)
        for at in range(40):
            numbers = [random.random_sample(16) for *_, random in runs]
            drawn = fast.sample([0, 1, 2], [()] * 3, numbers, runs[0][2])
            settled = [pad_after_end(codes) for codes in drawn.tolist()]
            assert settled == [expected[at] for _, expected, *_ in runs]
            places = [len(context) + at for context, *_ in runs]
            fast.decode([0, 1, 2], places, settled)


def test_closed_model_holds_no_piece(checkpoint):
    """What is opened with half the slots after memory ran out has the other half to itself."""
    model = AcceleratorBackend(checkpoint.shape, checkpoint.read(), "cpu", "fp32")
    model.open(4)
    assert model.cache.numel()
    model.close()
    assert (model.cache.numel(), model.char_cache.numel(), model.slots) == (0, 0, 0)


@pytest.mark.parametrize(
    "kind", [Sampling(), Sampling(1, 0, 1), Sampling(2, 12, 0.95), Sampling(1e-3)]
)
def test_device_draws_what_numpy_draws(kind):
    random = np.random.RandomState(3)
    logits = torch.tensor(random.normal(0, 3, (500, 128)), dtype=torch.float32)
    uniforms = random.random_sample(500)
    expected = sample_tokens(torch.softmax(logits, -1).numpy(), uniforms, kind)
    assert sample_on_device(logits, torch.tensor(uniforms), kind).tolist() == expected.tolist()


@pytest.mark.parametrize("top_k", [0, 9, 128])
def test_device_leaks_what_numpy_leaks(top_k):
    """At a high temperature most draws are of characters that only the floor keeps possible."""
    kind = Sampling(8, top_k, 1)
    random = np.random.RandomState(4)
    logits = torch.tensor(random.normal(0, 8, (2000, 128)), dtype=torch.float32)
    uniforms = random.random_sample(2000)
    expected = sample_tokens(torch.softmax(logits, -1).numpy(), uniforms, kind)
    assert sample_on_device(logits, torch.tensor(uniforms), kind).tolist() == expected.tolist()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Shorten the embedded model to 48 positions: real text, early overflows."""
    path = tmp_path_factory.mktemp("short") / "short.safetensors"
    return shorten(find(None), path, 48)


@pytest.mark.slow
@pytest.mark.parametrize("greedy", [False, True])
def test_both_paths_write_the_same_piece_across_overflows(short, greedy):
    """A redraw, %end, partial patches and several cuts lie on the way."""
    sampling = Sampling(top_k=1) if greedy else Sampling(1.0)
    model = load_model(open_checkpoint(short))
    engine = notagen.load(short, threads=1)
    draft = generate(model, Draft(PROMPT, 5, Rules(48, Limits(max_steps=80))), sampling)
    (piece,) = engine.generate(
        [PROMPT],
        seeds=[5],
        limits=Limits(max_steps=80),
        sampling=Sampling(temperature=sampling.temperature, top_k=sampling.top_k),
    )
    assert draft.cuts >= 2
    assert "[r:0/" in draft.raw
    assert "%end\n" in draft.raw
    assert piece.raw == draft.raw
    assert piece.context_cuts == draft.cuts


@pytest.mark.slow
def test_both_paths_agree_where_lines_are_refused_and_text_is_forced(short):
    def accept(before, line):
        # Three of four lines are refused, whatever weights are embedded.
        return zlib.crc32(line.encode()) % 4 == 0

    rules = Rules(48, Limits(max_steps=50, line_tries=2), accept)
    forced = 'M:3/4\nK:D\nV:2 treble nm="Second violin"\n'
    opening = read_forced_text(forced, prompted=True)
    model = load_model(open_checkpoint(short))
    draft = generate(model, Draft(PROMPT, 6, rules, opening), Sampling(1.0))
    (piece,) = notagen.load(short, threads=1).generate(
        [PROMPT], seeds=[6], sampling=Sampling(temperature=1.0),
        limits=rules.limits, accept_line=accept, prefix=forced,
    )  # fmt: skip
    assert piece.resampled_lines == draft.resampled_lines > 0
    assert piece.raw == draft.raw
    assert "M:3/4\nK:D\n" in piece.raw
    assert '\nV:2 treble nm="Second violin"\nV:3' in piece.raw


@pytest.mark.slow
def test_paths_and_batches_agree_where_generation_goes_back():
    """The KV cache is that of the text after lines were removed, in one slot as beside others."""

    def accept(before, line):
        return line.startswith("[r:0/")

    limits = Limits(max_steps=30, line_tries=1)
    model = load_model(open_checkpoint(find(None)))
    opening = read_forced_text(HEADER, prompted=True)
    draft = Draft(PROMPT, 6, Rules(1024, limits, accept), opening)
    draft = generate(model, draft, Sampling(1.0))
    engine = notagen.load(threads=1)
    found = [
        engine.generate(
            [PROMPT] * count, seeds=range(7 - count, 7), sampling=Sampling(temperature=1.0),
            limits=limits, accept_line=accept, prefix=HEADER,
        )[-1]
        for count in (1, 3)
    ]  # fmt: skip
    assert draft.retries.steps_back > 0
    for piece in found:
        assert piece.raw == draft.raw
        assert piece.steps_back == draft.retries.steps_back
        assert (piece.characters_drawn, piece.characters_kept) == (draft.drawn, draft.kept)
        assert piece.characters_kept < piece.characters_drawn


@pytest.mark.slow
def test_seed_gives_the_same_text_alone_and_in_any_batch(short):
    """Fewer slots than prompts: slots are filled again, and lengths differ."""
    engine = notagen.load(short, threads=1)
    prompts = [PROMPT, "%Baroque\n", "%a\n%b\n%c\n%d\n"]
    seeds, most = [3, 1, 4], 30
    alone = [
        engine.generate([prompt], seeds=[seed], limits=Limits(max_steps=most))[0].raw
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    for batch in (2, 3):
        pieces = engine.generate(
            prompts, seeds=seeds, limits=Limits(max_steps=most, batch_size=batch)
        )
        assert [piece.raw for piece in pieces] == alone


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("hidden", [64, 192, pytest.param(768, marks=pytest.mark.slow)])
def test_rows_bits_do_not_depend_on_the_rows_beside_them(tmp_path, hidden, kernel):
    """Operators take another kernel for one row; the compiled ones go by chunks of rows."""
    path = random_weights(tmp_path / "w.safetensors", ModelShape(hidden, 1, 1, 200))
    checkpoint = open_checkpoint(path)
    model = model_on(kernel, checkpoint)
    random = np.random.RandomState(0)
    context = [tuple(row) for row in random.randint(3, 128, (150, 16)).tolist()]
    found = []
    for slots in (1, 2, 7):
        model.open(slots)
        with torch.inference_mode():
            for slot in range(slots):
                model.prefill(slot, 0, context[slot : 10 + 3 * slot])
            # The last slot of each batch holds the same text.
            model.prefill(slots - 1, 0, context[:60])
            for at in range(60, 66):
                places = [at - 50 + 2 * slot for slot in range(slots - 1)] + [at]
                model.decode(list(range(slots)), places, [context[at]] * slots)
        found.append(model.hidden[slots - 1].clone())
    assert all(torch.equal(other, found[0]) for other in found[1:])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_lower_precisions_stay_near(checkpoint, slow, precision, kernel):
    model = model_on(kernel, checkpoint, precision)
    model.open(1)
    context = [tuple(p) for p in CASES[0]["prompt_patches"]]
    with torch.inference_mode():
        model.prefill(0, 0, context)
        model.decode([0], [len(context)], [context[1]])
        expected = slow.encode(torch.tensor([[*context, context[1]]]))[0, -1]
    torch.testing.assert_close(model.hidden[0], expected, atol=0.05, rtol=0.05)
