"""The vocabulary: every event of the training pieces that is not unique, and a few control words.

A piece is written as ``<style NAME> <metre 6/8> <pickup 1/2>``, then its events, then ``<end>``.
So the model draws the metre and the pickup of a style itself, as often as the corpus has them.
Events that occur once are replaced by ``<unknown>``, which is never sampled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from scoregate.errors import WeightsError
from scoregate.lstm.events import Event, Piece

END, UNKNOWN = "<end>", "<unknown>"
LEAST_COUNT = 2


def style_word(style: str) -> str:
    """Return the control word of a style."""
    return f"<style {style}>"


def words_of(piece: Piece, style: str) -> list[str]:
    """Return a piece as words, control words included."""
    opening = [style_word(style), f"<metre {piece.metre}>", f"<pickup {piece.pickup}>"]
    return [*opening, *map(str, piece.events), END]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words and their numbers.

    Attributes
    ----------
    words : tuple of str
        Word of each token.
    """

    words: tuple[str, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {word: number for number, word in enumerate(self.words)}
        if len(index) != len(self.words) or not {END, UNKNOWN} <= index.keys():
            raise WeightsError(
                "The vocabulary is damaged: a word is missing or stands twice.",
                "Train the weights again, or take the embedded ones.",
            )
        object.__setattr__(self, "_index", index)

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def of(cls, pieces: Iterable[Sequence[str]]) -> Vocabulary:
        """Collect the words of training pieces, the most frequent first."""
        counts: Counter[str] = Counter()
        for words in pieces:
            counts.update(words)
        kept = [
            word
            for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if word != END and (count >= LEAST_COUNT or word.startswith("<"))
        ]
        return cls((END, UNKNOWN, *kept))

    def encode(self, words: Sequence[str]) -> list[int]:
        """Return the tokens of words; a word that is not in the vocabulary is ``<unknown>``."""
        unknown = self._index[UNKNOWN]
        return [self._index.get(word, unknown) for word in words]

    def token(self, word: str) -> int | None:
        """Return the token of a word, or None."""
        return self._index.get(word)

    def tokens_starting(self, start: str) -> list[int]:
        """Return the tokens whose words start so: all metres, all styles."""
        return [token for token, word in enumerate(self.words) if word.startswith(start)]

    @property
    def event_tokens(self) -> list[int]:
        """Tokens of events, without control words."""
        return [token for token, word in enumerate(self.words) if not word.startswith("<")]

    def event(self, token: int) -> Event:
        """Return the event of a token."""
        return Event.parse(self.words[token])

    def value(self, token: int) -> str:
        """Return what a control word says: ``6/8`` for ``<metre 6/8>``."""
        return self.words[token].strip("<>").partition(" ")[2]

    def pickup(self, token: int) -> Fraction:
        """Return the pickup that a control word says."""
        return Fraction(self.value(token))
