"""Fiddle tunes that a model wrote beside real ones: gate, endings, metre, strains, copies.

    python benchmarks/tunes.py --weights FILE [--count 120] > benchmarks/results/tunes.md

Pieces are generated as the model writes them: no line is judged or resampled. Real tunes are those
of the test side, which training has not seen. The copied run is the longest run of bars, in any
key, that a training tune has too.
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
    copies = CopyIndex(prepared.train.values())
    engine = notagen.load(asked.weights, device="cpu", threads=1)
    styles = [str(style) for style in engine.styles or ()]
    each = asked.count // len(SEEDS)
    drawn: list[tuple[str, str]] = []
    for seed in SEEDS:
        prompts = [styles[i % len(styles)] for i in range(each)]
        made = engine.generate(
            prompts,
            seeds=[seed * 100_000 + i for i in range(each)],
            sampling=Sampling(temperature=1.0, top_p=0.9, top_k=9),
            limits=Limits(max_steps=400),
        )
        drawn += list(zip(prompts, (piece.raw for piece in made), strict=True))
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
        f"{len(drawn)} tunes of the weights, T 1.0, top_k 9, top_p .9, seeds of three thousands, "
    )
    print(f"raw; {len(real)} real tunes of the test side. Intervals: Wilson, 95 %.\n")
    rows = {"written": _rows(drawn, copies), "real": _rows(real, copies)}
    print("| measure | written | real |\n|---|---|---|")
    for name in rows["real"]:
        print(f"| {name} | {rows['written'][name]} | {rows['real'][name]} |")


def _rows(pieces: list[tuple[str, str]], copies: CopyIndex) -> dict[str, str]:
    """Return the measures of a set as text."""
    passed, found, runs, texts = 0, [], [], set()
    for style, text in pieces:
        seen = examine(text, style=style, profile="folk")
        passed += seen.verdict().status.value == "passed"
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
        "passes the gates (folk)": _share(passed, len(pieces)),
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
