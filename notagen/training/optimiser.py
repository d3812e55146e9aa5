"""AdamW for embeddings, norms and biases; Muon, if asked for, for the hidden matrices.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by the nearest
semi-orthogonal one. Here all matrices of one shape are orthogonalised in one batch, and
the joined query-key-value matrix is taken apart first.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

# Coefficients of the quintic iteration (Jordan et al.).
QUINTIC = (3.4445, -4.7750, 2.0315)


@cache
def fast_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 faster than single precision.

    Processors without AVX512-BF16 or AMX emulate it: a step then takes 30 times as long.
    """
    if not device.startswith("cpu"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def orthogonalise(stack: Tensor, steps: int = 4) -> Tensor:
    """Return the polar factor, roughly, of each matrix of a stack (n, rows <= columns)."""
    a, b, c = QUINTIC
    x = stack.bfloat16() if fast_bfloat16(stack.device.type) else stack.float()
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.float()


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for the hidden matrices of a NotaGen model.

    Parameters
    ----------
    named : list of (str, Parameter)
        Two-dimensional weights lying as (inputs, outputs).
    lr : float
        In the scale of AdamW: each update has a root mean square of ``0.2 * lr``.
    momentum, weight_decay : float
    steps : int
        Newton-Schulz iterations.
    """

    def __init__(self, named: list[tuple[str, nn.Parameter]], lr: float, momentum: float = 0.95,
                 weight_decay: float = 0.1) -> None:  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__([p for _, p in named], defaults)
        self.parts = {id(p): 3 if name.endswith("c_attn.weight") else 1 for name, p in named}

    @torch.no_grad()
    def step(self, closure=None) -> None:  # type: ignore[override]
        """Update every weight from its gradient; ``closure`` is not called."""
        group = self.param_groups[0]
        lr, momentum = group["lr"], group["momentum"]
        by_shape: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor, int, bool]]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            buffer = state["momentum"].lerp_(p.grad, 1 - momentum)
            update = p.grad.lerp(buffer, momentum)
            for i, piece in enumerate(update.chunk(self.parts[id(p)], dim=1)):
                turned = piece.shape[0] > piece.shape[1]
                matrix = piece.T if turned else piece
                by_shape.setdefault(tuple(matrix.shape), []).append((p, matrix, i, turned))
            p.mul_(1 - lr * group["weight_decay"])
        for shape, entries in by_shape.items():
            out = orthogonalise(torch.stack([m for _, m, _, _ in entries]))
            scale = 0.2 * max(shape) ** 0.5
            for (p, _, i, turned), matrix in zip(entries, out, strict=True):
                matrix = matrix.T if turned else matrix
                width = matrix.shape[1]
                p[:, i * width : (i + 1) * width].add_(matrix, alpha=-lr * scale)


def optimisers(
    modules: list[nn.Module],
    lr: float,
    muon: bool,
    weight_decay: float = 0.1,
    sounding_rate: float = 1.0,
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of a run: one, or AdamW and Muon.

    Norms, biases and embeddings have no weight decay. A group's ``scale`` is what its learning
    rate is multiplied by.

    Parameters
    ----------
    modules : list of Module
    lr : float
    muon : bool
        Muon for the hidden matrices.
    weight_decay : float
    sounding_rate : float
        Scale of the layer that tells what sounds.
    """
    hidden, plain, rest, told = [], [], [], []
    for module in modules:
        for name, p in module.named_parameters():
            if p.ndim == 2 and (".attn." in name or ".mlp." in name):
                (hidden if muon else plain).append((name, p))
            elif ".sounding." in name:
                told.append(p)
            else:
                rest.append(p)
    groups: list[dict] = [{"params": rest, "weight_decay": 0.0}]
    if told:
        groups.append({"params": told, "weight_decay": 0.0, "scale": sounding_rate})
    if plain:
        groups.append({"params": [p for _, p in plain], "weight_decay": weight_decay})
    fused = all(p.device.type in ("cpu", "cuda") for p in rest)
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=fused)
    ]
    if hidden:
        made.append(Muon(hidden, lr=lr, weight_decay=weight_decay))
    return made
