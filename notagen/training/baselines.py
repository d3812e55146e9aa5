"""What a model of characters has to beat: a unigram and an n-gram on the same text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict


def unigram_bits(train: list[str], held: list[str]) -> float:
    """Bits per character of the training text's character counts, add-one smoothed."""
    counts = Counter("".join(train))
    total = sum(counts.values()) + 128
    text = "".join(held)
    return -sum(math.log2((counts[c] + 1) / total) for c in text) / len(text)


def ngram_bits(train: list[str], held: list[str], order: int = 7) -> float:
    """Bits per character of an interpolated Witten-Bell n-gram.

    P(c | h) = (n(h, c) + t(h) P(c | h')) / (n(h) + t(h)), where t(h) counts the different
    characters seen after h and h' is h without its first character (Witten and Bell, 1991).

    Parameters
    ----------
    train, held : list of str
        Pieces; each begins anew.
    order : int
        Characters, the predicted one included.
    """
    tables: list[dict[str, Counter]] = [defaultdict(Counter) for _ in range(order)]
    for text in train:
        for i, char in enumerate(text):
            for size in range(min(order, i + 1)):
                tables[size][text[i - size : i]][char] += 1
    sums = [{h: sum(c.values()) for h, c in table.items()} for table in tables]
    bits = count = 0.0
    for text in held:
        for i, char in enumerate(text):
            p = 1 / 128
            for size in range(min(order, i + 1)):
                history = text[i - size : i]
                seen = tables[size].get(history)
                if seen is None:
                    break
                kinds = len(seen)
                p = (seen[char] + kinds * p) / (sums[size][history] + kinds)
            bits -= math.log2(p)
            count += 1
    return bits / count
