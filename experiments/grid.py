"""The cells of a sweep: every combination of the settings that are varied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from scoregate.presets import find_preset
from scoregate.requests import DEFAULT_STYLE, ProduceRequest, SweepRequest, checked
from scoregate.seeds import seeds_of_round

LARGEST = 20_000
"""Pieces beyond which a sweep asks before it starts."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of settings.

    Attributes
    ----------
    style : str
    model : str
    weights : str or None
    temperature, top_p : float
    top_k : int
    judged : bool
        Whether lines that break a rule are resampled.
    seed : int
    count : int
        Pieces.
    preset : str
        Name of the preset that the values come from, or ``""``.
    """

    style: str
    model: str
    weights: str | None
    temperature: float
    top_p: float
    top_k: int
    judged: bool
    seed: int
    count: int
    preset: str = ""

    @property
    def key(self) -> str:
        """What identifies the cell: a hash of the settings that shape its pieces."""
        shaping = {name: value for name, value in asdict(self).items() if name != "preset"}
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def seeds(self) -> list[int]:
        """The seed of each piece."""
        return seeds_of_round(self.seed, 1, self.count)

    @property
    def values(self) -> dict[str, Any]:
        """The fields of the request that generates the cell's pieces, on one thread."""
        return {
            "style": self.style,
            "model": self.model,
            "weights": self.weights,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repair_lines": self.judged,
            "seed": self.seed,
            "count": self.count,
            "threads": 1,
        }

    def request(self) -> ProduceRequest:
        """Return the request that generates the cell's pieces."""
        return ProduceRequest(**self.values)


def cells_of(request: SweepRequest) -> list[Cell]:
    """Return the cells of a sweep, those of one setting beside each other.

    Raises
    ------
    RequestError
        An unknown preset, or a value out of its range.
    """
    settings: list[tuple[float, float, int, str]] = []
    for name in request.preset:
        preset = find_preset(name)
        settings.append((preset.temperature, preset.top_p, preset.top_k, preset.name))
    if not request.preset or request.temperature:
        settings += [
            (temperature, top_p, top_k, "")
            for temperature, top_p, top_k in product(
                request.temperature or [1.0], request.top_p or [0.9], request.top_k or [9]
            )
        ]
    modes = {"raw": (False,), "judged": (True,), "both": (False, True)}[request.lines]
    styles = request.style or ([DEFAULT_STYLE] if request.model == "notagen" else [""])
    cells = [
        Cell(
            style=style,
            model=request.model,
            weights=weights,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            judged=judged,
            seed=seed,
            count=request.count,
            preset=name,
        )
        for style in styles
        for weights in request.weights or [None]
        for temperature, top_p, top_k, name in settings
        for judged in modes
        for seed in request.seed or [1]
    ]
    for cell in cells:
        checked(ProduceRequest, **cell.values)
    return cells
