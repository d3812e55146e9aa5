"""Weight files, whole and broken, each by the name of its defect."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from notagen_models import ORACLE, random_weights
from safetensors.torch import load_file, save_file

from scoregate import notagen
from scoregate.errors import RequestError, UnreadableError, WeightsError
from scoregate.notagen.model.reference import load_model
from scoregate.notagen.model.shape import ModelShape, shape_of
from scoregate.notagen.text.styles import NOTAGEN_X
from scoregate.notagen.weights import open_checkpoint, write_safetensors
from scoregate.notagen.weights import registry as weights
from scoregate.styles import Style

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


@pytest.mark.slow
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


@pytest.mark.slow
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


MATRIX = "patch_level_decoder.base.h.1.mlp.c_fc.weight"


def saved(tmp_path, state, **more):
    path = tmp_path / "saved.pth"
    torch.save({"model": state} | more, path)
    return path


def all_in_one(state):
    """Return the same values as views of one storage."""
    whole = torch.cat([tensor.flatten() for tensor in state.values()])
    parts = whole.split([tensor.numel() for tensor in state.values()])
    return {n: p.view(t.shape) for (n, t), p in zip(state.items(), parts, strict=True)}


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
        lambda state: {n: t.t().contiguous().t() if t.ndim == 2 else t for n, t in state.items()},
        lambda state: {n: torch.stack((t, t), -1)[..., 0] for n, t in state.items()},
        lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
        all_in_one,
        lambda state: state | {"patch_level_decoder.base.h.0.attn.bias": torch.ones(1, 1, 8, 8)},
    ],
    ids=["parallel", "compiled", "transposed", "strided", "parameters", "fp64", "views", "masks"],
)
def test_same_weights_stored_otherwise(tmp_path, change):
    expected = state_dict()
    read = dict(open_checkpoint(saved(tmp_path, change(dict(expected)))).read())
    assert len(read) == len(expected) - 1
    for name, tensor in read.items():
        assert tensor.is_contiguous()
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_stored_in_half_precision(tmp_path, kind):
    state = {name: tensor.to(kind) for name, tensor in state_dict().items()}
    read = dict(open_checkpoint(saved(tmp_path, state)).read())
    assert all(torch.equal(tensor, state[name].float()) for name, tensor in read.items())


def test_safetensors_of_a_wrapped_model(tmp_path):
    state = {f"module.{name}": tensor.clone() for name, tensor in state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    assert open_checkpoint(tmp_path / "w.safetensors").shape == ModelShape(64, 2, 1, 256)


def saved_plainly(tmp_path, state):
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    "missing", ["char_level_decoder.base.lm_head", "patch_level_decoder.base.wte"]
)
@pytest.mark.parametrize("save", [saved, saved_plainly])
def test_what_is_tied_or_unused_may_be_missing(tmp_path, missing, save):
    state = state_dict()
    del state[f"{missing}.weight"]
    checkpoint = open_checkpoint(save(tmp_path, state))
    assert checkpoint.shape == ModelShape(64, 2, 1, 256)
    assert load_model(checkpoint)


def test_harmless_things_beside_the_weights_are_passed_over(tmp_path):
    more = {
        "args": argparse.Namespace(lr=1e-4), "history": defaultdict(list, {1: [2]}),
        "seen": {1, 2}, "best": np.float64(0.5), "curve": np.ones(3),
        "random": np.random.get_state(),
    }  # fmt: skip
    assert open_checkpoint(saved(tmp_path, state_dict(), **more)).shape.hidden == 64


class _Runs:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    torch.save({"model": state_dict(), "extra": _Runs(f"touch {trace}")}, path)
    with pytest.raises(WeightsError, match="system, which weights do not need"):
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
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "neither safetensors nor"),
        (pickle.dumps({"model": {}}, protocol=2), "before version 1.6"),
        ((10**12).to_bytes(8, "little") + b"{}", "header is longer"),
        ((8).to_bytes(8, "little") + b"{broken!", "can't be read"),
        ((2).to_bytes(8, "little") + b"{}", "is missing"),
    ],
)
def test_file_of_another_kind(tmp_path, content, what):
    with pytest.raises(WeightsError, match=what):
        open_checkpoint(broken(tmp_path, content))


def test_checkpoint_in_the_old_form(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"model": state_dict()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match=r"before version 1\.6"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ([1, 2], "no state dict"),
        (torch.ones(3), "no state dict"),
        ({"model": None}, "no state dict"),
        ({}, "no tensors"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear, which"),
    ],
)
def test_checkpoint_of_something_else(tmp_path, content, what):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=what):
        open_checkpoint(tmp_path / "other.pth")


def test_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        weights.find(tmp_path)
    with pytest.raises(UnreadableError, match="can't be read"):
        open_checkpoint(tmp_path)


def test_link_and_odd_file_name(tmp_path):
    path = tmp_path / "a näme ☃.pth"
    path.symlink_to(RELEASED)
    assert open_checkpoint(weights.find(str(path))).shape == ModelShape(64, 2, 1, 256)
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(WeightsError, match="no weights at"):
        weights.find(path)


def rewritten(tmp_path, change):
    """Write safetensors whose header has been tampered with."""
    save_file({name: tensor.clone() for name, tensor in state_dict().items()}, tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return broken(tmp_path, struct.pack("<Q", len(text)) + text + content[8 + length :])


BIAS = "patch_level_decoder.base.h.{}.ln_1.bias"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"data_offsets": [0, 10]}, "other bytes than its shape"),
        ({"data_offsets": [-65536, 0]}, "no proper place"),
        ({"data_offsets": ["0", "65536"]}, "no proper place"),
        ({"data_offsets": [0.5, 65536.5]}, "no proper place"),
        ({"data_offsets": [0, 65536]}, "overlap"),
        ({"data_offsets": [10**30, 10**30 + 65536]}, "is truncated"),
        ({"shape": [float("inf"), 1]}, "no proper place or shape"),
        ({"shape": [-64, -256]}, "no proper place or shape"),
        ({"shape": "ab"}, "no proper place or shape"),
        ({"dtype": "F8_E4M3"}, "stored as F8_E4M3, which"),
    ],
)
def test_header_that_lies(tmp_path, change, what):
    with pytest.raises(WeightsError, match=what):
        open_checkpoint(rewritten(tmp_path, lambda header: header[MATRIX].update(change)))


def test_safetensors_with_bytes_behind_the_last_tensor(tmp_path, plain):
    with pytest.raises(WeightsError, match="belong to none"):
        open_checkpoint(broken(tmp_path, plain.read_bytes() + b"more"))


@pytest.mark.parametrize("layer", ["3000000000", "9" * 5000])
def test_layer_of_an_absurd_number(tmp_path, layer):
    """Nothing is counted up to it."""
    state = state_dict() | {BIAS.format(layer): torch.ones(64)}
    with pytest.raises(WeightsError, match="does not have"):
        open_checkpoint(saved(tmp_path, state))


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path, kind):
    state = state_dict()
    state[MATRIX] = state[MATRIX].to(kind)
    with pytest.raises(WeightsError, match="which weights are not"):
        open_checkpoint(saved(tmp_path, state))


def test_values_too_large_for_fp32(tmp_path):
    state = state_dict()
    state[MATRIX] = state[MATRIX].double() * 1e300
    with pytest.raises(WeightsError, match="not finite"):
        list(open_checkpoint(saved(tmp_path, state)).read())


def test_damaged_weights_leave_nothing_where_they_were_to_be_converted(tmp_path):
    state = state_dict()
    state[MATRIX][0, 0] = torch.nan
    checkpoint = open_checkpoint(saved(tmp_path, state))
    with pytest.raises(WeightsError, match="not finite"):
        write_safetensors(tmp_path / "new" / "w", checkpoint.read(), {}, checkpoint.shape)
    assert list((tmp_path / "new").iterdir()) == []


def test_values_too_large_for_half_precision_are_not_converted(tmp_path):
    state = state_dict()
    state[MATRIX][0, 0] = 1e6
    checkpoint = open_checkpoint(saved(tmp_path, state))
    with pytest.raises(WeightsError, match="too large for fp16"):
        write_safetensors(tmp_path / "w", checkpoint.read(), {}, checkpoint.shape, "F16")
    assert not (tmp_path / "w").exists()


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
        (lambda state: state.update(other=torch.ones(2)), "does not have"),
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


def test_name_comes_before_a_file_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SCOREGATE_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").touch()
    with pytest.raises(WeightsError, match="have not been fetched"):
        weights.find("x")
    assert weights.find("./x") == tmp_path.relative_to(tmp_path) / "x"


def test_names_of_the_embedded_model_and_of_the_home_folder(tmp_path, monkeypatch):
    assert weights.find("embedded") == weights.find("chorales") == weights.find()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").touch()
    assert weights.find("~/w.pth") == tmp_path / "w.pth"


@pytest.mark.parametrize("name", [5, b"x", ["x"]])
def test_name_of_another_type(name):
    with pytest.raises(RequestError, match="not a name of weights"):
        weights.find(name)


def test_released_x_is_known_by_its_file(tmp_path):
    path = tmp_path / weights.release("x").file
    path.write_bytes(RELEASED.read_bytes())
    assert weights.trained_styles(path) == NOTAGEN_X
    assert weights.name_of(path) == "x"
    assert weights.trained_styles(RELEASED) is None


@pytest.mark.parametrize(
    ("name", "known"),
    [("notagenx.pth", True), ("NotaGen-X (1).pth", True), ("notagen_small.pth", False),
     ("notagenxyz.pth", False)],
)  # fmt: skip
def test_x_is_known_by_a_shorter_name(tmp_path, name, known):
    (tmp_path / name).write_bytes(RELEASED.read_bytes())
    assert (weights.trained_styles(tmp_path / name) == NOTAGEN_X) is known


@pytest.mark.parametrize("styles", ["{", "3", '["a/b"]'])
def test_list_of_styles_that_is_none(tmp_path, plain, styles):
    save_file(load_file(plain), tmp_path / "s.safetensors", {"styles": styles})
    with pytest.raises(WeightsError, match="list of styles can't be read"):
        weights.trained_styles(tmp_path / "s.safetensors")


def test_metadata_of_safetensors_is_a_card(tmp_path, plain):
    checkpoint = open_checkpoint(plain)
    checkpoint.metadata.update({"figures": json.dumps({"bits": 0.7}), "note": "plain text"})
    assert weights.card(checkpoint) == {"figures": {"bits": 0.7}, "note": "plain text"}
