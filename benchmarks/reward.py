"""Pieces a second of the reward function, and where its time goes.

    python benchmarks/reward.py PATH... [--workers 2] [--seconds 10] > benchmarks/results/reward.md

The pieces are repeated until the time is up. The processor time is that of all processes, so it
says how fast a quiet machine would be where this one has other work.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np
from machine import describe
from numpy.typing import NDArray
from scipy.stats import spearmanr

from scoregate.abc.finish import finish
from scoregate.validators import Judge, registry, reward
from scoregate.validators.examination import run_gate


def processor_time() -> float:
    """Return the seconds that this process and those it has ended have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def by_step(texts: list[str]) -> Counter[str]:
    """Return the processor time of each step, in ms a piece."""
    spent: Counter[str] = Counter()
    for text in texts:
        begin = time.process_time()
        score = finish(text).score()
        spent["finish and read"] += time.process_time() - begin
        for gate in registry.names():
            if gate == "syntax":
                continue  # without abc2midi it hands on what the reader found
            begin = time.process_time()
            run_gate(gate, score, None)
            spent[gate] += time.process_time() - begin
    return Counter({name: 1000 * seconds / len(texts) for name, seconds in spent.items()})


PARTS = (
    ("syntax", "bars", "ranges", "harmony"),
    ("syntax", "bars", "ranges"),
    ("syntax", "bars"),
)
"""Gates that may be asked alone."""
_REJECTED = 0.6
"""Every reward of a rejected piece is below, every one of a piece that passes above."""


def timed(texts: list[str], gates: tuple[str, ...] | None) -> tuple[NDArray[np.float64], float]:
    """Return the rewards of texts, and the least processor time of three runs in ms a text."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        values = reward(texts, gates=gates)
        times.append(time.process_time() - begin)
    return values, 1000 * min(times) / len(texts)


def agreement(texts: list[str]) -> list[str]:
    """Return the rows of a table on what a part of the gates tells of the full reward."""
    full, whole = timed(texts, None)
    rows = [f"| every gate | {np.sum(full < _REJECTED)} | 1 | {whole:.2f} |"]
    for gates in PARTS:
        values, spent = timed(texts, gates)
        rejected = values < _REJECTED
        if np.any(rejected & (full > _REJECTED)):
            raise SystemExit(f"{gates} reject what every gate together passes")
        rank = spearmanr(full, values).statistic
        rows.append(f"| {', '.join(gates)} | {np.sum(rejected)} | {rank:.2f} | {spent:.2f} |")
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    print("# Rewards a second\n")
    print("`python benchmarks/reward.py ...`\n")
    print(describe("numpy") + "\n")
    print("| pieces | characters, median | ms of processor a piece, every gate | "
        "syntax and bars alone | "
          f"{options.workers} processes: pieces a second |\n|---|---|---|---|---|")  # fmt: skip
    steps: dict[str, Counter[str]] = {}
    with Judge(options.workers) as judge:
        for path in options.paths:
            texts = [file.read_text("utf-8") for file in sorted(path.rglob("*.abc"))]
            reward(texts[:8])
            begin = time.process_time()
            reward(texts)
            alone = 1000 * (time.process_time() - begin) / len(texts)
            begin = time.process_time()
            reward(texts, gates=("syntax", "bars"))
            two_gates = 1000 * (time.process_time() - begin) / len(texts)
            judge.reward(texts[:32])
            done, start = 0, time.perf_counter()
            while time.perf_counter() - start < options.seconds:
                judge.reward(texts)
                done += len(texts)
            rate = done / (time.perf_counter() - start)
            size = sorted(len(text) for text in texts)[len(texts) // 2]
            print(
                f"| {path.name} ({len(texts)}) | {size} | {alone:.2f} | {two_gates:.2f} "
                f"| {rate:.0f} |"
            )
            steps[path.name] = by_step(texts)
    for path in options.paths:
        texts = [file.read_text("utf-8") for file in sorted(path.rglob("*.abc"))]
        print(f"\n{path.name}, a part of the gates:\n")
        print("| gates | rejected | rank correlation with every gate | ms of processor a piece |")
        print("|---|---|---|---|")
        print("\n".join(agreement(texts)))
    names = list(next(iter(steps.values())))
    print("\nMilliseconds of processor a piece, one process:\n")
    print("| step | " + " | ".join(steps) + " |\n|---|" + "---|" * len(steps))
    for name in names:
        print(f"| {name} | " + " | ".join(f"{steps[each][name]:.2f}" for each in steps) + " |")


if __name__ == "__main__":
    main()
