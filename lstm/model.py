"""The network: an embedding, stacked LSTM layers with dropout, and a projection to the words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden and cell states, each (layers, pieces, hidden)."""


@dataclass(frozen=True, slots=True)
class LstmShape:
    """The numbers that make a model.

    Attributes
    ----------
    words : int
        Size of the vocabulary.
    embedding, hidden, layers : int
    """

    words: int
    embedding: int = 128
    hidden: int = 256
    layers: int = 3


class LstmModel(nn.Module):
    """Next-word probabilities from the words so far.

    Parameters
    ----------
    shape : LstmShape
    dropout : float
        On the embedding, between the layers, and before the projection, while training.
    """

    def __init__(self, shape: LstmShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.words, shape.embedding)
        between = dropout if shape.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            shape.embedding, shape.hidden, shape.layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(shape.hidden, shape.words)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return logits and the new state.

        Parameters
        ----------
        tokens : Tensor of int64, (pieces, length)
        state : State, optional
            Zeros by default.

        Returns
        -------
        logits : Tensor, (pieces, length, words)
        state : State
        """
        hidden, after = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.projection(self.dropout(hidden)), after


def loss_of(model: LstmModel, tokens: Tensor, padding: int) -> Tensor:
    """Return the mean loss in nats a word.

    Parameters
    ----------
    model : LstmModel
    tokens : Tensor of int64, (pieces, length + 1)
        Each word is predicted from those before it; ``padding`` counts nowhere.
    padding : int
        A number that is no token, below 0.
    """
    inputs, targets = tokens[:, :-1].clamp_min(0), tokens[:, 1:]
    logits, _ = model(inputs)
    return nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=padding
    )


@torch.no_grad()
def nats_per_word(model: LstmModel, pieces: list[list[int]]) -> float:
    """Return the loss on held-out pieces, each read from its beginning in one go."""
    device = model.projection.weight.device
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    for start in range(0, len(pieces), 32):
        batch = sorted(pieces[start : start + 32], key=len)
        longest = max(len(tokens) for tokens in batch)
        rows = torch.full((len(batch), longest), -1, dtype=torch.long)
        for row, tokens in zip(rows, batch, strict=True):
            row[: len(tokens)] = torch.tensor(tokens)
        words = sum(len(tokens) - 1 for tokens in batch)
        total += float(loss_of(model, rows.to(device), -1)) * words
        count += words
    model.train(was_training)
    return total / count
