"""How far the embedded model's chorales are from Bach's: counterpoint, cadences, form, rhythm.

::

    python -m benchmarks.model_comparison [--pieces 60] [--judged 30] [--weights FILE] [--out FILE]

Sets that are compared, all measured with scoregate.evaluation:

- real Bach: the test side of the corpus, which training never sees;
- the model, raw: temperature 1.0, top_k 9, top_p 0.9, nothing resampled, three seeds;
- the model with the line judge: the same, lines resampled as ``scoregate produce`` does;
- NotaGen-X: its published chorales, where they lie beside the project;
- chance: the test side with its voices shifted against each other.

Means over pieces with 95 % bootstrap intervals. The classifier tells each set from the training
side of the corpus (cross-validated AUC; .5 cannot be told apart). Generated pieces are kept in
``.scoregate/comparison`` and taken from there the next time. Needs ``scoregate[compare]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import torch

from benchmarks.machine import describe
from scoregate import notagen
from scoregate.evaluation import (
    GROUPS,
    Interval,
    Measured,
    features,
    measure_piece,
    separation,
    summarise,
)
from scoregate.notagen.training.corpus import CHORALE_STYLE, bach_chorales, in_metre, split
from scoregate.notagen.training.measures import shifted
from scoregate.sampling import Sampling
from scoregate.validators.counterpoint_judge import line_judge

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "notagen" / "weights" / "chorales.safetensors"
PUBLISHED = ROOT.parent / "shared" / "real-notagen" / "Baroque_BachJohannSebastian_Choral"
CACHE = ROOT / ".scoregate" / "comparison"
STYLE = "/".join(CHORALE_STYLE)
PROMPT = "".join(f"%{part}\n" for part in CHORALE_STYLE)
SEEDS = (1, 2, 3)
REAL = "real Bach, test"


def generate(weights: Path, pieces: int, judged: bool) -> tuple[list[str], float]:
    """Write pieces, or take them from the cache.

    Returns
    -------
    texts : list of str
        As the model wrote them.
    seconds : float
        Processor time a piece; NaN where they came from the cache of another day.
    """
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    stored = CACHE / f"{digest}-{'judged' if judged else 'raw'}-{pieces}.json"
    if stored.exists():
        found = json.loads(stored.read_text())
        return found["texts"], found["seconds"]
    engine = notagen.load(weights, device="cpu", threads=1)
    started = time.process_time()
    each = math.ceil(pieces / len(SEEDS))
    texts = []
    for seed in SEEDS:
        written = engine.generate(
            [PROMPT] * each,
            seeds=[seed * 10_000 + i for i in range(each)],
            sampling=Sampling(temperature=1.0, top_k=9, top_p=0.9),
            accept_line=line_judge(STYLE) if judged else None,
        )
        texts += [piece.raw for piece in written]
    seconds = (time.process_time() - started) / len(texts)
    CACHE.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps({"texts": texts, "seconds": seconds}))
    return texts, seconds


def show(found: Interval) -> str:
    """Return a mean and its interval as a cell of the table."""
    if not found.pieces:
        return ""
    digits = 1 if abs(found.mean) >= 10 else 3
    mean, low, high = (f"{x:.{digits}f}" for x in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"


def compare(sets: dict[str, list[Measured]]) -> list[str]:
    """Return the tables of all measures, one for each group, as lines of Markdown."""
    lines = []
    for group, rows in summarise(sets).items():
        lines += ["", f"## {group.capitalize()}", "", "| | " + " | ".join(sets) + " |"]
        lines.append("|---" * (len(sets) + 1) + "|")
        for name, row in rows.items():
            lines.append(f"| {name} | " + " | ".join(show(row[key]) for key in sets) + " |")
    return lines


def tell_apart(sets: dict[str, list[Measured]], real: list[Measured]) -> list[str]:
    """Return the classifier's AUC of every set against the real training pieces."""
    lines = ["", "## Told from the training side of the corpus, cross-validated AUC", ""]
    lines += ["| | all | " + " | ".join(GROUPS) + " |", "|---" * (len(GROUPS) + 2) + "|"]
    base = {groups: features(real, groups) for groups in [GROUPS, *((g,) for g in GROUPS)]}
    telling = []
    for name, pieces in sets.items():
        cells = []
        for groups, rows in base.items():
            found = separation(rows, features(pieces, groups))
            cells.append(f"{found.auc:.3f}")
            if groups == GROUPS:
                named = ", ".join(f"{n.split(': ')[1]} ({w:+.2f})" for n, w in found.telling[:8])
                telling.append(f"- {name}: {named}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "The most telling measures, with the sign of the set's difference:", "", *telling]
    return lines


def write(path: Path, weights: Path, pieces: int, judged: int) -> None:
    """Measure everything and write the tables."""
    head = describe("torch", "music21", "scikit-learn")
    corpus = bach_chorales(CACHE / "corpus.json")
    sides = in_metre(corpus, split(corpus.texts))
    real = [corpus.texts[n] for n in sides.train]
    test = [corpus.texts[n] for n in sides.test]
    raw, seconds = generate(weights, pieces, judged=False)
    sets = {REAL: test, "model, raw": raw}
    note = f"{seconds:.2f} s of processor time a piece raw"
    if judged:
        sets["model, line judge"], slower = generate(weights, judged, judged=True)
        note += f", {slower:.2f} with the line judge"
    if PUBLISHED.is_dir():
        sets["NotaGen-X"] = [p.read_text() for p in sorted(PUBLISHED.glob("*.abc"))]
    sets["chance"] = [shifted(t) for t in test]
    measured = {name: [measure_piece(t) for t in texts] for name, texts in sets.items()}
    lines = [
        "# The embedded model beside Bach and NotaGen-X",
        "",
        f"`python -m benchmarks.model_comparison --pieces {pieces} --judged {judged}` on {head}.",
        "Means over pieces with 95 % bootstrap intervals; "
        + ", ".join(f"{name}: {len(texts)} pieces" for name, texts in sets.items()) + ".",
        f"Weights: {weights.name}, {note}, {math.ceil(pieces / 3)} side by side.",
        "Rates of counterpoint are per 100 chord changes, those of suspensions and dissonances per "
        "100 quarters. Each measure is defined in scoregate/evaluation/.",
        *compare(measured),
        *tell_apart(
            {k: v for k, v in measured.items() if k != "chance"}, [measure_piece(t) for t in real]
        ),
        "",
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=60, help="pieces written raw")
    parser.add_argument("--judged", type=int, default=30, help="pieces written with the judge")
    parser.add_argument("--weights", type=Path, default=EMBEDDED)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/model_comparison.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write(options.out, options.weights, options.pieces, options.judged)
