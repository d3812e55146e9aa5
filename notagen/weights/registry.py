"""Which weights there are, where they lie, and which styles they were trained on.

The embedded models come with the package, one file for each family of styles. The released weights
have short names; once fetched (:mod:`scoregate.notagen.weights.hub`) they lie in the user's data
folder.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoregate.errors import RequestError, WeightsError
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.text.styles import NOTAGEN_X
from scoregate.notagen.weights.checkpoint import Checkpoint, open_checkpoint
from scoregate.styles import Style, parse, resolve

EMBEDDED = "chorales"
"""The embedded model that is meant where neither weights nor a style are named."""
_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
_X_FILE = re.compile(r"notagen[-_ ]?x(?![a-z])", re.IGNORECASE)
EMBEDDED_NAMES = (EMBEDDED, "fiddle", "chorales-1")
"""Of two with one style the first is meant; ``chorales-1`` is the chorales' first version, with
which older pieces were written and many figures measured."""
_EMBEDDED_FILES = {name: Path(__file__).parent / f"{name}.safetensors" for name in EMBEDDED_NAMES}


@dataclass(frozen=True, slots=True)
class Release:
    """Weights that NotaGen's authors released.

    Parameters
    ----------
    name : str
        Short name, as the command line takes it.
    file : str
        File name on the hub.
    shape : ModelShape
    about : str
        What the weights were trained for.
    styled : bool
        Whether they take NotaGen-X's prompts.
    """

    name: str
    file: str
    shape: ModelShape
    about: str
    styled: bool = False


_SMALL, _MEDIUM, _LARGE = (
    ModelShape(768, 12, 3, 2048),
    ModelShape(1024, 16, 3, 2048),
    ModelShape(1280, 20, 6, 1024),
)
_RL = (
    "weights_notagen_pretrain-finetune-RL{}_beta_0.1_lambda_10_p_size_16_p_length_1024"
    "_p_layers_20_c_layers_6_h_size_1280_lr_1e-06_batch_1.pth"
)
RELEASES: tuple[Release, ...] = (
    Release(
        "small",
        "weights_notagen_pretrain_p_size_16_p_length_2048_p_layers_12_c_layers_3"
        "_h_size_768_lr_0.0002_batch_8.pth",
        _SMALL,
        "pre-trained; takes no prompt",
    ),
    Release(
        "medium",
        "weights_notagen_pretrain_p_size_16_p_length_2048_p_layers_16_c_layers_3"
        "_h_size_1024_lr_0.0001_batch_4.pth",
        _MEDIUM,
        "pre-trained; takes no prompt",
    ),
    Release(
        "large",
        "weights_notagen_pretrain_p_size_16_p_length_1024_p_layers_20_c_layers_6"
        "_h_size_1280_lr_0.0001_batch_4.pth",
        _LARGE,
        "pre-trained; takes no prompt",
    ),
    Release(
        "finetuned",
        "weights_notagen_pretrain-finetune_p_size_16_p_length_1024_p_layers_c_layers_6_20"
        "_h_size_1280_lr_1e-05_batch_1.pth",
        _LARGE,
        "fine-tuned on classical styles",
    ),
    *(
        Release(f"rl{n}", _RL.format(n), _LARGE, f"reinforcement learning, round {n}")
        for n in (1, 2, 3)
    ),
    Release(
        "x",
        "weights_notagenx_p_size_16_p_length_1024_p_layers_20_h_size_1280.pth",
        _LARGE,
        "NotaGen-X: 112 styles",
        styled=True,
    ),
)


def data_folder() -> Path:
    """Return where fetched weights lie: SCOREGATE_WEIGHTS, or the user's data folder."""
    chosen = os.environ.get("SCOREGATE_WEIGHTS")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "scoregate" / "weights"


def release(name: str) -> Release:
    """Return a release by its name.

    Raises
    ------
    RequestError
    """
    for known in RELEASES:
        if known.name == name.casefold():
            return known
    raise RequestError(f"No released weights are called {name!r}.", f"There are: {_names()}.")


def _names() -> str:
    return ", ".join(known.name for known in RELEASES)


def find(name_or_path: str | os.PathLike[str] | None = None) -> Path:
    """Return the file that a name or a path means.

    Parameters
    ----------
    name_or_path : str, path or None
        None or ``embedded`` for the embedded chorales, the name of an embedded model or of a
        release that has been fetched, or a file. A name comes before a file of the same name,
        which ``./x`` means.

    Raises
    ------
    WeightsError
        The embedded model, the fetched release or the file is not there.
    RequestError
        Neither a known name nor a file.
    """
    if name_or_path is None or name_or_path == "embedded":
        name_or_path = EMBEDDED
    if isinstance(name_or_path, str) and name_or_path in _EMBEDDED_FILES:
        embedded = _EMBEDDED_FILES[name_or_path]
        if not embedded.is_file():
            raise WeightsError(
                f"The embedded model is missing: {embedded}.",
                "Install the package again, or train one: `scoregate train`.",
            )
        return embedded
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise RequestError(
            f"{name_or_path!r} is not a name of weights.",
            "Give a name or a file; None is the embedded model.",
        )
    text = os.fspath(name_or_path)
    known = next((known for known in RELEASES if known.name == text.casefold()), None)
    if known is not None and isinstance(name_or_path, str):
        there = fetched(known)
        if there is None:
            raise WeightsError(
                f"The weights {known.name!r} have not been fetched.",
                f"Fetch them: scoregate weights get {known.name}",
            )
        return there
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir() and text:
        raise WeightsError(f"{text} is a folder.", "Name the weight file in it.")
    if os.sep in text or text.endswith(_ENDINGS):
        raise WeightsError(
            f"There are no weights at {text}.", "`scoregate weights list` names what can be had."
        )
    raise RequestError(
        f"No released weights are called {text!r}, and no file is.", f"There are: {_names()}."
    )


def fetched(known: Release) -> Path | None:
    """Return where a release lies: converted, or as it came; None if it was not fetched."""
    for file in (f"{known.name}.safetensors", known.file):
        path = data_folder() / file
        if path.is_file():
            return path
    return None


def name_of(path: Path) -> str:
    """Return the name of a weight file: the short name of a release, else the file's own."""
    for name, embedded in _EMBEDDED_FILES.items():
        if path == embedded:
            return name
    return next((known.name for known in RELEASES if known.file == path.name), path.stem)


def styles_of(checkpoint: Checkpoint) -> tuple[Style, ...] | None:
    """Return the styles that weights were trained on, or None where they name none.

    Safetensors carry them in their metadata (``styles``, a JSON array); a pickle can't, so
    NotaGen-X is known by its file's name, shortened to ``notagenx.pth`` or not.
    """
    listed = checkpoint.metadata.get("styles")
    if listed is None:
        file = checkpoint.path.name
        is_x = file in {r.file for r in RELEASES if r.styled} or _X_FILE.search(file)
        return NOTAGEN_X if is_x else None
    try:
        entries = json.loads(listed)
        # Each is three parts, or the three joined by slashes.
        return tuple(sorted({parse(e if isinstance(e, str) else "/".join(e)) for e in entries}))
    except (ValueError, TypeError, RequestError) as error:
        raise WeightsError(
            f"{checkpoint.path}: the list of styles can't be read ({error}).",
            "It is the 'styles' of the file's metadata: a JSON array of "
            "'Period/Composer/Instrumentation'.",
        ) from None


def trained_styles(name_or_path: str | os.PathLike[str] | None) -> tuple[Style, ...] | None:
    """Return the styles of weights by their name or file, without reading the tensors.

    Those of all embedded models where no weights are named, the chorales first.

    Raises
    ------
    WeightsError, RequestError, UnreadableError
    """
    if name_or_path is not None:
        return styles_of(open_checkpoint(find(name_or_path)))
    listed = [
        style
        for name, path in _EMBEDDED_FILES.items()
        if path.is_file() or name == EMBEDDED
        for style in styles_of(open_checkpoint(find(name))) or ()
    ]
    return tuple(dict.fromkeys(listed))


def weights_for(style: str) -> str | None:
    """Return the name of the embedded model that was trained on a style.

    None where it is the one that is loaded without a name, and where none was trained on it.

    Parameters
    ----------
    style : str
        In any form that :func:`scoregate.styles.resolve` takes.
    """
    for name, path in _EMBEDDED_FILES.items():
        if not path.is_file():
            continue
        try:
            resolve(style, trained=styles_of(open_checkpoint(path)), allow_untrained=False)
        except RequestError:
            continue
        return None if name == EMBEDDED else name
    return None


def card(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the metadata of weights with its JSON parts read."""
    found: dict[str, Any] = {}
    for key, value in checkpoint.metadata.items():
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
