"""NotaGen's order of truncation, and the draw."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scoregate.errors import RequestError
from scoregate.sampling import Sampling, random_stream
from scoregate.token_sampling import sample_tokens, truncate


def plain_draw(probabilities, uniform, sampling):
    """Apply the same rules, one character at a time, written out."""

    def norm(p):
        p = [(x if x > 0 else 0.0) + 1e-12 for x in p]
        return [x / math.fsum(p) for x in p]

    p = norm([float(x) for x in probabilities])
    order = sorted(range(len(p)), key=lambda i: -p[i])
    if sampling.top_k:
        kept = set(order[: sampling.top_k])
        p = [x if i in kept else 0.0 for i, x in enumerate(p)]
        p = norm([x / math.fsum(p) for x in p])
    if sampling.top_p < 1:
        mass, kept = 0.0, set()
        for i in order:
            if mass <= sampling.top_p:
                kept.add(i)
            mass += p[i]
        p = [x if i in kept else 0.0 for i, x in enumerate(p)]
    p = [x ** (1 / sampling.temperature) for x in norm(p)]
    total, mass = math.fsum(p), 0.0
    for i, x in enumerate(p):
        mass += x / total
        if mass > uniform:
            return i
    return len(p) - 1


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(1, 0, 1), Sampling(2, 12, 0.95), Sampling(4, 3, 0.5), Sampling(0.7, 1)],
)
def test_draws_agree_with_the_rules_written_out(sampling):
    random = np.random.RandomState(1)
    logits = random.normal(0, 3, (200, 128))
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    uniforms = random.random_sample(200)
    expected = [plain_draw(row, u, sampling) for row, u in zip(p, uniforms, strict=True)]
    assert sample_tokens(p, uniforms, sampling).tolist() == expected


def test_row_is_drawn_alike_alone_and_among_others():
    random = np.random.RandomState(2)
    p = random.dirichlet(np.full(128, 0.1), 32).astype(np.float32)
    uniforms = random.random_sample(32)
    together = sample_tokens(p, uniforms, Sampling())
    alone = [sample_tokens(p[i : i + 1], uniforms[i : i + 1], Sampling())[0] for i in range(32)]
    assert together.tolist() == alone


def test_character_that_crosses_the_nucleus_stays():
    p = np.zeros((1, 128), dtype=np.float32)
    p[0, :3] = 0.5, 0.3, 0.2
    kept = truncate(p, Sampling(1.0, 0, 0.6))[0]
    assert (kept > 1e-6).tolist() == [True, True] + [False] * 126
    np.testing.assert_allclose(kept[:2], [0.625, 0.375], atol=1e-9)


def test_temperature_comes_after_the_truncation():
    p = np.zeros((1, 128), dtype=np.float32)
    p[0, :2] = 0.8, 0.2
    kept = truncate(p, Sampling(2.0, 0, 1.0))[0]
    assert kept[0] / kept[1] == pytest.approx(2.0)


def test_mass_leaks_outside_the_nucleus_at_a_high_temperature():
    p = np.zeros((1, 128), dtype=np.float32)
    p[0, :2] = 0.8, 0.2
    assert truncate(p, Sampling(1.2, 2, 0.9))[0, 2:].sum() < 1e-7
    assert truncate(p, Sampling(4.0, 2, 0.9))[0, 2:].sum() > 1e-2


@pytest.mark.parametrize("temperature", [1e-9, 1e-3, 0.05])
def test_low_temperature_draws_the_most_probable(temperature):
    p = np.random.RandomState(4).dirichlet(np.full(128, 0.1), 8).astype(np.float32)
    drawn = sample_tokens(p, np.full(8, 0.5), Sampling(temperature))
    assert drawn.tolist() == p.argmax(axis=1).tolist()


def test_whole_number_as_a_float_is_a_whole_number():
    assert Sampling(top_k=9.0) == Sampling(top_k=9)
    assert type(Sampling(top_k=9.0).top_k) is int


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": -1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_k": 2.5},
        {"top_k": math.inf},
        {"top_k": math.nan},
        {"top_p": 0},
        {"top_p": 1.01},
        {"top_p": math.nan},
    ],
)
def test_wrong_value_is_refused(wrong):
    with pytest.raises(RequestError):
        Sampling(**wrong)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True])
def test_wrong_seed_is_refused(seed):
    with pytest.raises(RequestError):
        random_stream(seed)


def test_stream_of_a_seed_never_changes():
    assert random_stream(7).random_sample(2).tolist() == [0.07630828937395717, 0.7799187922401146]
