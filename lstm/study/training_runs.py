"""Training an arm once, with a readout at the limit of updates and one at the limit of time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scoregate.lstm.model import LstmModel, nats_per_word
from scoregate.lstm.project import Prepared
from scoregate.lstm.study.plan import Arm, Plan
from scoregate.lstm.training import DivergedError, Run, train
from scoregate.lstm.weights import write_weights

READOUTS = ("updates", "time")
"""With equal updates, and with equal processor time."""


def train_arm(
    arm: Arm,
    plan: Plan,
    seed: int,
    prepared: Prepared,
    folder: Path,
    on_progress: Callable[[Run], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Train an arm to both limits; return what was reached at each, JSON-ready.

    The learning rate is constant, so one run serves both readouts: training pauses at the
    limit that is reached first and goes on to the other. A checkpoint in the folder is
    continued. The weights of a readout are those with the lowest validation loss up to it.

    Parameters
    ----------
    arm : Arm
    plan : Plan
    seed : int
    prepared : Prepared
    folder : Path
        Of this arm and seed.
    on_progress : callable, optional

    Returns
    -------
    dict
        By readout: ``diverged``, and where False ``test_nats``, ``validation_nats``, ``steps``,
        ``seconds``, ``tokens``, ``stopped_early`` and ``weights`` (a path).
    """
    validation = prepared.validation[: plan.validation_pieces]
    found = {name: json.loads(path.read_text()) for name, path in _rows(folder) if path.is_file()}
    while len(found) < len(READOUTS):
        limits = {
            "steps": 0 if "updates" in found else plan.updates,
            "seconds": 0.0 if "time" in found else plan.seconds,
        }
        run = Run(arm.settings(plan, seed, **limits), len(prepared.vocabulary))
        try:
            model = train(run, prepared.train, validation, folder, on_progress)
        except DivergedError:
            row = {"diverged": True, "steps": run.step, "seconds": round(run.seconds, 2)}
            return {readout: found.get(readout, row) for readout in READOUTS}
        reached = _reached(run, plan)
        for readout in reached or READOUTS:  # neither limit is reached where it stopped early
            if readout not in found:
                path = folder / f"{readout}.safetensors"
                row = _row(run, model, prepared, not reached)
                write_weights(path, model, prepared.vocabulary, prepared.styles, row)
                found[readout] = row | {"weights": str(path)}
                write_row(folder / f"{readout}.json", found[readout])
    return found


def _rows(folder: Path) -> list[tuple[str, Path]]:
    return [(readout, folder / f"{readout}.json") for readout in READOUTS]


def _reached(run: Run, plan: Plan) -> list[str]:
    updates = ["updates"] if run.step >= plan.updates else []
    return [*updates, "time"] if run.seconds >= plan.seconds else updates


def _row(run: Run, model: LstmModel, prepared: Prepared, early: bool) -> dict[str, Any]:
    return {
        "diverged": False,
        "test_nats": round(nats_per_word(model, prepared.test), 4),
        "validation_nats": run.best,
        "steps": run.step,
        "seconds": round(run.seconds, 2),
        "tokens": run.tokens,
        "stopped_early": early,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "settings": asdict(run.settings),
    }


def write_row(path: Path, row: dict[str, Any]) -> None:
    """Write a finished row beside its place and move it there: a kill leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".part")
    fresh.write_text(json.dumps(row) + "\n")
    fresh.replace(path)
