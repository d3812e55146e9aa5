"""Is it new? The longest passage that a piece shares with a corpus, in any key.

The corpus is what the embedded model was trained on, the Bach chorales of music21, kept
as a small index of numbers (``novelty.npz``) from which no music can be read back. Two
passages are shared when every note of every voice is
(:mod:`scoregate.validators.analysis.shared_passages`); how
long the tune alone goes along with a known one is measured as well, and rejects nothing:
Bach wrote several settings of many tunes, and so may a model.

A piece that copies is rejected with its source named. That is a judgement of what a model
wrote, so the gate stands beside the others and is asked for by name: a score that
somebody hands in to be checked may well be Bach's own.
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

from scoregate.abc.score import Score
from scoregate.errors import GateError
from scoregate.findings import Finding, Outcome
from scoregate.validators.analysis.shared_passages import GRAM, Passage, grams, melody, texture
from scoregate.validators.registry import FunctionGate, Measure
from scoregate.validators.verdict.thresholds import for_style

NAME = "novelty"
VERSION = "1"

MOMENTS = 20_000
"""Moments of a piece that are looked up; the longest real pieces have a tenth of it."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where each run of `GRAM` symbols stands in a corpus.

    Parameters
    ----------
    names : list of str
        Of the corpus's pieces.
    gram : ndarray of uint64, shape (grams,)
        Ascending.
    piece, place : ndarray of int64, shape (grams,)
        The piece's index and the symbol's.
    """

    names: list[str]
    gram: NDArray[np.uint64]
    piece: NDArray[np.int64]
    place: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shared:
    """The longest passage in common with a corpus.

    Parameters
    ----------
    source : str
        Name of the corpus's piece; empty when nothing is shared.
    wholes : float
        Its duration in whole notes.
    bars : float
        Its duration in bars of the piece.
    first_bar, last_bar : int
        Where it stands in the piece, from 1.
    """

    source: str = ""
    wholes: float = 0.0
    bars: float = 0.0
    first_bar: int = 0
    last_bar: int = 0


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
    """Write the symbols of a corpus, by name of the piece, as ``novelty.npz`` holds them."""
    columns: dict[str, np.ndarray] = {"names": np.array(list(scores))}
    for kind, put in (("texture", texture), ("melody", melody)):
        rows = [put(score).symbols for score in scores.values()]
        columns[kind] = np.concatenate(rows)
        columns[f"{kind}_lengths"] = np.array([len(row) for row in rows])
    np.savez_compressed(path, allow_pickle=False, **columns)


def load(path: Path) -> dict[str, Index]:
    """Read the indices ``texture`` and ``melody`` of a corpus.

    Raises
    ------
    GateError
        When the file is missing or none of ours.
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
            "Make it again: `python -m scoregate.validators.analysis.novelty_index FOLDER`.",
        ) from error


@functools.cache
def known_pieces() -> dict[str, Index]:
    """Return the indices of what the embedded model was trained on."""
    with resources.as_file(
        resources.files("scoregate.validators.analysis").joinpath("novelty.npz")
    ) as path:
        return load(path)


def check(score: Score, *, style: str | None = None) -> Outcome:
    """Look for passages that stand in the corpus.

    Parameters
    ----------
    score : Score
    style : str, optional
        Whose thresholds for ``novelty.shared_bars`` and ``novelty.melody_bars`` apply.

    Returns
    -------
    Outcome
        With those two measures, in bars of the piece.
    """
    limits = for_style(style)
    indices = known_pieces()
    outcome = Outcome(NAME, VERSION)
    for kind, passage, words in (
        ("texture", texture(score), "{bars:.1f} bars stand note for note in {source}"),
        ("melody", melody(score), "the melody is that of {source} for {bars:.1f} bars"),
    ):
        shared = longest_shared(score, passage, indices[kind])
        measure = "novelty.shared_bars" if kind == "texture" else "novelty.melody_bars"
        outcome.measures[measure] = shared.bars
        severity = limits.severity(measure, shared.bars)
        if severity is None:
            continue
        bar = next((b for b in score.voices[0].bars if b.number == shared.first_bar), None)
        outcome.findings.append(
            Finding(
                NAME,
                "novelty.copy" if kind == "texture" else "novelty.known-melody",
                severity,
                f"bars {shared.first_bar}-{shared.last_bar}: "
                + words.format(bars=shared.bars, source=shared.source),
                bar=shared.first_bar,
                line=bar.line if bar is not None else None,
                column=bar.column if bar is not None else None,
                found=shared.source,
                expected=f"below {limits.bound(measure, severity):g} bars",
            )
        )
    return outcome


def longest_shared(score: Score, passage: Passage, index: Index) -> Shared:
    """Find the longest passage, by duration, that a piece shares with one of the corpus."""
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
    """The bar's usual length in whole notes."""
    lengths = [float(bar.duration) for bar in score.voices[0].bars if bar.duration]
    return float(np.median(lengths)) if lengths else 1.0


GATE = FunctionGate(
    name=NAME,
    version=VERSION,
    asks="Is the piece a copy of a known one?",
    check=check,
    measures=(
        Measure(
            "novelty.shared_bars", "Shared bars", "longest run of bars known from the corpus", 1
        ),
        Measure(
            "novelty.melody_bars",
            "Shared melody",
            "longest stretch in bars of a tune of the corpus",
            1,
        ),
    ),
    production_only=True,
)
