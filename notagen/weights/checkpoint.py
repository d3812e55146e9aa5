"""A weight file of either form: what it holds, and its tensors one at a time.

Tensors are loaded straight from the file into fresh memory, so weights are never held twice, and
the optimiser's part of a training checkpoint is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scoregate.errors import WeightsError
from scoregate.notagen.model.shape import SOUNDING_TABLE, ModelShape, shape_of
from scoregate.notagen.sounding import CLASSES
from scoregate.notagen.weights.safetensors import CHAR_WTE, LM_HEAD, read_header
from scoregate.notagen.weights.stored_tensor import (
    FETCH_AGAIN,
    TORCH_NAMES,
    StoredTensor,
    is_finite,
    load_tensor,
    reading,
    tensor_sources,
)
from scoregate.notagen.weights.torch_pickle import read_pickle

if TYPE_CHECKING:
    import torch

_FLOATING = ("F64", "F32", "F16", "BF16")
# What DataParallel and torch.compile put before every name.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")
# GPT-2's causal masks, which older releases of transformers stored among the weights.
_MASK = re.compile(r"\.h\.\d+\.attn\.(?:masked_)?bias$")
_PATCH_WTE = "patch_level_decoder.base.wte.weight"


@dataclass(slots=True)
class Checkpoint:
    """A weight file whose contents are known and not yet loaded.

    Parameters
    ----------
    path : Path
    tensors : dict of str to StoredTensor
        By the released keys.
    shape : ModelShape
    metadata : dict of str to str
        Of the safetensors header; empty for a pickle.
    """

    path: Path
    tensors: dict[str, StoredTensor]
    shape: ModelShape
    metadata: dict[str, str] = field(default_factory=dict)

    def read(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every tensor, one at a time, in fp32, in the order of the file.

        The tied output layer is left out: it is the same as the character embedding.

        Raises
        ------
        WeightsError
            The file's end is missing, its checksums are wrong, or a value is not finite.
        """
        import torch

        # A pickle lists its tensors layer by layer, while the names of its entries are numbers.
        order = sorted(
            self.tensors.items(), key=lambda item: 0 if item[1].entry else item[1].offset
        )
        head: torch.Tensor | None = None
        characters: torch.Tensor | None = None
        with reading(self.path) as file, tensor_sources(file, order) as source_of:
            for name, stored in order:
                tensor = load_tensor(stored, source_of, self.path, name).float()
                if not is_finite(tensor):
                    raise WeightsError(
                        f"{self.path} is damaged: {name} holds values that are not finite.",
                        FETCH_AGAIN,
                    )
                if name == SOUNDING_TABLE and len(tensor) < CLASSES:
                    tensor = torch.nn.functional.pad(tensor, (0, 0, 0, CLASSES - len(tensor)))
                head = tensor if name == LM_HEAD else head
                characters = tensor if name == CHAR_WTE else characters
                if name != LM_HEAD:
                    yield name, tensor
        if head is not None and characters is not None and not torch.equal(head, characters):
            raise WeightsError(
                f"{self.path}: {LM_HEAD} differs from {CHAR_WTE}, which NotaGen ties to it.",
                FETCH_AGAIN,
            )

    def sha256(self) -> str:
        """Return the file's checksum as 64 hex digits."""
        digest = hashlib.sha256()
        with reading(self.path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Find out what a weight file holds, without loading its tensors.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file or a ``.pth`` checkpoint with a ``model`` entry. The contents
        decide, not the name.

    Raises
    ------
    UnreadableError
        There is no such file, or it can't be opened.
    WeightsError
        Empty, truncated, damaged, or no NotaGen weights.
    """
    path = Path(path)
    with reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        tensors, metadata = _read_table(path, file, size)
    tensors = _released_names(path, tensors)
    for name, stored in tensors.items():
        if stored.nbytes > size:
            raise WeightsError(
                f"{path} is damaged: {name} is larger than the whole file.", FETCH_AGAIN
            )
    dims = {name: tensor.dims for name, tensor in tensors.items()}
    # The tied output layer and the unused embedding may be left out of safetensors.
    if LM_HEAD not in dims and CHAR_WTE in dims:
        dims[LM_HEAD] = dims[CHAR_WTE]
    if _PATCH_WTE not in dims and len(dims.get(CHAR_WTE, ())) == 2:
        dims[_PATCH_WTE] = (1, dims[CHAR_WTE][1])
    try:
        shape = shape_of(dims)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error.problem}", error.remedy) from None
    for name, stored in tensors.items():
        if stored.kind not in _FLOATING:
            raise WeightsError(
                f"{path}: {name} is stored as {TORCH_NAMES[stored.kind]}, which weights are not.",
                "They may be stored as float32, float16, bfloat16 or float64.",
            )
    return Checkpoint(path, tensors, shape, metadata)


def _read_table(
    path: Path, file: IO[bytes], size: int
) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Read the table of tensors and the metadata of a file of either form."""
    first = file.read(9)  # a safetensors file's length of header, and its brace
    if not first:
        raise WeightsError(f"{path} is empty.", FETCH_AGAIN)
    file.seek(0)
    if first[:4] == b"PK\x03\x04":
        return read_pickle(path, file), {}
    if len(first) == 9 and first[8:9] == b"{":
        return read_header(path, file, size)
    if first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
        raise WeightsError(
            f"{path} is a bare pickle: no weights, or weights in PyTorch's form from before "
            "version 1.6.",
            "Save it again with a newer PyTorch, or fetch the released file.",
        )
    raise WeightsError(f"{path} is neither safetensors nor a PyTorch checkpoint.", FETCH_AGAIN)


def _released_names(path: Path, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Return tensors by the released keys, without what training wraps around them."""
    found: dict[str, StoredTensor] = {}
    for name, stored in tensors.items():
        plain = _WRAPPERS.sub("", name)
        if _MASK.search(plain):
            continue
        if plain in found:
            raise WeightsError(f"{path} holds {plain} twice.", FETCH_AGAIN)
        found[plain] = stored
    return found
