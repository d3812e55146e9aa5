"""Weight files, whole and broken, each by the name of its defect."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from notagen_models import ORACLE, random_weights
from safetensors.torch import load_file, save_file

import notagen
from notagen import weights
from notagen.checkpoint import open_checkpoint, write_safetensors
from notagen.reference import load_model
from notagen.shape import ModelShape, shape_of
from notagen.styles import NOTAGEN_X, Style
from scoregate.errors import RequestError, UnreadableError, WeightsError

RELEASED = ORACLE / "weights.pth"
SHAPE = ModelShape(64, 1, 1, 32)


@pytest.fixture
def plain(tmp_path):
    return random_weights(tmp_path / "plain.safetensors", SHAPE)


def state_dict():
    return torch.load(RELEASED, weights_only=True)["model"]


@pytest.mark.parametrize(
    ("shape", "parameters", "keys"),
    [
        (ModelShape(768, 12, 3, 2048), 109_579_776, 191),
        (ModelShape(1024, 16, 3, 2048), 243_677_184, 239),
        (ModelShape(1280, 20, 6, 1024), 515_738_880, 323),
    ],
)
def test_released_shapes_have_the_released_sizes(shape, parameters, keys):
    assert shape.parameters() == parameters
    assert len(shape.tensors()) == keys
    assert shape_of(shape.tensors()) == shape


def test_released_checkpoint_is_read_as_torch_reads_it():
    expected = state_dict()
    checkpoint = open_checkpoint(RELEASED)
    assert checkpoint.shape == ModelShape(64, 2, 1, 256)
    read = dict(checkpoint.read())
    assert set(expected) - set(read) == {"char_level_decoder.base.lm_head.weight"}
    assert all(torch.equal(read[name], expected[name]) for name in read)


def test_training_checkpoint_with_an_optimiser_is_read(tmp_path):
    state = state_dict()
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimiser.step()
    rest = {"optimizer": optimiser.state_dict(), "lr_sched": {"last_epoch": 3, "f": [None]}}
    path = tmp_path / "train.pth"
    torch.save({"model": state, "epoch": 3, "min_eval_loss": 0.5, **rest}, path)
    assert open_checkpoint(path).shape == ModelShape(64, 2, 1, 256)


def test_conversion_is_read_by_the_safetensors_library(tmp_path):
    checkpoint = open_checkpoint(RELEASED)
    path = tmp_path / "new" / "w.safetensors"
    write_safetensors(path, checkpoint.read(), {"styles": '["a/b/c"]'}, checkpoint.shape)
    expected = state_dict()
    read = load_file(path)
    assert set(read) == set(expected)
    assert all(torch.equal(read[name], expected[name]) for name in read)
    assert open_checkpoint(path).metadata == {"styles": '["a/b/c"]'}
    assert weights.trained_styles(path) == (Style("a", "b", "c"),)
    assert os.listdir(path.parent) == ["w.safetensors"]


def test_converted_weights_load_into_the_plain_module(plain):
    model = load_model(open_checkpoint(plain))
    assert set(model.state_dict()) == set(SHAPE.tensors())
    assert model.char_level_decoder.base.lm_head.weight is (
        model.char_level_decoder.base.transformer.wte.weight
    )


def test_half_precision_file_is_read_in_full_precision(tmp_path):
    checkpoint = open_checkpoint(RELEASED)
    write_safetensors(tmp_path / "h.safetensors", checkpoint.read(), {}, checkpoint.shape, "F16")
    name, tensor = next(open_checkpoint(tmp_path / "h.safetensors").read())
    assert tensor.dtype == torch.float32
    assert torch.equal(tensor, state_dict()[name].half().float())


class _Runs:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save({"model": state_dict(), "extra": _Runs(f"touch {trace}")}, path)
    with pytest.raises(WeightsError, match="system, which weights have no need of"):
        open_checkpoint(path)
    assert not trace.exists()


def test_missing_file(tmp_path):
    with pytest.raises(UnreadableError, match="no weights at"):
        open_checkpoint(tmp_path / "none.pth")


def broken(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"MThd\0\0\0\6\0\1\0\4\1\xe0MTrk", "neither safetensors nor"),
        (b"PK\x03\x04" + b"\0" * 100, "index is missing"),
        (pickle.dumps({"model": {}}, protocol=2), "before version 1.6"),
        ((10**12).to_bytes(8, "little") + b"{}", "header is longer"),
        ((8).to_bytes(8, "little") + b"{broken!", "can't be read"),
        ((2).to_bytes(8, "little") + b"{}", "is missing"),
    ],
)
def test_file_of_another_kind(tmp_path, content, what):
    with pytest.raises(WeightsError, match=what):
        open_checkpoint(broken(tmp_path, content))


def test_truncated_checkpoint(tmp_path):
    with pytest.raises(WeightsError, match="truncated or damaged"):
        open_checkpoint(broken(tmp_path, RELEASED.read_bytes()[:-5000]))


def test_truncated_safetensors(tmp_path, plain):
    with pytest.raises(WeightsError, match="is truncated"):
        open_checkpoint(broken(tmp_path, plain.read_bytes()[:-10]))


def test_damaged_checkpoint_is_found_by_its_checksum(tmp_path):
    content = bytearray(RELEASED.read_bytes())
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(WeightsError, match="is damaged"):
        list(open_checkpoint(broken(tmp_path, bytes(content))).read())


def test_weights_that_are_not_finite(tmp_path, plain):
    tensors = load_file(plain)
    tensors["patch_level_decoder.patch_embedding.bias"][3] = torch.nan
    save_file({name: t.clone() for name, t in tensors.items()}, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match="not finite"):
        list(open_checkpoint(tmp_path / "nan.safetensors").read())


def test_output_layer_of_its_own(tmp_path, plain):
    tensors = {name: t.clone() for name, t in load_file(plain).items()}
    tensors["char_level_decoder.base.lm_head.weight"] += 1
    save_file(tensors, tmp_path / "untied.safetensors")
    with pytest.raises(WeightsError, match="ties to it"):
        list(open_checkpoint(tmp_path / "untied.safetensors").read())


def test_zip_of_something_else(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(WeightsError, match="no PyTorch checkpoint"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda state: state.pop("patch_level_decoder.base.h.1.ln_2.bias"), "is missing"),
        (lambda state: state.update(other=torch.ones(2)), "no place for"),
        (
            lambda state: state.update({"patch_level_decoder.base.h.1.ln_2.bias": torch.ones(65)}),
            "expected",
        ),
    ],
)
def test_foreign_state_dict(tmp_path, change, what):
    state = OrderedDict(state_dict())
    change(state)
    torch.save({"model": state}, tmp_path / "foreign.pth")
    with pytest.raises(WeightsError, match=what):
        open_checkpoint(tmp_path / "foreign.pth")


def test_safetensors_of_another_model(tmp_path):
    save_file({"model.embed.weight": torch.ones(4, 4)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no NotaGen weights"):
        notagen.load(tmp_path / "other.safetensors")


def test_unknown_and_unfetched_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SCOREGATE_WEIGHTS", str(tmp_path))
    with pytest.raises(RequestError, match="small, medium, large"):
        weights.find("huge")
    with pytest.raises(WeightsError, match="scoregate weights get x"):
        weights.find("x")
    with pytest.raises(WeightsError, match="no weights at"):
        weights.find("some/file.pth")
    (tmp_path / "x.safetensors").touch()
    assert weights.find("X") == tmp_path / "x.safetensors"


def test_released_x_is_known_by_its_file(tmp_path):
    path = tmp_path / weights.release("x").file
    path.write_bytes(RELEASED.read_bytes())
    assert weights.trained_styles(path) == NOTAGEN_X
    assert weights.trained_styles(RELEASED) is None


def test_metadata_of_safetensors_is_a_card(tmp_path, plain):
    checkpoint = open_checkpoint(plain)
    checkpoint.metadata.update({"figures": json.dumps({"bits": 0.7}), "note": "plain text"})
    assert weights.card(checkpoint) == {"figures": {"bits": 0.7}, "note": "plain text"}
