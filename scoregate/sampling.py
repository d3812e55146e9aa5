"""The settings of sampling, seeded random numbers, and checks of numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, TypeGuard

from scoregate.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is sampled.

    Parameters
    ----------
    temperature : float
        Above 0.
    top_k : int
        How many of the most probable tokens stay; 0 keeps all, 1 is greedy.
    top_p : float
        Above 0, at most 1: probability mass of the nucleus. The token that crosses it stays.

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
                f"A temperature of {self.temperature!r} is not valid: it must be above 0.",
                "Take top_k=1 for the most probable token each time.",
            )
        # The range first: infinity can't be converted to an integer.
        in_range = is_number(self.top_k) and 0 <= self.top_k < math.inf
        if not (in_range and self.top_k == int(self.top_k)):
            raise RequestError(
                f"top_k = {self.top_k!r} is not valid: it is a number of tokens.",
                "Take a whole number from 1 on, or 0 to keep all.",
            )
        if not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise RequestError(
                f"top_p = {self.top_p!r} is not valid: it is a share of probability.",
                "Take a number above 0 and at most 1; 1 keeps all.",
            )
        # Numbers of numpy become Python's, because they are written as JSON.
        object.__setattr__(self, "temperature", float(self.temperature))
        object.__setattr__(self, "top_k", int(self.top_k))
        object.__setattr__(self, "top_p", float(self.top_p))

    def as_dict(self) -> dict[str, float]:
        """Return the values as a JSON-ready dict."""
        return asdict(self)


def random_stream(seed: int) -> np.random.RandomState:
    """Return a piece's stream of random numbers.

    It is numpy's legacy generator, whose stream numpy has promised never to change.

    Raises
    ------
    RequestError
        The seed is not a whole number from 0 to 2**32 - 1.
    """
    import numpy as np  # here, so that importing this module stays cheap

    return np.random.RandomState(whole_number("seed", seed, 0, LARGEST_SEED))


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return a whole number of Python or numpy as Python's.

    Parameters
    ----------
    name : str
        What the value is called in the message.
    value : object
    least : int
    most : int, optional
        By default there is no upper bound.

    Raises
    ------
    RequestError
        Of another type, or below ``least`` or above ``most``.
    """
    allowed = f"{least} or more" if most is None else f"{least} to {most}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise RequestError(
            f"{name} = {value!r} is not valid: it is not a whole number.", f"Take one: {allowed}."
        )
    number = int(value)
    if number < least or (most is not None and number > most):
        raise RequestError(f"{name} = {value} is outside the range: {allowed}.", "Take one in it.")
    return number


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a real number of Python or numpy; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)
