"""Plain sampling for evaluation during training: no cache, no repair, NotaGen's order.

The engine (:mod:`notagen.engine`) is what production uses; this needs only the module and
a prompt, and is held to nothing but the raw text.
"""

from __future__ import annotations

import numpy as np
import torch

from notagen.model import NotaGen
from notagen.patches import BOS_PATCH, END, decode, encode, ends_piece, settle


def draw(logits: torch.Tensor, rng: list[np.random.Generator], top_k: int, top_p: float,
         temperature: float) -> np.ndarray:  # fmt: skip
    """One character a row: top-k, then nucleus, then temperature, then the draw."""
    p = torch.softmax(logits.double(), -1).numpy()
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, 1)
    if top_k:
        sorted_p[:, top_k:] = 0
        sorted_p /= sorted_p.sum(1, keepdims=True)
    before = np.cumsum(sorted_p, 1) - sorted_p
    sorted_p[before > top_p] = 0
    sorted_p = np.where(sorted_p > 0, sorted_p ** (1 / temperature), 0)
    edges = np.cumsum(sorted_p, 1)
    u = np.array([r.random() for r in rng]) * edges[:, -1]
    picked = (edges <= u[:, None]).sum(1).clip(max=p.shape[1] - 1)
    return np.take_along_axis(order, picked[:, None], 1)[:, 0]


@torch.no_grad()
def sample(model: NotaGen, prompt: str, seeds: list[int], *, temperature: float = 1.0,
           top_k: int = 9, top_p: float = 0.9, max_patches: int = 400) -> list[str]:  # fmt: skip
    """Write one piece a seed; a piece that does not end by ``max_patches`` is cut there."""
    model.eval()
    rng = [np.random.default_rng((7, s)) for s in seeds]
    start = encode(prompt)
    assert start[0] == BOS_PATCH
    rows = [list(start) for _ in seeds]
    alive = list(range(len(seeds)))
    limit = min(max_patches, model.shape.length)
    while alive and len(rows[alive[0]]) < limit:
        patches = torch.tensor([rows[i] for i in alive])
        encoded = model.encode(patches)[:, -1]
        chars = torch.zeros(len(alive), 0, dtype=torch.long)
        done = np.zeros(len(alive), bool)
        for _ in range(16):
            logits = model.char_logits(encoded, chars)[:, -1]
            drawn = draw(logits, [rng[i] for i in alive], top_k, top_p, temperature)
            chars = torch.cat([chars, torch.from_numpy(drawn)[:, None]], 1)
            done |= drawn == END
            if done.all():
                break
        full = torch.zeros(len(alive), 16, dtype=torch.long)
        full[:, : chars.shape[1]] = chars
        kept = []
        for j, i in enumerate(alive):
            patch = full[j].tolist()
            if ends_piece(patch):
                continue
            rows[i].append(settle(patch))
            kept.append(i)
        alive = kept
    return [decode(row) for row in rows]
