"""Fetching, checking and converting weights: what ``scoregate weights`` does.

Released weights are fetched from the hub with its own library. An interrupted download is resumed,
and the file is then compared with the checksum that the hub gives. Nothing here is needed for the
embedded model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scoregate.errors import RequestError, ScoregateError, ToolError, UnreadableError, WeightsError
from scoregate.notagen.weights.checkpoint import open_checkpoint
from scoregate.notagen.weights.registry import (
    EMBEDDED_NAMES,
    RELEASES,
    Release,
    card,
    data_folder,
    fetched,
    find,
    name_of,
    release,
    styles_of,
)
from scoregate.notagen.weights.safetensors import write_safetensors
from scoregate.styles import Style

REPOSITORY = "ElectricAlexis/NotaGen"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``scoregate weights list``.

    Parameters
    ----------
    name, about : str
        The weights' name, and what they are for.
    shape : dict of str to int
    parameters : int
    path : str or None
        None for weights that have not been fetched.
    """

    name: str
    about: str
    shape: dict[str, int]
    parameters: int
    path: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as a JSON-ready dict."""
        return asdict(self)


def list_weights() -> list[Entry]:
    """Return the embedded models and the releases, fetched or not."""
    entries = []
    for name in EMBEDDED_NAMES:
        try:
            checkpoint = open_checkpoint(find(name))
            styles = styles_of(checkpoint) or ()
            about = f"embedded; {'; '.join(map(str, styles))}"
            entries.append(
                Entry(
                    name,
                    about,
                    checkpoint.shape.as_dict(),
                    checkpoint.shape.parameters(),
                    str(checkpoint.path),
                )
            )
        except ScoregateError as error:
            entries.append(Entry(name, f"embedded; {error.problem}", {}, 0, None))
    for known in RELEASES:
        path = fetched(known)
        entries.append(
            Entry(
                known.name,
                known.about,
                known.shape.as_dict(),
                known.shape.parameters(),
                None if path is None else str(path),
            )
        )
    return entries


def get(name: str, source: str | os.PathLike[str] | None = None) -> Path:
    """Fetch released weights into the folder of the user's data.

    Parameters
    ----------
    name : str
        The name of a release.
    source : path, optional
        A file to take in place of the download and of what was fetched before.

    Returns
    -------
    Path
        The file; without a download where it was there already and no source is given.

    Raises
    ------
    RequestError
        Unknown name.
    ToolError
        The hub can't be reached.
    WeightsError
        The file is damaged, or has another shape than the release.
    UnreadableError
        The folder can't be written, or the source can't be read.
    """
    known = release(name)
    target = data_folder() / known.file
    there = fetched(known)
    if source is None and there is not None and there != target:
        _check_shape(there, known)
        return there
    if source is not None:
        # Checked before it replaces anything.
        source = Path(source).expanduser()
        _check_shape(source, known)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            _copy(source, target)
        elif there is None:
            _download(known.file, target)
    except OSError as error:
        raise UnreadableError(
            f"{target} can't be written: {error.strerror or error}.",
            "Set SCOREGATE_WEIGHTS to a folder with room.",
        ) from None
    try:
        _check_shape(target, known)
    except WeightsError:
        target.unlink(missing_ok=True)
        raise
    return target


def _check_shape(path: Path, known: Release) -> None:
    shape = open_checkpoint(path).shape
    if shape != known.shape:
        raise WeightsError(
            f"{path} is not {known.name!r}: its shape is {shape.as_dict()}, "
            f"{known.shape.as_dict()} expected.",
            "Name the file that belongs to the name; `scoregate weights check FILE` tells more.",
        )


def _copy(source: Path, target: Path) -> None:
    if target.exists() and source.samefile(target):
        return
    part = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _download(file: str, target: Path) -> None:
    """Fetch a file from the hub, resuming an interrupted download, and check its checksum.

    Since version 1.18 the hub library's ``hf_hub_download`` starts again each time. The function
    that it uses for the transfer can resume, and is used here.
    """
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    folder = target.parent / ".partial"
    folder.mkdir(exist_ok=True)
    try:
        (info,) = huggingface_hub.HfApi().get_paths_info(REPOSITORY, [file])
        url = huggingface_hub.hf_hub_url(REPOSITORY, file)
        there = huggingface_hub.get_hf_file_metadata(url, token=False)
        expected = getattr(getattr(info, "lfs", None), "sha256", None)
        # Named by its contents, so that parts of two versions are never joined.
        part = folder / f"{expected or there.etag}"
        with WeakFileLock(part.with_suffix(".lock")), part.open("ab") as begun:
            done = begun.tell()
            if there.size is not None and done > there.size:
                done = begun.seek(0)
                begun.truncate()
            http_get(
                there.location,
                begun,
                resume_size=done,
                headers=build_hf_headers(token=False),
                expected_size=there.size,
                displayed_filename=file,
            )
            begun.flush()
            os.fsync(begun.fileno())
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, ValueError) as error:
        raise ToolError(
            f"The hub did not give {file}: {str(error).splitlines()[0]}",
            "Try again later: an interrupted download is resumed.",
        ) from None
    except OSError as error:
        if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
            raise  # a fault of the disk, not of the network
        raise _unreachable(error) from None
    except Exception as error:
        # The hub's library raises whatever its HTTP client raises, and the client differs from
        # release to release (httpx, httpx2). The original error stays attached.
        raise _unreachable(error) from error
    found = _sha256(part)
    if expected and found != expected:
        part.unlink(missing_ok=True)
        raise WeightsError(
            f"{file} came damaged: its SHA-256 is {found}, {expected} expected.", "Fetch it again."
        )
    part.replace(target)


def _unreachable(error: Exception) -> ToolError:
    return ToolError(
        f"The hub can't be reached: {str(error) or type(error).__name__}.",
        "Try again when the network is there, or name a file: "
        "`scoregate weights get NAME --from FILE`.",
    )


def _sha256(path: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def check(name_or_path: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Read weights from beginning to end and describe them.

    Returns
    -------
    dict
        JSON-ready: ``path``, ``bytes``, ``sha256``, ``shape``, ``parameters``, ``kinds`` (how
        numbers are stored), ``release`` (whose file name it has, or None), ``styles``, ``card``.

    Raises
    ------
    WeightsError, UnreadableError, RequestError
        The file is damaged, missing, or its name is not known.
    """
    checkpoint = open_checkpoint(find(name_or_path))
    for _ in checkpoint.read():
        pass
    styles = styles_of(checkpoint)
    named = [known.name for known in RELEASES if known.file == checkpoint.path.name]
    return {
        "path": str(checkpoint.path),
        "bytes": checkpoint.path.stat().st_size,
        "sha256": checkpoint.sha256(),
        "shape": checkpoint.shape.as_dict(),
        "parameters": checkpoint.shape.parameters(),
        "kinds": sorted({tensor.kind for tensor in checkpoint.tensors.values()}),
        "release": named[0] if named else None,
        "styles": None if styles is None else [str(style) for style in styles],
        "card": card(checkpoint),
    }


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    half: bool = False,
    styles: Sequence[Style] | None = None,
) -> Path:
    """Convert weights to safetensors, one tensor at a time.

    Parameters
    ----------
    source : str or path
        A name or a file.
    target : path, optional
        By default beside the source, with the suffix ``.safetensors``; a release then gets its
        short name, under which it is found.
    half : bool
        Store fp16 in place of fp32: half the size, but no longer exact.
    styles : sequence of Style, optional
        What the weights were trained on; by default what the source says.

    Returns
    -------
    Path

    Raises
    ------
    WeightsError, UnreadableError, RequestError
    """
    checkpoint = open_checkpoint(find(source))
    if target is not None:
        path = Path(target).expanduser()
    else:
        # A release gets its short name, under which it is found from then on.
        path = checkpoint.path.with_name(f"{name_of(checkpoint.path)}.safetensors")
    if path.exists() and path.samefile(checkpoint.path):
        raise RequestError(f"{path} is the source itself.", "Name another target.")
    metadata = dict(checkpoint.metadata)
    known = styles if styles is not None else styles_of(checkpoint)
    if known is not None:
        metadata["styles"] = json.dumps([str(style) for style in known])
    metadata.setdefault("source_sha256", checkpoint.sha256())
    write_safetensors(path, checkpoint.read(), metadata, checkpoint.shape, "F16" if half else "F32")
    return path
