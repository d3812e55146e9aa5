"""Drafts of the embedded model with the line judge, kept from one benchmark to the next.

:func:`drafts` draws them in batches of 16 on one thread, as ``scoregate produce`` does, and keeps
each with its verdict in ``.scoregate/quality``, by weights and engine. Drawing that was stopped
goes on where it was. ``benchmarks/critic.py`` and ``benchmarks/quality.py`` use them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scoregate.generation.judging import draw
from scoregate.notagen.engine import ENGINE_VERSION
from scoregate.requests import ProduceRequest
from scoregate.seeds import seeds_of_drafts, seeds_of_round

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "notagen" / "weights" / "chorales.safetensors"
CACHE = ROOT / ".scoregate" / "quality"
BATCH = 16
CRITIC_SEED, QUALITY_SEED = 1, 2
"""Seeds of the pieces that the critic learns from, and of those that it is measured on."""
MOST_DRAFTS = 8


def critic_seeds(pieces: int) -> list[int]:
    """Return the seeds of the pieces that the critic learns from."""
    return seeds_of_round(CRITIC_SEED, 1, pieces)


def quality_seeds(pieces: int) -> list[int]:
    """Return the seeds of all drafts that are measured, those of a piece behind each other."""
    return [
        draft
        for seed in seeds_of_round(QUALITY_SEED, 1, pieces)
        for draft in seeds_of_drafts(seed, MOST_DRAFTS)
    ]


def drafts(seeds: Sequence[int], weights: Path = EMBEDDED) -> list[dict[str, Any]]:
    """Return a row for each seed, as :func:`scoregate.generation.judging.draw` gives them.

    ``seconds`` are processor seconds of the piece and of its verdict.
    """
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    stored = CACHE / f"{digest}-{ENGINE_VERSION}.jsonl"
    rows = {}
    if stored.exists():
        whole = stored.read_text().rpartition("\n")[0]
        rows = {row["seed"]: row for row in map(json.loads, whole.splitlines())}
    named = {} if weights == EMBEDDED else {"weights": str(weights)}
    request = ProduceRequest(batch=BATCH, threads=1, device="cpu", **named).model_dump(mode="json")
    left = [seed for seed in seeds if seed not in rows]
    CACHE.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(left), BATCH):
        found = draw([(request, seed) for seed in left[start : start + BATCH]])
        rows |= {row["seed"]: row for row in found}
        with open(stored, "a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in found))
        print(f"{start + len(found)} of {len(left)} drawn", flush=True)
    return [rows[seed] for seed in seeds]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--critic", type=int, default=160, help="pieces the critic learns from")
    parser.add_argument("--quality", type=int, default=40, help="pieces it is measured on")
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    drafts(critic_seeds(options.critic) + quality_seeds(options.quality), options.weights)
