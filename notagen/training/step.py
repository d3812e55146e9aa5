"""One training step on one piece, with nothing computed that does not count.

The character level costs most of the time, and a patch holds ten characters of its
sixteen on average: here the padded ones are left out of every linear layer and only the
attention sees a rectangle. The loss equals
:meth:`scoregate.notagen.model.network.NotaGen.token_losses`
(a test holds them together).

The auxiliary heads are trained beside the model and thrown away afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scoregate.notagen.model.network import Block, NotaGen
from scoregate.notagen.model.shape import HEAD_SIZE
from scoregate.notagen.training.encode import ABOVE, SLOTS, TIMES, Example


class AuxiliaryHeads(nn.Module):
    """Linear heads for the time reached, the other voices' notes, and the whole chord."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.time = nn.Linear(hidden, TIMES)
        self.above = nn.Linear(hidden, ABOVE * 13)
        self.chord = nn.Linear(hidden, 12)
        self.grid = nn.Linear(hidden, ABOVE * SLOTS * 13)


@dataclass(slots=True)
class Losses:
    """Mean losses of a step: in nats a character, and of the auxiliary tasks in all."""

    text: Tensor
    auxiliary: Tensor
    characters: int


def _attend(block: Block, packed: Tensor, rows: int, width: int, where: Tensor, p: float) -> Tensor:
    """Attention over a rectangle (rows, width) of which only ``where`` is real."""
    hidden = packed.shape[-1]
    qkv = block.attn.c_attn(packed)
    full = qkv.new_zeros(rows * width, 3 * hidden)
    full = full.index_copy(0, where, qkv)
    query, key, value = full.view(rows, width, 3, -1, HEAD_SIZE).permute(2, 0, 3, 1, 4)
    # Written out: for rectangles of sixteen torch's fused backward is several times slower.
    scores = (query @ key.transpose(-1, -2)) * HEAD_SIZE**-0.5
    later = torch.ones(width, width, dtype=torch.bool, device=packed.device).triu(1)
    weights = scores.float().masked_fill(later, float("-inf")).softmax(-1)
    mixed = F.dropout(weights, p).to(value.dtype) @ value
    mixed = mixed.transpose(1, 2).reshape(rows * width, hidden)
    return block.attn.c_proj(mixed.index_select(0, where))


def char_states(
    model: NotaGen, encoded: Tensor, targets: np.ndarray, lengths: np.ndarray
) -> Tensor:
    """Final states of the character level, one for each real target character.

    Parameters
    ----------
    encoded : Tensor (P, hidden)
        Patch-level output that each target patch starts from.
    targets : ndarray (P, 16) of uint8
    lengths : ndarray (P,)
        Real characters of each target, 1..16.

    Returns
    -------
    Tensor (sum of lengths, hidden)
    """
    stack = model.char_level_decoder.base.transformer
    device = encoded.device
    rows, width = len(lengths), int(lengths.max())
    real = np.arange(width)[None] < lengths[:, None]
    where = _tensor(np.flatnonzero(real), device)
    position = _tensor(np.nonzero(real)[1], device)
    # The input at position k > 0 is the character before; position 0 is the patch's vector.
    before = np.zeros((rows, width), np.int64)
    before[:, 1:] = targets[:, : width - 1]
    inputs = F.embedding(_tensor(before[real], device), stack.wte.weight)
    first = _tensor(np.concatenate([[0], np.cumsum(lengths)[:-1]]), device)
    inputs = inputs.to(encoded.dtype).index_copy(0, first, encoded)
    x = stack.drop(inputs + F.embedding(position, stack.wpe.weight))
    for block in stack.h:
        assert isinstance(block, Block)
        p = block.attn.dropout if model.training else 0.0
        x = x + block.drop(_attend(block, block.ln_1(x), rows, width, where, p))
        x = x + block.drop(block.mlp(block.ln_2(x)))
    return stack.ln_f(x)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    """Whole numbers as int64 on a device."""
    return torch.from_numpy(values.astype(np.int64)).to(device)


def losses(model: NotaGen, example: Example, heads: AuxiliaryHeads | None = None) -> Losses:
    """Losses of one piece.

    Parameters
    ----------
    model : NotaGen
    example : Example
        At most ``model.shape.length`` patches, EOS included, are used.
    heads : AuxiliaryHeads, optional
        Without them the auxiliary loss is 0.
    """
    limit = model.shape.length + 1
    patches = example.patches[:limit]
    device = next(model.parameters()).device
    encoded = model.encode(_tensor(patches[None, :-1], device))[0]
    targets = patches[1:]
    real = targets != 0
    states = char_states(model, encoded, targets, real.sum(1))
    gold = _tensor(targets[real], device)
    logits = model.char_level_decoder.base.lm_head(states)
    text = F.cross_entropy(logits.float(), gold)
    if heads is None:
        return Losses(text, text.new_zeros(()), len(gold))
    return Losses(text, _auxiliary(heads, encoded, states, example, real, limit), len(gold))


def _auxiliary(
    heads: AuxiliaryHeads,
    encoded: Tensor,
    states: Tensor,
    example: Example,
    real: np.ndarray,
    limit: int,
) -> Tensor:
    """The auxiliary losses in one sum; the time reached counts .3."""
    device = states.device
    total = states.new_zeros((), dtype=torch.float32)
    time = example.time[1:limit][real]
    music = np.flatnonzero(time >= 0)
    if len(music):
        picked = states.index_select(0, _tensor(music, device))
        reached = _tensor(time[music], device)
        total = total + 0.3 * F.cross_entropy(heads.time(picked).float(), reached)
        above = example.above[1:limit][real][music]
        if (above >= 0).any():
            guess = heads.above(picked).float().view(-1, 13)
            wanted = _tensor(above, device).view(-1)
            total = total + F.cross_entropy(guess, wanted, ignore_index=-1)
        bits = example.chord[1:limit][real][music]
        known = np.flatnonzero(bits >= 0)
        if len(known):
            classes = (bits[known][:, None].astype(np.int64) >> np.arange(12)) & 1
            guess = heads.chord(picked.index_select(0, _tensor(known, device)))
            wanted = _tensor(classes, device).float()
            total = total + F.binary_cross_entropy_with_logits(guess.float(), wanted)
    grid = example.grid[1:limit]
    if (grid >= 0).any():
        guess = heads.grid(encoded).float().view(-1, 13)
        wanted = _tensor(grid, device).view(-1)
        total = total + F.cross_entropy(guess, wanted, ignore_index=-1)
    return total
