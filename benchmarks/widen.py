"""Function-preserving widening: a large model that computes what a small one computes.

Weights of the largest released shape that write music are needed to test the line at that
size. This makes them from the embedded model, after Net2Net (Chen et al., ICLR 2016), carried
over to pre-norm transformers with a tied head:

- The residual stream of the large model holds each of the small one's channels r times. What
  reads the stream divides by r, what writes to it is copied. Heads and inner units that are
  new are zero; layers that are new write nothing.
- Where the large width is no multiple of the small one, channels are left over. They hold the
  mean of the small stream, so they add nothing to its deviation, and the whole stream is
  scaled by k = sqrt(large / (r * small)): mean and variance that a LayerNorm sees are then
  k times the small mean and the small variance itself, epsilon included.
- The head is the characters' embedding, which is a writer. The factor r * k**2 that it brings
  along goes into the gain of the norm before it.
- The patch level's last norm writes the character level's stream, and a norm's gains can't
  form a mean. The spare channels at the patch level therefore carry, besides the mean of
  the stream, the mean of what that norm will say, in two halves of opposite sign that leave
  the mean as it is, and so faint (``FAINT``) that the variance changes by less than fp32
  resolves. Their gains make it loud again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from scoregate.notagen.model.shape import HEAD_SIZE, ModelShape

FAINT = 1 / 32
"""How loud spare channels carry the mean of the last norm's output."""
_EMBEDDING = "patch_level_decoder.patch_embedding"
_PATCH = "patch_level_decoder.base"
_CHAR = "char_level_decoder.base.transformer"
_HEAD = "char_level_decoder.base.lm_head.weight"


class Stream:
    """How a level's residual stream of the large model holds the small one's.

    Parameters
    ----------
    small, large : int
        Widths, multiples of 64.
    said : Tensor, (small,), optional
        A functional of the small stream that spare channels carry besides its mean.
    """

    def __init__(self, small: int, large: int, said: Tensor | None = None) -> None:
        self.copies = large // small
        self.spare = large - self.copies * small
        self.scale = math.sqrt(large / (self.copies * small))
        signs = torch.ones(self.spare)
        signs[self.spare // 2 :] = -1
        self.signs = signs
        mean = torch.full((small,), 1 / small)
        functionals = mean[:, None].expand(-1, self.spare)
        if said is not None:
            functionals = functionals + FAINT * said[:, None] * signs
        self.functionals = functionals  # (small, spare)

    def written(self, outputs: Tensor) -> Tensor:
        """Widen what is written to the stream: (..., small) to (..., large)."""
        spare = (outputs.double() @ self.functionals.double()).to(outputs.dtype)
        return self.scale * torch.cat([outputs] * self.copies + [spare], dim=-1)

    def read(self, weight: Tensor) -> Tensor:
        """Widen what reads a norm's output: (small, outputs) to (large, outputs)."""
        silent = weight.new_zeros(self.spare, weight.shape[1])
        return torch.cat([weight / self.copies] * self.copies + [silent])

    def channels(self, values: Tensor, spare: Tensor | float = 0.0) -> Tensor:
        """Widen a norm's gains or biases: (small,) to (large,)."""
        rest = torch.full((self.spare,), spare) if isinstance(spare, float) else spare
        return torch.cat([values] * self.copies + [rest])


def widen(tensors: Mapping[str, Tensor], small: ModelShape, large: ModelShape) -> dict[str, Tensor]:
    """Return weights of the large shape that give the small weights' logits.

    Equal up to rounding, for contexts within the small model's length; positions beyond it
    were never trained and are zero.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        fp32, by the released keys; the tied head may be left out.
    small, large : ModelShape

    Returns
    -------
    dict of str to Tensor
        By the released keys; the head is the characters' embedding itself.

    Raises
    ------
    ValueError
        The large shape is smaller somewhere.
    """
    for name, value in small.as_dict().items():
        if value > large.as_dict()[name]:
            raise ValueError(f"{name} would shrink from {value} to {large.as_dict()[name]}")
    last_gain, last_bias = tensors[f"{_PATCH}.ln_f.weight"], tensors[f"{_PATCH}.ln_f.bias"]
    # The mean of gain * normalised + bias, up to the norm's own division and the bias' mean.
    said = (last_gain - last_gain.mean()) / small.hidden
    patch = Stream(small.hidden, large.hidden, said)
    char = Stream(small.hidden, large.hidden)

    wide = {name: torch.zeros(dims) for name, dims in large.tensors().items()}
    wide[f"{_EMBEDDING}.weight"] = patch.written(tensors[f"{_EMBEDDING}.weight"].t()).t()
    wide[f"{_EMBEDDING}.bias"] = patch.written(tensors[f"{_EMBEDDING}.bias"])
    for stream, base, layers in (
        (patch, _PATCH, (small.patch_layers, large.patch_layers)),
        (char, _CHAR, (small.char_layers, large.char_layers)),
    ):
        places = tensors[f"{base}.wpe.weight"]
        wide[f"{base}.wpe.weight"][: len(places)] = stream.written(places)
        for layer in range(layers[1]):
            block = f"{base}.h.{layer}"
            if layer < layers[0]:
                _widen_block(wide, tensors, block, stream)
            else:
                for norm in ("ln_1", "ln_2"):
                    wide[f"{block}.{norm}.weight"].fill_(1.0)
    wide[f"{_CHAR}.wte.weight"] = char.written(tensors[f"{_CHAR}.wte.weight"])
    wide[_HEAD] = wide[f"{_CHAR}.wte.weight"]

    scale = patch.scale
    wide[f"{_PATCH}.ln_f.weight"] = patch.channels(last_gain, patch.signs / FAINT)
    wide[f"{_PATCH}.ln_f.bias"] = patch.channels(
        scale * last_bias, (scale * last_bias.mean()).expand(patch.spare)
    )
    head = char.copies * scale
    wide[f"{_CHAR}.ln_f.weight"] = char.channels(tensors[f"{_CHAR}.ln_f.weight"] / (head * scale))
    wide[f"{_CHAR}.ln_f.bias"] = char.channels(tensors[f"{_CHAR}.ln_f.bias"] / head)
    wide = {name: tensor.contiguous() for name, tensor in wide.items()}
    wide[_HEAD] = wide[f"{_CHAR}.wte.weight"]
    return wide


def _widen_block(
    wide: dict[str, Tensor], tensors: Mapping[str, Tensor], block: str, stream: Stream
) -> None:
    """Fill in one block; its heads and inner units come first among the large block's."""
    for norm in ("ln_1", "ln_2"):
        gain, bias = tensors[f"{block}.{norm}.weight"], tensors[f"{block}.{norm}.bias"]
        wide[f"{block}.{norm}.weight"] = stream.channels(gain / stream.scale)
        wide[f"{block}.{norm}.bias"] = stream.channels(bias)
    for layer, parts in (("attn.c_attn", 3), ("mlp.c_fc", 1)):
        weight, bias = tensors[f"{block}.{layer}.weight"], tensors[f"{block}.{layer}.bias"]
        target = wide[f"{block}.{layer}.weight"]
        size, room = len(bias) // parts, target.shape[1] // parts
        assert size % HEAD_SIZE == 0
        for part in range(parts):  # queries, keys and values lie side by side
            here, there = slice(part * size, (part + 1) * size), part * room
            target[:, there : there + size] = stream.read(weight[:, here])
            wide[f"{block}.{layer}.bias"][there : there + size] = bias[here]
    for layer in ("attn.c_proj", "mlp.c_proj"):
        weight = tensors[f"{block}.{layer}.weight"]
        wide[f"{block}.{layer}.weight"][: len(weight)] = stream.written(weight)
        wide[f"{block}.{layer}.bias"] = stream.written(tensors[f"{block}.{layer}.bias"])
