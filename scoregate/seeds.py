"""The seeds of a run's rounds."""

from __future__ import annotations

import hashlib


def seeds_of_round(seed: int, round_number: int, count: int) -> list[int]:
    """Return ``count`` seeds for one round, the same ones for the same run seed.

    Derived by hashing, so that neighbouring run seeds or rounds share no piece.
    """
    return [
        int.from_bytes(hashlib.sha256(f"{seed}/{round_number}/{row}".encode()).digest()[:4], "big")
        >> 1
        for row in range(count)
    ]
