"""What the embedded model writes, raw, beside real Bach, chance and published pieces.

::

    python -m benchmarks.model_quality [--pieces 102] [--weights FILE] [--out FILE]

Nothing is repaired and nothing is resampled: each piece is judged as the model wrote it at
temperature 1.0, top_k 9, top_p 0.9. Bits per character are those of the chorales that
training never saw. The published NotaGen-X chorales are counted where they lie beside the
project. Rebuilds the converted corpus from the music21 package (ten seconds).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path

import torch

from benchmarks.machine import describe
from scoregate import notagen
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import shape_of
from scoregate.notagen.training.baselines import ngram_bits, unigram_bits
from scoregate.notagen.training.corpus import CHORALE_STYLE, bach_chorales, split
from scoregate.notagen.training.material import Material
from scoregate.notagen.training.measures import CopyIndex, PieceMeasures, measure, shifted, summary
from scoregate.notagen.training.project import read_initial
from scoregate.notagen.training.stream import stream_text
from scoregate.notagen.training.train import bits_per_character
from scoregate.sampling import Sampling
from scoregate.validators import registry
from scoregate.validators.examination import examine
from scoregate.validators.verdict.rules import judge, row

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "notagen" / "weights" / "chorales.safetensors"
PUBLISHED = ROOT.parent / "shared" / "real-notagen" / "Baroque_BachJohannSebastian_Choral"
STYLE = "/".join(CHORALE_STYLE)
PROMPT = "".join(f"%{part}\n" for part in CHORALE_STYLE)
COLUMNS = ("bars", "equal bars", "bars = metre", "harmony fit", "final triad", "copied run, median")


def gate_pass(texts: list[str]) -> tuple[float, Counter]:
    """Share of pieces that every gate passes, and the gates that refused the others."""
    rows = [row(str(i), examine(t, style=STYLE).outcomes, STYLE) for i, t in enumerate(texts)]
    verdicts = judge(rows, gates=registry.names())
    reasons = Counter(gate for v in verdicts for gate in {
        f.gate for f in v.failed if f.severity == "critical"})  # fmt: skip
    return sum(v.passed for v in verdicts) / len(verdicts), reasons


def figures(texts: list[str], copies: CopyIndex | None, finished: list[str] | None = None) -> dict:
    """All figures of a set of pieces.

    ``finished`` is what the gates judge: the same music as a reader of ABC needs it, markers
    stripped and resting voices filled in.
    """
    measured: list[PieceMeasures] = [measure(text, copies) for text in texts]
    found: dict = dict(summary(measured))
    if finished is not None:
        found["gate pass"], refused = gate_pass(finished)
        found["refused by"] = dict(refused.most_common())
    return found


def write(path: Path, pieces: int, weights: Path) -> None:
    """Measure everything and write the table and its numbers."""
    head = describe("torch", "music21")
    corpus = bach_chorales()
    sides = split(corpus.texts)
    train = [corpus.texts[n] for n in sides.train]
    test = [corpus.texts[n] for n in sides.test]
    copies = CopyIndex(train)

    state = read_initial(weights)
    model = NotaGen(shape_of({k: v.shape for k, v in state.items()}))
    model.load_state_dict(state)
    held = Material({n: corpus.texts[n] for n in sides.test}, CHORALE_STYLE)
    train_text, test_text = ([stream_text(t, CHORALE_STYLE) for t in s] for s in (train, test))
    bits = {
        "model": bits_per_character(model.eval(), [held.at_home(n) for n in held.names]),
        "7-gram": ngram_bits(train_text, test_text),
        "unigram": unigram_bits(train_text, test_text),
    }

    engine = notagen.load(weights, device="cpu", threads=1)
    rows: dict[str, dict] = {}
    drawn: list[str] = []
    finished: list[str] = []
    written = 0.0
    per_seed = []
    for seed in (1, 2, 3):
        started = time.monotonic()
        seeds = [seed * 10_000 + i for i in range(pieces // 3)]
        found = engine.generate(
            [PROMPT] * len(seeds),
            seeds=seeds,
            sampling=Sampling(temperature=1.0, top_k=9, top_p=0.9),
        )
        texts = [g.raw for g in found]
        written += time.monotonic() - started
        per_seed.append(figures(texts, copies, [g.text for g in found]))
        drawn += texts
        finished += [g.text for g in found]
    seconds = written / len(drawn)
    rows["embedded model, raw"] = figures(drawn, copies, finished)
    rows["real Bach (test pieces)"] = figures(test, copies, ["X:1\n" + t for t in test])
    rows["chance: voices shifted in time"] = figures([shifted(t) for t in test], None)
    published = sorted(PUBLISHED.glob("*.abc"))
    if published:
        real = [p.read_text() for p in published]
        rows["published NotaGen-X chorales"] = figures(real, copies, real)
    spread = {
        key: statistics.pstdev([p[key] for p in per_seed])
        for key in (*COLUMNS[1:5], "gate pass")
    }  # fmt: skip
    lines = [
        "# What the embedded model writes",
        "",
        f"`python -m benchmarks.model_quality --pieces {pieces}` on {head}.",
        f"Temperature 1.0, top_k 9, top_p 0.9; 3 seeds of {pieces // 3} pieces; raw: nothing "
        "repaired, nothing resampled.",
        "",
        "| | n | bars | equal bars | bars = metre | harmony fit | final triad | copied run "
        "(median) | gate pass |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, r in rows.items():
        passed = f"{r['gate pass']:.2f}" if "gate pass" in r else ""
        cells = " | ".join(f"{r[c]:.3f}" if c != "bars" else f"{r[c]:.1f}" for c in COLUMNS[:-1])
        lines.append(f"| {name} | {r['pieces']} | {cells} | {r[COLUMNS[-1]]} | {passed} |")
    lines += [
        "",
        "Spread over the three seeds (standard deviation): "
        + ", ".join(f"{k} {v:.3f}" for k, v in spread.items()) + ".",
        "",
        f"Refused by: {rows['embedded model, raw']['refused by']} of {len(drawn)} pieces.",
        "",
        "Bits per character on the test pieces: "
        + ", ".join(f"{k} {v:.3f}" for k, v in bits.items()) + ".",
        "",
        f"{seconds:.2f} s a piece on one thread, {pieces // 3} pieces side by side.",
        "",
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    numbers = {"bits": bits, "rows": rows, "per seed": per_seed, "seconds a piece": seconds}
    path.with_suffix(".json").write_text(json.dumps(numbers, indent=1, default=float) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=102)
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/model_quality.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write(options.out, options.pieces, options.weights)
