"""What a model is told of the notes that sound, against the bars' own reader, and in the engine."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from notagen_models import HEADER, PROMPT

from scoregate import notagen
from scoregate.errors import RequestError, WeightsError
from scoregate.generator import Limits
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.selection import KERNELS_VARIABLE
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.reference import generate, load_model
from scoregate.notagen.model.shape import ModelShape, shape_of
from scoregate.notagen.sounding import (
    CLASSES,
    FEATURES,
    LOWEST,
    OFFSETS,
    SILENT,
    Listener,
)
from scoregate.notagen.text.forced import read_forced_text
from scoregate.notagen.text.patches import encode
from scoregate.notagen.training.deepen import deepen
from scoregate.notagen.training.encode import encode_example, heard
from scoregate.notagen.training.step import losses
from scoregate.notagen.training.stream import stream_text
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.weights import find, open_checkpoint, write_safetensors
from scoregate.notagen.weights.safetensors import LM_HEAD
from scoregate.sampling import Sampling

pytestmark = pytest.mark.usefixtures("one_thread")

STYLE = ("Baroque", "Bach, Johann Sebastian", "Choral")
SHAPE = ModelShape(64, 1, 1, 64, sounding=48)
PATCH_WTE = "patch_level_decoder.base.wte.weight"
TOP = "L:1/8\nM:4/4\nK:G\n"


def told(text: str) -> dict[str, int]:
    """Class of each feature behind a text; MIDI numbers for pitches, 0 for silence."""
    listener = Listener()
    listener.follow(text)
    if listener.features[0] == SILENT:
        return {}
    found = {}
    for name, row, base in zip(FEATURES, listener.features, OFFSETS, strict=True):
        value = row - int(base)
        if name.split("_")[0] in ("now", "before", "next", "kept") or name == "own":
            value = value + LOWEST - 1 if value else 0
        found[name] = value
    return found


def has(text: str, **expected: int) -> None:
    found = told(text)
    assert {name: found[name] for name in expected} == expected


def test_listener_agrees_with_the_reader_of_bars():
    """Time, own pitch, and the other voices' now and before, at every rule-made note."""
    count = 0
    place = {name: at for at, name in enumerate(FEATURES)}
    for number in range(4):
        text = stream_text(chorale(number), STYLE)
        example = encode_example(text)
        rows = heard(text, example.patches) - OFFSETS
        letters = np.isin(example.patches, [ord(char) for char in "ABCDEFGabcdefg"])
        # Inside "!fermata!" the labels stand for the note that follows.
        before = np.roll(example.patches.reshape(-1), 1).reshape(example.patches.shape)
        letters &= (before < ord("a")) & (before != ord("!"))
        for row, column in np.argwhere(letters & (example.time >= 0)):
            found = rows[row, column]
            assert found[place["time"]] == example.time[row, column]
            assert found[place["own"]] == example.own[row, column]
            for voice in range(3):
                if example.now[row, column, voice] >= 0:
                    now, was = example.now[row, column, voice], example.before[row, column, voice]
                    assert found[place[f"now_{voice + 1}"]] == now
                    assert found[place[f"before_{voice + 1}"]] == was
            count += 1
    assert count > 400


def test_nothing_is_told_outside_the_music():
    assert told("") == told(TOP) == told(TOP + "[r:0/3][V:") == {}
    assert told(TOP + "[r:0/3][V:1]") != {}
    assert told(TOP + "[r:0/3][V:1]G2 A2|") == {}
    assert told(TOP + "[r:0/3][V:5]") == {}  # of more voices than four


def test_time_and_what_is_left_of_the_bar():
    has(TOP + "[V:1]", voice=1, time=0, left=16, own=0)
    has(TOP + "[V:1]G2", time=4, left=12, own=67, own_degree=1)
    has(TOP + "[V:1]G2 A/", time=5, left=11, own=69, own_motion=15)
    has("L:1/4\nM:3/4\nK:G\n[V:1]G", time=4, left=8)
    # A pickup is as long as the first voice made it.
    has(TOP + "[V:1]G2|[V:2]", time=0, left=4)
    has(TOP + "[V:1]G4|\n[V:1][M:3/4]", time=0, left=12)


def test_signs_of_the_key_the_bar_and_the_tie():
    has(TOP + "[V:1]F", own=66)
    has(TOP + "[V:1]=F", own=65)
    has(TOP + "[V:1]=F2 G2 F", own=65)
    has(TOP + "[V:1]=F2 F'", own=78)  # another octave keeps the key's sign
    has(TOP + "[V:1]=F4|\n[V:1]F", own=66)
    has(TOP + "[V:1]=F4-|\n[V:1]", tied=1, own=65)
    has(TOP + "[V:1]=F4-|\n[V:1]F", own=65, tied=0)
    has("L:1/8\nM:4/4\nK:G\n[V:1][K:F]B", own=70, own_degree=6)


def test_other_voices_now_before_next_and_their_fermata():
    line = TOP + "[V:1]G2 A2 !fermata!B4|[V:2]"
    has(line, now_1=67, before_1=0, next_1=69, wait_1=4, flags_1=1, pause=9)
    has(line + "D2", now_1=69, before_1=67, next_1=71, wait_1=4, pause=5)
    has(line + "D2 D2", now_1=71, before_1=69, next_1=0, wait_1=0, flags_1=3, pause=1)
    # The line before is remembered, of later voices too.
    has(line + "D8|\n[V:1]", before_2=62, now_2=0)
    has(line + "D8|\n[V:1]B2|[V:2]", before_1=71, now_1=71)


def test_the_pitch_that_would_keep_a_perfect_interval():
    fifth = TOP + "[V:1]d2 e2|[V:2]G2"  # d over G, then the upper voice rises a tone
    has(fifth, interval_1=1 + 7, motion_1=13 + 2, kept_1=69)
    has(TOP + "[V:1]d2 e2|[V:2]A2", interval_1=1 + 5, motion_1=13 + 2, kept_1=0)  # a fourth
    has(TOP + "[V:1]G2 A2|[V:2]d2", interval_1=1 + 7, kept_1=76)  # the voices have crossed
    octave = TOP + "[V:1]g2 f2|[V:2]G2"
    has(octave, interval_1=1, motion_1=13 - 1, kept_1=66)
    has(TOP + "[V:1]g2 g2|[V:2]G2", interval_1=1, kept_1=0)  # nothing moves


@pytest.mark.parametrize("number", [0, 5])
def test_nothing_looks_ahead(number):
    """Every beginning of a text gives the classes that the whole text has there."""
    text = stream_text(chorale(number), STYLE)
    rows = heard(text, np.array(encode(text, finished=True), np.uint8))
    tokens = np.array(encode(text, finished=True))
    places = np.argwhere(tokens > 2)
    for at in range(0, len(places), 23):
        listener = Listener()
        listener.follow(text[:at])
        assert listener.features == tuple(rows[tuple(places[at])])


def test_listener_forgets_what_was_removed():
    text = stream_text(chorale(1), STYLE)
    lines = text.splitlines(keepends=True)
    listener = Listener()
    for end in (12, 15, 13, 16, 14, 14, 18):
        so_far = "".join(lines[:end]) + lines[end][: 5 * end % 40]
        listener.follow(so_far + lines[end][5 * end % 40 :] + lines[2])
        listener.follow(so_far)
        fresh = Listener()
        fresh.follow(so_far)
        assert listener.features == fresh.features


def listening(path: Path, spread: float) -> Path:
    """Write the first chorales with an input of what sounds that changes what they write."""
    checkpoint = open_checkpoint(find("chorales-1"))
    state = dict(checkpoint.read()) | {LM_HEAD: torch.empty(0), PATCH_WTE: torch.zeros(1, 192)}
    shape = replace(checkpoint.shape, length=64, sounding=48)
    model = NotaGen(shape)
    model.reset(torch.Generator().manual_seed(2))
    for name, tensor in model.state_dict().items():
        if ".sounding." in name:
            state[name] = tensor * 0 + spread * torch.randn(
                tensor.shape, generator=torch.Generator().manual_seed(len(name))
            )
        elif name.endswith("wpe.weight"):
            state[name] = state[name][: len(tensor)]
    del state[LM_HEAD]
    write_safetensors(path, iter(state.items()), {}, shape)
    return path


def test_listener_hears_what_was_written_in_place_of_a_line():
    """Lines were removed and written otherwise: nothing of the first ones is left."""
    lines = stream_text(chorale(1), STYLE).splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("[r:"))
    head, body = lines[:first], lines[first:]
    listener = Listener()
    for order in ([0, 1, 2, 3], [0, 2], [0, 2, 4, 1], [0, 2, 1], [3, 2, 1, 5]):
        so_far = "".join([*head, *(body[at] for at in order)]) + "[r:9/9][V:1]"
        listener.follow(so_far)
        fresh = Listener()
        fresh.follow(so_far)
        assert listener.features == fresh.features


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return listening(tmp_path_factory.mktemp("told") / "w.safetensors", 0.12)


def accept(before: str, line: str) -> bool:
    return zlib.crc32(line.encode()) % 3 != 0


OPENING = HEADER + "[r:0/9][V:1]G2 A2 B2 c2|[V:2]E2 D2 D2 E2|\n"


@pytest.mark.parametrize("kernel", [*kernels.kernel_sets(), "none"])
def test_both_paths_write_the_same_piece(weights, kernel, monkeypatch):
    """With refused lines, a forced opening and overflowing contexts, alone and in a batch."""
    monkeypatch.setenv(KERNELS_VARIABLE, kernel)
    rules = Rules(64, Limits(max_steps=40, line_tries=2), accept)
    model = load_model(open_checkpoint(weights))
    draft = Draft(PROMPT, 8, rules, read_forced_text(OPENING, prompted=True))
    draft = generate(model, draft, Sampling(1.0))
    engine = notagen.load(weights, threads=1)
    for count in (1, 3):
        piece = engine.generate(
            [PROMPT] * count, seeds=range(9 - count, 9), sampling=Sampling(temperature=1.0),
            limits=rules.limits, accept_line=accept, prefix=OPENING,
        )[-1]  # fmt: skip
        assert piece.raw == draft.raw
    assert draft.resampled_lines > 0
    assert draft.body.count("[V:") > 4  # it went on in music, where something sounds


def test_what_sounds_changes_what_is_written(weights, tmp_path):
    """The same weights with an input that adds nothing write another text."""
    texts = [
        notagen.load(path, threads=1)
        .generate([PROMPT], seeds=[1], prefix=OPENING, limits=Limits(max_steps=20))[0]
        .raw
        for path in (weights, listening(tmp_path / "deaf.safetensors", 0.0))
    ]
    assert texts[0] != texts[1]


def test_weights_that_begin_to_listen_compute_what_they_did():
    plain = NotaGen(ModelShape(64, 1, 1, 256)).eval()
    grown = NotaGen(ModelShape(64, 1, 1, 256, sounding=48)).eval()
    grown.load_state_dict(deepen(plain.state_dict(), grown.shape))
    example = encode_example(stream_text(chorale(3), STYLE), sounding=True)
    with torch.no_grad():
        assert losses(grown, example).text.item() == pytest.approx(
            losses(plain, example).text.item(), abs=1e-5
        )
    losses(grown, example).text.backward()
    told = grown.char_level_decoder.sounding
    assert told is not None
    assert told.out.weight.grad.abs().sum() > 0
    with pytest.raises(RequestError, match="cannot become"):
        deepen(grown.state_dict(), plain.shape)


def test_weights_of_another_table_are_refused_by_name():
    shapes = dict(SHAPE.tensors())
    assert shape_of(shapes) == SHAPE
    assert SHAPE.as_dict()["sounding"] == 48
    assert "sounding" not in ModelShape(64, 1, 1, 64).as_dict()
    shapes["char_level_decoder.sounding.table.weight"] = (CLASSES - 1, 48)
    with pytest.raises(WeightsError, match=r"sounding\.table\.weight is"):
        shape_of(shapes)


def test_another_device_is_refused_in_one_line(weights, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(RequestError, match="computed on the CPU only"):
        notagen.load(weights, device="mps")
