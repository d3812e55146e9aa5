"""Pieces as training draws them: in any key their voices can reach, encoded when first needed."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scoregate.abc.keys import key_fifths
from scoregate.convert.bar_events import midi_pitch
from scoregate.evaluation import rhythm
from scoregate.evaluation.lines import read_lines
from scoregate.evaluation.reading import read_grid
from scoregate.form import Form
from scoregate.notagen.training.encode import Example, encode_example, voices_above
from scoregate.notagen.training.forms import form_of
from scoregate.notagen.training.repeats import with_repeat, written_out
from scoregate.notagen.training.stream import crop, stream_text, transpose_text
from scoregate.notagen.training.synthetic import chorale

SIGNATURES = range(-5, 7)
CACHE_BYTES = 400_000_000  # encoded pieces that are kept; about 4,000 chorales in one key
RARE_KEYS = 0.02  # least share of a signature where keys follow the corpus
LEAST_OFF_BEAT = 0.05  # a piece of plain quarters is drawn as if it had this share
TRIPLE = re.compile(r"^M:\s*(3|6|9)/", re.M)


class Cache:
    """Encoded pieces, the least recently used ones dropped beyond a number of bytes."""

    # More than six parameters: each is one choice of how texts are encoded.
    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self._examples: OrderedDict[tuple, Example] = OrderedDict()

    def get(self, key: tuple, make: Callable[[], Example]) -> Example:
        """Return the example of a key, made where it is not there."""
        found = self._examples.get(key)
        if found is None:
            found = self._examples[key] = make()
            self.size += found.nbytes
            while self.size > self.limit and len(self._examples) > 1:
                self.size -= self._examples.popitem(last=False)[1].nbytes
        self._examples.move_to_end(key)
        return found

    def __len__(self) -> int:
        return len(self._examples)


class Variant(NamedTuple):
    """How a piece is written: with its form in the header, with its repeat written out."""

    form: bool = False
    repeated: bool = False


PLAIN = Variant()


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
    compasses : dict of str to tuple of int, optional
        By piece, lowest and highest MIDI pitch that it may reach when it is transposed: keys in
        which its voices would leave it are not drawn.
    corpus_keys : bool
        Draw key signatures as often as the texts have them; otherwise every signature that a piece
        can reach is as likely.
    rare_keys : float
        Least share of a signature where keys follow the corpus.
    triple : float
        How much more often than the others a piece in triple metre is drawn.
    off_beat : float
        A piece is drawn in proportion to its share of beats with a note inside them, to this
        power. Sampling from the likelier characters alone makes rhythms plainer than the texts;
        this makes up for it.
    cache_bytes : int
        Most bytes of encoded pieces that are kept.
    styles : dict of str to tuple of str, optional
        Prompts of the pieces that have another one than ``style``, by name.
    sources : dict of str to str, optional
        The corpus of each piece. Keys follow each corpus by itself.
    shares : dict of str to float, optional
        How often a piece of each corpus is drawn; without them every piece is as likely.
    sounding : bool
        Whether the examples say what sounds, for a model with this input.
    forms : float
        Share of the drawn pieces whose header says their form, where it can be read off. Pieces
        that are not drawn, but asked for by name, say it where the share is not 0.
    repeats : float
        Share of the drawn pieces that have their repeat written out, of those that have one
        (:mod:`scoregate.notagen.training.repeats`), and of the rule-made ones that get one.
    """

    def __init__(
        self,
        texts: dict[str, str],
        style: tuple[str, str, str] | None,
        limit: int = 512,
        *,
        compasses: Mapping[str, tuple[int, int]] | None = None,
        corpus_keys: bool = False,
        rare_keys: float = RARE_KEYS,
        triple: float = 1.0,
        off_beat: float = 0.0,
        cache_bytes: int = CACHE_BYTES,
        styles: Mapping[str, tuple[str, str, str]] | None = None,
        sources: Mapping[str, str] | None = None,
        shares: Mapping[str, float] | None = None,
        sounding: bool = False,
        forms: float = 0.0,
        repeats: float = 0.0,
    ) -> None:
        self.limit = limit
        self._share_of_forms, self._share_of_repeats = forms, repeats
        self._forms: dict[tuple[str, bool], Form | None] = {}
        self._repeated: dict[str, str | None] = {}
        self._sounding = sounding
        self.compasses = compasses or {}
        self.texts = texts
        self.names = sorted(texts)
        self.style = style
        self.styles = styles or {}
        self.above = voices_above(list(texts.values()))
        self._rare = rare_keys
        self.sources = sources or {}
        self._keys: dict[str, dict[int, float]] = {}
        if corpus_keys:
            for group in {self._group(name) for name in self.names}:
                own = [texts[name] for name in self.names if self._group(name) == group]
                self._keys[group] = key_shares(own, rare_keys)
        chances = np.array([triple if TRIPLE.search(texts[n]) else 1.0 for n in self.names])
        if off_beat:
            found = [rhythm.off_beat(read_grid(texts[name])) for name in self.names]
            chances *= np.clip(np.nan_to_num(found), LEAST_OFF_BEAT, None) ** off_beat
        for group, share in (shares or {}).items():
            own = np.array([self._group(name) == group for name in self.names])
            chances[own] *= share / max(chances[own].sum(), 1e-9)
        self._chances = np.cumsum(chances / max(chances.sum(), 1e-9))
        self._encoded = Cache(cache_bytes)
        self._moves: dict[str, list[tuple[int, int]]] = {}

    def _group(self, name: str) -> str:
        """Return the corpus of a piece."""
        return self.sources.get(name, "")

    def piece(self, name: str, fifths: int = 0, octaves: int = 0, how: Variant = PLAIN) -> Example:
        """Return a piece moved by so many fifths, the nearest way, and by octaves."""
        at = (name, fifths, octaves, how)
        return self._encoded.get(at, lambda: self._encode(self._stream(*at)))

    def _encode(self, text: str) -> Example:
        return encode_example(text, self.above, sounding=self._sounding)

    def _stream(self, name: str, fifths: int, octaves: int, how: Variant = PLAIN) -> str:
        text = self._text(name, how)
        if how.form and (name, how.repeated) not in self._forms:
            self._forms[name, how.repeated] = form_of(text)  # the same in every key
        form = self._forms[name, how.repeated] if how.form else None
        moved = transpose_text(text, fifths, octaves)
        return stream_text(moved, self.styles.get(name, self.style), form)

    def _text(self, name: str, how: Variant) -> str:
        """Return a piece with its repeat written out, where that is asked for and it has one."""
        if not how.repeated:
            return self.texts[name]
        if name not in self._repeated:
            self._repeated[name] = written_out(self.texts[name])
        return self._repeated[name] or self.texts[name]

    def at_home(self, name: str) -> Example:
        """Return a piece in its own key, from its beginning, cut where the context ends."""
        how = Variant(form=self._share_of_forms > 0)
        return self._encode(crop(self._stream(name, 0, 0, how), self.limit, 0.0))

    def draw(self, rng: np.random.Generator) -> Example:
        """Any piece in any of the twelve signatures that its voices can reach."""
        at = int(np.searchsorted(self._chances, rng.random(), side="right"))
        name = self.names[min(at, len(self.names) - 1)]
        if name not in self._moves:
            self._moves[name] = moves_within(self.texts[name], self.compasses.get(name))
        keys = self._keys.get(self._group(name))
        fifths, octaves = self._choose(self.texts[name], self._moves[name], rng, keys)
        how = self._variant(rng)
        whole = self.piece(name, fifths, octaves, how)
        if len(whole.patches) > self.limit and how.repeated:
            how = how._replace(repeated=False)
            whole = self.piece(name, fifths, octaves, how)
        if len(whole.patches) <= self.limit:
            return whole
        # Longer than the context: another stretch of it each time.
        text = self._stream(name, fifths, octaves, how)
        return self._encode(crop(text, self.limit, float(rng.random())))

    def rule_made(self, rng: np.random.Generator, pool: int = 6000) -> Example:
        """Return a rule-made chorale, under the same prompt."""
        number = int(rng.integers(pool))
        how = self._variant(rng)

        def make() -> Example:
            text = chorale(number)
            if how.repeated:
                text = written_out(with_repeat(text) or "") or text
            own = np.random.default_rng((number, 7))
            compass = next(iter(self.compasses.values()), None)
            keys = next(iter(self._keys.values()), None)
            move = self._choose(text, moves_within(text, compass), own, keys)
            found = form_of(text) if how.form else None
            return self._encode(stream_text(transpose_text(text, *move), self.style, found))

        return self._encoded.get(("rules", number, how), make)

    def _variant(self, rng: np.random.Generator) -> Variant:
        """Draw how a piece is written; nothing is drawn for a share of 0."""
        shares = (self._share_of_forms, self._share_of_repeats)
        return Variant(*(share > 0 and rng.random() < share for share in shares))

    def _choose(
        self,
        text: str,
        moves: list[tuple[int, int]],
        rng: np.random.Generator,
        keys: Mapping[int, float] | None,
    ) -> tuple[int, int]:
        """One of the moves: each as likely, or as the corpus has the keys they lead to."""
        if keys is None:
            return moves[int(rng.integers(len(moves)))]
        home = signature_of(text)
        # A tune whose own key leads out of the compass may only reach keys with a share of 0.
        shares = (keys.get(home + fifths, self._rare) for fifths, _ in moves)
        chances = np.array([max(share, 1e-9) for share in shares])
        return moves[int(rng.choice(len(moves), p=chances / chances.sum()))]


def signature_of(text: str) -> int:
    """Fifths of a piece's key signature, sharps positive; 0 without a key."""
    found = re.search(r"^K:(.*)$", text, re.M)
    return key_fifths(found[1]) if found else 0


def key_shares(texts, least: float = RARE_KEYS) -> dict[int, float]:
    """Share of each key signature among pieces, at least `least` for each of twelve."""
    counts = Counter(signature_of(text) for text in texts)
    total = max(sum(counts.values()), 1)
    return {k: max(counts[k] / total, least) for k in {*SIGNATURES, *counts}}


def moves_within(text: str, compass: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Fifths and octaves by which a piece can be moved, one for each signature at most.

    The nearest way is taken, or the other one where only that stays in the compass.
    """
    home = signature_of(text)
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
