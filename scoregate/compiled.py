"""The innermost loops of the reader and of the gates, compiled where there is a compiler.

``scoregate/csrc`` is C, compiled when the package is installed. `loops` is the module, or None
where nothing was compiled: then the same loops run in Python, slower and with the same results.
``tests/test_abc_loops.py`` holds the two equal.
"""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scoregate.abc.lengths import Ticks
    from scoregate.abc.note_tokens import Tokens
    from scoregate.abc.score import Bar, Event, Voice
    from scoregate.abc.voice_reader import VoiceReader


class Loops(Protocol):
    """What ``scoregate/csrc/module.c`` defines."""

    def bind_reader(
        self, reader: type[VoiceReader], tokens: type[Tokens], lengths: dict[Ticks, Fraction], /
    ) -> None:
        """Take the classes whose objects `read_notes` changes, and the Fraction of each length."""
        ...

    def read_notes(self, voice: VoiceReader, text: str, start: int, end: int, line: int, /) -> int:
        """Read ``text[start:end]`` up to what must be read in Python; return where that begins.

        Read are notes, chords, rests, slurs, plain barlines and what has no effect.
        """
        ...

    def bind_score(
        self, event: type[Event], bar: type[Bar], voice: type[Voice], fraction: type[Fraction], /
    ) -> None:
        """Take the classes that a score is made of."""
        ...

    def collect(self, voices: list[Voice], /) -> tuple[bytearray, bytearray, bytearray]:
        """Return the notes of voices in columns.

        Returns
        -------
        numbers : bytearray
            Voices, bars and pitches as int64, then onsets and ends as float64.
        flags : bytearray
            Whether each note begins, then whether it is a grace note.
        lengths : bytearray
            Of the bars, as float64.
        """
        ...

    def slices(self, *columns: NDArray[Any]) -> None:
        """Add notes to the slices of their bars.

        Parameters
        ----------
        *columns : ndarray
            Bar, pitch, onset, end and grace of the notes; the length of each bar; and the
            slices as uint64, two for each (:func:`scoregate.validators.analysis.sounding.slices`).

        Raises
        ------
        ValueError
            The arrays do not belong together.
        """
        ...

    def voice_sets(self, *columns: NDArray[Any]) -> None:
        """Add notes to the beats on which they sound.

        Parameters
        ----------
        *columns : ndarray
            As ``_spread`` of :mod:`scoregate.validators.analysis.chords` takes them.

        Raises
        ------
        ValueError
            The arrays do not belong together.
        """
        ...

    # Six parameters: arrays that belong together.
    def warp(
        self,
        bars: NDArray[np.uint64],
        width: int,
        words: int,
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        result: NDArray[np.int32],
        /,
    ) -> None:
        """Put the key of the cheapest path between each pair of bars into `result`.

        :mod:`scoregate.validators.analysis.dtw` says what the key is.

        Parameters
        ----------
        bars : ndarray of uint64, shape (bars, width, words)
            What sounds in each slice, as bits.
        width, words : int
            Slices of a bar, 64 at most, and words of a slice, 2 at most.
        left, right : ndarray of int64, shape (pairs,)
            Indices of bars.
        result : ndarray of int32, shape (pairs,)

        Raises
        ------
        ValueError
            The arrays do not belong together.
        """
        ...

    def count_notes(self, midi: bytes, place: int, end: int, /) -> tuple[int, int] | None:
        """Return the notes and the ticks of the track in ``midi[place:end]``.

        None where it breaks off or has numbers that no track needs.
        """
        ...


def _load() -> Loops | None:
    try:
        return cast("Loops", import_module("scoregate._loops"))
    except ImportError:
        return None


loops = _load()
