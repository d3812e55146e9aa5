"""Pieces as training draws them: in any key their voices can reach, encoded once."""

from __future__ import annotations

import re

import numpy as np

from scoregate.convert.notation import key_fifths, midi_pitch
from scoregate.notagen.training.encode import Example, encode_example
from scoregate.notagen.training.measures import read_lines
from scoregate.notagen.training.stream import crop, stream_text, transpose_text
from scoregate.notagen.training.synthetic import chorale

SIGNATURES = range(-5, 7)


class Material:
    """Pieces by name, encoded in any key when they are first asked for.

    Parameters
    ----------
    texts : dict of str to str
        Interleaved ABC.
    style : tuple of str or None
        The prompt.
    limit : int
        Most patches of an example.
    compass : tuple of int or None
        Lowest and highest MIDI pitch that a transposed piece may reach: keys in which its
        voices would leave it are not drawn.
    """

    def __init__(
        self,
        texts: dict[str, str],
        style: tuple[str, str, str] | None,
        limit: int = 512,
        compass: tuple[int, int] | None = None,
    ) -> None:
        self.limit = limit
        self.compass = compass
        self.texts = texts
        self.names = sorted(texts)
        self.style = style
        self._encoded: dict[tuple[str, int, int], Example] = {}
        self._made: dict[int, Example] = {}
        self._moves: dict[str, list[tuple[int, int]]] = {}

    def piece(self, name: str, fifths: int = 0, octaves: int = 0) -> Example:
        """A piece moved by so many fifths, the nearest way, and by octaves."""
        at = (name, fifths, octaves)
        if at not in self._encoded:
            self._encoded[at] = encode_example(self._stream(*at))
        return self._encoded[at]

    def _stream(self, name: str, fifths: int, octaves: int) -> str:
        return stream_text(transpose_text(self.texts[name], fifths, octaves), self.style)

    def at_home(self, name: str) -> Example:
        """A piece in its own key, from its beginning, cut where the context ends."""
        return encode_example(crop(self._stream(name, 0, 0), self.limit, 0.0))

    def draw(self, rng: np.random.Generator) -> Example:
        """Any piece in any of the twelve signatures that its voices can reach."""
        name = self.names[rng.integers(len(self.names))]
        if name not in self._moves:
            self._moves[name] = moves_within(self.texts[name], self.compass)
        fifths, octaves = self._moves[name][int(rng.integers(len(self._moves[name])))]
        whole = self.piece(name, fifths, octaves)
        if len(whole.patches) <= self.limit:
            return whole
        # Longer than the context: another stretch of it each time.
        text = self._stream(name, fifths, octaves)
        return encode_example(crop(text, self.limit, float(rng.random())))

    def rule_made(self, rng: np.random.Generator, pool: int = 6000) -> Example:
        """A rule-made chorale, under the same prompt."""
        number = int(rng.integers(pool))
        if number not in self._made:
            text = chorale(number)
            moves = moves_within(text, self.compass)
            text = transpose_text(text, *moves[number % len(moves)])
            self._made[number] = encode_example(stream_text(text, self.style))
        return self._made[number]


def moves_within(text: str, compass: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Fifths and octaves by which a piece can be moved, one for each signature at most.

    The nearest way is taken, or the other one where only that stays in the compass.
    """
    found = re.search(r"^K:(.*)$", text, re.M)
    home = key_fifths(found[1]) if found else 0
    if compass is None:
        return [(signature - home, 0) for signature in SIGNATURES]
    pitches = [
        midi_pitch(p)
        for line in read_lines(text)[0]
        for events in line.voices.values()
        for e in events
        for p in e.pitches
    ]
    low, high = min(pitches, default=60), max(pitches, default=60)
    moves = []
    for signature in SIGNATURES:
        fifths = signature - home
        near = (fifths * 7 + 5) % 12 - 5
        for octaves in (0, -1, 1):
            moved = near + 12 * octaves
            if compass[0] <= low + moved and high + moved <= compass[1]:
                moves.append((fifths, octaves))
                break
    return moves or [(0, 0)]
