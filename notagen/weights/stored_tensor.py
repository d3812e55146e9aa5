"""Tensors in a weight file: where they lie, how they are stored, how they are loaded."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scoregate.errors import UnreadableError, WeightsError

if TYPE_CHECKING:
    import torch

TORCH_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""PyTorch's names of the types of numbers, by safetensors' names."""
SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1,
}  # fmt: skip
"""Bytes of a number, by safetensors' names of the types."""
FETCH_AGAIN = "Fetch it again (`scoregate weights get NAME`), or name another file."
"""Remedy for a damaged file."""
MAX_INDEX = 64 * 2**20
"""Most bytes of a file's table of tensors."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in its file.

    Parameters
    ----------
    kind : str
        Type of its numbers, by safetensors' name: ``F32``.
    dims : tuple of int
    offset : int
        Bytes from the beginning of the entry, or of the file where there are no entries.
    entry : str
        A name inside a zip file; empty for safetensors.
    strides : tuple of int
        In numbers; empty where the tensor is contiguous, row by row.
    """

    kind: str
    dims: tuple[int, ...]
    offset: int
    entry: str = ""
    strides: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        """Length in bytes, once loaded."""
        return SIZES[self.kind] * math.prod(self.dims)

    @property
    def span(self) -> int:
        """Bytes from its first number to its last in the file."""
        if not self.strides or not all(self.dims):
            return self.nbytes
        steps = (step * (dim - 1) for dim, step in zip(self.dims, self.strides, strict=True))
        return SIZES[self.kind] * (1 + sum(steps))


@contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a weight file.

    Raises
    ------
    UnreadableError
        There is no such file, or it can't be opened.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UnreadableError(
            f"There are no weights at {path}.", "`scoregate weights list` names what can be had."
        ) from None
    except OSError as error:
        raise UnreadableError(
            f"{path} can't be read: {error.strerror}.", "Name a weight file that can be."
        ) from None
    with file:
        yield file


@contextmanager
def tensor_sources(
    file: IO[bytes], order: list[tuple[str, StoredTensor]]
) -> Iterator[Callable[[StoredTensor], IO[bytes]]]:
    """Give a function that opens the bytes of a tensor at the beginning of its entry or itself.

    Parameters
    ----------
    file : file
        The weight file, open for reading.
    order : list of (str, StoredTensor)
        All tensors that will be loaded.
    """
    if any(stored.entry for _, stored in order):
        with zipfile.ZipFile(file) as archive:
            yield lambda stored: archive.open(stored.entry)
    else:

        def seek(stored: StoredTensor) -> IO[bytes]:
            file.seek(stored.offset)
            return file

        yield seek


def load_tensor(
    stored: StoredTensor, source_of: Callable[[StoredTensor], Any], path: Path, name: str
) -> torch.Tensor:
    """Load a tensor; a zip entry is compared with its checksum.

    Parameters
    ----------
    stored : StoredTensor
    source_of : callable
        From :func:`tensor_sources`.
    path, name
        For error messages.

    Raises
    ------
    WeightsError
    """
    import torch

    dtype = getattr(torch, TORCH_NAMES[stored.kind])
    if not stored.nbytes:
        return torch.empty(stored.dims, dtype=dtype)
    flat = torch.empty(stored.span // SIZES[stored.kind], dtype=dtype)
    view = tensor_bytes(flat)
    try:
        source = source_of(stored)
        remaining = stored.offset if stored.entry else 0
        while remaining:
            passed = len(source.read(min(remaining, 1 << 20)))
            if not passed:
                raise EOFError
            remaining -= passed
        done = 0
        while done < len(view):
            count = source.readinto(view[done:])
            if not count:
                raise EOFError
            done += count
        if stored.entry:
            # The checksum is compared when the end of the entry is read.
            while source.read(1 << 20):
                pass
            source.close()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise WeightsError(
            f"{path} is damaged: {name} can't be read ({error or 'its end is missing'}).",
            FETCH_AGAIN,
        ) from None
    if stored.strides:
        return flat.as_strided(stored.dims, stored.strides).contiguous()
    return flat.view(stored.dims)


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the memory of a contiguous tensor."""
    import torch

    flat: Any = tensor.view(-1).view(torch.uint8).numpy()
    return memoryview(flat)


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether every number of a tensor in fp32 is finite."""
    # NaN and infinity survive additions, and a sum needs no memory of its own. Large finite
    # numbers may overflow in it, so that only a finite sum is proof.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
