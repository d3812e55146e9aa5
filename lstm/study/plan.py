"""The plan of a study: levels of the factors, limits, and the arms that follow from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from scoregate.errors import RequestError, ToolError, UnreadableError
from scoregate.lstm.training import Settings

FACTORS = ("length", "hidden", "batch", "lr")
"""Fields of :class:`scoregate.lstm.training.Settings` that are changed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that shapes a study.

    Attributes
    ----------
    original, changed : dict of str to float
        The two levels of each factor.
    updates : int
        Limit of the readout with equal updates.
    seconds : float
        Limit of the readout with equal time, in processor seconds of training steps.
    validate_every : int
        Updates between validations.
    patience : int
        Training stops early after so many validations without a better one.
    validation_pieces : int
        Pieces of the validation side that are used.
    seeds : int
        How often each arm is trained.
    pieces : int
        Pieces sampled from an arm at each temperature.
    temperatures : list of float
        The first is used at both readouts, the others with equal time only.
    sources : list of str
        As :func:`scoregate.lstm.corpus.collect` takes them.
    most_events : int
        A sampled piece that is longer is cut off, and does not pass.
    arms : list of str
        Names of the arms to run; empty for all.
    references : list of str
        Sets of other pieces to measure beside the arms, by their names in ``tasks/study.py``.
    embedding, layers : int
    dropout : float
    most_files : int
        Files of the sources that are read at most; 0 for all of them.
    """

    original: dict[str, float]
    changed: dict[str, float]
    updates: int
    seconds: float
    validate_every: int
    patience: int
    validation_pieces: int
    seeds: int
    pieces: int
    temperatures: list[float]
    sources: list[str]
    most_events: int
    arms: list[str]
    references: list[str]
    embedding: int
    layers: int
    dropout: float
    most_files: int = 0


@dataclass(frozen=True, slots=True)
class Arm:
    """One combination of the factors' levels.

    Attributes
    ----------
    changed : tuple of str
        Factors at their changed level, in the order of :data:`FACTORS`.
    """

    changed: tuple[str, ...]

    @property
    def name(self) -> str:
        """``original``, ``all``, or the changed factors joined by ``+``."""
        if len(self.changed) == len(FACTORS):
            return "all"
        return "+".join(self.changed) or "original"

    def settings(self, plan: Plan, seed: int, **limits: Any) -> Settings:
        """Return the settings of a training run.

        Parameters
        ----------
        plan : Plan
        seed : int
        **limits
            ``steps`` and ``seconds``.
        """
        levels = {
            factor: (plan.changed if factor in self.changed else plan.original)[factor]
            for factor in FACTORS
        }
        return Settings(
            embedding=plan.embedding,
            hidden=int(levels["hidden"]),
            layers=plan.layers,
            length=int(levels["length"]),
            batch=int(levels["batch"]),
            lr=float(levels["lr"]),
            dropout=plan.dropout,
            seed=seed,
            validate_every=plan.validate_every,
            patience=plan.patience,
            decay=False,  # so that a run read out early is that of a shorter limit
            **limits,
        )


def arms_of(plan: Plan) -> list[Arm]:
    """Return the arms of a study, the most telling first.

    Each factor alone, and a fractional factorial design of resolution IV with the fourth factor
    in the three others' product: eight arms, ``original`` and ``all`` among them, in which no
    main effect is confounded with an interaction of two.

    Raises
    ------
    ToolError
        pydoe is not installed.
    RequestError
        The plan names an arm that there is not.
    """
    try:
        from pydoe import fracfact
    except ImportError as error:
        raise ToolError(
            "The study needs pydoe, which is not installed.", "pip install 'scoregate[study]'"
        ) from error
    rows = fracfact("a b c abc")
    changed = {tuple(f for f, level in zip(FACTORS, row, strict=True) if level > 0) for row in rows}
    changed |= {(factor,) for factor in FACTORS}
    order = {0: 0, len(FACTORS): 1, 1: 2}
    arms = [Arm(each) for each in sorted(changed, key=lambda c: (order.get(len(c), 3), c))]
    if not plan.arms:
        return arms
    unknown = set(plan.arms) - {arm.name for arm in arms}
    if unknown:
        raise RequestError(
            f"The study has no arm {', '.join(sorted(unknown))}.",
            f"Its arms are {', '.join(arm.name for arm in arms)}.",
        )
    return [arm for arm in arms if arm.name in plan.arms]


def load_plan(name: str, **changes: Any) -> Plan:
    """Read a plan by name (committed with the package) or from a JSON file.

    Parameters
    ----------
    name : str
        ``quick``, ``small``, ``twice``, ``scaled``, ``full``, or a file.
    **changes
        Values that replace the file's; those that are None are left out.

    Raises
    ------
    UnreadableError, RequestError
    """
    found = resources.files("scoregate.lstm").joinpath("settings", f"study-{name}.json")
    try:
        text = found.read_text() if found.is_file() else Path(name).read_text("utf-8")
        values = json.loads(text) | {key: v for key, v in changes.items() if v is not None}
        plan = Plan(**values)
        for levels in (plan.original, plan.changed):
            if set(levels) != set(FACTORS):
                raise ValueError(f"a level for each of {', '.join(FACTORS)} is needed")
        return plan
    except OSError as error:
        raise UnreadableError(
            f"There is no plan {name!r}.",
            "Take quick, small, twice, scaled, full, or a JSON file.",
        ) from error
    except (ValueError, TypeError) as error:
        raise RequestError(
            f"The plan {name!r} is not valid: {error}.",
            "See lstm/settings/study-small.json for the fields.",
        ) from error
