"""Pairs of lines behind the same text, one that a judge accepted and one that it refused.

A judge of lines gives them while pieces are generated: the refused line is resampled until one
is accepted. Direct preference optimisation (Rafailov et al., NeurIPS 2023) raises the probability
of the accepted line against that of the refused one, both in relation to frozen weights. The text
before the line is the same, so it cancels out: only the line's own characters are compared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.errors import UnreadableError
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.text.patches import BOS_PATCH, encode_unit, units_of
from scoregate.notagen.training.step import as_indices, char_states

AcceptLine = Callable[[str, str], bool]


@dataclass(slots=True)
class Pair:
    """Two lines behind one text.

    Attributes
    ----------
    text : str
        Prompt, header and the lines before.
    accepted, refused : str
        One line of the body each, with its line end.
    reference : tuple of float or None
        Log-probabilities of both under the frozen weights, in nats; None until they are needed.
    """

    text: str
    accepted: str
    refused: str
    reference: tuple[float, float] | None = None


class Choices:
    """A judge of lines that remembers what it was asked and what it said.

    Parameters
    ----------
    accept_line : callable
        The judge. Only whole lines are asked about.
    """

    def __init__(self, accept_line: AcceptLine) -> None:
        self.accept_line = accept_line
        self._accepted: dict[str, str] = {}
        self._refused: dict[str, list[str]] = {}

    def __call__(self, text_so_far: str, line: str) -> bool:
        """Tell whether a finished line may stay."""
        kept = self.accept_line(text_so_far, line)
        whole = line if line.endswith("\n") else line + "\n"
        if kept:
            self._accepted[text_so_far] = whole
        else:
            self._refused.setdefault(text_so_far, []).append(whole)
        return kept

    def pairs(self, most: int = 3) -> list[Pair]:
        """Return at most `most` pairs for each text behind which a line was accepted."""
        found = []
        for text, line in self._accepted.items():
            others = list(dict.fromkeys(self._refused.get(text, ())))
            found += [Pair(text, line, other) for other in others[:most] if other != line]
        return found


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs, one JSON array a line, whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        for pair in pairs:
            stream.write(json.dumps([pair.text, pair.accepted, pair.refused]) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs that :func:`write_pairs` has written.

    Raises
    ------
    UnreadableError
        The file is damaged.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            found = [json.loads(line) for line in stream]
            return [Pair(text, accepted, refused) for text, accepted, refused in found]
    except (OSError, ValueError, TypeError) as error:
        raise UnreadableError(
            f"The pairs of lines in {path} can't be read: {error}.",
            "Remove the file: the same command collects them again.",
        ) from error


def line_log_probabilities(model: NotaGen, lines: Sequence[tuple[str, str]]) -> Tensor:
    """Return the log-probability of each line behind its text, in nats.

    Parameters
    ----------
    model : NotaGen
    lines : sequence of (str, str)
        Text before the line, which ends with a line end, and the line.

    Returns
    -------
    Tensor (lines,)
    """
    pieces = [_patches(text, line) for text, line in lines]
    limit = model.shape.length + 1
    longest = min(max(len(patches) for patches, _ in pieces), limit)
    rows = np.zeros((len(pieces), longest, 16), np.int64)
    vectors, targets, owners = [], [], []
    for row, (patches, first) in enumerate(pieces):
        patches = patches[:limit]
        rows[row, : len(patches)] = patches
        # The vector of the patch before predicts a patch.
        vectors += [row * (longest - 1) + at - 1 for at in range(first, len(patches))]
        targets.append(patches[first:])
        owners += [row] * max(len(patches) - first, 0)
    device = next(model.parameters()).device
    encoded = model.encode(as_indices(rows[:, :-1], device)).flatten(0, 1)
    wanted = np.concatenate(targets).astype(np.uint8)
    real = wanted != 0
    picked = encoded.index_select(0, as_indices(np.array(vectors), device))
    states = char_states(model, picked, wanted, real.sum(1))
    logits = model.char_level_decoder.base.lm_head(states).float()
    nats = -F.cross_entropy(logits, as_indices(wanted[real], device), reduction="none")
    owner = as_indices(np.repeat(np.array(owners), real.sum(1)), device)
    return nats.new_zeros(len(pieces)).index_add(0, owner, nats)


def _patches(text: str, line: str) -> tuple[np.ndarray, int]:
    """Return the patches of a text and a line, and the index of the line's first one."""
    before = [BOS_PATCH, *(patch for unit in units_of(text) for patch in encode_unit(unit))]
    after = [patch for unit in units_of(line) for patch in encode_unit(unit)]
    return np.array([*before, *after], dtype=np.uint8), len(before)


def preference_loss(
    model: NotaGen, reference: NotaGen, pairs: Sequence[Pair], beta: float
) -> tuple[Tensor, float]:
    """Return the loss of direct preference optimisation, and the share of pairs in right order.

    ``-log sigmoid(beta * ((a - a0) - (r - r0)))`` in the mean over pairs, where a and r are the
    log-probabilities of the accepted and the refused line, and a0 and r0 those of the reference.

    Parameters
    ----------
    model : NotaGen
        Being trained.
    reference : NotaGen
        Frozen; its log-probabilities are kept in the pairs.
    pairs : sequence of Pair
    beta : float
        How strongly a pair is weighed against staying near the reference.
    """
    unknown = [pair for pair in pairs if pair.reference is None]
    if unknown:
        with torch.no_grad():
            known = line_log_probabilities(reference, _both(unknown)).view(-1, 2).tolist()
        for pair, (accepted, refused) in zip(unknown, known, strict=True):
            pair.reference = accepted, refused
    now = line_log_probabilities(model, _both(pairs)).view(-1, 2)
    gain = now - now.new_tensor([pair.reference for pair in pairs])
    margin = gain[:, 0] - gain[:, 1]
    return -F.logsigmoid(beta * margin).mean(), float((margin > 0).float().mean())


def _both(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    return [(pair.text, line) for pair in pairs for line in (pair.accepted, pair.refused)]
