"""From logits to a character, in NotaGen's order, in double precision.

The order matters and is not the usual one: normalise, keep the ``top_k`` most probable,
normalise, keep the nucleus of mass ``top_p``, normalise, and only then apply the
temperature as a power, and draw. Normalising adds 1e-12 to every probability, so that at a
high temperature some mass leaks outside the nucleus; that is part of the distribution that
the released models were judged by, and kept.

Random numbers come from numpy's legacy ``RandomState(seed)``, whose stream numpy has
promised never to change: one uniform a character, 16 a patch whether they are used or not.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from scoregate.errors import RequestError
from scoregate.notagen.model.shape import VOCABULARY

FLOOR = 1e-12
COLD = 0.1
"""Below this temperature powers of all probabilities may vanish, so they are scaled first."""
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a character is drawn.

    Parameters
    ----------
    temperature : float
        Above 0; probabilities are raised to 1 / temperature after the truncation.
    top_k : int
        0 to 128: how many characters stay; 0 keeps all, 1 is greedy.
    top_p : float
        Above 0, at most 1: mass of the nucleus; the character that crosses it stays.

    Raises
    ------
    RequestError
        A value outside these bounds.
    """

    temperature: float = 1.2
    top_k: int = 9
    top_p: float = 0.9

    def __post_init__(self) -> None:
        if not (is_number(self.temperature) and 0 < self.temperature < math.inf):
            raise RequestError(
                f"A temperature of {self.temperature!r} can't be: it must be above 0.",
                "Take top_k=1 for the most probable character each time.",
            )
        # The range first: infinity is no whole number to compare with.
        in_range = is_number(self.top_k) and 0 <= self.top_k <= VOCABULARY
        if not (in_range and self.top_k == int(self.top_k)):
            raise RequestError(
                f"top_k = {self.top_k!r} can't be: there are {VOCABULARY} characters.",
                f"Take a whole number from 1 to {VOCABULARY}, or 0 to keep all.",
            )
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise RequestError(
                f"top_p = {self.top_p!r} can't be: it is a share of probability.",
                "Take a number above 0 and at most 1; 1 keeps all.",
            )
        # numpy's numbers become Python's: they are written into provenance.
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "top_k", int(self.top_k))
        object.__setattr__(self, "top_p", float(self.top_p))

    def as_dict(self) -> dict[str, float]:
        """Return the values as a JSON-ready dict."""
        return asdict(self)


def random_stream(seed: int) -> np.random.RandomState:
    """Return a piece's stream of random numbers.

    Raises
    ------
    RequestError
        The seed is no whole number from 0 to 2**32 - 1.
    """
    return np.random.RandomState(whole_number("seed", seed, 0, LARGEST_SEED))


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return a value that has to be a whole number, Python's or numpy's, as Python's.

    Raises
    ------
    RequestError
        Of another type, or below ``least`` or above ``most``.
    """
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise RequestError(
            f"{name} = {value!r} can't be: it is no whole number.", f"Take one: {allowed}."
        )
    if value < least or (most is not None and value > most):
        raise RequestError(f"{name} = {value} is outside the range: {allowed}.", "Take one in it.")
    return int(value)


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


def is_number(value: object) -> bool:
    """Whether a value is one of Python's or numpy's numbers; True and False are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
