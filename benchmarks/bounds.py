"""Derive the bounds on wrong notes from good pieces and from the same pieces spoilt.

    python benchmarks/bounds.py NAME=FOLDER ... [--each 1] [--seed 1] > FILE

For each measure with a bound in ``harmony`` and for the harmony fit, the values of the pieces as
they are stand beside those of the mutants that the measure is for (``note_mutants.py``). A bound
that rejects lies midway between the most extreme good piece and the mutant that 95 in 100 mutants
are beyond, where there is room between them. A bound that warns is the value that 95 in 100 good
pieces do not reach. The bound in thresholds.toml stands beside it, with the share of good pieces
and of mutants beyond it, for each collection: a style whose pieces lie elsewhere shows there.
"""

from __future__ import annotations

import argparse
import math
import random
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from machine import describe
from note_mutants import MUTANTS, Good

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.validators.examination import run_gate
from scoregate.validators.verdict import thresholds

RANDOM = (
    "all pitches at random, in range",
    "all letters at random",
    "all pitches at random, in the scale",
    "pitches of each voice shuffled",
)
CHORAL = "Baroque/Bach, Johann Sebastian/Choral"


class Question(NamedTuple):
    """A measure, the mutants that it is for, and whether high values are wrong."""

    measure: str
    mutants: tuple[str, ...]
    side: Literal["high", "low"]
    rejects: bool


QUESTIONS = (
    Question("harmony.order", RANDOM, "low", True),
    Question("harmony.semitone", ("a voice a semitone off",), "high", True),
    Question("harmony.displaced", ("a voice a beat off", "a voice a bar off"), "high", False),
    Question("measures.harmony_fit", RANDOM[2:3], "low", True),
)
Collections = dict[str, list[float]]
Values = dict[str, Collections]
"""By measure and collection."""


def measured(text: str, style: str | None) -> dict[str, float]:
    """Return the measures of the gates ``harmony`` and ``measures``."""
    score = read(text)
    found: dict[str, float] = {}
    for gate in ("harmony", "measures"):
        found.update(run_gate(gate, score, style).measures)
    return found


def collect(name: str, path: Path, seed: int, good: Values, spoilt: Values) -> None:
    """Add the values of one piece and of its mutants."""
    text = finish(path.read_text("utf-8", "replace")).text
    style = CHORAL if name in ("NotaGen chorales", "Bach") else None
    clean = measured(text, style)
    piece = Good.of(text)
    for question in QUESTIONS:
        value = clean.get(question.measure, math.nan)
        if math.isnan(value):
            continue  # the measure does not apply: music of one voice, or without a key
        if question.measure == "measures.harmony_fit" and style is None:
            continue  # only chorales have a bound
        good[question.measure][name].append(value)
        for mutant in question.mutants:
            rng = random.Random(f"{seed} {path.name} {mutant}")
            made = MUTANTS[mutant][2](piece, rng)
            if made is not None:
                value = measured(made, style).get(question.measure, math.nan)
                # What is not judged is not found: the best value that there is.
                missed = 0.0 if question.side == "high" else 1.0
                spoilt[question.measure][name].append(missed if math.isnan(value) else value)


def derived(question: Question, good: list[float], spoilt: list[float]) -> str:
    """Return the bound that follows from the values, or that there is none."""
    sign = 1 if question.side == "high" else -1
    ordered = sign * np.array(good)
    if not question.rejects:
        return f"{sign * float(np.quantile(ordered, 0.95)):.2f}"
    extreme, found = float(ordered.max()), float(np.quantile(sign * np.array(spoilt), 0.05))
    if found <= extreme:
        return f"none: they overlap ({sign * extreme:.2f} and {sign * found:.2f})"
    return f"{sign * (extreme + found) / 2:.2f}"


def beyond(question: Question, values: list[float], bound: float) -> str:
    """Return the share of values that a bound holds for wrong."""
    wrong = [value >= bound if question.side == "high" else value <= bound for value in values]
    return f"{sum(wrong) / len(wrong):.1%}" if wrong else ""


def main() -> None:
    """Measure every piece and its mutants, and print a table for each measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help="NAME=FOLDER")
    parser.add_argument("--each", type=int, default=1, help="only every n-th piece")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    good: Values = defaultdict(lambda: defaultdict(list))
    spoilt: Values = defaultdict(lambda: defaultdict(list))
    for collection in options.collections:
        name, _, folder = collection.partition("=")
        paths = sorted(Path(folder).rglob("*.abc"), key=lambda path: zlib.crc32(path.name.encode()))
        for path in paths[:: options.each]:
            collect(name, path, options.seed, good, spoilt)
    print("# Bounds on wrong notes\n")
    print(f"`python benchmarks/bounds.py ... --each {options.each} --seed {options.seed}`\n")
    print(describe("numpy"))
    for question in QUESTIONS:
        _print(question, good[question.measure], spoilt[question.measure])


def _print(question: Question, good: Collections, spoilt: Collections) -> None:
    """Print the table of one measure."""
    style = CHORAL if question.measure == "measures.harmony_fit" else None
    bounds = thresholds.load().for_style(style)
    level: Literal["critical", "warning"] = "critical" if question.rejects else "warning"
    bound = bounds.bound(question.measure, level)
    print(f"\n## {question.measure}\n\nMutants: {', '.join(question.mutants)}. ", end="")
    print(f"Bound in thresholds.toml: {bound:g} ({level}).\n")
    print("| collection | pieces | 5 %, median, 95 % | mutants | 5 %, median, 95 % "
          "| derived bound | pieces beyond the present one | mutants beyond it |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    rows = {name: (good[name], spoilt.get(name, [])) for name in good}
    rows["all"] = (
        [value for values, _ in rows.values() for value in values],
        [value for _, values in rows.values() for value in values],
    )
    for name, (clean, wrong) in rows.items():
        if not clean or not wrong:
            continue
        cells = [
            name, str(len(clean)), _quantiles(clean), str(len(wrong)), _quantiles(wrong),
            derived(question, clean, wrong), beyond(question, clean, bound),
            beyond(question, wrong, bound),
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def _quantiles(values: list[float]) -> str:
    return ", ".join(f"{point:.2f}" for point in np.quantile(values, [0.05, 0.5, 0.95]))


if __name__ == "__main__":
    main()
