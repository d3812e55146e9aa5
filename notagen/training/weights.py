"""Writing trained weights as safetensors, half precision, with what a reader must know."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save

from scoregate.errors import ScoregateError

LM_HEAD = "char_level_decoder.base.lm_head.weight"


def write_weights(
    path: Path,
    state: dict[str, torch.Tensor],
    *,
    name: str,
    styles: list[tuple[str, str, str]],
    trained_on: str,
    card: dict,
) -> int:
    """Write a state dict with the released keys; returns the file's size in bytes.

    The file appears whole or not at all. Its safetensors metadata carries ``name``,
    ``styles``, ``trained_on`` and ``card`` as JSON.

    Raises
    ------
    ScoregateError
        It can't be written.
    """
    tensors = {k: v.detach().to(torch.float16).contiguous().clone() for k, v in state.items()}
    metadata = {
        "name": name,
        "styles": json.dumps([list(s) for s in styles]),
        "trained_on": trained_on,
        "card": json.dumps(card, sort_keys=True),
        "format": "pt",
    }
    data = save(tensors, metadata)
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ScoregateError(
            f"The weights {path} can't be written: {error}", "Make room, or name another folder."
        ) from error
    return len(data)
