"""NotaGen as a plain torch module: two GPT-2 stacks, one over patches, one inside a patch.

The patch level takes a piece as patches of 16 characters and gives one vector for each patch. The
character level starts from that vector and gives the next patch, character by character. Both are
pre-norm GPT-2 stacks with learned position embeddings.

Training differentiates this module, and the slow path runs it. It knows no cache, no sampling and
no text. Its state dict has exactly the released keys, so that weights can be exchanged both ways.
The architecture is NotaGen's (Wang et al., IJCAI 2025) on GPT-2's blocks
(Radford et al., 2019).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sounding import CLASSES, SILENT
from scoregate.notagen.text.patches import PAD

NORM_EPSILON = 1e-5


class TokenLosses(NamedTuple):
    """Loss of every character of every predicted patch.

    Attributes
    ----------
    nats : Tensor, (patches, 16)
        Negative log-likelihood.
    counted : Tensor, (patches, 16), bool
        Whether the character counts; padding does not.
    """

    nats: Tensor
    counted: Tensor


class Conv1D(nn.Module):
    """GPT-2's linear layer; its weight is stored as (inputs, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the module."""
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    """Causal self-attention with heads of 64."""

    def __init__(self, hidden: int, dropout: float, fused: bool) -> None:
        super().__init__()
        self.c_attn = Conv1D(hidden, 3 * hidden)
        self.c_proj = Conv1D(hidden, hidden)
        self.dropout, self.fused = dropout, fused

    def forward(self, x: Tensor) -> Tensor:
        """Compute the module."""
        rows, length, hidden = x.shape
        query, key, value = (
            part.view(rows, length, -1, HEAD_SIZE).transpose(1, 2)
            for part in self.c_attn(x).split(hidden, dim=2)
        )
        if self.fused:
            dropout = self.dropout if self.training else 0.0
            attended = F.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, is_causal=True
            )
        else:
            attended = self._step_by_step(query, key, value)
        return self.c_proj(attended.transpose(1, 2).reshape(rows, length, hidden))

    def _step_by_step(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Compute attention as the released code does, with a matrix for every step."""
        length = query.shape[2]
        scores = query @ key.transpose(2, 3)
        scores = scores / HEAD_SIZE**0.5
        mask = torch.ones(length, length, dtype=torch.bool).tril()
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, dim=-1)
        return F.dropout(weights, self.dropout, self.training) @ value


class FeedForward(nn.Module):
    """Feed-forward layer, four times as wide, with the tanh form of GELU."""

    def __init__(self, hidden: int, fused: bool) -> None:
        super().__init__()
        self.c_fc = Conv1D(hidden, 4 * hidden)
        self.c_proj = Conv1D(4 * hidden, hidden)
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """Compute the module."""
        x = self.c_fc(x)
        if self.fused:
            return self.c_proj(F.gelu(x, approximate="tanh"))
        argument = math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))
        return self.c_proj(0.5 * x * (1 + torch.tanh(argument)))


class Block(nn.Module):
    """One pre-norm block of GPT-2."""

    def __init__(self, hidden: int, dropout: float, fused: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(hidden, eps=NORM_EPSILON)
        self.attn = Attention(hidden, dropout, fused)
        self.ln_2 = nn.LayerNorm(hidden, eps=NORM_EPSILON)
        self.mlp = FeedForward(hidden, fused)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the module."""
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))


class Stack(nn.Module):
    """GPT-2 over given embeddings: position embeddings, blocks, final norm."""

    def __init__(
        self, vocabulary: int, length: int, hidden: int, layers: int, dropout: float, fused: bool
    ) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, hidden)
        self.wpe = nn.Embedding(length, hidden)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(hidden, dropout, fused) for _ in range(layers))
        self.ln_f = nn.LayerNorm(hidden, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the module."""
        x = self.drop(x + self.wpe.weight[: x.shape[1]])
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


class PatchLevel(nn.Module):
    """From patches to one vector for each."""

    offsets: Tensor

    def __init__(self, shape: ModelShape, dropout: float, fused: bool) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(PATCH_SIZE * VOCABULARY, shape.hidden)
        # wte is part of the released layout and never used.
        self.base = Stack(1, shape.length, shape.hidden, shape.patch_layers, dropout, fused)
        self.register_buffer("offsets", torch.arange(PATCH_SIZE) * VOCABULARY, persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Compute the module."""
        # The linear layer over 16 joined one-hots is the sum of 16 of its columns.
        columns = F.embedding(patches + self.offsets, self.patch_embedding.weight.t())
        return self.base(columns.sum(dim=-2) + self.patch_embedding.bias)


class CharBase(nn.Module):
    """The character level's stack and head, named as in the released layout."""

    def __init__(self, shape: ModelShape, dropout: float, fused: bool) -> None:
        super().__init__()
        self.transformer = Stack(
            VOCABULARY, PATCH_SIZE + 1, shape.hidden, shape.char_layers, dropout, fused
        )
        self.lm_head = nn.Linear(shape.hidden, VOCABULARY, bias=False)
        self.lm_head.weight = self.transformer.wte.weight


class SoundingInput(nn.Module):
    """What sounds at a character, as a vector that is added to the character level's input.

    Not part of the released architecture. The rows of the table that
    :mod:`scoregate.notagen.sounding` names are summed and passed through one layer, so that
    the model can tell pairs of them apart, such as an interval and a motion.
    """

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.table = nn.Embedding(CLASSES, shape.sounding)
        self.out = Conv1D(shape.sounding, shape.hidden)

    def forward(self, classes: Tensor) -> Tensor:
        """Compute the module: (rows, features) to (rows, hidden); 0 where nothing is told."""
        told = (classes[:, :1] != SILENT).to(self.table.weight.dtype)
        summed = F.embedding_bag(classes, self.table.weight, mode="sum")
        return self.out(F.gelu(summed, approximate="tanh")) * told


class CharLevel(nn.Module):
    """From a patch's vector and its first characters to the logits of the next characters."""

    def __init__(self, shape: ModelShape, dropout: float, fused: bool) -> None:
        super().__init__()
        self.base = CharBase(shape, dropout, fused)
        self.sounding = SoundingInput(shape) if shape.sounding else None

    def forward(self, encoded: Tensor, characters: Tensor, classes: Tensor | None = None) -> Tensor:
        """Compute the module."""
        stack = self.base.transformer
        x = torch.cat((encoded.unsqueeze(1), stack.wte(characters)), dim=1)
        if self.sounding is not None and classes is not None:
            x = x + self.sounding(classes.flatten(0, 1)).view_as(x)
        return self.base.lm_head(stack(x))


class NotaGen(nn.Module):
    """Both levels.

    Parameters
    ----------
    shape : ModelShape
    dropout : float
        Used in training mode only: on embeddings, attention weights and both branches of
        each block. The released models were trained with GPT-2's defaults; inference has
        none.
    fused : bool
        Whether attention and GELU are PyTorch's fused operators, or computed step by step as
        the released code does. The results agree up to rounding.
    """

    def __init__(self, shape: ModelShape, dropout: float = 0.0, fused: bool = True) -> None:
        super().__init__()
        self.shape = shape
        self.patch_level_decoder = PatchLevel(shape, dropout, fused)
        self.char_level_decoder = CharLevel(shape, dropout, fused)
        self.reset()

    def reset(self, generator: torch.Generator | None = None) -> None:
        """Initialise the weights as GPT-2 does: normal, .02, less on residual branches."""
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif ".ln_" in name:
                nn.init.ones_(weight)
            else:
                layers = (
                    self.shape.patch_layers
                    if name.startswith("patch_level")
                    else self.shape.char_layers
                )
                residual = name.endswith("c_proj.weight")
                spread = 0.02 / math.sqrt(2 * layers) if residual else 0.02
                if name.endswith("sounding.out.weight"):
                    spread = 0.0  # what sounds adds nothing at first
                elif name.endswith("sounding.table.weight"):
                    spread = 0.15  # 44 rows are summed: about 1 together
                nn.init.normal_(weight, 0.0, spread, generator=generator)

    def encode(self, patches: Tensor) -> Tensor:
        """Return the patch level's output.

        Parameters
        ----------
        patches : Tensor, (rows, patches, 16), int64
            Right-padded with anything: attention is causal.

        Returns
        -------
        Tensor, (rows, patches, hidden)
        """
        return self.patch_level_decoder(patches)

    def char_logits(
        self, encoded: Tensor, characters: Tensor, classes: Tensor | None = None
    ) -> Tensor:
        """Return the logits of each next character.

        Parameters
        ----------
        encoded : Tensor, (rows, hidden)
            The patch level's output for the patch before.
        characters : Tensor, (rows, n), int64
            The patch's first n characters, 0 <= n <= 16.
        classes : Tensor, (rows, n + 1, features), int64, optional
            What sounds at each of the n + 1 characters that are predicted, for a shape with
            ``sounding``.

        Returns
        -------
        Tensor, (rows, n + 1, 128)
        """
        return self.char_level_decoder(encoded, characters, classes)

    def token_losses(self, patches: Tensor, present: Tensor | None = None) -> TokenLosses:
        """Return the loss of each character of each patch but the first of a row.

        Parameters
        ----------
        patches : Tensor, (rows, patches, 16), int64
            Each row a piece from BOS_PATCH on, right-padded.
        present : Tensor, (rows, patches), bool, optional
            False for the patches that pad a shorter row.
        """
        encoded = self.encode(patches[:, :-1])
        targets = patches[:, 1:]
        if present is None:
            encoded, targets = encoded.flatten(0, 1), targets.flatten(0, 1)
        else:
            selected = present[:, 1:]
            encoded, targets = encoded[selected], targets[selected]
        logits = self.char_logits(encoded, targets[:, :-1])
        nats = F.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), reduction="none"
        ).view_as(targets)
        return TokenLosses(nats, targets != PAD)

    def forward(self, patches: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the mean loss in nats per character, without padding: see token_losses."""
        nats, counted = self.token_losses(patches, present)
        return nats[counted].mean()
