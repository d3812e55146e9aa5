"""More layers, or the input of what sounds, for weights that are gone on from.

What they write stays the same at first.

A new block whose two output projections are zero adds nothing to the residual stream, so the
deepened model computes what the shallower one did (T. Chen et al., Net2Net, ICLR 2016; the
zero-initialised residual branch is ReZero's, Bachlechner et al., 2020). Training then uses it.
"""

from __future__ import annotations

import torch

from scoregate.errors import RequestError
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import ModelShape, shape_of


def deepen(state: dict[str, torch.Tensor], shape: ModelShape) -> dict[str, torch.Tensor]:
    """Weights of a deeper shape that compute the same as ``state``.

    Parameters
    ----------
    state : dict of str to Tensor
        Weights of a NotaGen model.
    shape : ModelShape
        What is wanted; only its numbers of layers may differ, and only upwards, and it may be
        told what sounds where ``state`` is not.

    Raises
    ------
    RequestError
        The shape differs in width or length, has fewer layers, or is not told what sounds where
        ``state`` is.
    """
    have = shape_of({k: v.shape for k, v in state.items()})
    if have == shape:
        return state
    fits = (have.hidden, have.length) == (shape.hidden, shape.length)
    fits = fits and have.sounding in (0, shape.sounding)
    if not fits or have.patch_layers > shape.patch_layers or have.char_layers > shape.char_layers:
        raise RequestError(
            f"Weights of the shape {have} cannot become {shape}.",
            "Only layers can be added; keep width, length and the layers that there are.",
        )
    grown = NotaGen(shape).state_dict()
    for name in grown:
        if name in state:
            grown[name] = state[name]
        elif ".c_proj." in name or ".sounding.out." in name:
            grown[name] = torch.zeros_like(grown[name])
    return grown
