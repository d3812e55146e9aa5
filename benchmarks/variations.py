"""New voices under the sopranos of Bach's chorales: how many pass, and whether the sopranos stay.

    python benchmarks/variations.py [--each 4] [--seed 1] > benchmarks/results/variations.md

The sopranos are those of the test side of the corpus, on which the embedded weights were not
trained: other keys, metres and lengths. Each is given as `scoregate vary --reharmonise` gives it;
every piece is generated once and judged by the gates of the line. The distance of a piece from
Bach's own setting is the one by which `scoregate vary` ranks.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from machine import describe

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.generation.judging import draw
from scoregate.intervals import wilson
from scoregate.notagen.training.corpus import bach_chorales, chorale_files, in_metre, split
from scoregate.requests import VaryRequest
from scoregate.seeds import seeds_of_round
from scoregate.tasks.theme import melody_alone, prepare
from scoregate.validators.analysis.theme_distance import notes_of_voice, theme_distance


def main() -> None:
    """Measure, and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=4, help="pieces a soprano")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="JSON file of the converted corpus")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    corpus = bach_chorales(asked.cache)
    test = in_metre(corpus, split(corpus.texts)).test
    files = {path.name: path for path in chorale_files()}
    began = time.process_time()
    rows = []
    for number, name in enumerate(test):
        rows += _rows(files[name], number, asked.each, asked.seed)
    seconds = time.process_time() - began
    print(f"# Variations: new voices under {len(test)} sopranos\n\n{describe()}\n")
    print(
        f"`python benchmarks/variations.py --each {asked.each} --seed {asked.seed}`: "
        f"{len(rows)} pieces, T 0.9, top_k 9, top_p 0.9, each generated once; "
        f"{seconds / len(rows):.2f} s of processor time a piece, converting included.\n"
    )
    _print_tables(rows)


def _rows(path: Path, number: int, each: int, seed: int) -> list[dict[str, Any]]:
    """Generate and judge the pieces under one soprano."""
    theme = prepare(VaryRequest(theme=str(path), reharmonise=True, seed=seed, threads=1))
    forced = theme.request.forced
    assert forced is not None, "it varies a theme"
    given = notes_of_voice(read(melody_alone(forced.text)))
    whole = read(theme.text)
    request = theme.request.model_dump(mode="json")
    found = []
    for row in draw([(request, one) for one in seeds_of_round(seed, number, each)]):
        score = read(finish(row["raw"]).text)
        field = {line[0]: line[2:] for line in forced.text.splitlines() if line[1:2] == ":"}
        found.append(
            row
            | {"soprano": path.stem, "key": field["K"], "metre": field["M"]}
            | {"exact": notes_of_voice(score) == given, "distance": theme_distance(whole, score)}
        )
    return found


def _print_tables(rows: list[dict[str, Any]]) -> None:
    print("| metre | sopranos | pieces | soprano exact | passed | 95 % | lines resampled a piece |")
    print("|---|---:|---:|---:|---:|---|---:|")
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["metre"]].append(row)
    for name, pieces in [*sorted(groups.items()), ("all", rows)]:
        passed = sum(row["status"] == "passed" for row in pieces)
        low, high = wilson(passed, len(pieces))
        lines = sum(row["resampled_lines"] for row in pieces) / len(pieces)
        print(
            f"| {name} | {len({row['soprano'] for row in pieces})} | {len(pieces)} "
            f"| {sum(row['exact'] for row in pieces)} | {passed / len(pieces):.1%} "
            f"| {low:.1%} to {high:.1%} | {lines:.1f} |"
        )
    reasons: dict[str, int] = defaultdict(int)
    for row in rows:
        for reason in row["reasons"]:
            reasons[reason] += 1
    print("\nWhy pieces did not pass (a piece may count for several):\n")
    for reason, count in sorted(reasons.items(), key=lambda each: -each[1]):
        print(f"- {count} × {reason}")
    distances = sorted(row["distance"] for row in rows)
    print(
        f"\nDistance from Bach's own setting, all voices: median {median(distances):.3f}, "
        f"least {distances[0]:.3f}, greatest {distances[-1]:.3f}.\n"
    )
    print("| soprano | key | metre | bars | exact | passed | distance |")
    print("|---|---|---|---:|---:|---:|---|")
    by_soprano: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_soprano[row["soprano"]].append(row)
    for name, pieces in by_soprano.items():
        first = pieces[0]
        passed = sum(row["status"] == "passed" for row in pieces)
        least = min(row["distance"] for row in pieces)
        most = max(row["distance"] for row in pieces)
        print(
            f"| {name} | {first['key']} | {first['metre']} | {first['bars']} "
            f"| {sum(row['exact'] for row in pieces)} of {len(pieces)} "
            f"| {passed} of {len(pieces)} | {least:.2f} to {most:.2f} |"
        )


if __name__ == "__main__":
    main()
