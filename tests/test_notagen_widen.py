"""A widened model computes what the small one computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from widen import widen

from scoregate import notagen
from scoregate.generator import Limits
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.text.patches import BOS_PATCH, encode_unit, units_of
from scoregate.notagen.weights import find, open_checkpoint
from scoregate.sampling import Sampling

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = ModelShape(64, 2, 1, 12)
HEAD = "char_level_decoder.base.lm_head.weight"


def model_of(tensors, shape: ModelShape) -> NotaGen:
    model = NotaGen(shape).eval()
    model.load_state_dict(tensors)
    return model


def uneven(shape: ModelShape) -> dict[str, torch.Tensor]:
    """Random weights in which no gain is one, no bias zero, and no mean zero."""
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name, dims in shape.tensors().items():
        gain = ".ln_" in name and name.endswith("weight")
        state[name] = torch.empty(dims).normal_(1.0 if gain else 0.05, 0.3, generator=generator)
    state[HEAD] = state["char_level_decoder.base.transformer.wte.weight"]
    return state


def logits(model: NotaGen, patches: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        encoded = model.encode(patches)[0]
        return model.char_logits(encoded, patches[0])


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(ModelShape(128, 2, 1, 12), id="twice as wide"),
        pytest.param(ModelShape(192, 5, 3, 30), id="wider, deeper, longer"),
        pytest.param(ModelShape(320, 4, 2, 12), id="five times as wide"),
    ],
)
def test_a_multiple_of_the_width_gives_the_same_logits(large):
    tensors = uneven(SMALL)
    patches = torch.randint(1, 128, (1, 12, 16), generator=torch.Generator().manual_seed(1))
    expected = logits(model_of(tensors, SMALL), patches)
    found = logits(model_of(widen(tensors, SMALL, large), large), patches)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


def test_spare_channels_change_nothing_beyond_rounding():
    small, large = ModelShape(192, 2, 1, 12), ModelShape(320, 3, 2, 12)
    tensors = uneven(small)
    patches = torch.randint(1, 128, (1, 12, 16), generator=torch.Generator().manual_seed(1))
    expected = logits(model_of(tensors, small), patches)
    found = logits(model_of(widen(tensors, small, large), large), patches)
    # Logits reach 19 here, and another order of sums moves them by 5e-4.
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


@pytest.fixture(scope="module")
def embedded() -> tuple[dict[str, torch.Tensor], ModelShape]:
    checkpoint = open_checkpoint(find("chorales-1"))
    tensors = dict(checkpoint.read())
    tensors[HEAD] = tensors["char_level_decoder.base.transformer.wte.weight"]
    tensors.setdefault(
        "patch_level_decoder.base.wte.weight", torch.zeros(1, checkpoint.shape.hidden)
    )
    return tensors, checkpoint.shape


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [384, 320, 512], ids=["exact", "128 spare", "128 spare, twice"])
def test_the_embedded_model_writes_the_same_piece_when_widened(embedded, hidden, tmp_path: Path):
    tensors, small = embedded
    large = ModelShape(hidden, small.patch_layers + 2, small.char_layers + 1, small.length)
    wide = widen(tensors, small, large)
    prompt = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n"
    patches = torch.tensor([[BOS_PATCH, *(p for u in units_of(prompt) for p in encode_unit(u))]])
    expected = logits(model_of(tensors, small), patches)
    found = logits(model_of(wide, large), patches)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)

    path = tmp_path / "wide.pth"
    torch.save({"model": wide, "epoch": 1}, path)
    texts = [
        notagen.load(weights, threads=1)
        .generate([prompt], seeds=[3], sampling=Sampling(top_k=1), limits=Limits(max_steps=60))[0]
        .raw
        for weights in ("chorales-1", path)
    ]
    assert texts[0] == texts[1]


def test_a_model_can_not_shrink():
    with pytest.raises(ValueError, match="patch_layers would shrink from 2 to 1"):
        widen(uneven(SMALL), SMALL, ModelShape(128, 1, 1, 12))
