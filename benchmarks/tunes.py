"""Fiddle tunes that a model wrote beside real ones: gate, endings, metre, strains, copies.

    python benchmarks/tunes.py --weights FILE [--count 120] > benchmarks/results/tunes.md

One set is as the model writes it: no line is judged or resampled. Another one is what
``scoregate produce`` writes, lines resampled by the judge of tunes. Real tunes are those of the
test side. The copied run is the longest run of bars, in any key, that a tune of the corpus has too,
whatever its side; for the real ones, that a tune of the training side has. The gates are asked with
the profile of ``scoregate produce`` and with that of collections of folk tunes.
"""

from __future__ import annotations

import argparse
import random
import statistics
from pathlib import Path

import torch
from machine import describe

from scoregate import notagen
from scoregate.abc.finish import finish
from scoregate.evaluation.tunes import TuneMeasures, measure_tune
from scoregate.generator import Limits
from scoregate.intervals import wilson
from scoregate.notagen.training.corpus import CHORALE_STYLE
from scoregate.notagen.training.measures import CopyIndex, measure
from scoregate.notagen.training.project import collect_scores, prepare
from scoregate.sampling import Sampling
from scoregate.validators.counterpoint_judge import line_judge
from scoregate.validators.examination import examine

SEEDS = (1, 2, 3)


def main() -> None:
    """Generate, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--project", type=Path, default=Path(".scoregate/fiddle"))
    asked = parser.parse_args()
    head = describe("torch")
    torch.set_num_threads(1)
    prepared = prepare(collect_scores("fiddle-tunes", asked.project), CHORALE_STYLE)
    every = {**prepared.train, **prepared.validation, **prepared.test}
    copies = CopyIndex(every.values())
    engine = notagen.load(asked.weights, device="cpu", threads=1)
    styles = [str(style) for style in engine.styles or ()]
    drawn = generate(engine, styles, asked.count, judged=False)
    judged = generate(engine, styles, asked.count, judged=True)
    names = sorted(prepared.test)
    random.Random(1).shuffle(names)
    real = [
        ("/".join(prepared.styles[name]), "X:1\n" + prepared.test[name])
        for name in names[: asked.count]
    ]
    print("# Fiddle tunes\n")
    print(
        f"`python benchmarks/tunes.py --weights {asked.weights} --count {asked.count}` on {head}.\n"
    )
    print(
        f"{len(drawn)} tunes of the weights a column, T 1.0, top_k 9, top_p .9, three seeds; "
        f"{len(real)} real tunes of the test side. Intervals: Wilson's, 95 %.\n"
    )
    sets = {"raw": drawn, "with the line judge": judged, "real": real}
    rows = {name: _rows(pieces, copies) for name, pieces in sets.items() if name != "real"}
    rows["real"] = _rows(real, CopyIndex(prepared.train.values()))
    print("| measure | " + " | ".join(rows) + " |\n" + "|---" * (len(rows) + 1) + "|")
    for name in rows["real"]:
        print(f"| {name} | " + " | ".join(found[name] for found in rows.values()) + " |")


def generate(
    engine: notagen.Engine, styles: list[str], count: int, *, judged: bool
) -> list[tuple[str, str]]:
    """Return pieces with their styles, the styles taken in turn."""
    each = count // len(SEEDS)
    drawn: list[tuple[str, str]] = []
    for seed in SEEDS:
        prompts = [styles[i % len(styles)] for i in range(each)]
        made = engine.generate(
            prompts,
            seeds=[seed * 100_000 + i for i in range(each)],
            sampling=Sampling(temperature=1.0, top_p=0.9, top_k=9),
            limits=Limits(max_steps=None if judged else 400),
            accept_line=line_judge(styles[0]) if judged else None,
        )
        drawn += list(zip(prompts, (piece.raw for piece in made), strict=True))
    return drawn


def _rows(pieces: list[tuple[str, str]], copies: CopyIndex) -> dict[str, str]:
    """Return the measures of a set as text."""
    found, runs, texts = [], [], set()
    passed = dict.fromkeys(("notagen", "folk"), 0)
    for style, text in pieces:
        for profile in passed:
            seen = examine(text, style=style, production=True, profile=profile)
            passed[profile] += seen.verdict().status.value == "passed"
        finished = finish(text).text
        tune: TuneMeasures | None = measure_tune(finished)
        if tune is not None:
            found.append(tune)
            body = "\n".join(line for line in finished.splitlines() if line.startswith("[V:"))
            texts.add(body)
            runs.append(measure(finished, copies).copied)
    tonic = [tune.ends_on_tonic for tune in found if tune.ends_on_tonic is not None]
    strains = [length for tune in found for length in tune.strains]
    square = sum(length in (4, 8, 16) for length in strains)
    return {
        "passes the gates of production": _share(passed["notagen"], len(pieces)),
        "passes the gates, profile folk": _share(passed["folk"], len(pieces)),
        "ends on the tonic": _share(sum(tonic), len(tonic)),
        "bars in metre": f"{statistics.mean(tune.in_metre for tune in found):.3f}",
        "strains of 4, 8 or 16 bars": _share(square, len(strains)),
        "bars, median": f"{statistics.median(tune.bars for tune in found):.0f}",
        "range in semitones, median": f"{statistics.median(t.high - t.low for t in found):.0f}",
        "copied run in bars, median / 95 %": f"{statistics.median(runs):.0f} / "
        f"{sorted(runs)[int(0.95 * len(runs))]}",
        "different tunes": f"{len(texts)} of {len(found)}",
    }


def _share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count / max(of, 1):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
