"""Voices that would fit the others better a semitone higher or lower, or earlier or later.

Each voice is moved against the others, which stay as they are. Where it is written as meant,
it fits best unmoved: more of its beats sound as a consonance, a triad or a seventh chord. A
voice that a wrong key signature, clef or transposition has moved fits better moved back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoregate.abc.score import Score
from scoregate.validators.analysis.chords import CHORDS, voice_sets

EDGE = 3.0
"""Weight of the evidence that a voice begins late or ends early."""
AGREEING, LIKENESS = 0.6, 0.2
"""Share of beats that agree once a voice is moved by a semitone, and by how much the likeness of
its pitch classes must grow. Nothing in music without a key reaches both: there a voice is not off.
Of voices that were moved 98 % reach .70 and .38."""
RESTORED, RESTORED_LIKENESS = 0.75, 0.5
"""The same in pieces that use all twelve pitch classes alike: 92 % of the voices reach both."""
MOST_CELLS = 1_000_000
"""Voices times beats of a piece whose voices are moved: 30 voices of 30,000 beats."""
CLEAR = 0.25
"""Gain of a voice that needs no likeness, because its line may have other notes than the chords."""
FEWEST = 2
"""Beats that must agree more than as written."""
LEAST_IN_TIME = 12
"""Beats that a voice sounds together with others, below which it is not moved in time."""
LEAST = 8
"""Beats that a voice sounds together with others, below which it is not moved."""
_CONSONANT = (3, 4, 5, 7, 8, 9)
_CLASSES = np.arange(12, dtype=np.int16)
_SEMITONES = (1, -1)
_TURNED_CLASSES = (np.arange(12) + np.array(_SEMITONES)[:, None]) % 12
"""The pitch class that each one becomes when it is moved by each of `_SEMITONES`."""


def _agreeing() -> NDArray[np.bool_]:
    """Return which of the 4096 sets agree: chords, and of two pitch classes the consonances."""
    table = CHORDS.copy()
    for low in range(12):
        for high in range(low + 1, 12):
            table[1 << low | 1 << high] = high - low in _CONSONANT
    return table


_AGREEING = _agreeing()


@dataclass(frozen=True, slots=True)
class Misfit:
    """A voice, and how much better it fits when it is moved.

    Attributes
    ----------
    voice : int
        Index of the voice.
    move : int
        Semitones, or beats, by which the voice fits better: positive is higher, or later.
    as_written, moved : float
        Share of the beats with other voices on which they agree, as written and moved.
    likeness : float
        For a move by semitones: how much better its pitch classes agree with those of the
        others, in nats a note; 0 for a move by beats.
    beats : int
        Beats that were compared.
    in_time : bool
        Whether it is a move by beats.
    at_edge : bool
        For a move by beats: whether the voice is silent for as long at the beginning or at the
        end of the piece, where others sound.
    """

    voice: int
    move: int
    as_written: float
    moved: float
    likeness: float = 0.0

    beats: int = 0
    in_time: bool = False
    at_edge: bool = False

    @property
    def gain(self) -> float:
        """By how much the share of beats that agree grows."""
        return self.moved - self.as_written

    @property
    def evidence(self) -> float:
        """How sure it is that the voice has been moved.

        For a move by a semitone the gain. For a move in time the gain times the root of the
        number of beats, because a few beats may agree by chance, and three times as much where
        the voice begins late or ends early as well: one that begins later than the others by
        as much as it fits better earlier has been moved and did not only pause.
        """
        if not self.in_time:
            return self.gain
        return self.gain * math.sqrt(self.beats) * (EDGE if self.at_edge else 1.0)

    @property
    def restores_a_key(self) -> bool:
        """Whether the voice, moved, agrees with the others as it does in music with a key."""
        return self.moved >= RESTORED and self.likeness >= RESTORED_LIKENESS


def _others(sets: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return for each voice what all the others sound, shape (voices, beats)."""
    before, behind = np.zeros_like(sets), np.zeros_like(sets)
    if len(sets) > 1:
        before[1:] = np.bitwise_or.accumulate(sets, axis=0)[:-1]
        behind[:-1] = np.bitwise_or.accumulate(sets[::-1], axis=0)[::-1][1:]
    return before | behind


@dataclass(frozen=True, slots=True)
class _Beats:
    """What pitched voices sound on each beat, and how well they agree with the others.

    Attributes
    ----------
    rows : ndarray of int64, shape (rows,)
        Indices of the voices.
    sets, others : ndarray of int16, shape (rows, beats)
        What a voice sounds, and what all the others sound.
    together : ndarray of bool, shape (rows, beats)
    count : ndarray of int64, shape (rows,)
        Beats on which the voice and others sound.
    written : ndarray of float64, shape (rows,)
        Share of these on which they agree.
    """

    rows: NDArray[np.int64]
    sets: NDArray[np.int16]
    others: NDArray[np.int16]
    together: NDArray[np.bool_]
    count: NDArray[np.int64]
    written: NDArray[np.float64]


def _beats(score: Score, voices: NDArray[np.bool_]) -> _Beats | None:
    """Return the beats of the pitched voices, cached; None where no voice can be moved."""
    sets = voice_sets(score)[0]
    if sets.size > MOST_CELLS:
        return None
    known = score.derived.get("misplaced")
    if known is None:
        rows = np.flatnonzero(voices)
        sets = sets[rows]
        others = _others(sets)
        together = (sets != 0) & (others != 0)
        count = np.count_nonzero(together, axis=1)
        written = _fit(sets | others, together) / np.maximum(count, 1)
        known = _Beats(rows, sets, others, together, count, written)
        score.derived["misplaced"] = known
    return known if (known.count >= LEAST).any() else None


def by_semitone(score: Score, voices: NDArray[np.bool_]) -> Misfit | None:
    """Return the voice that fits best of all when it is moved by a semitone.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.

    Returns
    -------
    Misfit or None
        The voice and direction with the largest gain whose pitch classes also agree better
        with those of the other voices, and which then agrees on most beats; None without one.
    """
    here = _beats(score, voices)
    if here is None:
        return None
    sets = here.sets
    turned = np.stack([(sets << move % 12 | sets >> -move % 12) & 4095 for move in _SEMITONES])
    moved = _fit(turned | here.others, here.together) / np.maximum(here.count, 1)
    gain = moved - here.written
    enough = (here.count >= LEAST) & (gain * here.count >= FEWEST) & (moved >= AGREEING)
    if not enough.any():
        return None
    own = np.count_nonzero(sets[:, :, None] >> _CLASSES & 1, axis=1)
    rest = own.sum(axis=0) - own
    log_share = np.log((rest + 0.5) / (rest.sum(axis=1, keepdims=True) + 6))
    size = np.maximum(own.sum(axis=1), 1)
    likely = (own * log_share).sum(axis=1) / size
    turned_share = log_share[:, _TURNED_CLASSES].swapaxes(0, 1)
    nearer = (own * turned_share).sum(axis=2) / size - likely
    clear = (nearer > 0) & (moved >= RESTORED) & (gain >= CLEAR)
    gain = np.where(enough & ((nearer >= LIKENESS) | clear), gain, -1.0)
    best: Misfit | None = None
    for turn, move in enumerate(_SEMITONES):
        row = int(gain[turn].argmax())
        if gain[turn, row] > (best.gain if best is not None else 0.0):
            best = Misfit(
                int(here.rows[row]),
                move,
                float(here.written[row]),
                float(moved[turn, row]),
                float(nearer[turn, row]),
                int(here.count[row]),
            )
    return best


def by_time(score: Score, voices: NDArray[np.bool_]) -> Misfit | None:
    """Return the voice that fits best of all when it is moved by a beat or a bar.

    Parameters
    ----------
    score : Score
    voices : ndarray of bool, shape (voices,)
        Which voices have pitches.

    Returns
    -------
    Misfit or None
        None where no voice fits better moved.
    """
    here = _beats(score, voices)
    if here is None or here.sets.shape[1] < LEAST or len(here.sets) < 2:
        return None
    sets, accompanied = here.sets, here.others != 0
    a_bar = int(np.median(np.bincount(voice_sets(score)[1])))
    moves = list(dict.fromkeys((1, -1, a_bar, -a_bar)))
    moved_sets = np.zeros((len(moves), *sets.shape), dtype=sets.dtype)
    silent = np.zeros((len(moves), len(sets)), dtype=bool)
    for turn, move in enumerate(moves):
        if move > 0:
            moved_sets[turn, :, move:] = sets[:, :-move]
            edge = slice(-move, None)
        else:
            moved_sets[turn, :, :move] = sets[:, -move:]
            edge = slice(0, -move)
        silent[turn] = ~sets[:, edge].any(axis=1) & accompanied[:, edge].any(axis=1)
    both = (moved_sets != 0) & accompanied
    count = np.count_nonzero(both, axis=2)
    moved = _fit(moved_sets | here.others, both) / np.maximum(count, 1)
    enough = np.minimum(here.count, count) >= LEAST_IN_TIME
    gain = np.where(enough, moved - here.written, -1.0)
    rows = (gain * np.sqrt(count) * np.where(silent, EDGE, 1.0)).argmax(axis=1).tolist()
    best: Misfit | None = None
    for turn, (move, row) in enumerate(zip(moves, rows, strict=True)):
        found = Misfit(
            int(here.rows[row]),
            move,
            float(here.written[row]),
            float(moved[turn, row]),
            beats=int(count[turn, row]),
            in_time=True,
            at_edge=bool(silent[turn, row]),
        )
        if found.evidence > (best.evidence if best is not None else 0.0):
            best = found
    return best


def _fit(sets: NDArray[np.int16], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of the counted sets agree, along the last axis."""
    return np.count_nonzero(_AGREEING[sets] & counted, axis=-1)
