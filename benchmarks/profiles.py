"""What each profile rejects of each collection, and for what.

    python benchmarks/profiles.py NAME=FOLDER ... [--most 100] [--profiles NAME ...]

Every piece of a folder of ABC is judged by every profile, whatever it would be guessed for, so that
the table shows what a profile forgives and what it asks for; and by the one that is guessed.
abc2midi does not run: it adds hardly anything to what the reader finds. Of a larger folder a sample
is taken, by the hash of the names.
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from pathlib import Path

from machine import describe

from scoregate.findings import Status
from scoregate.validators.rewards import Judgement, judge_texts
from scoregate.validators.verdict import profiles

GUESSED = "guessed"
"""Stands for the profile that is guessed for each piece."""


def sample(folder: Path, most: int) -> list[str]:
    """Return the texts of up to `most` pieces below a folder."""
    paths = sorted(folder.rglob("*.abc"), key=lambda path: zlib.crc32(path.name.encode()))
    return [path.read_text("utf-8", "replace") for path in paths[:most]]


def rejecting(judgements: list[Judgement]) -> Counter[str]:
    """Return how many pieces each code of a critical finding rejects."""
    counts: Counter[str] = Counter()
    for judgement in judgements:
        counts.update({item.code for item in judgement.findings if item.severity == "critical"})
    return counts


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help="NAME=FOLDER")
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--profiles", nargs="+", default=[*profiles.names(), GUESSED])
    options = parser.parse_args()
    names = options.profiles
    print("# What each profile rejects\n")
    print(f"`python benchmarks/profiles.py ... --most {options.most}`\n")
    print(describe("numpy") + "\n")
    print("Share of pieces that are rejected or could not be judged, by every profile.\n")
    print("| collection | pieces | " + " | ".join(names) + " |")
    print("|---|---|" + "---|" * len(names))
    reasons: list[str] = []
    for collection in options.collections:
        name, _, folder = collection.partition("=")
        texts = sample(Path(folder), options.most)
        cells = []
        for profile in names:
            named = None if profile == GUESSED else profile
            judgements = judge_texts(texts, profile=named, abc2midi=False)
            failed = [each for each in judgements if each.status is not Status.PASSED]
            cells.append(f"{len(failed) / max(len(texts), 1):.0%}")
            counts = rejecting(failed).most_common(5)
            what = ", ".join(f"{code} {count}" for code, count in counts)
            reasons.append(f"| {name} | {profile} | {len(failed)} | {what} |")
        print(f"| {name} | {len(texts)} | " + " | ".join(cells) + " |", flush=True)
    print("\n## For what\n\nPieces with a critical finding of each code, the most frequent ones.\n")
    print("| collection | profile | failed | codes |\n|---|---|---|---|")
    print("\n".join(reasons))


if __name__ == "__main__":
    main()
