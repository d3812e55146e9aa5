"""Reading and writing safetensors files, one tensor at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scoregate.errors import UnreadableError, WeightsError
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.weights.stored_tensor import (
    FETCH_AGAIN,
    MAX_INDEX,
    SIZES,
    TORCH_NAMES,
    StoredTensor,
    is_finite,
    tensor_bytes,
)

if TYPE_CHECKING:
    import torch

LM_HEAD = "char_level_decoder.base.lm_head.weight"
"""The output layer, tied to CHAR_WTE."""
CHAR_WTE = "char_level_decoder.base.transformer.wte.weight"


def read_header(
    path: Path, file: IO[bytes], size: int
) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Read the header of a safetensors file.

    Parameters
    ----------
    path : Path
        For error messages.
    file : file
        Open at its beginning.
    size : int
        Of the file, in bytes.

    Returns
    -------
    tensors : dict of str to StoredTensor
    metadata : dict of str to str

    Raises
    ------
    WeightsError
    """
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, MAX_INDEX):
        raise WeightsError(f"{path} is truncated: its header is longer than the file.", FETCH_AGAIN)
    try:
        header = json.loads(file.read(length))
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        tensors = {str(name): _entry(name, e, 8 + length) for name, e in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is damaged: its header can't be read ({error}).", FETCH_AGAIN
        ) from None
    ranges = sorted((stored.offset, stored.offset + stored.nbytes) for stored in tensors.values())
    end = ranges[-1][1] if ranges else 8 + length
    if end > size:
        raise WeightsError(
            f"{path} is truncated: {size:,} bytes are there, {end:,} expected.", FETCH_AGAIN
        )
    # As the format demands: one tensor after the other, with nothing between or after them.
    edges = [(0, 8 + length), *ranges, (size, size)]
    if any(before[1] != after[0] for before, after in pairwise(edges)):
        raise WeightsError(
            f"{path} is damaged: its tensors overlap, or leave bytes that belong to none.",
            FETCH_AGAIN,
        )
    return tensors, metadata


def _entry(name: object, entry: Any, base: int) -> StoredTensor:
    begin, end = entry["data_offsets"]
    kind, dims = entry["dtype"], tuple(entry["shape"])
    if not all(type(number) is int and number >= 0 for number in (begin, end, *dims)):
        raise ValueError(f"{name} has no proper place or shape")
    if kind not in SIZES:
        raise ValueError(f"{name} is stored as {kind}, which is not known here")
    stored = StoredTensor(kind, dims, base + begin)
    if stored.nbytes != end - begin:
        raise ValueError(f"{name} has other bytes than its shape says")
    return stored


def write_safetensors(
    path: Path,
    tensors: Iterator[tuple[str, torch.Tensor]],
    metadata: Mapping[str, str],
    shape: ModelShape,
    kind: str = "F32",
) -> None:
    """Write weights as safetensors, one tensor at a time, completely or not at all.

    Parameters
    ----------
    path : Path
        Replaced only when the new file is complete on the disk.
    tensors : iterator of (str, Tensor)
        By the released keys, in any order, without the tied output layer.
    metadata : mapping of str to str
    shape : ModelShape
        Says which tensors to expect.
    kind : {'F32', 'F16'}

    Raises
    ------
    UnreadableError
        The file can't be written.
    WeightsError
        A value is too large for ``kind``; or what reading the tensors raises.
    """
    header, offsets, end = _layout(metadata, shape, kind)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            start = file.tell()
            file.truncate(start + end)
            for name, tensor in tensors:
                data = tensor_bytes(_converted(name, tensor, kind))
                for place in (name, LM_HEAD) if name == CHAR_WTE else (name,):
                    file.seek(start + offsets[place])
                    file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UnreadableError(
            f"{path} can't be written: {error.strerror or error}.", "Choose another place."
        ) from None
    finally:
        # Renamed already where all went well; nothing incomplete stays behind.
        with suppress(OSError):
            part.unlink()


def _layout(
    metadata: Mapping[str, str], shape: ModelShape, kind: str
) -> tuple[bytes, dict[str, int], int]:
    """Return the header, each tensor's offset, and the length of all of them."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offsets: dict[str, int] = {}
    end = 0
    for name, dims in sorted(shape.tensors().items()):
        stored = StoredTensor(kind, dims, end)
        header[name] = {
            "dtype": kind, "shape": list(dims), "data_offsets": [end, end + stored.nbytes],
        }  # fmt: skip
        offsets[name] = end
        end += stored.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), offsets, end


def _converted(name: str, tensor: torch.Tensor, kind: str) -> torch.Tensor:
    import torch

    ready = tensor.to(getattr(torch, TORCH_NAMES[kind])).contiguous()
    if kind == "F16" and not is_finite(ready.float()):
        raise WeightsError(f"{name} holds values too large for fp16.", "Store the weights in fp32.")
    return ready
