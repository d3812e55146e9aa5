"""The number of threads follows what the machine has free, and costs little to find."""

from __future__ import annotations

import pytest
from notagen_models import random_weights

import notagen
from notagen import kernels
from notagen.native import NativeModel
from notagen.shape import ModelShape
from notagen.threads import ThreadChooser


def spend(chooser, speed, patches):
    """Return the seconds for some patches of 16 steps, and how often each number was used."""
    total, used = 0.0, dict.fromkeys(chooser.candidates, 0)
    for _ in range(patches):
        count = chooser.next_patch()
        used[count] += 1
        for _ in range(16):
            chooser.note(speed[count])
        total += 16 * speed[count]
    return total, used


@pytest.mark.parametrize("best", [1, 2, 4, 6])
def test_the_fastest_number_is_used_and_the_others_cost_little(best):
    chooser = ThreadChooser(6)
    assert chooser.candidates == [1, 2, 4, 6]
    speed = {1: 1.0, 2: 1.2, 4: 3.0, 6: 7.0} | {best: 0.8}
    total, used = spend(chooser, speed, 1000)
    assert max(used, key=lambda count: used[count]) == best
    assert total < 1.12 * 1000 * 16 * 0.8


def test_it_changes_when_the_machine_does():
    chooser = ThreadChooser(2)
    spend(chooser, {1: 1.0, 2: 0.5}, 50)
    assert chooser.next_patch() == 2
    _, used = spend(chooser, {1: 1.0, 2: 7.0}, 200)
    assert used[2] < 10
    _, used = spend(chooser, {1: 1.0, 2: 0.5}, 1000)
    assert used[2] > 600


def test_a_number_that_is_asked_for_is_kept(tmp_path, monkeypatch):
    path = random_weights(tmp_path / "w.safetensors", ModelShape(512, 1, 1, 64))
    monkeypatch.setattr("notagen.device.os.sched_getaffinity", lambda _: range(6))
    adapting, fixed = notagen.load(path), notagen.load(path, threads=2)
    assert (adapting.threads, fixed.threads) == (6, 2)
    if not kernels.levels():
        pytest.skip("no kernels here: on PyTorch's operators texts depend on the threads")
    models = adapting._model, fixed._model
    assert isinstance(models[0], NativeModel)
    assert isinstance(models[1], NativeModel)
    assert models[0]._chooser is not None
    assert models[1]._chooser is None
    texts = [e.generate(["%a\n"], seeds=[1], max_patches=12)[0].raw for e in (adapting, fixed)]
    assert texts[0] == texts[1]
    assert set(models[0]._chooser.seconds) == {1, 2, 4, 6}
