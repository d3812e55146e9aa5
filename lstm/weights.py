"""Weight files: safetensors in half precision, with vocabulary, styles and card in the metadata."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoregate.errors import UnreadableError, WeightsError
from scoregate.lstm.vocabulary import Vocabulary
from scoregate.styles import Style, parse

if TYPE_CHECKING:
    from torch import Tensor

    from scoregate.lstm.model import LstmModel, LstmShape

EMBEDDED = "tunes"
FORMAT = "1"
_EMBEDDED_FILE = Path(__file__).parent / "embedded" / f"{EMBEDDED}.safetensors"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a weight file says of itself.

    Attributes
    ----------
    path : Path
    vocabulary : Vocabulary
    styles : tuple of Style
    shape : dict of str to int
        The fields of :class:`scoregate.lstm.model.LstmShape`.
    card : dict
        Corpus, settings, held-out loss ... as training wrote it.
    """

    path: Path
    vocabulary: Vocabulary
    styles: tuple[Style, ...]
    shape: dict[str, int]
    card: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Weights:
    """A weight file that was read.

    Attributes
    ----------
    metadata : Metadata
    shape : LstmShape
    tensors : dict of str to Tensor
        fp32, by the names of :class:`scoregate.lstm.model.LstmModel`'s state.
    sha256 : str
    """

    metadata: Metadata
    shape: LstmShape
    tensors: dict[str, Tensor]
    sha256: str


def find(name_or_path: str | os.PathLike[str] | None) -> Path:
    """Return the file of weights.

    Parameters
    ----------
    name_or_path : str, path or None
        None, ``embedded`` or ``tunes`` for the embedded weights, or a file.

    Raises
    ------
    UnreadableError
        There is no such file.
    """
    if name_or_path is None or str(name_or_path) in (EMBEDDED, "embedded"):
        return _EMBEDDED_FILE
    path = Path(name_or_path)
    if not path.is_file():
        raise UnreadableError(
            f"{path}: no such weights.",
            f"Take {EMBEDDED!r} for the embedded ones, or a file that "
            "`scoregate train --model lstm` wrote.",
        )
    return path


def read_metadata(path: Path) -> Metadata:
    """Read what a weight file says of itself.

    Raises
    ------
    WeightsError
        It is no weight file of this model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a safetensors file that can be read ({error}).",
            "Copy or train it again.",
        ) from error
    if found.get("model") != "lstm" or found.get("format") != FORMAT:
        raise WeightsError(
            f"{path}: not weights of the LSTM (format {FORMAT}).",
            "Weights of NotaGen are used with --model notagen.",
        )
    try:
        return Metadata(
            path=path,
            vocabulary=Vocabulary(tuple(json.loads(found["vocabulary"]))),
            styles=tuple(parse(style) for style in json.loads(found["styles"])),
            shape={key: int(value) for key, value in json.loads(found["shape"]).items()},
            card=json.loads(found["card"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: its metadata is damaged ({error}).", "Copy or train it again."
        ) from error


def read_weights(path: Path) -> Weights:
    """Read a weight file.

    Raises
    ------
    WeightsError
        It is damaged, or its tensors don't fit its vocabulary.
    """
    from safetensors.torch import load_file

    from scoregate.lstm.model import LstmModel, LstmShape

    metadata = read_metadata(path)
    shape = LstmShape(**metadata.shape)
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    try:
        LstmModel(shape).load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{path}: its tensors are not those of the shape it names.",
            "Copy or train it again.",
        ) from error
    if shape.words != len(metadata.vocabulary):
        raise WeightsError(
            f"{path}: {shape.words} words in the tensors, {len(metadata.vocabulary)} in the "
            "vocabulary.",
            "The file was put together from two; train it again.",
        )
    return Weights(metadata, shape, tensors, hashlib.sha256(path.read_bytes()).hexdigest())


def write_weights(
    path: Path, model: LstmModel, vocabulary: Vocabulary, styles: list[str], card: dict[str, Any]
) -> None:
    """Write a model in half precision.

    Parameters
    ----------
    path : Path
    model : LstmModel
    vocabulary : Vocabulary
    styles : list of str
        ``Period/Composer/Instrumentation`` each.
    card : dict
        JSON-ready: corpus, settings, losses.
    """
    from safetensors.torch import save_file

    metadata = {
        "model": "lstm",
        "format": FORMAT,
        "vocabulary": json.dumps(vocabulary.words),
        "styles": json.dumps(styles),
        "shape": json.dumps(asdict(model.shape)),
        "card": json.dumps(card),
    }
    tensors = {name: value.half().contiguous().cpu() for name, value in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".part")
    save_file(tensors, fresh, metadata)
    os.replace(fresh, path)
