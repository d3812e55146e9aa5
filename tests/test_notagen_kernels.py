"""The compiled kernels: they are there, they agree with torch, and with themselves."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from notagen_models import random_weights

from scoregate import notagen
from scoregate.errors import GenerationError, RequestError, WeightsError
from scoregate.generator import Limits
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.compiled import CompiledBackend
from scoregate.notagen.backends.kernels import MAX_ROWS, LinearStruct, PackedLinear
from scoregate.notagen.backends.operators import OperatorBackend
from scoregate.notagen.backends.selection import KERNELS_VARIABLE, cpu_backend
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.weights import open_checkpoint
from scoregate.sampling import Sampling

pytestmark = pytest.mark.usefixtures("one_thread")

LEVELS = list(kernels.kernel_sets())
PRECISIONS = ("fp32", "bf16", "int8")
needs_kernels = pytest.mark.skipif(not LEVELS, reason="no compiler here")


def test_kernels_are_compiled_where_there_is_a_compiler():
    if not (shutil.which("gcc") or shutil.which("cc")) or sys.platform == "win32":
        pytest.skip("no compiler here: the engine runs on PyTorch's operators")
    assert "portable" in LEVELS


def output_layer(level, x, weight, precision):
    """Run norm and layer as the kernels do; the norm leaves rows as they are."""
    packed = PackedLinear(level, weight, None, precision)
    rows, inputs = x.shape
    gain, bias = torch.ones(inputs), torch.zeros(inputs)
    normed, out = torch.empty(rows, inputs), torch.empty(rows, weight.shape[1])
    assert level.output(
        x.data_ptr(), rows, gain.data_ptr(), bias.data_ptr(), ctypes.byref(packed.struct),
        normed.data_ptr(), out.data_ptr(),
    )  # fmt: skip
    return normed, out


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 12, 13, 16, 25, 40])
def test_layers_agree_with_torch(name, precision, rows):
    random = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 192, generator=random)
    weight = torch.randn(192, 96, generator=random) * 0.1
    normed, out = output_layer(kernels.kernel_sets()[name], x, weight, precision)
    expected = F.layer_norm(x, (192,), eps=1e-5)
    torch.testing.assert_close(normed, expected, atol=1e-5, rtol=1e-5)
    close = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.05}[precision]
    torch.testing.assert_close(out, expected @ weight, atol=close, rtol=close)


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_stays_so(name, precision, value):
    """Bytes can't hold it, yet a broken row must not come out as a sound one."""
    x = torch.randn(5, 64)
    x[3, 7] = value
    _, out = output_layer(kernels.kernel_sets()[name], x, torch.randn(64, 32), precision)
    assert out[[0, 1, 2, 4]].isfinite().all()
    assert not out[3].isfinite().any()


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_noticed(name, value):
    """Whatever the precision: NaN has no byte either."""
    weight = torch.randn(64, 32)
    weight[5, 6] = value
    for precision in PRECISIONS:
        _, out = output_layer(kernels.kernel_sets()[name], torch.randn(2, 64), weight, precision)
        assert not out[:, 6].isfinite().any()
        assert out[:, :6].isfinite().all()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    return open_checkpoint(random_weights(path, ModelShape(128, 2, 1, 400)))


def context(count):
    codes = np.random.RandomState(0).randint(3, 128, (count, 16))
    return [tuple(row) for row in codes.tolist()]


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_patches_read_at_once_and_one_by_one_give_the_same_bits(checkpoint, name, precision):
    """Across the most rows of a step, and whatever the number of threads."""
    level, patches = kernels.kernel_sets()[name], context(MAX_ROWS + 10)
    model = CompiledBackend(level, checkpoint.shape, checkpoint.read(), precision)
    model.open(3)
    with torch.inference_mode():
        model.prefill(0, 0, patches)
        model.prefill(1, 0, patches[:40])
        for at in range(40, len(patches)):
            model.decode([1], [at], [patches[at]])
        model.threads = 3
        model.prefill(2, 0, patches)
    assert torch.equal(model.hidden[0], model.hidden[1])
    assert torch.equal(model.hidden[0], model.hidden[2])
    other = OperatorBackend(checkpoint.shape, checkpoint.read(), "fp32")
    other.open(1)
    with torch.inference_mode():
        other.prefill(0, 0, patches)
    close = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.1}[precision]
    torch.testing.assert_close(model.hidden[0], other.hidden[0], atol=close, rtol=close)


def test_rows_in_int8_do_not_depend_on_the_rows_beside_them(checkpoint):
    """Every row has a scale of its own."""
    if not LEVELS:
        pytest.skip("no kernels here: in PyTorch's operators one scale serves all rows")
    patches = context(30)
    model = cpu_backend(checkpoint.shape, checkpoint.read(), "int8")
    found = []
    with torch.inference_mode():
        for slots in (1, 5, 14):
            model.open(slots)
            for slot in range(slots):
                model.prefill(slot, 0, patches[slot : slot + 12])
            model.prefill(slots - 1, 0, patches[:12])
            model.decode(list(range(slots)), [12] * slots, [patches[12]] * slots)
            found.append(model.hidden[slots - 1].clone())
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.slow
def test_more_rows_than_a_step_takes(tmp_path):
    """On the stack of a small thread as well: scratch memory there is bounded."""
    rows = 12 * MAX_ROWS + 88
    checkpoint = open_checkpoint(random_weights(tmp_path / "w", ModelShape(64, 1, 1, 16)))
    model = cpu_backend(checkpoint.shape, checkpoint.read(), "fp32")
    patches, found = context(3), []

    def write():
        with torch.inference_mode():
            model.open(rows)
            model.decode(list(range(rows)), [0] * rows, [patches[n % 2] for n in range(rows)])
            numbers = [np.full(16, 0.3 + n % 2 / 3) for n in range(rows)]
            found.append(model.sample(list(range(rows)), [()] * rows, numbers, Sampling()))

    before = threading.stack_size(256 * 1024)
    writer = threading.Thread(target=write)
    writer.start()
    threading.stack_size(before)
    writer.join()
    assert (found[0][::2] == found[0][0]).all()
    assert (found[0][1::2] == found[0][1]).all()


@needs_kernels
def test_systems_without_huge_pages_load_all_the_same(monkeypatch):
    class Small(mmap.mmap):
        def madvise(self, *_):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr("scoregate.notagen.backends.kernels.mmap.mmap", Small)
    weight = torch.randn(1024, 1024)
    packed = PackedLinear(next(iter(kernels.kernel_sets().values())), weight, None, "fp32")
    assert packed.struct.inputs == 1024


@needs_kernels
def test_memory_that_runs_out_while_loading_is_said(monkeypatch):
    def none(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("scoregate.notagen.backends.kernels._HUGE_PAGE", 0)
    monkeypatch.setattr("scoregate.notagen.backends.kernels.mmap.mmap", none)
    with pytest.raises(WeightsError, match="Memory ran out") as caught:
        notagen.load()
    assert "int8" in caught.value.remedy


def test_engine_says_what_computes_and_takes_another_on_request(monkeypatch):
    assert notagen.load().provenance().kernels == (LEVELS or ["none"])[0]
    monkeypatch.setenv(KERNELS_VARIABLE, "none")
    engine = notagen.load()
    assert engine.provenance().kernels == "none"
    (piece,) = engine.generate(["%a\n"], seeds=[1], limits=Limits(max_steps=5))
    assert piece.steps == 5
    monkeypatch.setenv(KERNELS_VARIABLE, "altivec")
    with pytest.raises(RequestError, match=r"altivec is not available: this machine has .*none"):
        notagen.load()


@pytest.mark.slow
def test_all_kernels_write_the_same_piece(monkeypatch):
    texts = set()
    for name in [*LEVELS, "none"]:
        monkeypatch.setenv(KERNELS_VARIABLE, name)
        (piece,) = notagen.load(threads=1).generate(
            ["%Baroque\n"], seeds=[3], limits=Limits(max_steps=30)
        )
        texts.add(piece.raw)
    assert len(texts) == 1


@pytest.mark.slow
def test_without_compiled_kernels_the_engine_runs_on_operators():
    script = (
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "hidden = lambda name, *rest: None if name.endswith('_kernels') else find(name, *rest)\n"
        "importlib.util.find_spec = hidden\n"
        "from scoregate import notagen\n"
        "from scoregate.generator import Limits\n"
        "engine = notagen.load()\n"
        "piece, = engine.generate(['%a\\n'], seeds=[1], limits=Limits(max_steps=5))\n"
        "print(engine.kernels, piece.steps)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["none", "5"], done.stderr


def test_logits_that_are_not_finite_stop_the_piece(checkpoint):
    model = cpu_backend(
        checkpoint.shape,
        ((name, t * float("nan") if "ln_f" in name else t) for name, t in checkpoint.read()),
        "int8",
    )
    model.open(1)
    with torch.inference_mode():
        model.prefill(0, 0, context(3))
        with pytest.raises(GenerationError, match="not finite"):
            model.sample([0], [()], [np.full(16, 0.5)], Sampling())


def test_fields_of_the_structures_are_those_of_the_header():
    """A layer's seven fields, eight bytes each, twice four norms and two caches."""
    assert ctypes.sizeof(LinearStruct) == 7 * 8
    assert ctypes.sizeof(kernels.Layer) == (4 + 4 * 7 + 2) * 8
