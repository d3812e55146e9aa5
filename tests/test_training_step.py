"""The training step: the packed loss, the auxiliary labels, the optimiser."""

import numpy as np
import pytest
import torch
from training_runs import STYLE

from scoregate.errors import RequestError
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.sounding import SILENT
from scoregate.notagen.training import step
from scoregate.notagen.training.deepen import deepen
from scoregate.notagen.training.encode import encode_example, encode_patches
from scoregate.notagen.training.optimiser import Muon, fast_bfloat16, orthogonalise
from scoregate.notagen.training.step import AuxiliaryHeads, losses
from scoregate.notagen.training.stream import stream_text
from scoregate.notagen.training.synthetic import chorale

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = ModelShape(hidden=64, patch_layers=2, char_layers=2, length=256)
LINE = "%%score [ 1 2 ]\nL:1/8\nM:4/4\nK:G\nV:1\nV:2\n[V:1]G4 F2 z2|[V:2]E2 D2 C4|\n"


@pytest.fixture
def model():
    torch.manual_seed(1)
    return NotaGen(SHAPE).eval()


def test_the_packed_loss_is_the_loss_of_the_model(model):
    example = encode_example(stream_text(chorale(3), STYLE))
    patches = torch.from_numpy(example.patches.astype(np.int64))[None]
    with torch.no_grad():
        assert float(losses(model, example).text) == pytest.approx(float(model(patches)), abs=1e-5)
    assert losses(model, example).characters == example.characters


def test_the_packed_gradient_is_the_gradient_of_the_model(model):
    example = encode_example(stream_text(chorale(4), STYLE))
    losses(model, example).text.backward()
    packed = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model(torch.from_numpy(example.patches.astype(np.int64))[None]).backward()
    for name, p in model.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(packed[name], p.grad, atol=1e-5, rtol=1e-3)


def test_patches_are_those_of_the_engine():
    text = stream_text(chorale(5), STYLE)
    assert (encode_example(text).patches == encode_patches(text)).all()


def test_labels_say_what_sounds_where_a_character_is_written():
    example = encode_example(stream_text(LINE))
    rows = ["".join(chr(c) for c in patch if c > 2) for patch in example.patches]
    first = rows.index("[r:0/0][V:1]G4 F")
    second = rows.index("|[V:2]E2 D2 C4|\n")
    # Before G4 the time is 0; "2" still belongs to the F at 4 eighths = 8 sixteenths.
    assert example.time[first].tolist()[12:] == [0, 0, 8, 8]
    # E2 and D2 stand under the G (MIDI 67, class 32), C4 under F sharp (66, class 31).
    assert example.now[second, :, 0].tolist()[6:14] == [32, 32, 32, 32, 32, 31, 31, 31]
    # Just before them nothing had sounded, then the G twice.
    assert example.before[second, :, 0].tolist()[6:14] == [0, 0, 32, 32, 32, 32, 32, 32]
    # The voice's own last pitch: none, E (64, class 29), D (62, class 27).
    assert example.own[second].tolist()[6:14] == [0, 0, 29, 29, 29, 27, 27, 27]
    assert example.grid[second, 0].tolist() == [32, 32, 32, 32, 31, 31, 0, 0]
    # Bits of the whole chord where D2 is written: G and D.
    assert example.chord[second, 9] == 1 << 7 | 1 << 2
    assert (example.now[first] == -1).all()


def test_the_auxiliary_loss_reaches_the_patch_level(model):
    heads = AuxiliaryHeads(64)
    losses(model, encode_example(stream_text(chorale(3), STYLE)), heads).auxiliary.backward()
    assert model.patch_level_decoder.patch_embedding.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in heads.parameters())


def test_forgotten_patches_of_music_are_told_what_sounds_and_nothing_else(monkeypatch):
    torch.manual_seed(1)
    model = NotaGen(ModelShape(64, 1, 1, 256, sounding=32)).eval()
    example = encode_example(stream_text(chorale(3), STYLE), sounding=True)
    music = (example.sounding[1 : model.shape.length + 1, :, 0] != SILENT).any(1)
    assert 0 < music.sum() < len(music)  # the header is none
    shown = []
    real = step.char_states

    def show(model, encoded, *rest):
        shown.append(encoded)
        return real(model, encoded, *rest)

    monkeypatch.setattr(step, "char_states", show)
    for forget in (0.0, 0.5, 1.0):
        losses(model, example, forget=forget)
    empty = [(~each.any(1)).numpy() for each in shown]
    assert not empty[0].any()
    assert 0 < empty[1].sum() < music.sum()
    assert not (empty[1] & ~music).any()
    assert (empty[2] == music).all()
    torch.testing.assert_close(shown[2][~music], shown[0][~music])


def test_a_piece_longer_than_the_context_is_cut(model):
    example = encode_example(stream_text(chorale(3), STYLE))
    short = NotaGen(ModelShape(64, 1, 1, 20)).eval()
    cut = losses(short, example)
    assert cut.characters == int((example.patches[1:21] != 0).sum())


def test_orthogonalised_matrices_have_like_singular_values():
    torch.manual_seed(1)
    wide = torch.randn(3, 16, 64)
    values = torch.linalg.svdvals(orthogonalise(wide))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_muon_steps_downhill():
    torch.manual_seed(1)
    weight = torch.nn.Parameter(torch.randn(8, 24))
    target = torch.randn(8, 24)
    optimiser = Muon([("h.0.attn.c_attn.weight", weight)], lr=0.2, weight_decay=0.0)
    before = (weight - target).square().mean().item()
    for _ in range(40):
        optimiser.zero_grad()
        (weight - target).square().mean().backward()
        optimiser.step()
    assert (weight - target).square().mean().item() < before / 2


def test_unlikelihood_punishes_probability_on_forbidden_letters(model):
    example = encode_example(stream_text(chorale(3), STYLE))
    with torch.no_grad():
        found = losses(model, example, unlikelihood=True)
    assert (example.forbidden != 0).any()
    # A fresh model gives each of 128 characters about the same chance.
    letters = np.bitwise_count(example.forbidden).astype(float)
    chance = -np.log1p(-letters[letters > 0] / 128).sum() / example.characters
    assert float(found.forbidden) == pytest.approx(chance, rel=0.25)
    assert losses(model, example).forbidden.item() == 0


def test_a_deepened_model_writes_what_the_shallower_one_did(model):
    deeper = NotaGen(ModelShape(64, 3, 3, 256))
    deeper.load_state_dict(deepen(model.state_dict(), deeper.shape))
    example = encode_example(stream_text(chorale(3), STYLE))
    with torch.no_grad():
        assert float(losses(deeper.eval(), example).text) == pytest.approx(
            float(losses(model, example).text), abs=1e-5
        )
    losses(deeper, example).text.backward()
    added = deeper.char_level_decoder.base.transformer.h[2]
    assert added.mlp.c_proj.weight.grad.abs().sum() > 0


def test_weights_of_another_width_cannot_be_deepened(model):
    with pytest.raises(RequestError, match="cannot become"):
        deepen(model.state_dict(), ModelShape(128, 2, 2, 256))


def test_a_processor_without_fast_bfloat16_trains_in_single_precision(monkeypatch):
    fast_bfloat16.cache_clear()
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert not fast_bfloat16("cpu")
    assert fast_bfloat16("cuda:0")
    fast_bfloat16.cache_clear()


def test_the_tonic_and_the_degree_are_asked_for_where_it_is_wanted(model):
    example = encode_example(stream_text(LINE))
    assert example.tonic == 7
    assert encode_example(stream_text(LINE.replace("K:G", "K:none"))).tonic == -1
    plain, more = AuxiliaryHeads(64), AuxiliaryHeads(64, tonic=True)
    assert plain.tonic is None
    more.load_state_dict(more.state_dict() | plain.state_dict())
    for head in (more.tonic, more.degree):
        head.weight.data.zero_()
        head.bias.data.zero_()
    both = [losses(model, example, heads).auxiliary.item() for heads in (plain, more)]
    # Two guesses among twelve classes, each with the loss log 12.
    assert both[1] - both[0] == pytest.approx(2 * np.log(12), abs=1e-4)
    head = more.degree
    head.bias.data[[0, 5, 7, 9, 11]] = 20.0  # G, C, D, E and F sharp: what the line has
    told = losses(model, example, more).auxiliary.item()
    assert both[1] - told == pytest.approx(np.log(12 / 5), abs=1e-4)
