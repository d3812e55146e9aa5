"""A learned critic: how much a piece of four voices is like the real ones of its style.

The critic is a logistic regression on the measures of this package. It was learned from the
training side of the real pieces against a model's own pieces (``benchmarks/critic.py``), and its
numbers are a readable file beside this module. With a measure ``x`` of the mean ``m`` and the
deviation ``d``, ``z = (x - m) / d`` held between -4 and 4, the score is the intercept and the sum
of ``weight * z`` over all measures. It is the logarithm of the odds that the piece is a real one,
as far as these measures tell: 0 is as likely one as the other.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from scoregate.errors import UnreadableError
from scoregate.evaluation import counterpoint, dissonance, form, melody, rhythm
from scoregate.evaluation.reading import read_grid

FORMAT = 1
VOICES = 4
FARTHEST = 4.0
"""Standard deviations at which a measure counts no more: one outlier must not decide alone."""
FOLDER = Path(__file__).resolve().parent / "critics"

_MEASURES = {
    counterpoint: ("direct fifths and octaves", "overlaps"),
    dissonance: ("sevenths per 100 beats", "suspensions", "irregular dissonances"),
    melody: ("soprano moves by step", "alto moves by step", "tenor moves by step",
             "bass moves by step", "soprano range", "alto range", "tenor range", "bass range"),
    form: ("authentic cadences", "half cadences", "other cadences", "authentic last cadence",
           "ends in its key", "cadences off the tonic", "different cadence roots",
           "phrases that return"),
    rhythm: ("off-beat beats", "all voices together", "dotted notes", "voice 1 notes a beat",
             "voice 2 notes a beat", "voice 3 notes a beat", "voice 4 notes a beat"),
}  # fmt: skip
"""Measures that a critic uses, as they are defined in these modules. Left out are

- faults that judged pieces have no more often than real ones (parallels, melodic sevenths,
  augmented intervals, unresolved sevenths, doubled leading tones, crossing, wide spacing): a critic
  would learn to like them;
- what the key decides (mean pitches), and metre and length of the tune;
- shares of what many pieces do not have at all (answered leaps).
"""


@dataclass(frozen=True, slots=True)
class Feature:
    """A measure as a critic uses it.

    Attributes
    ----------
    name : str
    mean, deviation : float
        By which it is standardised.
    weight : float
        Of the standardised value; above 0 where the real pieces have more.
    """

    name: str
    mean: float
    deviation: float
    weight: float

    def part(self, value: float) -> float:
        """Return what a value adds to the score."""
        z = (value - self.mean) / self.deviation
        return self.weight * min(max(z, -FARTHEST), FARTHEST)


@dataclass(frozen=True, slots=True)
class Critic:
    """A learned critic of one style.

    Attributes
    ----------
    name : str
    version : str
        The first twelve digits of the SHA-256 of its file: other numbers, another version.
    style : str
        ``Period/Composer/Instrumentation`` that it knows.
    intercept : float
    features : tuple of Feature
    learned : dict
        What it was learned from, JSON-ready.
    """

    name: str
    version: str
    style: str
    intercept: float
    features: tuple[Feature, ...]
    learned: Mapping[str, Any]

    def as_dict(self) -> dict[str, str]:
        """Return what names the critic in a record."""
        return {"name": self.name, "version": self.version}

    def score(self, text: str) -> tuple[float | None, str]:
        """Return the score of a text, or None and the reason why it has none.

        Parameters
        ----------
        text : str
            Interleaved ABC, as the model wrote it or finished.
        """
        return self.score_of(critic_measures(text))

    def score_of(self, measured: Mapping[str, float]) -> tuple[float | None, str]:
        """Return the score of measures, or None and the reason why there is none.

        A measure that can't be formed is not replaced by another value.

        Parameters
        ----------
        measured : mapping
            What :func:`critic_measures` returned.
        """
        if not measured:
            return None, f"it has not {VOICES} voices with notes"
        unknown = [
            one.name for one in self.features if not math.isfinite(measured.get(one.name, math.nan))
        ]
        if unknown:
            return None, f"can't be formed: {', '.join(unknown)}"
        return self.intercept + sum(one.part(measured[one.name]) for one in self.features), ""


def critic_measures(text: str) -> dict[str, float]:
    """Return the measures that critics use; NaN where one can't be formed.

    Parameters
    ----------
    text : str
        Interleaved ABC.

    Returns
    -------
    dict of str to float
        By name; empty for a text that has not four voices, each with notes.
    """
    grid = read_grid(text)
    if len(grid.notes) != VOICES or not all(grid.notes):
        return {}
    found: dict[str, float] = {}
    for module, names in _MEASURES.items():
        measured = module.measures(grid)
        found |= {name: float(measured.get(name, math.nan)) for name in names}
    return found


def read_critic(path: Path) -> Critic:
    """Read the file of a critic.

    Raises
    ------
    UnreadableError
        It is missing, damaged, or of another format.
    """
    remedy = "Make it anew: python -m benchmarks.critic."
    try:
        content = path.read_bytes()
        stored = json.loads(content)
        if stored["format"] != FORMAT:
            raise UnreadableError(f"{path} has the format {stored['format']}.", remedy)
        features = tuple(Feature(**each) for each in stored["features"])
        numbers = [x for f in features for x in (f.mean, f.weight)]
        spread = [f.deviation for f in features]
        finite = all(map(math.isfinite, [stored["intercept"], *numbers, *spread]))
        if not finite or min(spread, default=0) <= 0:
            raise ValueError("a number is not finite, or a deviation not above 0")
        return Critic(
            stored["name"],
            hashlib.sha256(content).hexdigest()[:12],
            stored["style"],
            stored["intercept"],
            features,
            stored["learned"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"{path} is no critic: {error}.", remedy) from error


def critic_of(style: str) -> Critic | None:
    """Return the critic that knows a style; None where there is none.

    Raises
    ------
    UnreadableError
        A file of the package is damaged.
    """
    return _critics().get(style)


@lru_cache(maxsize=1)
def _critics() -> dict[str, Critic]:
    found = (read_critic(path) for path in sorted(FOLDER.glob("*.json")))
    return {critic.style: critic for critic in found}
