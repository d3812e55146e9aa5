"""Reading and writing weight files: safetensors, and the released ``.pth`` pickles.

A pickle runs code when it is read. Here its instructions are followed by an unpickler that
knows tensors and plain containers only and refuses every other name, so nothing in the file
is ever called. Tensors are read one at a time, straight from the file into fresh memory, so
weights are never held twice and the optimiser's part of a checkpoint is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from notagen.shape import ModelShape, shape_of
from scoregate.errors import UnreadableError, WeightsError

if TYPE_CHECKING:
    import torch

_TORCH_NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1,
}  # fmt: skip
_MOST_HEADER = 64 * 2**20
_MEND = "Fetch it again (`scoregate weights get NAME`), or name another file."
_LM_HEAD = "char_level_decoder.base.lm_head.weight"
_CHAR_WTE = "char_level_decoder.base.transformer.wte.weight"
_PATCH_WTE = "patch_level_decoder.base.wte.weight"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in its file.

    ``entry`` is a name inside a zip, or empty; ``offset`` counts bytes from the entry's or
    the file's beginning.
    """

    kind: str
    dims: tuple[int, ...]
    offset: int
    entry: str = ""

    @property
    def nbytes(self) -> int:
        """Length in bytes."""
        size = _SIZES[self.kind]
        for dim in self.dims:
            size *= dim
        return size


@dataclass(slots=True)
class Checkpoint:
    """A weight file whose contents are known and not yet read.

    Parameters
    ----------
    path : Path
    tensors : dict of str to StoredTensor
        By the released keys.
    shape : ModelShape
    metadata : dict of str to str
        The safetensors header's own; empty for a pickle.
    """

    path: Path
    tensors: dict[str, StoredTensor]
    shape: ModelShape
    metadata: dict[str, str] = field(default_factory=dict)

    def read(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every tensor, one at a time, in fp32, in the order of the file.

        The tied output layer is left out: it is the characters' embedding.

        Raises
        ------
        WeightsError
            The file's end is missing, its checksums are wrong, or a value is not finite.
        """
        import torch

        # A pickle names its tensors layer by layer, while its entries' names are mere numbers.
        order = sorted(
            self.tensors.items(), key=lambda item: 0 if item[1].entry else item[1].offset
        )
        head: torch.Tensor | None = None
        characters: torch.Tensor | None = None
        with _reading(self.path) as file, _members(self.path, file, order) as fetch:
            for name, stored in order:
                tensor = torch.empty(stored.dims, dtype=getattr(torch, _TORCH_NAMES[stored.kind]))
                _fill(tensor, stored, fetch, self.path, name)
                tensor = tensor.float()
                if not bool(torch.isfinite(tensor).all()):
                    raise WeightsError(
                        f"{self.path} is damaged: {name} holds values that are not finite.", _MEND
                    )
                head = tensor if name == _LM_HEAD else head
                characters = tensor if name == _CHAR_WTE else characters
                if name != _LM_HEAD:
                    yield name, tensor
        if head is not None and characters is not None and not torch.equal(head, characters):
            raise WeightsError(
                f"{self.path}: {_LM_HEAD} differs from {_CHAR_WTE}, which NotaGen ties to it.",
                _MEND,
            )

    def sha256(self) -> str:
        """Return the file's checksum as 64 hex digits."""
        digest = hashlib.sha256()
        with _reading(self.path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Find out what a weight file holds, without reading its tensors.

    Parameters
    ----------
    path : path
        A ``.safetensors`` file or a ``.pth`` checkpoint with a ``model`` entry; the contents
        count, not the name.

    Raises
    ------
    UnreadableError
        There is no such file, or it can't be opened.
    WeightsError
        Empty, truncated, damaged, or no NotaGen weights.
    """
    path = Path(path)
    with _reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(9)
        if not first:
            raise WeightsError(f"{path} is empty.", _MEND)
        file.seek(0)
        if first[:4] == b"PK\x03\x04":
            tensors, metadata = _read_pickle(path, file), {}
        elif len(first) == 9 and first[8:9] == b"{":
            tensors, metadata = _read_header(path, file, size)
        elif first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
            raise WeightsError(
                f"{path} is a checkpoint in PyTorch's form from before version 1.6.",
                "Save it again with a newer PyTorch, or fetch the released file.",
            )
        else:
            raise WeightsError(f"{path} is neither safetensors nor a PyTorch checkpoint.", _MEND)
    for name, stored in tensors.items():
        if stored.nbytes > size:
            raise WeightsError(f"{path} is damaged: {name} is larger than the whole file.", _MEND)
    dims = {name: tensor.dims for name, tensor in tensors.items()}
    # The tied output layer and the unused embedding may be left out of safetensors.
    if _LM_HEAD not in dims and _CHAR_WTE in dims:
        dims[_LM_HEAD] = dims[_CHAR_WTE]
    if _PATCH_WTE not in dims and len(dims.get(_CHAR_WTE, ())) == 2:
        dims[_PATCH_WTE] = (1, dims[_CHAR_WTE][1])
    try:
        shape = shape_of(dims)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error.problem}", error.remedy) from None
    return Checkpoint(path, tensors, shape, metadata)


def write_safetensors(
    path: Path, tensors: Iterator[tuple[str, torch.Tensor]], metadata: Mapping[str, str],
    shape: ModelShape, kind: str = "F32",
) -> None:  # fmt: skip
    """Write weights as safetensors, one tensor at a time, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced only when the new file is complete on the disk.
    tensors : iterator of (str, Tensor)
        By the released keys, in any order; the tied output layer left out.
    metadata : mapping of str to str
    shape : ModelShape
        Says which tensors to expect.
    kind : {'F32', 'F16'}

    Raises
    ------
    UnreadableError
        The file can't be written.
    """
    import torch

    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    places: dict[str, int] = {}
    end = 0
    for name, dims in sorted(shape.tensors().items()):
        stored = StoredTensor(kind, dims, end)
        header[name] = {
            "dtype": kind, "shape": list(dims), "data_offsets": [end, end + stored.nbytes],
        }  # fmt: skip
        places[name] = end
        end += stored.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            start = file.tell()
            file.truncate(start + end)
            for name, tensor in tensors:
                ready = tensor.to(getattr(torch, _TORCH_NAMES[kind])).contiguous()
                for place in (name, _LM_HEAD) if name == _CHAR_WTE else (name,):
                    file.seek(start + places[place])
                    file.write(_bytes_of(ready))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise UnreadableError(
            f"{path} can't be written: {error.strerror or error}.", "Choose another place."
        ) from None


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UnreadableError(
            f"There are no weights at {path}.", "`scoregate weights list` names what can be had."
        ) from None
    except OSError as error:
        raise UnreadableError(f"{path} can't be read: {error.strerror}.") from None
    with file:
        yield file


@contextmanager
def _members(path: Path, file: IO[bytes], order: list[tuple[str, StoredTensor]]) -> Iterator[Any]:
    """Give a function that opens a tensor's bytes at their beginning."""
    if any(stored.entry for _, stored in order):
        with zipfile.ZipFile(file) as archive:
            yield lambda stored: archive.open(stored.entry)
    else:

        def fetch(stored: StoredTensor) -> IO[bytes]:
            file.seek(stored.offset)
            return file

        yield fetch


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    import torch

    flat: Any = tensor.view(-1).view(torch.uint8).numpy()
    return memoryview(flat)


def _fill(tensor: torch.Tensor, stored: StoredTensor, fetch: Any, path: Path, name: str) -> None:
    """Read a tensor's bytes into it; a zip entry is checked against its checksum."""
    if tensor.numel() == 0:
        return
    view = _bytes_of(tensor)
    try:
        source = fetch(stored)
        if stored.entry and stored.offset:
            source.read(stored.offset)
        done = 0
        while done < len(view):
            count = source.readinto(view[done:])
            if not count:
                raise EOFError
            done += count
        if stored.entry:
            # Reading to the end is what compares the checksum.
            while source.read(1 << 20):
                pass
            source.close()
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise WeightsError(f"{path} is damaged: {name} can't be read ({error}).", _MEND) from None


def _read_header(
    path: Path, file: IO[bytes], size: int
) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Read the header of a safetensors file."""
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, _MOST_HEADER):
        raise WeightsError(f"{path} is truncated: its header is longer than the file.", _MEND)
    try:
        header = json.loads(file.read(length))
        metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            dims = tuple(int(dim) for dim in entry["shape"])
            stored = StoredTensor(entry["dtype"], dims, 8 + length + int(begin))
            if min(dims, default=0) < 0 or begin < 0 or stored.nbytes != end - begin:
                raise ValueError(f"{name} has other bytes than its shape says")
            tensors[str(name)] = stored
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is damaged: its header can't be read ({error}).", _MEND
        ) from None
    end = max((stored.offset + stored.nbytes for stored in tensors.values()), default=0)
    if end > size:
        raise WeightsError(
            f"{path} is truncated: {size:,} bytes are there, {end:,} expected.", _MEND
        )
    return tensors, metadata


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    entry: str


class _Inert:
    """Stands in for harmless things that a training checkpoint carries beside its tensors."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Follows a checkpoint's pickle without calling anything of it."""

    def __init__(self, file: IO[bytes], entries: dict[str, int], prefix: str) -> None:
        super().__init__(file, encoding="utf-8")
        self.entries, self.prefix = entries, prefix

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("collections", "defaultdict"):
            return _Inert
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        if module in ("torch", "torch.storage") and (
            name in _STORAGES or name in ("UntypedStorage", "TypedStorage")
        ):
            return _Storage(_STORAGES.get(name, "U8"), "")
        inert = {
            ("torch", "Size"), ("torch", "device"), ("torch", "dtype"),
            ("numpy", "dtype"), ("numpy", "ndarray"),
            ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
            ("_codecs", "encode"),
        }  # fmt: skip
        if (module, name) in inert:
            return _Inert
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights have no need of")

    def persistent_load(self, pid: Any) -> _Storage:
        _, storage, key, _, count = pid
        entry = f"{self.prefix}data/{key}"
        if not isinstance(storage, _Storage) or entry not in self.entries:
            raise pickle.UnpicklingError(f"its storage {key} is missing")
        if self.entries[entry] < int(count) * _SIZES[storage.kind]:
            raise pickle.UnpicklingError(f"its storage {key} is too short")
        return _Storage(storage.kind, entry)


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> StoredTensor:
    dims = tuple(int(dim) for dim in size)
    expected, step = [], 1
    for dim in reversed(dims):
        expected.append(step)
        step *= dim
    if any(d > 1 and s != e for d, s, e in zip(dims, stride, reversed(expected), strict=True)):
        raise pickle.UnpicklingError("it holds a tensor that does not lie in one piece")
    return StoredTensor(storage.kind, dims, int(offset) * _SIZES[storage.kind], storage.entry)


def _read_pickle(path: Path, file: IO[bytes]) -> dict[str, StoredTensor]:
    """Read the table of tensors out of a ``.pth`` file."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {info.filename: info.file_size for info in archive.infolist()}
            pickles = [name for name in entries if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise WeightsError(f"{path} is a zip file, but no PyTorch checkpoint.", _MEND)
            if entries[pickles[0]] > _MOST_HEADER:
                raise WeightsError(f"{path} has an index too large to be one.", _MEND)
            prefix = pickles[0].removesuffix("data.pkl")
            with archive.open(pickles[0]) as source:
                content = _Unpickler(source, entries, prefix).load()
    except zipfile.BadZipFile:
        raise WeightsError(
            f"{path} is truncated or damaged: its index is missing.", _MEND
        ) from None
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} can't be loaded: {error}.", _MEND) from None
    except WeightsError:
        raise
    except Exception as error:
        # A damaged pickle can fail in any way; none of them runs anything.
        raise WeightsError(
            f"{path} is damaged: its index makes no sense ({error}).", _MEND
        ) from None
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds no state dict under 'model'.", _MEND)
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in state.items()
        if isinstance(value, StoredTensor)
    }
    if not tensors:
        raise WeightsError(f"{path} holds no tensors.", _MEND)
    for name, stored in tensors.items():
        if stored.offset + stored.nbytes > entries[stored.entry]:
            raise WeightsError(f"{path} is damaged: {name} reaches beyond its storage.", _MEND)
    return tensors
