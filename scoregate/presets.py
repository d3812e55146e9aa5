"""Sampling presets: named settings, each with where it comes from (``presets.toml``).

What was measured with them stands beside it in ``presets_measured.json``, which
``benchmarks/presets.py`` writes from a sweep.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from scoregate.errors import RequestError, UnreadableError


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


@dataclass(frozen=True, slots=True)
class MeasuredPreset:
    """What a sweep measured with the values of a preset.

    Attributes
    ----------
    judged : bool
        Whether lines that break a rule were resampled.
    pieces, passed : int
    low, high : float
        Wilson's interval of the pass rate at 95 %.
    steps_per_character : float or None
        Steps of the model for each character that was kept.
    """

    judged: bool
    pieces: int
    passed: int
    low: float
    high: float
    steps_per_character: float | None

    @property
    def text(self) -> str:
        """``75.5 % (69.1 to 80.9), n 200``."""
        rate = 100 * self.passed / self.pieces
        return f"{rate:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}), n {self.pieces}"


def measured_presets(folder: Path | None = None) -> dict[str, list[MeasuredPreset]]:
    """Return what was measured with each preset, by its name; raw pieces before judged ones.

    Parameters
    ----------
    folder : Path, optional
        Folder of a sweep over presets; left out, the figures that come with the program.

    Raises
    ------
    UnreadableError
        The folder holds no finished sweep.
    """
    try:
        if folder is None:
            text = resources.files("scoregate").joinpath("presets_measured.json").read_text("utf-8")
        else:
            text = (folder / "results.json").read_text("utf-8")
        found: dict[str, list[MeasuredPreset]] = {}
        for row in json.loads(text):
            settings: dict[str, Any] = row["settings"]
            figures: dict[str, Any] = row["figures"]
            if settings["preset"] and figures["pieces"]:
                found.setdefault(settings["preset"], []).append(
                    MeasuredPreset(
                        judged=settings["judged"],
                        pieces=figures["pieces"],
                        passed=figures["passed"],
                        low=figures["low"],
                        high=figures["high"],
                        steps_per_character=figures["steps_per_character"],
                    )
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableError(
            f"{folder} holds no finished sweep.",
            "Measure presets with `scoregate sweep --preset NAME --folder FOLDER`.",
        ) from error
    return {name: sorted(rows, key=lambda row: row.judged) for name, rows in found.items()}


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
