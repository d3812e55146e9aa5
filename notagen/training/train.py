"""The training run: steps, schedule, checkpoints, and going on after a kill.

Every choice of a step (which piece, which key, dropout) follows from the seed and the
step's number alone, so a run that was killed and resumed gives the same curve as one that
was not.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from scoregate.errors import ScoregateError, WeightsError
from scoregate.notagen.model.network import Attention, NotaGen
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.text.patches import END
from scoregate.notagen.training.deepen import deepen
from scoregate.notagen.training.encode import Example
from scoregate.notagen.training.guidance import Guidance
from scoregate.notagen.training.material import RARE_KEYS, Material
from scoregate.notagen.training.optimiser import fast_bfloat16, optimisers
from scoregate.notagen.training.step import AuxiliaryHeads, losses

CHECKPOINT_EVERY = 120.0  # seconds


@dataclass(slots=True)
class Stage:
    """A stretch of the run.

    Parameters
    ----------
    steps : int
    synthetic : float
        Share of rule-made pieces at its beginning.
    synthetic_end : float
        The same at its end.
    lr : float
        Learning rate at its beginning; ``lr_end`` at its end, linear between.
    dropout : float
    """

    steps: int
    synthetic: float
    synthetic_end: float
    lr: float
    lr_end: float
    dropout: float = 0.0


@dataclass(slots=True)
class Settings:
    """All that shapes a run.

    Attributes
    ----------
    hidden, patch_layers, char_layers, length, sounding : int
        Shape of the model.
    sounding_rate : float
        What the learning rate is multiplied by for the layer that tells what sounds, which starts
        from nothing where the others go on from weights.
    auxiliary : float
        Weight of the auxiliary tasks; 0 leaves them out.
    above : int
        Earlier voices that the auxiliary tasks ask for.
    tonic : bool
        Whether the auxiliary tasks ask for the tonic and for the degree of the scale as well.
    unlikelihood : float
        Weight of the loss on letters that would break a rule of voice leading.
    muon : bool
        Muon for the hidden matrices; AdamW for everything otherwise.
    weight_decay : float
    ema : float
        Decay of the average over steps.
    seed : int
        Seed for the order of pieces, the transpositions and dropout.
    warmup : int
        Steps over which the rate rises.
    pieces : int
        Pieces a step.
    corpus_keys : bool
        Draw key signatures as often as the corpus has them.
    rare_keys : float
        Least share of a signature there.
    triple : float
        How much more often a piece in triple metre is drawn.
    off_beat : float
        How much more often pieces with notes off the beat are drawn: see
        :class:`~scoregate.notagen.training.material.Material`.
    forms : float
        Share of the pieces whose header says their form; see :mod:`scoregate.form`.
    repeats : float
        Share of the pieces whose repeat is written out: see
        :class:`~scoregate.notagen.training.material.Material`.
    form_weight : float
        What the loss on the form counts beyond its share of the text, which is a fiftieth.
    forget : float
        Share of the patches of music whose characters see nothing of the patches before; see
        :func:`~scoregate.notagen.training.step.losses`.
    own : float
        Share of the pieces that the starting weights wrote, learnt from the masked teacher (see
        :mod:`scoregate.notagen.training.guidance`); of the others their own text is learnt.
    teacher : float
        Weight of that lesson.
    own_pieces : int
        How many pieces they write for it.
    pairs : int
        Pairs of lines in each step.
    judged_pieces : int
        How many pieces the starting weights write under the judge to give the pairs.
    preference, beta : float
        Weight of their loss, and its strength; see
        :func:`~scoregate.notagen.training.preferences.preference_loss`.
    stages : list of Stage
    """

    hidden: int = 192
    patch_layers: int = 4
    char_layers: int = 2
    length: int = 512
    sounding: int = 0
    sounding_rate: float = 1.0
    auxiliary: float = 0.5
    above: int = 3
    tonic: bool = False
    unlikelihood: float = 0.0
    muon: bool = False
    weight_decay: float = 0.1
    ema: float = 0.999
    seed: int = 1
    warmup: int = 200
    pieces: int = 1
    corpus_keys: bool = False
    rare_keys: float = RARE_KEYS
    triple: float = 1.0
    off_beat: float = 0.0
    forms: float = 0.0
    repeats: float = 0.0
    form_weight: float = 0.0
    forget: float = 0.0
    own: float = 0.0
    teacher: float = 1.0
    own_pieces: int = 300
    pairs: int = 0
    judged_pieces: int = 200
    preference: float = 0.0
    beta: float = 0.1
    stages: list[Stage] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def guided(self) -> bool:
        """Whether pieces or pairs of lines of the starting weights are needed."""
        return self.own > 0 or self.pairs > 0

    @property
    def shape(self) -> ModelShape:
        """Shape of the model."""
        return ModelShape(
            self.hidden, self.patch_layers, self.char_layers, self.length, self.sounding
        )


def load_settings(path: Path) -> Settings:
    """Read settings from a JSON file."""
    return settings_from(json.loads(path.read_text()))


def settings_from(raw: dict) -> Settings:
    """Return settings from their plain form."""
    settings = Settings(**{k: v for k, v in raw.items() if k not in ("stages", "dropout")})
    settings.stages = [Stage(**stage) for stage in raw["stages"]]
    return settings


def place_in_schedule(settings: Settings, step: int) -> tuple[float, float, float]:
    """Learning rate, share of rule-made pieces and dropout at a step."""
    at = step
    for stage in settings.stages:
        if at < stage.steps:
            part = at / max(stage.steps, 1)
            lr = stage.lr + (stage.lr_end - stage.lr) * part
            share = stage.synthetic + (stage.synthetic_end - stage.synthetic) * part
            return lr * min(1.0, (step + 1) / settings.warmup), share, stage.dropout
        at -= stage.steps
    last = settings.stages[-1]
    return last.lr_end, last.synthetic_end, last.dropout


def set_dropout(model: NotaGen, p: float) -> None:
    """Use this dropout in every layer of a model from now on."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = p
        elif isinstance(module, Attention):
            module.dropout = p


@dataclass(slots=True)
class Progress:
    """What a caller is told now and then."""

    step: int
    steps: int
    loss: float
    auxiliary: float
    forbidden: float
    validation: float | None
    seconds_left: float
    patches: int


@torch.no_grad()
def bits_per_character(model: NotaGen, examples: list[Example]) -> float:
    """Bits per character over whole pieces, prompt and header included.

    The bits of the marks that end patches and pieces are counted in, the marks are not: so
    the figure is the whole text's information over its length, as the n-gram's is.
    """
    was = model.training
    model.eval()
    nats = count = 0.0
    for example in examples:
        found = losses(model, example)
        nats += found.text.item() * found.characters
        count += int((example.patches[1 : model.shape.length + 1] > END).sum())
    model.train(was)
    return nats / count / math.log(2)


class Run:
    """A training run: its model, average, optimisers and place."""

    def __init__(self, settings: Settings, initial: dict[str, torch.Tensor] | None = None) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.model = NotaGen(settings.shape)
        if initial is not None:
            self.model.load_state_dict(deepen(initial, settings.shape))
        self.heads = AuxiliaryHeads(settings.hidden, settings.above, tonic=settings.tonic)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimisers = optimisers(
            [self.model, self.heads], settings.stages[0].lr, settings.muon, settings.weight_decay,
            settings.sounding_rate,
        )  # fmt: skip
        self.step = 0
        self.patches = 0
        self.curve: list[dict] = []
        self._dropout = 0.0
        self.device = "cpu"
        self.best: tuple[float, dict[str, torch.Tensor]] | None = None
        self.worse = 0
        self.sums = [0.0] * 5  # losses of train_step since the last report
        self.guidance: Guidance | None = None

    def train_step(self, material: Material) -> tuple[float, ...]:
        """Make one update.

        Returns
        -------
        tuple of float
            Losses: text in nats, auxiliary, forbidden letters, masked teacher, preferences.
        """
        settings = self.settings
        rng = np.random.default_rng((settings.seed, self.step))
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        lr, share, dropout = place_in_schedule(settings, self.step)
        if dropout != self._dropout:
            set_dropout(self.model, dropout)
            self._dropout = dropout
        text = auxiliary = forbidden = taught = preferred = 0.0
        guidance = self.guidance
        for _ in range(settings.pieces):
            if guidance is not None and settings.own and rng.random() < settings.own:
                lesson = guidance.lesson(self.model, rng)
                (settings.teacher * lesson / settings.pieces).backward()
                taught += lesson.item() / settings.pieces
                continue
            example = material.rule_made(rng) if rng.random() < share else material.draw(rng)
            with torch.autocast(self.device, torch.bfloat16, enabled=fast_bfloat16(self.device)):
                found = losses(
                    self.model, example, self.heads if settings.auxiliary else None,
                    unlikelihood=bool(settings.unlikelihood), forget=settings.forget,
                )  # fmt: skip
            total = found.text + settings.auxiliary * found.auxiliary
            total = total + settings.unlikelihood * found.forbidden
            total = total + settings.form_weight * found.comments
            (total / settings.pieces).backward()
            text += found.text.item() / settings.pieces
            auxiliary += found.auxiliary.item() / settings.pieces
            forbidden += found.forbidden.item() / settings.pieces
            self.patches += len(example.patches)
        if guidance is not None and settings.pairs:
            loss = guidance.preference(self.model, rng, settings.pairs, settings.beta)
            (settings.preference * loss).backward()
            preferred = loss.item()
        if math.isfinite(text + taught + preferred):
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimiser in self.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = lr * group.get("scale", 1.0)
                optimiser.step()
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % 4 == 0:
            self._update_average()
        return text, auxiliary, forbidden, taught, preferred

    def note_validation(self, bits: float, patience: int) -> None:
        """Keep the average where it is the best so far, if early stopping is wanted."""
        if not patience:
            return
        if self.best is None or bits < self.best[0]:
            self.best = (bits, {k: v.clone() for k, v in self.average.items()})
            self.worse = 0
        else:
            self.worse += 1

    def to(self, device: str) -> None:
        """Move everything to a device; the optimisers' state follows."""
        if device == self.device:
            return
        self.device = device
        self.model.to(device)
        self.heads.to(device)
        self.average = {k: v.to(device) for k, v in self.average.items()}
        for optimiser in self.optimisers:
            optimiser.load_state_dict(optimiser.state_dict())

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or it would remember the random start.
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step)) ** 4
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)

    def averaged(self) -> NotaGen:
        """Return the model with averaged weights."""
        model = NotaGen(self.settings.shape)
        model.load_state_dict(self.average)
        return model.to(self.device).eval()

    def save(self, path: Path) -> None:
        """Write a checkpoint whole or not at all.

        Raises
        ------
        ScoregateError
            It can't be written, as on a full disk; the one before stays.
        """
        state = {
            "settings": asdict(self.settings), "step": self.step, "patches": self.patches,
            "model": self.model.state_dict(), "average": self.average,
            "heads": self.heads.state_dict(), "curve": self.curve, "sums": self.sums,
            "best": self.best, "worse": self.worse,
            "optimisers": [o.state_dict() for o in self.optimisers],
        }  # fmt: skip
        partial = path.with_suffix(".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, partial)
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            partial.replace(path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise ScoregateError(
                f"The checkpoint {path} can't be written: {error}",
                "Make room and start the same command again: it goes on from the last one.",
            ) from error

    @classmethod
    def load(cls, path: Path, settings: Settings | None = None) -> Run:
        """Go on from a checkpoint; ``settings`` may differ in stages and rates, not in shape."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        # A cut or foreign pickle fails in any of these ways inside torch's restricted reader.
        except (OSError, RuntimeError, LookupError, ValueError, EOFError, pickle.UnpicklingError,
                AttributeError, TypeError) as error:  # fmt: skip
            raise WeightsError(
                f"The checkpoint {path} is damaged: {type(error).__name__}.",
                "Remove it and start again, or name another folder.",
            ) from error
        stored = settings_from(state["settings"])
        settings = settings or stored
        if settings.shape != stored.shape:
            raise WeightsError(
                f"The checkpoint {path} has the shape {stored.shape}, {settings.shape} expected.",
                "Name another folder for this run, or remove the checkpoint.",
            )
        run = cls(settings)
        run.model.load_state_dict(state["model"])
        run.heads.load_state_dict(state["heads"])
        run.average = state["average"]
        for optimiser, stored_state in zip(run.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored_state)
        run.step, run.patches, run.curve = state["step"], state["patches"], state["curve"]
        run.sums = [*state.get("sums", []), *run.sums][: len(run.sums)]
        run.best, run.worse = state.get("best"), state.get("worse", 0)
        return run


# More than six parameters: model, data, settings and what is told of progress.
def train(
    run: Run,
    material: Material,
    validation: list[Example],
    checkpoint: Path,
    report_every: int = 500,
    validate_every: int = 2000,
    patience: int = 0,
) -> Iterator[Progress]:
    """Train to the end of the schedule, yielding progress.

    Checkpoints every two minutes and at the end.

    Parameters
    ----------
    patience : int
        Where it is not 0: the best average by validation is kept, and training stops after
        so many validations without a better one.
    """
    started, first = time.monotonic(), run.step
    saved = started
    run.model.train()
    while run.step < run.settings.steps and not (patience and run.worse >= patience):
        for i, loss in enumerate(run.train_step(material)):
            run.sums[i] += loss
        now = time.monotonic()
        if run.step % report_every == 0:
            bits = None
            if run.step % validate_every == 0 or run.step == run.settings.steps:
                bits = bits_per_character(run.averaged(), validation)
                run.note_validation(bits, patience)
            pace = (now - started) / (run.step - first)
            text, auxiliary, forbidden, taught, preferred = (x / report_every for x in run.sums)
            run.sums = [0.0] * len(run.sums)
            row = {"step": run.step, "loss": text, "auxiliary": auxiliary, "forbidden": forbidden,
                   "validation": bits, "patches": run.patches}  # fmt: skip
            if run.guidance is not None:
                row |= {"teacher": taught, "preference": preferred}
            run.curve.append(row)
            yield Progress(
                run.step, run.settings.steps, text, auxiliary, forbidden, bits,
                pace * (run.settings.steps - run.step), run.patches,
            )  # fmt: skip
        if now - saved > CHECKPOINT_EVERY or run.step == run.settings.steps:
            run.save(checkpoint)
            saved = now
    if patience:
        if run.best is not None:
            run.average = run.best[1]
        run.save(checkpoint)
