"""What each package of the engine exports, that importing it is cheap, and what meets Backend."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch
from notagen_models import random_weights

from scoregate.notagen.backends import Backend, cpu_backend
from scoregate.notagen.backends.accelerator import AcceleratorBackend
from scoregate.notagen.backends.compiled import CompiledBackend
from scoregate.notagen.backends.operators import OperatorBackend
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.weights import open_checkpoint

FACES = {
    "notagen": ["Engine", "load", "trained_styles", "weights_for"],
    "notagen.backends": [
        "Backend", "KERNELS_VARIABLE", "NotFiniteError", "cpu_backend", "make_backend",
        "selected_kernels",
    ],
    "notagen.model": [
        "HEAD_SIZE", "ModelShape", "NotaGen", "PATCH_SIZE", "VOCABULARY", "shape_of",
    ],
    "notagen.text": [
        "ForcedText", "NOTAGEN_X", "PROMPT_END", "Patch", "decode", "encode", "leave_out_rests",
        "read_forced_text", "score_prefix",
    ],
    "notagen.weights": [
        "Checkpoint", "EMBEDDED", "RELEASES", "Release", "check", "convert", "data_folder", "find",
        "get", "list_weights", "name_of", "open_checkpoint", "release", "styles_of",
        "trained_styles", "weights_for", "write_safetensors",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", FACES)
def test_package_exports_what_it_promises(name):
    package = importlib.import_module(f"scoregate.{name}")
    assert sorted(package.__all__) == sorted(FACES[name])
    assert all(hasattr(package, exported) for exported in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.no_such_name


@pytest.mark.slow
def test_only_the_arithmetic_imports_torch():
    names = ", ".join(f"scoregate.{name}" for name in FACES if name != "notagen.backends")
    script = f"import sys, {names}\nprint('torch' in sys.modules)\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.slow
def test_inference_imports_no_training():
    script = (
        "import sys, scoregate.notagen.engine, scoregate.notagen.model.reference\n"
        "import scoregate.notagen.text, scoregate.notagen.weights\n"
        "print([name for name in sys.modules if 'training' in name and 'notagen' in name])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_backend_meets_the_protocol(tmp_path, monkeypatch):
    checkpoint = open_checkpoint(random_weights(tmp_path / "w", ModelShape(64, 1, 1, 16)))
    shape = checkpoint.shape
    backends = [
        cpu_backend(shape, checkpoint.read(), "fp32"),
        OperatorBackend(shape, checkpoint.read(), "fp32"),
        AcceleratorBackend(shape, checkpoint.read(), "cpu", "fp32"),
    ]
    for backend in backends:
        assert isinstance(backend, Backend)
        before = torch.get_num_threads()
        with backend.threads_in_use():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before
    assert not isinstance(checkpoint, Backend)


def test_threads_belong_to_the_kernels_or_to_pytorch(tmp_path, monkeypatch):
    checkpoint = open_checkpoint(random_weights(tmp_path / "w", ModelShape(64, 1, 1, 16)))
    backend = cpu_backend(checkpoint.shape, checkpoint.read(), "fp32", threads=3)
    if isinstance(backend, CompiledBackend):
        assert backend.threads == 3
    monkeypatch.setenv("SCOREGATE_KERNELS", "none")
    backend = cpu_backend(checkpoint.shape, checkpoint.read(), "fp32", threads=3)
    with backend.threads_in_use():
        assert torch.get_num_threads() == 3
