"""Sampling presets: named settings, each with where it comes from (``presets.toml``)."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from scoregate.errors import RequestError


@dataclass(frozen=True, slots=True)
class Preset:
    """A named setting of sampling.

    Attributes
    ----------
    name, title : str
    temperature : float
    top_p : float
    top_k : int
    advice : str
        What the source says, as ranges where it gives ranges.
    source : str
    """

    name: str
    title: str
    temperature: float
    top_p: float
    top_k: int
    advice: str
    source: str

    @property
    def values(self) -> dict[str, float | int]:
        """The values by the names that a request gives them."""
        return {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}


@cache
def presets() -> tuple[Preset, ...]:
    """Return all presets, in the order of the file."""
    text = resources.files("scoregate").joinpath("presets.toml").read_text("utf-8")
    return tuple(Preset(**row) for row in tomllib.loads(text)["preset"])


def find_preset(name: str) -> Preset:
    """Return the preset of this name.

    Raises
    ------
    RequestError
        There is none; the nearest name is given.
    """
    known = {preset.name: preset for preset in presets()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    raise RequestError(
        f"There is no sampling preset {name[:60]!r}.",
        f"Did you mean {near[0]}?" if near else "`scoregate presets` lists them.",
    )
