"""Reading the table of tensors of a PyTorch checkpoint (``.pth``) without running its pickle.

A pickle can run any code when it is loaded. The unpickler here knows tensors and plain containers
only and refuses every other name, so that nothing in the file is ever called.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scoregate.errors import WeightsError
from scoregate.notagen.weights.stored_tensor import FETCH_AGAIN, MAX_INDEX, SIZES, StoredTensor

_STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
_SAVE_AGAIN = (
    "Nothing of it was run. If the file is yours, save its weights alone: "
    "torch.save({'model': model.state_dict()}, FILE)."
)
# Harmless types that a training checkpoint holds beside its tensors.
_INERT = {
    ("torch", "Size"), ("torch", "device"), ("torch", "dtype"),
    ("numpy", "dtype"), ("numpy", "ndarray"), ("multiarray", "scalar"),
    ("multiarray", "_reconstruct"), ("_codecs", "encode"), ("argparse", "Namespace"),
    *(("builtins", kind) for kind in ("set", "dict", "list", "complex", "bytearray")),
}  # fmt: skip
# How Python 2 and older releases of numpy call the same modules.
_MODULES = {
    "__builtin__": "builtins",
    "numpy.core.multiarray": "multiarray",
    "numpy._core.multiarray": "multiarray",
}


@dataclass(frozen=True, slots=True)
class _Storage:
    """The memory of one or more tensors: the type of its numbers, and its entry in the file."""

    kind: str
    entry: str


class _Inert:
    """Takes the place of an object of no use here."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """Ignore an item: a pickled list calls this."""


class _Unpickler(pickle.Unpickler):
    """Follows a checkpoint's pickle without calling anything that it names."""

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
        if (_MODULES.get(module, module), name) in _INERT:
            return _Inert
        raise pickle.UnpicklingError(f"it names {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        _, storage, key, _, count = pid
        entry = f"{self.prefix}data/{key}"
        if not isinstance(storage, _Storage) or entry not in self.entries:
            raise pickle.UnpicklingError(f"its storage {key} is missing")
        if self.entries[entry] < int(count) * SIZES[storage.kind]:
            raise pickle.UnpicklingError(f"its storage {key} is too short")
        return _Storage(storage.kind, entry)


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> StoredTensor:
    dims, strides = tuple(map(int, size)), tuple(map(int, stride))
    if min(dims + strides + (offset,), default=0) < 0 or len(dims) != len(strides):
        raise pickle.UnpicklingError("it holds a tensor of an impossible shape")
    step, contiguous = 1, True
    for dim, found in zip(reversed(dims), reversed(strides), strict=True):
        contiguous = contiguous and (dim <= 1 or found == step)
        step *= dim
    return StoredTensor(
        storage.kind, dims, int(offset) * SIZES[storage.kind], storage.entry,
        () if contiguous else strides,
    )  # fmt: skip


def read_pickle(path: Path, file: IO[bytes]) -> dict[str, StoredTensor]:
    """Read the table of tensors of a ``.pth`` file.

    Parameters
    ----------
    path : Path
        For error messages.
    file : file
        Open for reading.

    Raises
    ------
    WeightsError
        Damaged; not a checkpoint; or a pickle that names more than tensors need.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {info.filename: info.file_size for info in archive.infolist()}
            content = _read_index(path, archive, entries)
    except zipfile.BadZipFile:
        raise WeightsError(
            f"{path} is truncated or damaged: its index is missing.", FETCH_AGAIN
        ) from None
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} can't be loaded: {error}.", _SAVE_AGAIN) from None
    except WeightsError:
        raise
    except Exception as error:
        # A damaged pickle can fail in any way; none of them runs anything.
        raise WeightsError(
            f"{path} is damaged: its index makes no sense ({error}).", FETCH_AGAIN
        ) from None
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds no state dict under 'model'.", FETCH_AGAIN)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, StoredTensor)}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors.", FETCH_AGAIN)
    for name, stored in tensors.items():
        if stored.offset + stored.span > entries.get(stored.entry, -1):
            raise WeightsError(
                f"{path} is damaged: {name} reaches beyond its storage.", FETCH_AGAIN
            )
    return tensors


def _read_index(path: Path, archive: zipfile.ZipFile, entries: dict[str, int]) -> Any:
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise WeightsError(f"{path} is a zip file, but no PyTorch checkpoint.", FETCH_AGAIN)
    if entries[pickles[0]] > MAX_INDEX:
        raise WeightsError(f"{path} has an index too large to be one.", FETCH_AGAIN)
    prefix = pickles[0].removesuffix("data.pkl")
    with archive.open(pickles[0]) as source:
        return _Unpickler(source, entries, prefix).load()
