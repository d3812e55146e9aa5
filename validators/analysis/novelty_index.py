"""The index of known pieces: made from a folder of scores, and searched for shared passages.

The index holds every run of `GRAM` symbols (:mod:`scoregate.validators.analysis.shared_passages`)
of every piece of a corpus, as hashes from which no music can be read back. The index that
comes with the program, ``novelty.npz``, is that of the Bach chorales on which the embedded
model was trained.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.errors import GateError, ToolError, UnreadableError
from scoregate.validators.analysis.shared_passages import GRAM, Passage, grams, melody, texture

SHIPPED = Path(__file__).with_name("novelty.npz")
"""The index that the gate ``novelty`` reads."""
MOMENTS = 20_000
"""Longest part of a piece that is looked up, in symbols. Ten times the longest real piece."""


@dataclass(frozen=True, slots=True)
class Index:
    """The positions of each run of `GRAM` symbols in a corpus.

    Attributes
    ----------
    names : list of str
        Names of the pieces of the corpus.
    gram : ndarray of uint64, shape (grams,)
        Hashes of the runs, ascending.
    piece, place : ndarray of int64, shape (grams,)
        Index of the piece, and of the run's first symbol in it.
    """

    names: list[str]
    gram: NDArray[np.uint64]
    piece: NDArray[np.int64]
    place: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shared:
    """The longest passage that a piece shares with a corpus.

    Attributes
    ----------
    source : str
        Name of the piece of the corpus; empty when nothing is shared.
    wholes : float
        Duration in whole notes.
    bars : float
        Duration in bars of the piece.
    first_bar, last_bar : int
        Where the passage stands in the piece; bars count from 1.
    """

    source: str = ""
    wholes: float = 0.0
    bars: float = 0.0
    first_bar: int = 0
    last_bar: int = 0


def build(folder: Path, out: Path = SHIPPED) -> int:
    """Make the index of a folder of scores.

    Parameters
    ----------
    folder : Path
        Its ``.abc`` files, those of its folders included, are the corpus. A piece is named
        after its file.
    out : Path, optional
        Where the index is written; by default it replaces the one that comes with the
        program.

    Returns
    -------
    int
        Number of pieces.

    Raises
    ------
    UnreadableError
        The folder holds no ABC file, or one of them can't be read.
    ToolError
        The index can't be written.
    """
    files = sorted(folder.rglob("*.abc"), key=lambda path: path.stem)
    if not files:
        raise UnreadableError(f"{folder} holds no .abc files.", "Name a folder of scores.")
    scores = {}
    for path in files:
        try:
            scores[path.stem] = read(path.read_bytes())
        except OSError as error:
            raise UnreadableError(f"{path} can't be read: {error.strerror}.") from error
    try:
        save(out, scores)
    except OSError as error:
        raise ToolError(
            f"The index {out} can't be written: {error.strerror}.", "Name another file with --out."
        ) from error
    return len(files)


def index_of(names: Sequence[str], symbols: Sequence[NDArray[np.uint32]]) -> Index:
    """Make the index of a corpus from the symbols of its pieces."""
    each = [grams(row) for row in symbols]
    gram = np.concatenate(each) if each else np.zeros(0, dtype=np.uint64)
    order = np.argsort(gram, kind="stable")
    counts = [len(row) for row in each]
    piece = np.repeat(np.arange(len(each)), counts)
    place = np.concatenate([np.arange(count) for count in counts]) if each else piece
    return Index(list(names), gram[order], piece[order], place[order])


def save(path: Path, scores: Mapping[str, Score]) -> None:
    """Write the symbols of a corpus, by name of the piece, as an ``.npz`` file."""
    columns: dict[str, np.ndarray] = {"names": np.array(list(scores))}
    for kind, symbols_of in (("texture", texture), ("melody", melody)):
        rows = [symbols_of(score).symbols for score in scores.values()]
        columns[kind] = np.concatenate(rows)
        columns[f"{kind}_lengths"] = np.array([len(row) for row in rows])
    with path.open("wb") as file:  # by its name numpy would add an ending
        np.savez_compressed(file, allow_pickle=False, **columns)


def load(path: Path) -> dict[str, Index]:
    """Read the indices ``texture`` and ``melody`` of a corpus.

    Raises
    ------
    GateError
        The file is missing, or is not such an index.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = stored["names"].tolist()
            return {
                kind: index_of(
                    names, np.split(stored[kind], np.cumsum(stored[f"{kind}_lengths"])[:-1])
                )
                for kind in ("texture", "melody")
            }
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise GateError(
            f"The index of known pieces can't be read: {path}: {error}",
            "Make it again: `scoregate novelty-index FOLDER`.",
        ) from error


@functools.cache
def known_pieces() -> dict[str, Index]:
    """Return the indices of the corpus on which the embedded model was trained."""
    shipped = resources.files(__package__ or "").joinpath(SHIPPED.name)
    with resources.as_file(shipped) as path:
        return load(path)


def longest_shared(score: Score, passage: Passage, index: Index) -> Shared:
    """Find the longest passage, by duration, that a piece shares with one of the corpus.

    Parameters
    ----------
    score : Score
    passage : Passage
        The texture or the melody of the score.
    index : Index
        Of the same kind.
    """
    wanted = grams(passage.symbols[:MOMENTS])
    if not len(wanted) or not len(index.gram):
        return Shared()
    first = np.searchsorted(index.gram, wanted, "left")
    count = np.searchsorted(index.gram, wanted, "right") - first
    here = np.repeat(np.arange(len(wanted)), count)
    row = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    if not len(here):
        return Shared()
    piece, shift = index.piece[row], index.place[row] - here
    order = np.lexsort((here, shift, piece))
    here, piece, shift = here[order], piece[order], shift[order]
    broken = (np.diff(here) != 1) | (np.diff(piece) != 0) | (np.diff(shift) != 0)
    begin = np.flatnonzero(np.concatenate(([True], broken)))
    end = np.append(begin[1:], len(here)) - 1
    stop = np.minimum(here[end] + GRAM, len(passage.times) - 1)
    wholes = passage.times[stop] - passage.times[here[begin]]
    best = int(np.argmax(wholes))
    start, last = int(here[begin[best]]), int(here[end[best]]) + GRAM - 1
    return Shared(
        index.names[int(piece[begin[best]])],
        float(wholes[best]),
        float(wholes[best]) / _bar_length(score),
        int(passage.bars[start]) + 1,
        int(passage.bars[last]) + 1,
    )


def _bar_length(score: Score) -> float:
    """Return the median length of the first voice's bars in whole notes."""
    lengths = [float(bar.duration) for bar in score.voices[0].bars if bar.duration]
    return float(np.median(lengths)) if lengths else 1.0
