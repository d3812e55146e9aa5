"""Tuning a model by what its starting weights write, judged.

Two lessons besides the text of the corpus, for a model that can write and breaks rules:

- The **masked teacher**. The starting weights stay as they are and are the teacher. On pieces that
  they wrote, the model learns the teacher's distribution of the next character with the letters
  taken out that would break a rule of voice leading
  (:mod:`scoregate.notagen.training.forbidden`). Everywhere else it learns to stay as it is, so
  rhythm and harmony are held. The contexts are the model's own, faults included.
- **Preferences** between lines (:mod:`scoregate.notagen.training.preferences`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.generator import Limits
from scoregate.notagen.engine import load
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.training.encode import Example, encode_example
from scoregate.notagen.training.forbidden import LETTER_CODES
from scoregate.notagen.training.preferences import (
    AcceptLine,
    Choices,
    Pair,
    preference_loss,
    read_pairs,
    write_pairs,
)
from scoregate.notagen.training.step import as_indices, character_logits
from scoregate.sampling import Sampling

ROUND = 16
"""Pieces side by side."""
LEAST_LEFT = 0.02
"""Probability that the letters which are left must have: where the teacher knows hardly any other
letter, what is left of its distribution is noise, and its own one is kept."""


@dataclass(slots=True)
class Guidance:
    """What a model is compared with while it is tuned.

    Attributes
    ----------
    teacher : NotaGen
        The starting weights, frozen.
    own : list of str
        Pieces that they wrote, as written.
    pairs : list of Pair
    above : int
        Earlier voices of the labels; see :func:`encode_example`.
    """

    teacher: NotaGen
    own: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    above: int = 3
    _encoded: dict[int, Example] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Freeze the teacher."""
        self.teacher.eval().requires_grad_(False)

    def lesson(self, model: NotaGen, rng: np.random.Generator) -> Tensor:
        """Return the loss of the masked teacher on one of the own pieces."""
        at = int(rng.integers(len(self.own)))
        if at not in self._encoded:
            self._encoded[at] = encode_example(self.own[at], self.above, exceptions=False)
        return masked_lesson(model, self.teacher, self._encoded[at])

    def preference(
        self, model: NotaGen, rng: np.random.Generator, count: int, beta: float
    ) -> Tensor:
        """Return the loss of so many pairs, drawn at random."""
        drawn = [self.pairs[i] for i in rng.choice(len(self.pairs), min(count, len(self.pairs)))]
        return preference_loss(model, self.teacher, drawn, beta)[0]


def masked_lesson(model: NotaGen, teacher: NotaGen, example: Example) -> Tensor:
    """Return the divergence from the teacher without forbidden letters, in nats a character.

    The Kullback-Leibler divergence of the model from the teacher's distribution, in which the
    letters of ``example.forbidden`` have no probability and the others share what they had.
    """
    limit = model.shape.length + 1
    real = example.patches[1:limit] != 0
    with torch.no_grad():
        told = character_logits(teacher, example).float().softmax(-1)
        told = _without(told, example.forbidden[1:limit][real])
    said = character_logits(model, example).float().log_softmax(-1)
    return F.kl_div(said, told, reduction="sum") / len(said)


def _without(chances: Tensor, forbidden: np.ndarray) -> Tensor:
    """Return distributions (characters, 128) without the letters whose bits are set."""
    marked = np.flatnonzero(forbidden)
    if not len(marked):
        return chances
    bits = (forbidden[marked][:, None].astype(np.int64) >> np.arange(len(LETTER_CODES))) & 1
    at = as_indices(marked, chances.device)
    rows = chances.index_select(0, at)
    kept = torch.ones_like(rows)
    kept[:, list(LETTER_CODES)] = 1.0 - as_indices(bits, chances.device).float()
    left = (rows * kept).sum(-1, keepdim=True)
    masked = torch.where(left >= LEAST_LEFT, rows * kept / left.clamp(min=1e-9), rows)
    return chances.index_copy(0, at, masked)


# More than six parameters: the weights, what is asked of them, who judges, and who is told.
def gather_guidance(
    weights: str | Path,
    teacher: NotaGen,
    folder: Path,
    prompts: Sequence[str],
    accept_line: AcceptLine,
    *,
    own: int,
    judged: int,
    line_tries: int,
    seed: int = 1,
    on_piece: Callable[[int], None] | None = None,
) -> Guidance:
    """Have the starting weights write pieces, raw and judged, or take those of the folder.

    Parameters
    ----------
    weights : str or Path
        The starting weights, by name or file.
    teacher : NotaGen
        The same weights as a module.
    folder : Path
        The project's own: ``own.json`` and ``pairs.jsonl`` are kept there, so that a run that
        was killed goes on with the same pieces.
    prompts : sequence of str
        Prompt lines, taken in turn.
    accept_line : callable
        Judge of lines for the pairs.
    own, judged : int
        Pieces written raw, and pieces written under the judge; 0 for none.
    line_tries : int
        Tries at a line under the judge.
    seed : int
    on_piece : callable, optional
        Told how many pieces are done.
    """
    guidance = Guidance(teacher)
    kept, paired = folder / "own.json", folder / "pairs.jsonl"
    engine = None
    done = 0

    def write(count: int, first: int, limits: Limits, judge: AcceptLine | None) -> list[str]:
        nonlocal engine, done
        engine = engine or load(weights)
        texts: list[str] = []
        for start in range(0, count, ROUND):
            numbers = range(start, min(start + ROUND, count))
            pieces = engine.generate(
                [prompts[number % len(prompts)] for number in numbers],
                seeds=[first + number for number in numbers],
                sampling=Sampling(temperature=1.0),
                limits=limits,
                accept_line=judge,
            )
            # A piece that broke off in its header has nothing to learn from.
            texts += [piece.raw for piece in pieces if "\n[r:" in piece.raw]
            done += len(numbers)
            if on_piece:
                on_piece(done)
        return texts

    first = seed * 1_000_000
    most = Limits(max_steps=2 * teacher.shape.length, line_tries=line_tries)
    if own:
        if not kept.exists():
            _replace(kept, json.dumps(write(own, first, most, None)))
        guidance.own = json.loads(kept.read_text())
    if judged:
        if not paired.exists():
            choices = Choices(accept_line)
            write(judged, first + own, most, choices)
            write_pairs(paired, choices.pairs())
        guidance.pairs = read_pairs(paired)
    return guidance


def _replace(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)
