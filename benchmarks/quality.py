"""What ``scoregate produce --quality best`` makes better, and what it costs, for 1, 2, 4, 8 drafts.

::

    python -m benchmarks.quality [--pieces 40] [--weights FILE] [--out FILE]

Eight drafts are drawn for each piece with the line judge, on one thread, with other seeds than
those that the critic has learned from (:mod:`benchmarks.drafts` keeps them). For n drafts they are
cut into groups of n, and each group gives the piece that production would choose. So every draft is
used for each n, and there are fewer pieces for a larger n. The classifier gets as many pieces of
each n, because its AUC depends on their number.

The music is measured with scoregate.evaluation, beside the training and the validation side of the
real chorales; the test side is not read. The critic has seen the training side, so the classifier
tells each set from the validation side as well. Writes ``benchmarks/results/quality.md``. Needs
``scoregate[compare]``.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.critic import real_pieces
from benchmarks.drafts import EMBEDDED, MOST_DRAFTS, drafts, quality_seeds
from benchmarks.machine import describe
from benchmarks.model_comparison import STYLE, show
from scoregate.evaluation import (
    GROUPS,
    Measured,
    critic_of,
    features,
    measure_piece,
    separation,
    summarise,
)
from scoregate.generation.drafts import assess, choose
from scoregate.generator import Generation
from scoregate.intervals import wilson

ROOT = Path(__file__).resolve().parent.parent
COUNTS = (1, 2, 4, 8)
SHOWN = {
    "authentic last cadence": "authentic last cadence",
    "authentic cadences": "all cadences authentic",
    "other cadences": "cadences neither authentic, half nor plagal",
    "suspensions": "suspensions per 100 quarters",
    "off-beat beats": "off-beat beats",
    "all voices together": "all voices together",
    "sevenths per 100 beats": "seventh chords per 100 beats",
    "unresolved sevenths": "unresolved sevenths",
    "irregular dissonances": "irregular dissonances per 100 quarters",
    "bass moves by step": "bass moves by step",
    "tenor moves by step": "tenor moves by step",
    "phrases that return": "phrases that return",
    "parallels": "parallels per 100 chord changes",
}


def assessed_drafts(rows: list[dict[str, Any]]) -> tuple[list[Generation], float]:
    """Return drafts with what speaks for them, and the seconds that one takes to assess."""
    found = []
    began = time.process_time()
    for row in rows:
        draft = Generation(row["raw"], row["ended"], row["seed"], row["steps"], row["bars"])
        one = assess(draft, STYLE)
        seconds = {"processor_seconds": row["seconds"]}
        found.append(replace(one, draft={**(one.draft or {}), **seconds}))
    return found, (time.process_time() - began) / max(len(rows), 1)


def chosen(found: list[Generation], count: int) -> list[tuple[int, Generation]]:
    """Return the piece of each group of so many drafts, with its place among all drafts."""
    pieces = []
    for start in range(0, len(found), count):
        piece = choose(dict(enumerate(found[start : start + count])), STYLE)
        assert piece.choice is not None, "it was chosen"
        pieces.append((start + piece.choice["chosen"] - 1, piece))
    return pieces


def choice_table(sets: dict[int, list[Generation]], assessing: float) -> list[str]:
    """Return pass rate, score, cost and what decided, a row for each number of drafts."""
    lines = ["| drafts | pieces | gates passed | 95 % | mean score | s a piece | decided by |",
             "|---:|---:|---:|---|---:|---:|---|"]  # fmt: skip
    for count, pieces in sets.items():
        choices = [piece.choice or {} for piece in pieces]
        passed = sum(each["drafts"][each["chosen"] - 1]["passes"] for each in choices)
        low, high = wilson(passed, len(pieces))
        scores = [each["score"] for each in choices if each["score"] is not None]
        seconds = np.mean([each["processor_seconds"] for each in choices]) + count * assessing
        why = Counter(each["decided_by"] for each in choices)
        decided = ", ".join(f"{name} {times}" for name, times in why.most_common())
        lines.append(
            f"| {count} | {len(pieces)} | {passed / len(pieces):.1%} | {low:.1%} to {high:.1%} "
            f"| {np.mean(scores):+.2f} | {seconds:.2f} | {decided} |"
        )
    return lines


def music_table(measured: dict[str, list[Measured]]) -> list[str]:
    """Return the measures that are shown, a row each, with bootstrap intervals."""
    lines = ["| | " + " | ".join(measured) + " |", "|---" * (len(measured) + 1) + "|"]
    for rows in summarise(measured).values():
        for name, cells in rows.items():
            if name in SHOWN:
                shown = " | ".join(show(cells[key]) for key in measured)
                lines.append(f"| {SHOWN[name]} | {shown} |")
    return lines


def classifier_table(sets: dict[str, list[Measured]], real: dict[str, list[Measured]]) -> list[str]:
    """Return the AUC of every set against either side of the real pieces."""
    lines = ["| told from | | all | " + " | ".join(GROUPS) + " |", "|---" * (len(GROUPS) + 3) + "|"]
    for side, pieces in real.items():
        for name, own in sets.items():
            cells = []
            for groups in (GROUPS, *((group,) for group in GROUPS)):
                found = separation(features(pieces, groups), features(own, groups))
                interval = f" [{found.low:.2f}, {found.high:.2f}]" if groups == GROUPS else ""
                cells.append(f"{found.auc:.3f}{interval}")
            lines.append(f"| {side} | {name} | " + " | ".join(cells) + " |")
    return lines


def write(path: Path, weights: Path, pieces: int) -> None:
    """Measure everything and write the tables."""
    head = describe("torch", "music21", "scikit-learn")
    rows = drafts(quality_seeds(pieces), weights)
    found, assessing = assessed_drafts(rows)
    every = [measure_piece(row["raw"]) for row in rows]
    groups = {count: chosen(found, count) for count in COUNTS}
    own = {f"best of {n}": [every[at] for at, _ in one] for n, one in groups.items()}
    real = {
        f"Bach, {side}": [measure_piece(text) for text in texts]
        for side, texts in zip(("training", "validation"), real_pieces(), strict=True)
    }
    critic = critic_of(STYLE)
    assert critic is not None, "the package has one for chorales"
    sets = {**real, **own}
    lines = [
        "# Best of several drafts",
        "",
        f"`python -m benchmarks.quality --pieces {pieces}` on {head}.",
        f"Weights: {weights.name}; {pieces} pieces of {MOST_DRAFTS} drafts with the line judge, 16 "
        f"side by side, T 1.0, 9/.9. Critic: {critic.name} {critic.version}, learned from "
        f"{critic.learned['real']} and {critic.learned['own']}.",
        "",
        "## Choice and cost",
        "",
        "Drafts are cut into groups, one piece is chosen of each. Seconds are processor time: "
        f"drawing, the gates, and {assessing:.3f} s a draft for gates and critic in the choice. "
        "The score is the logarithm of the odds that a piece is a real one, by the critic.",
        "",
        *choice_table({n: [piece for _, piece in one] for n, one in groups.items()}, assessing),
        "",
        "## The music",
        "",
        "Means over pieces with 95 % bootstrap intervals; "
        + ", ".join(f"{name}: {len(each)} pieces" for name, each in sets.items()) + ".",
        "",
        *music_table(sets),
        "",
        "## Told apart by a classifier, cross-validated AUC",
        "",
        f"The classifier is not the critic: it is trained anew for each set, on all measures, with "
        f"{pieces} pieces of each number of drafts. The critic has seen the training side.",
        "",
        *classifier_table({n: each[:: len(each) // pieces] for n, each in own.items()}, real),
        "",
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=40, help="pieces of eight drafts")
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/quality.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write(options.out, options.weights, options.pieces)
