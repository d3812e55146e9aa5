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
from scoregate.notagen.sounding import SILENT
from scoregate.notagen.training.encode import ABOVE, Example
from scoregate.notagen.training.forbidden import LETTER_CODES
from scoregate.notagen.training.labels import LOWEST, PITCHES, SLOTS, TIMES


class AuxiliaryHeads(nn.Module):
    """Linear heads that name what sounds; they are trained beside the model and thrown away.

    Parameters
    ----------
    hidden : int
        Width of the model.
    above : int
        Earlier voices that are asked for.
    tonic : bool
        Whether the tonic and the degree are asked for.

    Attributes
    ----------
    time, chord : Linear
        At each character: the time reached in the bar, and the pitch classes of the whole chord.
    pitch : Linear
        At each character: the absolute pitch of each earlier voice now and just before, and of
        the voice itself just before: ``2 * above + 1`` times ``PITCHES`` classes.
    grid : Linear
        At each patch: the pitch of each earlier voice on each eighth of the bar, and of every
        voice at the end of the bar before.
    degree : Linear or None
        At each character: semitones from the tonic up to the voice's own last pitch, 0 to 11.
    tonic : Linear or None
        At each patch of the body: pitch class of the tonic.
    """

    def __init__(self, hidden: int, above: int = ABOVE, *, tonic: bool = False) -> None:
        super().__init__()
        self.time = nn.Linear(hidden, TIMES)
        self.chord = nn.Linear(hidden, 12)
        self.pitch = nn.Linear(hidden, (2 * above + 1) * PITCHES)
        self.grid = nn.Linear(hidden, (above * SLOTS + above + 1) * PITCHES)
        self.degree = nn.Linear(hidden, 12) if tonic else None
        self.tonic = nn.Linear(hidden, 12) if tonic else None


@dataclass(slots=True)
class Losses:
    """Mean losses of a step.

    Attributes
    ----------
    text : Tensor
        In nats a character.
    auxiliary : Tensor
        Of all auxiliary tasks together.
    forbidden : Tensor
        ``-log(1 - p)`` of the forbidden letters, in nats a character of the piece.
    comments : Tensor
        The part of ``text`` that lines with ``%`` make up, the form above all.
    characters : int
        Characters that ``text`` is the mean over.
    """

    text: Tensor
    auxiliary: Tensor
    forbidden: Tensor
    comments: Tensor
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
    model: NotaGen,
    encoded: Tensor,
    targets: np.ndarray,
    lengths: np.ndarray,
    sounding: np.ndarray | None = None,
) -> Tensor:
    """Return final states of the character level, one for each real target character.

    Parameters
    ----------
    encoded : Tensor (P, hidden)
        Patch-level output that each target patch starts from.
    targets : ndarray (P, 16) of uint8
    lengths : ndarray (P,)
        Real characters of each target, 1..16.
    sounding : ndarray (P, 16, features), optional
        What sounds at each character, for a model that is told.

    Returns
    -------
    Tensor (sum of lengths, hidden)
    """
    stack = model.char_level_decoder.base.transformer
    device = encoded.device
    rows, width = len(lengths), int(lengths.max())
    real = np.arange(width)[None] < lengths[:, None]
    where = as_indices(np.flatnonzero(real), device)
    position = as_indices(np.nonzero(real)[1], device)
    # The input at position k > 0 is the character before; position 0 is the patch's vector.
    before = np.zeros((rows, width), np.int64)
    before[:, 1:] = targets[:, : width - 1]
    inputs = F.embedding(as_indices(before[real], device), stack.wte.weight)
    first = as_indices(np.concatenate([[0], np.cumsum(lengths)[:-1]]), device)
    inputs = inputs.to(encoded.dtype).index_copy(0, first, encoded)
    told = model.char_level_decoder.sounding
    if told is not None and sounding is not None:
        inputs = inputs + told(as_indices(sounding[:, :width][real], device))
    x = stack.drop(inputs + F.embedding(position, stack.wpe.weight))
    for block in stack.h:
        assert isinstance(block, Block)
        p = block.attn.dropout if model.training else 0.0
        x = x + block.drop(_attend(block, block.ln_1(x), rows, width, where, p))
        x = x + block.drop(block.mlp(block.ln_2(x)))
    return stack.ln_f(x)


def as_indices(values: np.ndarray, device: torch.device) -> Tensor:
    """Return whole numbers as int64 on a device."""
    return torch.from_numpy(values.astype(np.int64)).to(device)


def character_logits(model: NotaGen, example: Example) -> Tensor:
    """Return the logits of each real character of a piece, (characters, 128)."""
    patches = example.patches[: model.shape.length + 1]
    device = next(model.parameters()).device
    encoded = model.encode(as_indices(patches[None, :-1], device))[0]
    told = None if example.sounding is None else example.sounding[1 : len(patches)]
    states = char_states(model, encoded, patches[1:], (patches[1:] != 0).sum(1), told)
    return model.char_level_decoder.base.lm_head(states)


def losses(
    model: NotaGen,
    example: Example,
    heads: AuxiliaryHeads | None = None,
    *,
    unlikelihood: bool = False,
    forget: float = 0.0,
) -> Losses:
    """Losses of one piece.

    Parameters
    ----------
    model : NotaGen
    example : Example
        At most ``model.shape.length`` patches, EOS included, are used.
    heads : AuxiliaryHeads, optional
        Without them the auxiliary loss is 0.
    unlikelihood : bool
        Whether the loss of the forbidden letters is computed; 0 otherwise.
    forget : float
        Share of the patches of the music whose characters are told nothing of the patches before.
        A model that knows its pieces by heart reads the next note off them, and has no reason to
        heed what sounds and what its form calls for.
    """
    limit = model.shape.length + 1
    patches = example.patches[:limit]
    device = next(model.parameters()).device
    encoded = model.encode(as_indices(patches[None, :-1], device))[0]
    targets = patches[1:]
    real = targets != 0
    told = None if example.sounding is None else example.sounding[1:limit]
    seen = encoded
    if forget and told is not None:
        music = torch.from_numpy((told[..., 0] != SILENT).any(1)).to(device)
        forgotten = music & (torch.rand(len(encoded), device=device) < forget)
        seen = encoded.masked_fill(forgotten[:, None], 0.0)
    states = char_states(model, seen, targets, real.sum(1), told)
    gold = as_indices(targets[real], device)
    logits = model.char_level_decoder.base.lm_head(states)
    nats = F.cross_entropy(logits.float(), gold, reduction="none")
    text = nats.mean()
    of_comments = np.repeat(targets[:, 0] == ord("%"), real.sum(1))
    comments = nats[torch.from_numpy(of_comments).to(device)].sum() / len(gold)
    none = text.new_zeros(())
    forbidden = none
    if unlikelihood:
        forbidden = _unlikelihood(logits, example.forbidden[1:limit][real])
    if heads is None:
        return Losses(text, none, forbidden, comments, len(gold))
    auxiliary = _auxiliary(heads, encoded, states, example, real)
    return Losses(text, auxiliary, forbidden, comments, len(gold))


def _unlikelihood(logits: Tensor, forbidden: np.ndarray) -> Tensor:
    """Sum of ``-log(1 - p(forbidden letters))`` over the number of characters."""
    marked = np.flatnonzero(forbidden)
    if not len(marked):
        return logits.new_zeros((), dtype=torch.float32)
    device = logits.device
    chances = logits.index_select(0, as_indices(marked, device)).float().softmax(-1)
    letters = chances[:, list(LETTER_CODES)]
    bits = (forbidden[marked][:, None].astype(np.int64) >> np.arange(len(LETTER_CODES))) & 1
    mass = (letters * as_indices(bits, device).float()).sum(-1)
    return -torch.log1p(-mass.clamp(max=0.999)).sum() / len(forbidden)


def _auxiliary(
    heads: AuxiliaryHeads, encoded: Tensor, states: Tensor, example: Example, real: np.ndarray
) -> Tensor:
    """Return the auxiliary losses in one sum; the time reached counts .3.

    Parameters
    ----------
    heads : AuxiliaryHeads
    encoded : Tensor (P, hidden)
        Patch-level output.
    states : Tensor (characters, hidden)
        Character-level output.
    example : Example
    real : ndarray of bool (P, 16)
        Characters of the target patches that count.
    """
    device = states.device
    limit = len(real) + 1
    total = states.new_zeros((), dtype=torch.float32)
    time = example.time[1:limit][real]
    music = np.flatnonzero(time >= 0)
    if len(music):
        picked = states.index_select(0, as_indices(music, device))
        reached = as_indices(time[music], device)
        total = total + 0.3 * F.cross_entropy(heads.time(picked).float(), reached)
        asked = (example.now, example.before, example.own[..., None])
        wanted = np.concatenate([a[1:limit][real][music] for a in asked], axis=1)
        total = total + _pitches(heads.pitch(picked), as_indices(wanted, device))
        bits = example.chord[1:limit][real][music]
        known = np.flatnonzero(bits >= 0)
        if len(known):
            classes = (bits[known][:, None].astype(np.int64) >> np.arange(12)) & 1
            guess = heads.chord(picked.index_select(0, as_indices(known, device)))
            sounds = as_indices(classes, device).float()
            total = total + F.binary_cross_entropy_with_logits(guess.float(), sounds)
        if heads.degree is not None and example.tonic >= 0:
            own = example.own[1:limit][real][music].astype(np.int64)
            sung = np.flatnonzero(own > 0)
            if len(sung):
                degrees = (own[sung] - 1 + LOWEST - example.tonic) % 12
                guess = heads.degree(picked.index_select(0, as_indices(sung, device)))
                total = total + F.cross_entropy(guess.float(), as_indices(degrees, device))
    grid = example.grid[1:limit]
    wanted = np.concatenate([grid.reshape(len(grid), -1), example.last[1:limit]], axis=1)
    body = np.flatnonzero((wanted >= 0).any(1))
    if len(body):
        guess = heads.grid(encoded.index_select(0, as_indices(body, device)))
        total = total + _pitches(guess, as_indices(wanted[body], device))
    bars = np.flatnonzero((example.time[1:limit] >= 0).any(1))
    if heads.tonic is not None and example.tonic >= 0 and len(bars):
        guess = heads.tonic(encoded.index_select(0, as_indices(bars, device)))
        wanted = as_indices(np.full(len(bars), example.tonic), device)
        total = total + F.cross_entropy(guess.float(), wanted)
    return total


def _pitches(guess: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of pitch classes, (n, k * PITCHES) against (n, k), -1 left out."""
    if not bool((wanted >= 0).any()):
        return guess.new_zeros((), dtype=torch.float32)
    return F.cross_entropy(guess.float().view(-1, PITCHES), wanted.reshape(-1), ignore_index=-1)
