"""One training step on one piece, with nothing computed that does not count.

The character level costs most of the time, and a patch holds ten characters of its
sixteen on average: here the padded ones are left out of every linear layer and only the
attention sees a rectangle. The loss equals :meth:`notagen.model.NotaGen.losses`
(a test holds them together).

The auxiliary heads are trained beside the model and thrown away afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from notagen.model import Block, NotaGen
from notagen.shape import HEAD_SIZE
from notagen.training.encode import ABOVE, SLOTS, TIMES, Example


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
    rows, width = len(lengths), int(lengths.max())
    real = np.arange(width)[None] < lengths[:, None]
    where = torch.from_numpy(np.flatnonzero(real))
    position = torch.from_numpy(np.nonzero(real)[1])
    # The input at position k > 0 is the character before; position 0 is the patch's vector.
    before = np.zeros((rows, width), np.int64)
    before[:, 1:] = targets[:, : width - 1]
    inputs = F.embedding(torch.from_numpy(before[real]), stack.wte.weight)
    first = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)[:-1]]))
    inputs = inputs.to(encoded.dtype).index_copy(0, first, encoded)
    x = stack.drop(inputs + F.embedding(position, stack.wpe.weight))
    for block in stack.h:
        assert isinstance(block, Block)
        p = block.attn.dropout if model.training else 0.0
        x = x + block.drop(_attend(block, block.ln_1(x), rows, width, where, p))
        x = x + block.drop(block.mlp(block.ln_2(x)))
    return stack.ln_f(x)


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
    inputs = torch.from_numpy(patches[:-1].astype(np.int64)).to(device)
    encoded = model.encode(inputs.unsqueeze(0))[0]
    targets = patches[1:]
    lengths = (targets != 0).sum(1)
    states = char_states(model, encoded, targets, lengths)
    real = targets != 0
    gold = torch.from_numpy(targets[real].astype(np.int64)).to(device)
    logits = model.char_level_decoder.base.lm_head(states)
    text = F.cross_entropy(logits.float(), gold)
    if heads is None:
        return Losses(text, text.new_zeros(()), len(gold))
    extra = text.new_zeros(())
    time = example.time[1:limit][real]
    picked = torch.from_numpy(np.flatnonzero(time >= 0))
    if len(picked):
        music = states.index_select(0, picked)
        keep = picked.numpy()
        extra = extra + 0.3 * F.cross_entropy(
            heads.time(music).float(), torch.from_numpy(time[keep].astype(np.int64))
        )
        above = torch.from_numpy(example.above[1:limit][real][keep].astype(np.int64))
        if (above >= 0).any():
            extra = extra + F.cross_entropy(
                heads.above(music).float().view(-1, 13), above.view(-1), ignore_index=-1
            )
        bits = example.chord[1:limit][real][keep].astype(np.int64)
        sounding = np.flatnonzero(bits >= 0)
        if len(sounding):
            wanted = (bits[sounding][:, None] >> np.arange(12)) & 1
            extra = extra + F.binary_cross_entropy_with_logits(
                heads.chord(music.index_select(0, torch.from_numpy(sounding))).float(),
                torch.from_numpy(wanted.astype(np.float32)),
            )
    grid = torch.from_numpy(example.grid[1:limit].astype(np.int64))
    if (grid >= 0).any():
        extra = extra + F.cross_entropy(
            heads.grid(encoded).float().view(-1, 13), grid.view(-1), ignore_index=-1
        )
    return Losses(text, extra, len(gold))
