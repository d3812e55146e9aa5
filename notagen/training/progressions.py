"""Progressions of chords for rule-made chorales: which chord follows which, and cadences."""

from __future__ import annotations

import random
from functools import cache

# Chords as degree, inversion, kind; what may follow, with weights. "7" adds the seventh;
# "/x" raises the third: a dominant of another degree.
MAJOR = {
    "I": "IV:4 V:4 vi:4 ii6:3 I6:3 V6:2 iii:1 viio6:2 V43:2 IV6:1 V/IV:1 V/vi:2 V/ii:1 ii7:1 vi7:1",
    "I6": "IV:4 ii6:3 V:3 I:1 viio6:2 vi:1 ii65:2 V/IV:1",
    "ii": "V:4 V7:3 V6:2 viio6:1 vi:1 V/V:1",
    "ii6": "V:5 V7:3 I64:1 V2:1",
    "ii65": "V:5 V7:2 I64:1",
    "ii7": "V:4 V7:2",
    "iii": "vi:4 IV:3 ii6:1",
    "IV": "I:3 V:4 ii6:1 I6:2 viio6:2 V7:1 V2:1 V6:1 ii:1 V/V6:1",
    "IV6": "V:3 I64:1 V65:2 I6:1",
    "V": "I:6 vi:2 I6:1 V2:1 V6:1 V/vi6:1",
    "V7": "I:6 vi:2",
    "V6": "I:6 V65:1",
    "V65": "I:6",
    "V43": "I6:3 I:3",
    "V2": "I6:6",
    "I64": "V:3 V7:3",
    "vi": "ii:3 IV:3 V:2 ii6:2 iii:1 V/V:1 V6:1 I6:1 ii65:1 vi7:1",
    "vi7": "ii:2 IV6:1 V/V:1",
    "viio6": "I:5 I6:3 vi:1",
    "V/V": "V:6 V2:1",
    "V/V6": "V:6",
    "V/vi": "vi:6",
    "V/vi6": "vi:6",
    "V/ii": "ii:6",
    "V/IV": "IV:6 ii6:1",
}
MINOR = {
    "i": "iv:4 V:4 VI:2 iio6:3 i6:3 V6:2 viio6:2 V43:2 iv6:2 VII:2 III:1 ii065:1",
    "i6": "iv:4 iio6:3 V:3 viio6:2 i:1 ii065:2 VI:1",
    "iio6": "V:5 V7:3 i64:1",
    "ii065": "V:5 V7:2",
    "III": "VI:3 iv:3 VII:2 iio6:1 VII6:1 III6:1",
    "III6": "VI:2 iv:3 VII:1",
    "iv": "V:4 i:3 V7:2 i6:1 viio6:1 iio6:1 VII:2 V6:1",
    "iv6": "V:5",
    "V": "i:6 VI:2 i6:1 V2:1 V6:1",
    "V7": "i:6 VI:2",
    "V6": "i:6",
    "V43": "i:3 i6:3",
    "V2": "i6:6",
    "i64": "V:3 V7:3",
    "VI": "iio6:3 iv:3 V:3 III:2 VII:1",
    "VII": "III:6 i:1 VII6:1",
    "VII6": "III:5",
    "viio6": "i:5 i6:3",
}
CADENCES_MAJOR = (
    "ii6 V I",
    "IV V I",
    "ii65 V I",
    "I64 V I",
    "I V I",
    "IV I V",
    "I ii6 V",
    "vi ii6 V",
    "I6 viio6 I",
    "I IV V",
    "IV V vi",
    "ii6 V/vi",
    "V/V6 V V",
    "vi V/V V",
    "V7 I I",
    "I64 V7 I",
)
CADENCES_MINOR = (
    "iio6 V i",
    "iv V i",
    "ii065 V i",
    "i64 V i",
    "i iv V",
    "VI iv V",
    "iv6 V V",
    "i6 viio6 i",
    "VII III III",
    "iv VII III",
    "iv V VI",
    "i64 V7 i",
    "i V i",
)


def _follow(table: dict[str, list[tuple[str, float]]], name: str, rng: random.Random) -> str:
    names, weights = zip(*table[name], strict=True)
    return rng.choices(names, weights)[0]


@cache
def _table(minor: bool) -> dict[str, list[tuple[str, float]]]:
    source = MINOR if minor else MAJOR
    table = {}
    for name, text in source.items():
        pairs = [item.rsplit(":", 1) for item in text.split()]
        table[name] = [(n, float(w)) for n, w in pairs if n in source or "/" in n]
    return table


def phrase_chords(
    length: int, start: str | None, minor: bool, last: bool, rng: random.Random
) -> list[str]:
    """Names of the chords of a phrase, one a beat, with its cadence."""
    table = _table(minor)
    home = "i" if minor else "I"
    cadences = CADENCES_MINOR if minor else CADENCES_MAJOR
    closing = [c for c in cadences if c.split()[-1] == home and "V" in c]
    names: list[str] = []
    cadence: list[str] = []
    for _ in range(200):
        cadence = rng.choice(closing if last else cadences).split()
        names = [_follow(table, start, rng) if start else home]
        while len(names) < length - len(cadence):
            names.append(_follow(table, names[-1], rng))
        if cadence[0] in {n for n, _ in table[names[-1]]} or cadence[0] == names[-1]:
            return names + cadence
    return names + cadence
