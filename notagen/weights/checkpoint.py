"""Reading and writing weight files: safetensors, and the released ``.pth`` pickles.

A pickle runs code when it is read. Here its instructions are followed by an unpickler that
knows tensors and plain containers only and refuses every other name, so nothing in the file
is ever called. Tensors are read one at a time, straight from the file into fresh memory, so
weights are never held twice and the optimiser's part of a checkpoint is never touched.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from scoregate.errors import UnreadableError, WeightsError
from scoregate.notagen.model.shape import ModelShape, shape_of

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
_FLOATING = ("F64", "F32", "F16", "BF16")
_MOST_HEADER = 64 * 2**20
_MEND = "Fetch it again (`scoregate weights get NAME`), or name another file."
_SAVE_AGAIN = (
    "Nothing of it was run. If the file is yours, save its weights alone: "
    "torch.save({'model': model.state_dict()}, FILE)."
)
# What DataParallel and torch.compile put before every name.
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.)+")
# GPT-2's causal masks, which older releases of transformers stored among the weights.
_MASK = re.compile(r"\.h\.\d+\.attn\.(?:masked_)?bias$")
_LM_HEAD = "char_level_decoder.base.lm_head.weight"
_CHAR_WTE = "char_level_decoder.base.transformer.wte.weight"
_PATCH_WTE = "patch_level_decoder.base.wte.weight"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in its file.

    ``entry`` is a name inside a zip, or empty; ``offset`` counts bytes from the entry's or
    the file's beginning. ``strides`` count values, and are empty where the tensor lies in
    one piece, row by row.
    """

    kind: str
    dims: tuple[int, ...]
    offset: int
    entry: str = ""
    strides: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        """Length in bytes, once read."""
        return _SIZES[self.kind] * math.prod(self.dims)

    @property
    def span(self) -> int:
        """Bytes from its first value to its last, where they lie."""
        if not self.strides or not all(self.dims):
            return self.nbytes
        steps = (step * (dim - 1) for dim, step in zip(self.dims, self.strides, strict=True))
        return _SIZES[self.kind] * (1 + sum(steps))


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
                tensor = _load(stored, fetch, self.path, name).float()
                if not is_finite(tensor):
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
        first = file.read(9)  # a safetensors file's length of header, and its brace
        if not first:
            raise WeightsError(f"{path} is empty.", _MEND)
        file.seek(0)
        if first[:4] == b"PK\x03\x04":
            tensors, metadata = _read_pickle(path, file), {}
        elif len(first) == 9 and first[8:9] == b"{":
            tensors, metadata = _read_header(path, file, size)
        elif first[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
            raise WeightsError(
                f"{path} is a bare pickle: no weights, or weights in PyTorch's form from before "
                "version 1.6.",
                "Save it again with a newer PyTorch, or fetch the released file.",
            )
        else:
            raise WeightsError(f"{path} is neither safetensors nor a PyTorch checkpoint.", _MEND)
    tensors = _released_names(path, tensors)
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
    for name, stored in tensors.items():
        if stored.kind not in _FLOATING:
            raise WeightsError(
                f"{path}: {name} is stored as {_TORCH_NAMES[stored.kind]}, which weights are not.",
                "They may be stored as float32, float16, bfloat16 or float64.",
            )
    return Checkpoint(path, tensors, shape, metadata)


def _released_names(path: Path, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Return tensors by the released keys, without what training wraps around them."""
    found: dict[str, StoredTensor] = {}
    for name, stored in tensors.items():
        plain = _WRAPPERS.sub("", name)
        if _MASK.search(plain):
            continue
        if plain in found:
            raise WeightsError(f"{path} holds {plain} twice.", _MEND)
        found[plain] = stored
    return found


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether every number of a tensor in fp32 is finite."""
    # NaN and infinity survive additions, and a sum needs no memory of its own; large finite
    # numbers may overflow in it, so that only a finite sum is proof.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


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
    WeightsError
        A value is too large for ``kind``; or what reading the tensors raises.
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
                if kind == "F16" and not is_finite(ready.float()):
                    raise WeightsError(
                        f"{name} holds values too large for fp16.", "Store the weights in fp32."
                    )
                for place in (name, _LM_HEAD) if name == _CHAR_WTE else (name,):
                    file.seek(start + places[place])
                    file.write(_bytes_of(ready))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise UnreadableError(
            f"{path} can't be written: {error.strerror or error}.", "Choose another place."
        ) from None
    finally:
        # Gone already where all went well; nothing half-written stays behind.
        with suppress(OSError):
            part.unlink()


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
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


def _load(stored: StoredTensor, fetch: Any, path: Path, name: str) -> torch.Tensor:
    """Read a tensor; a zip entry is checked against its checksum."""
    import torch

    dtype = getattr(torch, _TORCH_NAMES[stored.kind])
    if not stored.nbytes:
        return torch.empty(stored.dims, dtype=dtype)
    flat = torch.empty(stored.span // _SIZES[stored.kind], dtype=dtype)
    view = _bytes_of(flat)
    try:
        source = fetch(stored)
        skipped = stored.offset if stored.entry else 0
        while skipped:
            passed = len(source.read(min(skipped, 1 << 20)))
            if not passed:
                raise EOFError
            skipped -= passed
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
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise WeightsError(
            f"{path} is damaged: {name} can't be read ({error or 'its end is missing'}).", _MEND
        ) from None
    if stored.strides:
        return flat.as_strided(stored.dims, stored.strides).contiguous()
    return flat.view(stored.dims)


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
            kind, dims = entry["dtype"], tuple(entry["shape"])
            if not all(type(number) is int and number >= 0 for number in (begin, end, *dims)):
                raise ValueError(f"{name} has no proper place or shape")
            if kind not in _SIZES:
                raise ValueError(f"{name} is stored as {kind}, which is not known here")
            stored = StoredTensor(kind, dims, 8 + length + begin)
            if stored.nbytes != end - begin:
                raise ValueError(f"{name} has other bytes than its shape says")
            tensors[str(name)] = stored
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} is damaged: its header can't be read ({error}).", _MEND
        ) from None
    places = sorted((stored.offset, stored.offset + stored.nbytes) for stored in tensors.values())
    end = places[-1][1] if places else 8 + length
    if end > size:
        raise WeightsError(
            f"{path} is truncated: {size:,} bytes are there, {end:,} expected.", _MEND
        )
    # As the format demands: one tensor behind the other, nothing between and nothing behind.
    edges = [(0, 8 + length), *places, (size, size)]
    if any(before[1] != after[0] for before, after in pairwise(edges)):
        raise WeightsError(
            f"{path} is damaged: its tensors overlap, or leave bytes that belong to none.", _MEND
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

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """What a pickled list does with its items."""


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
            ("numpy", "dtype"), ("numpy", "ndarray"), ("multiarray", "scalar"),
            ("multiarray", "_reconstruct"), ("_codecs", "encode"), ("argparse", "Namespace"),
            *(("builtins", kind) for kind in ("set", "dict", "list", "complex", "bytearray")),
        }  # fmt: skip
        # What Python 2 and older releases of numpy called the same things.
        plain = {
            "__builtin__": "builtins",
            "numpy.core.multiarray": "multiarray",
            "numpy._core.multiarray": "multiarray",
        }.get(module, module)
        if (plain, name) in inert:
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
    dims, strides = tuple(map(int, size)), tuple(map(int, stride))
    if min(dims + strides + (offset,), default=0) < 0 or len(dims) != len(strides):
        raise pickle.UnpicklingError("it holds a tensor of an impossible shape")
    step, in_one_piece = 1, True
    for dim, found in zip(reversed(dims), reversed(strides), strict=True):
        in_one_piece = in_one_piece and (dim <= 1 or found == step)
        step *= dim
    return StoredTensor(
        storage.kind, dims, int(offset) * _SIZES[storage.kind], storage.entry,
        () if in_one_piece else strides,
    )  # fmt: skip


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
        raise WeightsError(f"{path} can't be loaded: {error}.", _SAVE_AGAIN) from None
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
    tensors = {str(name): value for name, value in state.items() if isinstance(value, StoredTensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors.", _MEND)
    for name, stored in tensors.items():
        if stored.offset + stored.span > entries.get(stored.entry, -1):
            raise WeightsError(f"{path} is damaged: {name} reaches beyond its storage.", _MEND)
    return tensors
