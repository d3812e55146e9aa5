"""Runs: the same curve after a kill, clear errors, early stopping, a usable result."""

import errno
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import STYLE, TEXTS, prepared_pieces, tiny

from scoregate.convert.bar_events import midi_pitch
from scoregate.errors import RequestError, ScoregateError, WeightsError
from scoregate.evaluation.lines import read_lines
from scoregate.notagen.training import project
from scoregate.notagen.training.corpus import Corpus
from scoregate.notagen.training.encode import encode_example
from scoregate.notagen.training.material import (
    RARE_KEYS,
    Material,
    key_shares,
    moves_within,
    signature_of,
)
from scoregate.notagen.training.stream import stream_text, transpose_text
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.training.train import Run, Stage, place_in_schedule, train
from scoregate.notagen.weights import open_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


def short(steps=12):
    return tiny(Stage(steps, 0.3, 0.0, 1e-3, 0.0, 0.1), muon=True, warmup=3)


def run_to_end(run, folder, every=2):
    material = Material(TEXTS, STYLE, 128)
    held = [encode_example(stream_text(chorale(9), STYLE))]
    return list(train(run, material, held, folder / "checkpoint.pt", every, every * 3))


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_curve(tmp_path, monkeypatch):
    whole = Run(short())
    run_to_end(whole, tmp_path)

    killed = Run(short())
    material = Material(TEXTS, STYLE, 128)
    monkeypatch.setattr("scoregate.notagen.training.train.CHECKPOINT_EVERY", 0.0)
    for progress in train(killed, material, [], tmp_path / "killed.pt", 1, 100):
        if progress.step == 5:
            break  # the kill: the checkpoint of step 4 or 5 is what is left
    again = Run.load(tmp_path / "killed.pt")
    assert 0 < again.step <= 5
    run_to_end(again, tmp_path)
    assert all(torch.equal(a, again.average[k]) for k, a in whole.average.items())


@pytest.mark.slow
def test_the_curve_continues_across_a_kill(tmp_path, monkeypatch):
    whole = Run(short())
    run_to_end(whole, tmp_path, every=4)
    monkeypatch.setattr("scoregate.notagen.training.train.CHECKPOINT_EVERY", 0.0)
    first = Run(short())
    for _ in range(6):
        for i, loss in enumerate(first.train_step(Material(TEXTS, STYLE, 128))):
            first.sums[i] += loss
        if first.step == 4:
            first.curve.append(dict(whole.curve[0]))
            first.sums = [0.0] * len(first.sums)
    first.save(tmp_path / "c.pt")
    again = Run.load(tmp_path / "c.pt")
    run_to_end(again, tmp_path, every=4)
    assert [p["loss"] for p in again.curve] == [p["loss"] for p in whole.curve]


def test_another_shape_is_refused(tmp_path):
    Run(short()).save(tmp_path / "c.pt")
    other = short()
    other.hidden = 128
    with pytest.raises(WeightsError, match="has the shape"):
        Run.load(tmp_path / "c.pt", other)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "c.pt").write_bytes(b"half a checkpoint")
    with pytest.raises(WeightsError, match="is damaged"):
        Run.load(tmp_path / "c.pt")


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    run = Run(short())
    run.save(tmp_path / "c.pt")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    run.step = 5
    with pytest.raises(ScoregateError, match=r"can't be written: .*No space left"):
        run.save(tmp_path / "c.pt")
    assert Run.load(tmp_path / "c.pt").step == 0
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_the_schedule_goes_through_its_stages():
    settings = short(steps=10)
    settings.stages.append(Stage(10, 0.0, 0.0, 5e-4, 0.0))
    assert place_in_schedule(settings, 5) == (pytest.approx(5e-4), pytest.approx(0.15), 0.1)
    assert place_in_schedule(settings, 15) == (pytest.approx(2.5e-4), 0.0, 0.0)
    assert place_in_schedule(settings, 20) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_early_stopping_keeps_the_best(tmp_path, monkeypatch):
    found = iter([1.0, 0.5, 0.6, 0.7, 0.8])
    monkeypatch.setattr(
        "scoregate.notagen.training.train.bits_per_character", lambda *_: next(found)
    )
    run = Run(short(steps=40))
    list(train(run, Material(TEXTS, STYLE, 128), [], tmp_path / "c.pt", 2, 2, patience=2))
    assert run.step == 8
    assert run.best is not None
    assert run.best[0] == 0.5


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RequestError, match="no device 'tpu'"):
        project.train_model(prepared_pieces(), short(), tmp_path, device="tpu")


def test_memory_used_up_is_said_plainly(tmp_path, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("scoregate.notagen.training.train.losses", full)
    with pytest.raises(ScoregateError, match="memory of cpu is used up"):
        project.train_model(prepared_pieces(), short(), tmp_path)


def test_settings_of_the_embedded_model_are_readable():
    settings = project.named_settings()
    assert settings.shape.length == 512
    assert settings.stages[0].synthetic == 1.0
    assert settings.stages[-1].lr_end == 0.0


def test_fine_tuning_takes_its_shape_from_the_weights(tmp_path):
    run = Run(short())
    project.write_weights(tmp_path / "w.safetensors", run, "x", [STYLE], "nothing", {})
    initial = project.read_initial(tmp_path / "w.safetensors")
    settings = project.fine_tuning(initial, pieces=10)
    assert settings.shape == run.settings.shape
    assert settings.steps == 600


@pytest.mark.slow
def test_ten_scores_end_in_a_usable_model(tmp_path):
    texts = {f"{i}.abc": chorale(i) for i in range(10)}
    prepared = project.prepare(Corpus(texts), STYLE)
    base = Run(short())
    project.write_weights(tmp_path / "base.safetensors", base, "base", [STYLE], "nothing", {})
    initial = project.read_initial(tmp_path / "base.safetensors")
    settings = project.fine_tuning(initial, 10, steps=60)
    said = []
    run = project.train_model(
        prepared, settings, tmp_path, initial=initial, patience=5, on_progress=said.append
    )
    evaluation = project.evaluate_model(run, prepared, pieces=3, seeds=(1,))
    paths = project.write_result(tmp_path, run, prepared, evaluation, "mine", "ten scores")
    opened = open_checkpoint(paths["weights"])
    assert opened.shape == settings.shape
    assert json.loads(opened.metadata["styles"]) == [list(STYLE)]
    found = [p.validation for p in said if p.validation is not None]
    assert found[-1] < found[0]
    assert "as written" in paths["card"].read_text()
    assert paths["curve"].read_text().startswith("step,loss")


def test_keys_beyond_the_voices_are_not_drawn():
    text = chorale(1)
    every = moves_within(text, None)
    assert [octaves for _, octaves in every] == [0] * 12
    for fifths, octaves in moves_within(text, (38, 80)):
        lines, _, _ = read_lines(transpose_text(text, fifths, octaves))
        sung = [
            midi_pitch(p) for x in lines for v in x.voices.values() for e in v for p in e.pitches
        ]
        assert min(sung) >= 38
        assert max(sung) <= 80
    assert moves_within(text, (60, 61)) == [(0, 0)]


# --- material --------------------------------------------------------------------------------


def keyed(key: str, metre: str = "4/4") -> str:
    return f"%%score [ 1 ]\nL:1/8\nM:{metre}\nK:{key}\nV:1\n[V:1]c4 d4|\n[V:1]e8|]\n"


def test_encoded_pieces_are_kept_up_to_a_number_of_bytes():
    texts = {str(i): keyed("C") for i in range(20)}
    one = encode_example(stream_text(keyed("C"))).nbytes
    material = Material(texts, None, cache_bytes=5 * one)
    for name in texts:
        material.piece(name)
    assert len(material._encoded) <= 5
    assert material._encoded.size <= 5 * one
    # What is dropped is encoded again, the same.
    assert (material.piece("0").patches == encode_example(stream_text(keyed("C"))).patches).all()


def test_keys_follow_the_corpus_where_it_is_asked_for():
    texts = {"a": keyed("G"), "b": keyed("G"), "c": keyed("G"), "d": keyed("F")}
    shares = key_shares(texts.values())
    assert (shares[1], shares[-1], shares[6]) == (0.75, 0.25, RARE_KEYS)

    def signatures(**more) -> Counter:
        material = Material(texts, None, **more)
        rng = np.random.default_rng(1)
        found: Counter = Counter()
        for _ in range(300):
            text = "".join(chr(c) for c in material.draw(rng).patches.ravel() if c > 2)
            found[signature_of(text)] += 1
        return found

    assert signatures(corpus_keys=True)[1] > 150
    assert signatures()[1] < 60


def test_pieces_in_triple_metre_can_be_drawn_more_often():
    texts = {"a": keyed("C"), "b": keyed("C", "3/4").replace("c4 d4", "c4 d2").replace("e8", "e6")}
    material = Material(texts, None, triple=3.0)
    rng = np.random.default_rng(1)
    rows = [bytes(material.draw(rng).patches.ravel().tolist()) for _ in range(200)]
    assert 120 < sum(b"M:3/4" in row for row in rows) < 180


def test_settings_for_voice_leading_go_on_from_the_embedded_shape():
    settings = project.named_settings("voice_leading", seed=5)
    assert settings.seed == 5
    assert settings.unlikelihood > 0
    assert settings.shape == project.named_settings("chorales").shape


def test_weights_of_another_shape_are_refused_before_training():
    with pytest.raises(RequestError, match="cannot become"):
        Run(short(), Run(replace(short(), length=64)).average)


def test_a_run_may_be_deeper_than_the_weights_it_goes_on_from():
    shallow = Run(short()).average
    deeper = Run(replace(short(), char_layers=2), shallow)
    name = "char_level_decoder.base.transformer.h.0.attn.c_attn.weight"
    assert torch.equal(deeper.average[name], shallow[name])
