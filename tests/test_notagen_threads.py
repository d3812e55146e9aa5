"""The number of threads follows what the machine has free, and costs little to find."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from notagen_models import random_weights

from scoregate import notagen
from scoregate.generator import Limits
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.compiled import CompiledBackend
from scoregate.notagen.backends.threads import ThreadChooser
from scoregate.notagen.model.shape import ModelShape


def spend(chooser, speed, patches):
    """Return the seconds for some patches of 16 steps, and how often each number was used."""
    total, used = 0.0, dict.fromkeys(chooser.candidates, 0)
    for _ in range(patches):
        count = chooser.next_patch()
        used[count] += 1
        for _ in range(16):
            chooser.add(speed[count])
        total += 16 * speed[count]
    return total, used


needs_kernels = pytest.mark.skipif(
    not kernels.kernel_sets(), reason="no compiler here: PyTorch's operators have their own threads"
)


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


@pytest.mark.slow
def test_a_number_that_is_asked_for_is_kept(tmp_path, monkeypatch):
    path = random_weights(tmp_path / "w.safetensors", ModelShape(512, 1, 1, 64))
    monkeypatch.setattr("scoregate.notagen.backends.device.cores", lambda: 6)
    adapting, fixed = notagen.load(path), notagen.load(path, threads=2)
    assert (adapting.threads, fixed.threads) == (6, 2)
    assert notagen.load(path, threads=64).threads == 6
    if not kernels.kernel_sets():
        pytest.skip("no kernels here: on PyTorch's operators texts depend on the threads")
    models = adapting._backend, fixed._backend
    assert isinstance(models[0], CompiledBackend)
    assert isinstance(models[1], CompiledBackend)
    assert models[0]._chooser is not None
    assert models[1]._chooser is None
    texts = [
        e.generate(["%a\n"], seeds=[1], limits=Limits(max_steps=12))[0].raw
        for e in (adapting, fixed)
    ]
    assert texts[0] == texts[1]
    assert set(models[0]._chooser.seconds) == {1, 2, 4, 6}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w")
    return random_weights(folder / "w.safetensors", ModelShape(256, 2, 1, 200))


def text_of(engine, seed):
    return engine.generate(["%a\n"] * 3, seeds=[seed, 1, 2], limits=Limits(max_steps=8))[0].raw


@pytest.mark.slow
@needs_kernels
def test_teams_of_any_size_write_the_same_text(path, monkeypatch):
    """The pool grows, shrinks and has more threads than the machine has cores."""
    monkeypatch.setattr("scoregate.notagen.backends.device.cores", lambda: 16)
    texts = {text_of(notagen.load(path, threads=n), 7) for n in (1, 2, 5, 3, 9, 1, 2)}
    assert len(texts) == 1


@pytest.mark.slow
@needs_kernels
def test_engines_may_write_at_the_same_time(path, monkeypatch):
    """One has the pool's threads, the other computes alone; neither waits or mixes rows up."""
    monkeypatch.setattr("scoregate.notagen.backends.device.cores", lambda: 16)
    engines = [notagen.load(path, threads=3) for _ in range(3)]
    expected = [text_of(engine, seed) for seed, engine in enumerate(engines)]
    found: dict[int, list[str]] = {}

    def write(number):
        found[number] = [text_of(engines[number], number) for _ in range(4)]

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert found == {number: [text] * 4 for number, text in enumerate(expected)}


@pytest.mark.slow
@needs_kernels
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_waits_for_none_of_its_parents_threads(path):
    """It has none of them: neither the kernels' nor the one that was writing."""
    script = (
        "import os, sys\n"
        "from scoregate import notagen\n"
        "from scoregate.generator import Limits\n"
        f"engine = notagen.load({str(path)!r}, threads=3)\n"
        "limits = Limits(max_steps=10)\n"
        "write = lambda: engine.generate(['%a\\n'], seeds=[5], limits=limits)[0].raw\n"
        "engine._backend.threads = 3\n"
        "before = write()\n"
        "engine._lock.acquire()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if write() == before else 3)\n"
        "_, status = os.waitpid(child, 0)\n"
        "engine._lock.release()\n"
        "print(os.waitstatus_to_exitcode(status), write() == before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["0", "True"], done.stderr
