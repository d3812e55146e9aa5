"""The shape of a NotaGen model: five numbers, read from its tensors.

Nothing else is needed to build one: a patch always has 16 tokens of 128 values, an attention head
is always 64 wide, and the feed-forward layer is four times as wide as the model. File names of
the releases carry the same numbers, but some of them are wrong, so names are never used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from scoregate.errors import WeightsError
from scoregate.notagen.sounding import CLASSES, EARLIER_CLASSES

PATCH_SIZE = 16
"""Tokens in a patch."""
VOCABULARY = 128
"""Tokens: 0 is padding, 1 begins and 2 ends; the others are ASCII characters."""
HEAD_SIZE = 64
"""Width of an attention head at both levels."""

_EMBEDDING = "patch_level_decoder.patch_embedding"
_PATCH_BASE = "patch_level_decoder.base"
_CHAR_BASE = "char_level_decoder.base.transformer"
_LM_HEAD = "char_level_decoder.base.lm_head.weight"
_SOUNDING = "char_level_decoder.sounding"
SOUNDING_TABLE = f"{_SOUNDING}.table.weight"
_BLOCK = re.compile(r"^(?P<base>.*?)\.h\.(?P<layer>[0-9]{1,4})\.")
_REMEDY = (
    "NotaGen weights hold tensors named patch_level_decoder.* and char_level_decoder.*; "
    "`scoregate weights list` names the released files."
)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The shape of a NotaGen model.

    Parameters
    ----------
    hidden : int
        Width of both levels; a multiple of 64.
    patch_layers, char_layers : int
        Transformer layers at the patch level and at the character level.
    length : int
        Most patches that the patch level can attend to, the first one (BOS) included.
    sounding : int
        Width of the layer between what sounds (:mod:`scoregate.notagen.sounding`) and the
        character level's input; 0 for a model that is told nothing, as all released ones are.
    """

    hidden: int
    patch_layers: int
    char_layers: int
    length: int
    sounding: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < (name != "sounding"):
                raise WeightsError(f"A model with {name} = {value} is not possible.", _REMEDY)
        if self.hidden % HEAD_SIZE:
            raise WeightsError(
                f"The width {self.hidden} is not a multiple of {HEAD_SIZE}, the width of a head.",
                _REMEDY,
            )

    @property
    def heads(self) -> int:
        """Attention heads at both levels."""
        return self.hidden // HEAD_SIZE

    def as_dict(self) -> dict[str, int]:
        """Return the shape as a JSON-ready dict; without ``sounding`` where that is 0."""
        return {name: value for name, value in asdict(self).items() if value}

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Return every key of the released state dict with its tensor's shape.

        GPT-2's linear layers are stored as (inputs, outputs). The patch level's ``wte`` is never
        used, and ``lm_head`` is the same as the character level's ``wte``; both are in the
        released files.
        """
        hidden = self.hidden
        found: dict[str, tuple[int, ...]] = {
            f"{_EMBEDDING}.weight": (hidden, PATCH_SIZE * VOCABULARY),
            f"{_EMBEDDING}.bias": (hidden,),
            f"{_PATCH_BASE}.wte.weight": (1, hidden),
            f"{_PATCH_BASE}.wpe.weight": (self.length, hidden),
            f"{_CHAR_BASE}.wte.weight": (VOCABULARY, hidden),
            f"{_CHAR_BASE}.wpe.weight": (PATCH_SIZE + 1, hidden),
            _LM_HEAD: (VOCABULARY, hidden),
        }
        for base, layers in ((_PATCH_BASE, self.patch_layers), (_CHAR_BASE, self.char_layers)):
            found[f"{base}.ln_f.weight"] = found[f"{base}.ln_f.bias"] = (hidden,)
            for layer in range(layers):
                block = f"{base}.h.{layer}"
                for norm in ("ln_1", "ln_2"):
                    found[f"{block}.{norm}.weight"] = found[f"{block}.{norm}.bias"] = (hidden,)
                for name, inputs, outputs in (
                    ("attn.c_attn", hidden, 3 * hidden),
                    ("attn.c_proj", hidden, hidden),
                    ("mlp.c_fc", hidden, 4 * hidden),
                    ("mlp.c_proj", 4 * hidden, hidden),
                ):
                    found[f"{block}.{name}.weight"] = (inputs, outputs)
                    found[f"{block}.{name}.bias"] = (outputs,)
        if self.sounding:
            found[SOUNDING_TABLE] = (CLASSES, self.sounding)
            found[f"{_SOUNDING}.out.weight"] = (self.sounding, hidden)
            found[f"{_SOUNDING}.out.bias"] = (hidden,)
        return found

    def parameters(self) -> int:
        """Return the number of parameters; tied ones count once."""
        total = 0
        for name, dims in self.tensors().items():
            if name != _LM_HEAD:
                size = 1
                for dim in dims:
                    size *= dim
                total += size
        return total


def shape_of(tensors: Mapping[str, Sequence[int]]) -> ModelShape:
    """Infer a model's shape from the shapes of its tensors, and check all tensors against it.

    Parameters
    ----------
    tensors : mapping of str to sequence of int
        Shape of each tensor by its key. Keys other than the released ones are refused.

    Raises
    ------
    WeightsError
        A tensor is missing, not known, or has another shape than the others imply.
    """

    def dims(key: str) -> tuple[int, ...]:
        if key not in tensors:
            raise WeightsError(f"These are no NotaGen weights: {key} is missing.", _REMEDY)
        found = tuple(int(size) for size in tensors[key])
        if len(found) != 2:
            raise WeightsError(f"{key} has {len(found)} dimensions, 2 expected.", _REMEDY)
        return found

    layers = {_PATCH_BASE: 0, _CHAR_BASE: 0}
    for key in tensors:
        match = _BLOCK.match(key)
        if match and match["base"] in layers:
            layers[match["base"]] = max(layers[match["base"]], int(match["layer"]) + 1)
    shape = ModelShape(
        hidden=dims(f"{_EMBEDDING}.weight")[0],
        patch_layers=layers[_PATCH_BASE],
        char_layers=layers[_CHAR_BASE],
        length=dims(f"{_PATCH_BASE}.wpe.weight")[0],
        sounding=dims(SOUNDING_TABLE)[1] if SOUNDING_TABLE in tensors else 0,
    )
    expected = shape.tensors()
    for key, size in expected.items():
        if key not in tensors:
            raise WeightsError(f"The weights are incomplete: {key} is missing.", _REMEDY)
        if key == SOUNDING_TABLE and tensors[key][0] in EARLIER_CLASSES:
            continue
        if tuple(tensors[key]) != size:
            raise WeightsError(f"{key} is {tuple(tensors[key])}, {size} expected.", _REMEDY)
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise WeightsError(
            f"The weights hold {len(extra)} tensors that NotaGen does not have, "
            f"such as {extra[0][:80]!r}.",
            _REMEDY,
        )
    return shape
