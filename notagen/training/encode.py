"""Training pieces as arrays: patches, and what sounds at each character.

The second part feeds an auxiliary task of training (:mod:`scoregate.notagen.training.step`); its
labels are made in :mod:`scoregate.notagen.training.labels`. It needs interleaved text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

import numpy as np

from scoregate.abc.keys import key_fifths, signature
from scoregate.evaluation.lines import leading_tone, tonic_of
from scoregate.notagen.sounding import FEATURES, SILENT, Listener, body_at
from scoregate.notagen.text.patches import BOS_PATCH, EOS_PATCH, PAD, encode_unit, units_of
from scoregate.notagen.training.labels import IGNORE, SLOTS, UNIT, Memory, UnitLabels, line_labels

ABOVE = 3  # earlier voices that are asked for where nothing else is said: music of four voices
MOST_ABOVE = 7


@dataclass(slots=True)
class Example:
    """One piece, ready for a training step; ``IGNORE`` where nothing is asked.

    Attributes
    ----------
    patches : ndarray (P, 16) uint8
        BOS first, EOS last.
    time : ndarray (P, 16) int8
        Time reached where each character is written, in sixteenths.
    now, before : ndarray (P, 16, above) int8
        What each earlier voice sounds at this moment and just before it, as classes of
        :func:`~scoregate.notagen.training.labels.pitch_class_of`.
    own : ndarray (P, 16) int8
        The voice's own last pitch.
    chord : ndarray (P, 16) int16
        Bits of the pitch classes that all voices together sound there, the ones not yet
        written included.
    forbidden : ndarray (P, 16) uint16
        Bits of the note letters that would break a rule of voice leading; 0 elsewhere.
    grid : ndarray (P, above, 8) int8
        As ``now``, for every eighth of the bar that the patch belongs to.
    last : ndarray (P, above + 1) int8
        What each voice sounds at the end of the bar before.
    tonic : int
        Pitch class of the tonic; ``IGNORE`` where the key names none.
    sounding : ndarray (P, 16, features) int16 or None
        What a model with this input is told at each character: see
        :mod:`scoregate.notagen.sounding`.
    """

    patches: np.ndarray
    time: np.ndarray
    now: np.ndarray
    before: np.ndarray
    own: np.ndarray
    chord: np.ndarray
    forbidden: np.ndarray
    grid: np.ndarray
    last: np.ndarray
    tonic: int = IGNORE
    sounding: np.ndarray | None = None

    @property
    def characters(self) -> int:
        """Characters that count, the BOS patch left out."""
        return int((self.patches[1:] != PAD).sum())

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        values = (getattr(self, f.name) for f in fields(self))
        return sum(value.nbytes for value in values if isinstance(value, np.ndarray))


def encode_patches(text: str) -> np.ndarray:
    """Patches of a whole piece with BOS and EOS: (P, 16) uint8."""
    rows = [BOS_PATCH]
    for unit in units_of(text):
        rows += encode_unit(unit)
    return np.array([*rows, EOS_PATCH], dtype=np.uint8)


def voices_above(texts: list[str]) -> int:
    """Earlier voices to ask for so that the last voice of every piece sees all others."""
    most = max((len(set(re.findall(r"\[V:(\d+)\]", text))) for text in texts), default=0)
    return min(max(most - 1, ABOVE), MOST_ABOVE)


def encode_example(
    text: str, above: int = ABOVE, *, exceptions: bool = True, sounding: bool = False
) -> Example:
    """Patches and auxiliary labels of one piece in stream form.

    Parameters
    ----------
    text : str
        From :func:`scoregate.notagen.training.stream.stream_text`.
    above : int
        Earlier voices that labels are made for; see :func:`voices_above`.
    exceptions : bool
        Whether a place where the text itself breaks a rule of voice leading has no forbidden
        letters, as in a master's work. A model's own pieces are no authority.
    sounding : bool
        Whether to add what a model with this input is told.
    """
    rows: list[tuple[int, ...]] = [BOS_PATCH]
    spots: list[tuple[int, int, int] | None] = [None]  # body line, unit in it, offset
    lines: list[list[str]] = []
    closed = True
    for unit in units_of(text):
        match = UNIT.match(unit)
        if match:
            if closed:
                lines.append([])
            lines[-1].append(unit)
            closed = unit.endswith("\n")
        for number, patch in enumerate(encode_unit(unit)):
            rows.append(patch)
            spots.append((len(lines) - 1, len(lines[-1]) - 1, 16 * number) if match else None)
    rows.append(EOS_PATCH)
    spots.append(None)
    found = re.search(r"^K:(.*)$", text, re.M)
    key = found[1] if found else "C"
    alters, leading, memory = signature(key_fifths(key)), leading_tone(key), Memory()
    by_line = [
        line_labels(line, alters, memory, above, leading, exceptions=exceptions) for line in lines
    ]
    example = _empty(rows, above)
    tonic = tonic_of(key)
    example.tonic = IGNORE if tonic is None else tonic
    for row, spot in enumerate(spots):
        if spot is not None:
            _copy(by_line[spot[0]][spot[1]], spot[2], example, row)
    if sounding:
        example.sounding = heard(text, example.patches)
    return example


def _empty(rows: list[tuple[int, ...]], above: int) -> Example:
    count = len(rows)
    return Example(
        np.array(rows, dtype=np.uint8),
        np.full((count, 16), IGNORE, np.int8),
        np.full((count, 16, above), IGNORE, np.int8),
        np.full((count, 16, above), IGNORE, np.int8),
        np.full((count, 16), IGNORE, np.int8),
        np.full((count, 16), IGNORE, np.int16),
        np.zeros((count, 16), np.uint16),
        np.full((count, above, SLOTS), IGNORE, np.int8),
        np.full((count, above + 1), IGNORE, np.int8),
    )


def _copy(labels: UnitLabels, at: int, example: Example, row: int) -> None:
    """Copy the labels of the 16 characters from ``at`` into one row of the example."""
    size = min(16, len(labels.time) - at)
    for name in ("time", "now", "before", "own", "chord", "forbidden"):
        getattr(example, name)[row, :size] = getattr(labels, name)[at : at + size]
    example.grid[row] = labels.grid
    example.last[row] = labels.last


def heard(text: str, rows: np.ndarray) -> np.ndarray:
    """Classes at every character of a whole piece.

    Parameters
    ----------
    text : str
        With its prompt, header and counters, as a model writes it.
    rows : ndarray, (P, 16)
        Its patches, BOS first.

    Returns
    -------
    ndarray, (P, 16, features), int16
        Rows of the table of embeddings; ``SILENT`` outside the music and before the body.
    """
    found = np.full((*rows.shape, len(FEATURES)), SILENT, np.int16)
    listener = Listener()
    at = body_at(text)
    listener.follow(text[:at])
    done = 0
    for row, patch in enumerate(rows[1:].tolist(), 1):
        for column, token in enumerate(patch):
            if token == 0:
                break
            found[row, column] = listener.features
            if token > 2:
                if done >= at:
                    listener.hear(token)
                done += 1
    return found
