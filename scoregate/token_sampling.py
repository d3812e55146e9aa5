"""Sampling of a token from its probabilities, in double precision, as all generators do it.

The order is NotaGen's and not the usual one: normalise, keep the ``top_k`` most probable,
normalise, keep the nucleus of mass ``top_p``, normalise, and only then apply the temperature as a
power, and sample. Normalising adds 1e-12 to every probability, so that at a high temperature some
mass leaks outside the nucleus. That is a part of the distribution that the released models were
evaluated with, and is done here as well.

Random numbers come from :func:`scoregate.sampling.random_stream`: one uniform number for each
token that is not forced.
"""

from __future__ import annotations

import numpy as np

from scoregate.sampling import Sampling

FLOOR = 1e-12
"""What normalising adds to every probability."""
COLD = 0.1
"""Below this temperature powers of all probabilities may vanish, so they are scaled first."""


def truncate(probabilities: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Apply top-k, nucleus and temperature to probabilities.

    Parameters
    ----------
    probabilities : ndarray, (rows, tokens)
        The softmax of the logits; any float type, finite.
    sampling : Sampling

    Returns
    -------
    ndarray, (rows, tokens), float64
        Probabilities to sample from.
    """
    p = probabilities.astype(np.float64)
    p += FLOOR
    rows, size = p.shape
    count = sampling.top_k or size
    # The tokens after the first `count` all have the same probability: one column, `rest`,
    # stands for them.
    others = size - count
    cells = (-p).argsort(axis=1)[:, :count] + np.arange(rows)[:, None] * size
    ranked = p.ravel()[cells]
    ranked /= ranked.sum(axis=1, keepdims=True)
    rest = _normalise(ranked, np.zeros((rows, 1)), others)
    if sampling.top_p < 1:
        mass = ranked.cumsum(axis=1)
        ranked[:, 1:][mass[:, :-1] > sampling.top_p] = 0
        rest[mass[:, -1:] > sampling.top_p] = 0
    # Also where nothing was cut: the floor is added again, as in the released code.
    rest = _normalise(ranked, rest, others)
    if sampling.temperature < COLD:
        rest /= ranked[:, :1]
        ranked /= ranked[:, :1].copy()
    if sampling.temperature != 1:
        ranked **= 1 / sampling.temperature
        rest **= 1 / sampling.temperature
    total = ranked.sum(axis=1, keepdims=True) + others * rest
    p[:] = rest / total
    p.ravel()[cells] = ranked / total
    return p


def sample_tokens(
    probabilities: np.ndarray, uniforms: np.ndarray, sampling: Sampling
) -> np.ndarray:
    """Sample one token for each row.

    Parameters
    ----------
    probabilities : ndarray, (rows, tokens)
        The softmax of the logits.
    uniforms : ndarray, (rows,)
        Random numbers in [0, 1).
    sampling : Sampling

    Returns
    -------
    ndarray, (rows,), int64
        The first token whose cumulative probability is above the random number.
    """
    edges = np.cumsum(truncate(probabilities, sampling), axis=1)
    edges /= edges[:, -1:]
    return (edges > uniforms[:, None]).argmax(axis=1)


def _normalise(ranked: np.ndarray, rest: np.ndarray, others: int) -> np.ndarray:
    """Add the floor and make the probabilities sum to 1.

    Parameters
    ----------
    ranked : ndarray, (rows, count)
        Changed in place.
    rest : ndarray, (rows, 1)
        The probability of each of the other tokens.
    others : int
        How many other tokens there are.

    Returns
    -------
    ndarray, (rows, 1)
        The new ``rest``.
    """
    ranked += FLOOR
    rest = rest + FLOOR
    total = ranked.sum(axis=1, keepdims=True) + others * rest
    ranked /= total
    return rest / total
