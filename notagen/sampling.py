"""From logits to a character, in NotaGen's order, in double precision.

The order matters and is not the usual one: normalise, keep the ``top_k`` most probable,
normalise, keep the nucleus of mass ``top_p``, normalise, and only then apply the
temperature as a power, and draw. Normalising adds 1e-12 to every probability, so that at a
high temperature some mass leaks outside the nucleus; that is part of the distribution that
the released models were judged by, and kept.

Random numbers come from :func:`scoregate.sampling.random_stream`: one uniform a character, 16 a
patch whether they are used or not.
"""

from __future__ import annotations

import numpy as np

from scoregate.sampling import Sampling

FLOOR = 1e-12
COLD = 0.1
"""Below this temperature powers of all probabilities may vanish, so they are scaled first."""


def truncate(probabilities: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Apply top-k, nucleus and temperature to probabilities.

    Parameters
    ----------
    probabilities : ndarray, (rows, 128)
        The softmax of the logits; any float type, finite.
    sampling : Sampling

    Returns
    -------
    ndarray, (rows, 128), float64
        Probabilities to draw from.
    """
    p = probabilities.astype(np.float64)
    p += FLOOR
    rows, size = p.shape
    kept = sampling.top_k or size
    # Behind the first `kept` all are alike: one column, `rest`, stands for them.
    alike = size - kept
    places = (-p).argsort(axis=1)[:, :kept] + np.arange(rows)[:, None] * size
    ranked = p.ravel()[places]
    ranked /= ranked.sum(axis=1, keepdims=True)
    rest = _normalise(ranked, np.zeros((rows, 1)), alike)
    if sampling.top_p < 1:
        mass = ranked.cumsum(axis=1)
        ranked[:, 1:][mass[:, :-1] > sampling.top_p] = 0
        rest[mass[:, -1:] > sampling.top_p] = 0
    # Normalised again even where nothing was cut: the floor is part of the distribution.
    rest = _normalise(ranked, rest, alike)
    if sampling.temperature < COLD:
        rest /= ranked[:, :1]
        ranked /= ranked[:, :1].copy()
    if sampling.temperature != 1:
        ranked **= 1 / sampling.temperature
        rest **= 1 / sampling.temperature
    total = ranked.sum(axis=1, keepdims=True) + alike * rest
    p[:] = rest / total
    p.ravel()[places] = ranked / total
    return p


def draw(probabilities: np.ndarray, uniforms: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Draw one character a row.

    Parameters
    ----------
    probabilities : ndarray, (rows, 128)
        The softmax of the logits.
    uniforms : ndarray, (rows,)
        Random numbers in [0, 1).
    sampling : Sampling

    Returns
    -------
    ndarray, (rows,), int64
        The first code whose cumulative probability is above the random number.
    """
    edges = np.cumsum(truncate(probabilities, sampling), axis=1)
    edges /= edges[:, -1:]
    return (edges > uniforms[:, None]).argmax(axis=1)


def _normalise(ranked: np.ndarray, rest: np.ndarray, alike: int) -> np.ndarray:
    """Lift probabilities off zero and make them sum to 1; return what became of the rest."""
    ranked += FLOOR
    rest = rest + FLOOR
    total = ranked.sum(axis=1, keepdims=True) + alike * rest
    ranked /= total
    return rest / total
