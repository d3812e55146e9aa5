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


def seeds_of_drafts(seed: int, count: int) -> list[int]:
    """Return the seeds of the drafts that one piece is chosen from.

    The first draft has the seed of the piece itself, so one draft is the piece that would be
    generated without a choice; a larger number of drafts begins with those of a smaller one.
    """
    return [
        seed if draft == 0
        else int.from_bytes(hashlib.sha256(f"{seed}/draft/{draft}".encode()).digest()[:4], "big")
        >> 1
        for draft in range(count)
    ]  # fmt: skip
