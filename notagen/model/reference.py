"""The slow, obvious path: the model as NotaGen's released code runs it, without any cache.

For every patch the patch level processes the whole context again, and for every character the
character level processes the beginning of the patch again; one piece at a time, with a matrix for
every step of attention and GELU. The engine is tested against this path and measured against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from scoregate.notagen.draft import Draft
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sounding import Listener
from scoregate.notagen.text.patches import Patch
from scoregate.notagen.weights.checkpoint import Checkpoint
from scoregate.sampling import Sampling
from scoregate.token_sampling import sample_tokens


def load_model(checkpoint: Checkpoint, fused: bool = False) -> NotaGen:
    """Return the plain module with a checkpoint's weights, ready for inference.

    Parameters
    ----------
    checkpoint : Checkpoint
    fused : bool
        True takes PyTorch's fused operators, as training does: faster, and not what the
        released code does.
    """
    return model_from(checkpoint.shape, dict(checkpoint.read()), fused)


def model_from(shape: ModelShape, state: dict[str, Tensor], fused: bool = False) -> NotaGen:
    """Return the plain module with given tensors, ready for inference.

    Parameters
    ----------
    shape : ModelShape
    state : dict of str to Tensor
        By the released keys.
    fused : bool
        See :func:`load_model`.
    """
    with torch.device("meta"):
        model = NotaGen(shape, fused=fused)
    model.load_state_dict(state, strict=False, assign=True)
    # What the state may lack: the tied output layer, a buffer, and an unused embedding.
    characters = model.char_level_decoder.base
    characters.lm_head.weight = characters.transformer.wte.weight
    patches = model.patch_level_decoder
    patches.offsets = torch.arange(PATCH_SIZE) * VOCABULARY
    patches.base.wte.weight = torch.nn.Parameter(torch.zeros(1, shape.hidden))
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def sample_patch(
    model: NotaGen,
    patches: Sequence[Patch],
    start: Patch,
    uniforms: np.ndarray,
    sampling: Sampling,
    listener: Listener | None = None,
) -> Patch:
    """Sample a patch, all of its 16 tokens.

    Parameters
    ----------
    model : NotaGen
    patches : sequence of tuple of int
        The context, BOS_PATCH first.
    start : tuple of int
        Tokens that the patch begins with.
    uniforms : ndarray, (16 - len(start),)
    sampling : Sampling
    listener : Listener, optional
        At the end of the text before the patch, for weights that are told what sounds.
    """
    told = []

    def listen(token: int | None) -> None:
        if listener is not None:
            if token is not None:
                listener.hear(token)
            told.append(listener.features)

    encoded = model.encode(torch.tensor([list(patches)]))[0, -1:]
    tokens = list(start)
    for token in (None, *start):
        listen(token)
    for uniform in uniforms:
        so_far = torch.tensor([tokens], dtype=torch.long).view(1, -1)
        classes = torch.tensor([told]) if told else None
        logits = model.char_logits(encoded, so_far, classes)[:, -1]
        probabilities = torch.softmax(logits, dim=-1).numpy()
        tokens.append(int(sample_tokens(probabilities, np.array([uniform]), sampling)[0]))
        listen(tokens[-1])
    assert len(tokens) == PATCH_SIZE
    return tuple(tokens)


def generate(model: NotaGen, draft: Draft, sampling: Sampling) -> Draft:
    """Generate a piece to its end and return it."""
    listener = Listener() if model.shape.sounding else None
    while draft.ended is None:
        if listener is not None:
            listener.follow(draft.before_patch)
        patch = sample_patch(
            model, draft.patches, draft.start, draft.uniforms(), sampling, listener
        )
        draft.advance(patch)
    return draft
