"""Which embedded weights a request without weights takes: those trained on its style."""

from __future__ import annotations

import json

import pytest
import torch

from scoregate import notagen
from scoregate.abc.finish import finish
from scoregate.errors import RequestError
from scoregate.evaluation.tunes import measure_tune
from scoregate.findings import Status
from scoregate.flows.launch import check_request
from scoregate.generator import with_weights
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.weights import registry, write_safetensors
from scoregate.requests import ProduceRequest
from scoregate.validators.checking import reasons
from scoregate.validators.counterpoint_judge import line_judge
from scoregate.validators.examination import examine

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"
JIGS = ["Folk/One/Fiddle", "Folk/Two/Fiddle"]


@pytest.fixture
def two_files(tmp_path, monkeypatch):
    """Embedded chorales, and a second file with two styles."""
    path = tmp_path / "tunes.safetensors"
    shape = ModelShape(64, 1, 1, 16)
    model = NotaGen(shape)
    model.reset(torch.Generator().manual_seed(1))
    state = dict(model.state_dict())
    del state["char_level_decoder.base.lm_head.weight"]
    write_safetensors(path, iter(state.items()), {"styles": json.dumps(JIGS)}, shape)
    files = {"chorales": registry.find("chorales"), "tunes": path}
    monkeypatch.setattr(registry, "_EMBEDDED_FILES", files)
    return path


@pytest.mark.usefixtures("two_files")
@pytest.mark.parametrize(
    ("style", "weights"),
    [("", None), (CHORAL, None), ("bach", None), (JIGS[1], "tunes"), ("folk/two", "tunes")],
)
def test_a_style_brings_its_weights(style, weights):
    asked = ProduceRequest(style=style) if style else ProduceRequest()
    assert with_weights(asked).weights == weights
    settled = check_request(asked)
    assert settled.weights == weights
    assert settled.style == (JIGS[1] if weights else CHORAL)


@pytest.mark.usefixtures("two_files")
def test_weights_that_are_named_stay(two_files):
    asked = ProduceRequest(style=JIGS[0], weights=str(two_files))
    assert with_weights(asked) == asked


@pytest.mark.usefixtures("two_files")
def test_a_style_of_none_is_refused_with_those_of_all():
    with pytest.raises(RequestError):
        check_request(ProduceRequest(style="Romantic/Chopin, Frederic/Keyboard"))
    with pytest.raises(RequestError, match="may mean 2 styles"):
        check_request(ProduceRequest(style="fiddle"))
    assert [str(style) for style in notagen.trained_styles(None) or ()] == [CHORAL, *JIGS]


def test_another_kind_of_generator_is_left_alone():
    asked = ProduceRequest(model="lstm", style="ryan")
    assert with_weights(asked) == asked


@pytest.mark.usefixtures("two_files")
def test_the_styles_are_loaded_from_their_file():
    engine = notagen.load("tunes")
    assert engine.name == "tunes"
    assert [str(style) for style in engine.styles or ()] == JIGS


def test_the_embedded_models_are_named_by_the_styles_they_write():
    assert registry.weights_for(CHORAL) is None
    assert registry.weights_for("Folk/O'Neill, Francis/Fiddle") == "fiddle"
    listed = [str(style) for style in notagen.trained_styles(None) or ()]
    assert listed[0] == CHORAL
    assert [style for style in listed if style.startswith("Folk/")] == [
        f"Folk/{name}/Fiddle"
        for name in ("Aird, James", "O'Neill, Francis", "Ryan, William Bradbury")
    ]


@pytest.mark.slow
def test_the_embedded_fiddle_tunes_pass_the_gates_under_the_judge_of_lines():
    style = "Folk/Ryan, William Bradbury/Fiddle"
    engine = notagen.load("fiddle", device="cpu", threads=1)
    drawn = engine.generate([style] * 4, seeds=range(4), accept_line=line_judge(style))
    for piece in drawn:
        seen = examine(piece.raw, style=style, production=True, profile="notagen")
        assert seen.verdict().status is Status.PASSED, reasons(seen.verdict(), seen.outcomes)
        tune = measure_tune(finish(piece.raw).text)
        assert tune is not None
        assert tune.in_metre == 1


def test_first_version_of_the_chorales_is_there_by_its_name():
    """Its style is listed once, and means the newer ones."""
    first, newer = notagen.load("chorales-1"), notagen.load("chorales")
    assert first.styles == newer.styles
    assert first.sha256 != newer.sha256
    assert (first.shape.sounding, newer.shape.sounding) == (0, 384)
    styles = notagen.trained_styles(None) or ()
    assert len(set(styles)) == len(styles)
    assert with_weights(ProduceRequest(style=CHORAL)).weights is None
