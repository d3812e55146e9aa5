"""The slow, obvious path: what NotaGen's released code does, and nothing kept.

For every patch the patch level reads the whole context again, and for every character the
character level reads the patch's beginning again; one piece at a time, every step of attention
and GELU a matrix of its own. The engine is held to this, and measured against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scoregate.notagen.draft import Draft
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sampling import draw
from scoregate.notagen.text.patches import Patch
from scoregate.notagen.weights.checkpoint import Checkpoint
from scoregate.sampling import Sampling


def load_model(checkpoint: Checkpoint, fused: bool = False) -> NotaGen:
    """Return the plain module with a checkpoint's weights, ready for inference.

    Parameters
    ----------
    checkpoint : Checkpoint
    fused : bool
        True takes PyTorch's fused operators, as training does: faster, and not what the
        released code does.
    """
    return ready_model(checkpoint.shape, dict(checkpoint.read()), fused)


def ready_model(shape: ModelShape, state: dict[str, Tensor], fused: bool = False) -> NotaGen:
    """Return the plain module with tensors by the released keys: see :func:`load_model`."""
    with torch.device("meta"):
        model = NotaGen(shape, fused=fused)
    model.load_state_dict(state, strict=False, assign=True)
    # What the file leaves out: the tied output layer, a buffer, and an unused embedding.
    characters = model.char_level_decoder.base
    characters.lm_head.weight = characters.transformer.wte.weight
    patches = model.patch_level_decoder
    patches.offsets = torch.arange(PATCH_SIZE) * VOCABULARY
    patches.base.wte.weight = torch.nn.Parameter(torch.zeros(1, shape.hidden))
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def next_patch(
    model: NotaGen,
    patches: Sequence[Patch],
    start: Patch,
    uniforms: np.ndarray,
    sampling: Sampling,
) -> Patch:
    """Draw a patch, all of its 16 characters.

    Parameters
    ----------
    model : NotaGen
    patches : sequence of tuple of int
        The context, BOS_PATCH first.
    start : tuple of int
        Codes that the patch begins with.
    uniforms : ndarray, (16 - len(start),)
    sampling : Sampling
    """
    encoded = model.encode(torch.tensor([list(patches)]))[0, -1:]
    codes = list(start)
    for uniform in uniforms:
        so_far = torch.tensor([codes], dtype=torch.long).view(1, -1)
        logits = model.char_logits(encoded, so_far)[:, -1]
        probabilities = torch.softmax(logits, dim=-1).numpy()
        codes.append(int(draw(probabilities, np.array([uniform]), sampling)[0]))
    assert len(codes) == PATCH_SIZE
    return tuple(codes)


def write(model: NotaGen, draft: Draft, sampling: Sampling) -> Draft:
    """Write a piece to its end and return it."""
    while draft.ended is None:
        draft.take(next_patch(model, draft.patches, draft.start, draft.uniforms(), sampling))
    return draft
