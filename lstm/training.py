"""Training: windows of tunes, Adam, held-out loss, checkpoints, early stopping.

Every choice follows from the seed and the number of the step, so a run that was killed goes on
from its checkpoint to the same end. A loss that is not finite ends the run as diverged.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scoregate.errors import ScoregateError
from scoregate.lstm.model import LstmModel, LstmShape, loss_of, nats_per_word

PADDING = -1
DIVERGED = 20.0
"""A loss beyond this many times that of equally probable words is divergence."""


class DivergedError(ScoregateError):
    """The loss is no finite number any more, or far beyond that of guessing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that shapes a training run.

    Attributes
    ----------
    embedding, hidden, layers : int
        Of the network.
    length : int
        Most words of a window; longer tunes are cut into windows of equal length.
    batch : int
        Windows of a step.
    lr : float
        Learning rate of Adam; it falls to a tenth along a cosine when ``decay`` is true.
    dropout : float
    steps : int
        Updates; 0 for no limit.
    seconds : float
        Most processor seconds of the training steps; 0 for no limit.
    seed : int
    validate_every : int
        Steps between validations.
    patience : int
        Stop after so many validations without a better one; 0 never stops early.
    clip : float
        Largest norm of the gradient.
    decay : bool
    """

    embedding: int = 128
    hidden: int = 256
    layers: int = 3
    length: int = 200
    batch: int = 32
    lr: float = 2e-3
    dropout: float = 0.2
    steps: int = 4000
    seconds: float = 0.0
    seed: int = 1
    validate_every: int = 200
    patience: int = 0
    clip: float = 1.0
    decay: bool = True

    def __post_init__(self) -> None:
        if not self.steps and not self.seconds:
            raise ValueError("either steps or seconds must limit the run")


@dataclass(slots=True)
class Run:
    """The state of a training run.

    Attributes
    ----------
    settings : Settings
    words : int
        Size of the vocabulary.
    step : int
        Updates made.
    seconds : float
        Processor seconds of those updates.
    tokens : int
        Words trained on.
    curve : list of dict
        ``step``, ``seconds``, ``tokens``, ``loss`` (training) and ``validation``, in nats a word.
    best : float
        Lowest validation loss.
    diverged : bool
    """

    settings: Settings
    words: int
    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    diverged: bool = False


def windows(pieces: list[list[int]], length: int) -> list[list[int]]:
    """Cut pieces into windows of at most ``length`` predictions, equally long within a piece.

    Neighbouring windows share a word, so that every word but a piece's first is predicted once.
    """
    cut = []
    for tokens in pieces:
        predictions = len(tokens) - 1
        count = max(1, math.ceil(predictions / length))
        size = math.ceil(predictions / count)
        cut += [tokens[start : start + size + 1] for start in range(0, predictions, size)]
    return [window for window in cut if len(window) > 1]


def batches(data: list[list[int]], size: int, seed: int, first: int = 0) -> Iterator[torch.Tensor]:
    """Yield batches for ever, an epoch after the other, from batch number ``first`` on.

    Returns
    -------
    iterator of Tensor of int64, (size, longest)
        Padded with -1. Windows of similar length stand together, so that little is padded.
    """
    per_epoch = max(1, len(data) // size)
    epoch, start = divmod(first, per_epoch)
    while True:
        order = np.random.default_rng((seed, epoch)).permutation(len(data))
        # Sorted by length within stretches of sixteen batches: random enough, and little padding.
        stretch = size * 16
        pieces = [order[i : i + stretch] for i in range(0, len(order), stretch)]
        order = np.concatenate([part[np.argsort([len(data[i]) for i in part])] for part in pieces])
        groups = [order[i * size : (i + 1) * size] for i in range(per_epoch)]
        shuffled = np.random.default_rng((seed, epoch, 1)).permutation(per_epoch)
        for number in shuffled[start:]:
            rows = [data[index] for index in groups[number]]
            batch = torch.full((len(rows), max(map(len, rows))), PADDING, dtype=torch.long)
            for row, tokens in zip(batch, rows, strict=True):
                row[: len(tokens)] = torch.tensor(tokens)
            yield batch
        epoch, start = epoch + 1, 0


def train(
    run: Run,
    training: list[list[int]],
    validation: list[list[int]],
    folder: Path,
    on_progress: Callable[[Run], None] | None = None,
    device: str = "cpu",
) -> LstmModel:
    """Train, or go on from the checkpoint in ``folder``; return the best model.

    Parameters
    ----------
    run : Run
        Brought up to date in place.
    training, validation : list of list of int
        Pieces as tokens.
    folder : Path
        ``checkpoint.pt``, ``best.pt`` and ``curve.json`` are kept there.
    on_progress : callable, optional
        Called after each validation.
    device : str

    Raises
    ------
    DivergedError
        The loss is not finite, or far beyond that of guessing; the curve up to there is kept.
    """
    settings = run.settings
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    shape = LstmShape(run.words, settings.embedding, settings.hidden, settings.layers)
    model = LstmModel(shape, settings.dropout).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr)
    _resume(run, model, optimiser, folder)
    if run.diverged:
        raise _diverged(run)
    data = windows(training, settings.length)
    stream = batches(data, settings.batch, settings.seed, run.step)
    total, count = 0.0, 0
    while not _is_over(run):
        batch = next(stream)
        begun = time.process_time()
        torch.manual_seed(settings.seed * 1_000_003 + run.step)
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * _rate(run)
        model.train()
        loss = loss_of(model, batch.to(device), PADDING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimiser.step()
        run.seconds += time.process_time() - begun
        run.step += 1
        run.tokens += int((batch[:, 1:] != PADDING).sum())
        total, count = total + float(loss.detach()), count + 1
        # Not `>=`, which is False for NaN.
        if not float(loss.detach()) < DIVERGED * math.log(run.words):
            run.diverged = True
            _save(run, model, optimiser, folder)
            raise _diverged(run)
        if run.step % settings.validate_every == 0 or _is_over(run):
            _validate(run, model, validation, total / count, folder)
            total, count = 0.0, 0
            _save(run, model, optimiser, folder)
            if on_progress:
                on_progress(run)
    best = folder / "best.pt"
    model.load_state_dict(torch.load(best, weights_only=True, map_location=device))
    return model.eval()


def _validate(
    run: Run, model: LstmModel, validation: list[list[int]], loss: float, folder: Path
) -> None:
    found = nats_per_word(model, validation)
    row = {"step": run.step, "seconds": round(run.seconds, 2), "tokens": run.tokens}
    run.curve.append(row | {"loss": round(loss, 4), "validation": round(found, 4)})
    if found < run.best:
        run.best = found
        _replace(folder / "best.pt", lambda path: torch.save(model.state_dict(), path))


def _is_over(run: Run) -> bool:
    settings = run.settings
    if settings.steps and run.step >= settings.steps:
        return True
    if settings.seconds and run.seconds >= settings.seconds:
        return True
    if settings.patience and len(run.curve) > settings.patience:
        recent = [row["validation"] for row in run.curve[-settings.patience :]]
        earlier = min(row["validation"] for row in run.curve[: -settings.patience])
        return min(recent) >= earlier
    return False


def _rate(run: Run) -> float:
    """Return the share of the learning rate at this step: warm-up, then a cosine to a tenth."""
    settings = run.settings
    if not settings.decay:
        return 1.0
    done = run.step / settings.steps if settings.steps else run.seconds / settings.seconds
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _diverged(run: Run) -> DivergedError:
    return DivergedError(
        f"Training diverged after {run.step} steps: the loss is not finite, or far beyond "
        "that of guessing.",
        "Lower the learning rate.",
    )


def _save(run: Run, model: LstmModel, optimiser: torch.optim.Optimizer, folder: Path) -> None:
    state = asdict(run)
    content = {"run": state, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    _replace(folder / "checkpoint.pt", lambda path: torch.save(content, path))
    text = json.dumps({key: state[key] for key in ("settings", "curve", "diverged")}, indent=1)
    _replace(folder / "curve.json", lambda path: path.write_text(text + "\n"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there, so that a kill leaves the old one."""
    fresh = path.with_name(path.name + ".part")
    write(fresh)
    os.replace(fresh, path)


def _resume(run: Run, model: LstmModel, optimiser: torch.optim.Optimizer, folder: Path) -> None:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return
    content = torch.load(path, weights_only=True)
    stored = content["run"]
    if not _same_run(stored["settings"], asdict(run.settings)) or stored["words"] != run.words:
        raise ScoregateError(
            f"{path} belongs to a run with other settings or another corpus.",
            "Name another folder, or remove the checkpoint to begin anew.",
        )
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    for name, value in stored.items():
        if name != "settings":
            setattr(run, name, value)


def _same_run(stored: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether a checkpoint of these settings may be continued.

    Without decay of the learning rate the limits shape nothing before they are reached, so they
    may differ.
    """
    free = set() if wanted["decay"] else {"steps", "seconds", "patience"}
    return all(stored.get(key) == value for key, value in wanted.items() if key not in free)
