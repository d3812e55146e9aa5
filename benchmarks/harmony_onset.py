"""What starts harmony: the auxiliary task, Muon, both or neither.

``python -m benchmarks.harmony_onset [STEPS] [ARM ...]`` trains the embedded model's shape on
rule-made chorales alone, one piece a step, all else equal, and every 500 steps draws 24 raw
pieces (temperature 1.0, top_k 9, top_p 0.9) and counts the beats that fit a chord. Writes
benchmarks/results/harmony_onset.csv. On one idle thread an arm of 3,000 steps takes about
five minutes.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.machine import describe
from scoregate import notagen
from scoregate.generator import Limits
from scoregate.notagen.training.corpus import CHORALE_STYLE
from scoregate.notagen.training.material import Material
from scoregate.notagen.training.measures import measure, summary
from scoregate.notagen.training.project import write_weights
from scoregate.notagen.training.train import Run, Settings, Stage
from scoregate.sampling import Sampling

RESULTS = Path(__file__).resolve().parent / "results"
PROMPT = "".join(f"%{part}\n" for part in CHORALE_STYLE)
ARMS = {
    "auxiliary + Muon": (0.5, True),
    "auxiliary + AdamW": (0.5, False),
    "Muon alone": (0.0, True),
    "AdamW alone": (0.0, False),
}


def fit(run: Run, pieces: int = 24) -> dict[str, float]:
    """Raw figures of pieces drawn from the averaged weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        write_weights(path, run, "arm", [CHORALE_STYLE], "rule-made chorales", {})
        engine = notagen.load(path, device="cpu", threads=1)
        drawn = engine.generate(
            [PROMPT] * pieces,
            seeds=range(pieces),
            sampling=Sampling(temperature=1.0),
            limits=Limits(max_steps=250),
        )
    return summary([measure(piece.raw) for piece in drawn])


def arm(name: str, steps: int) -> list[dict]:
    """Train one arm; a row every 500 steps."""
    auxiliary, muon = ARMS[name]
    settings = Settings(
        auxiliary=auxiliary, muon=muon, ema=0.995,
        stages=[Stage(steps, 1.0, 1.0, 2e-3, 2e-3)],
    )  # fmt: skip
    run = Run(settings)
    run.model.train()
    material = Material({}, CHORALE_STYLE)
    rows: list[dict] = []
    seconds = loss = 0.0
    while run.step < steps:
        started = time.process_time()
        loss += run.train_step(material)[0]
        seconds += time.process_time() - started
        if run.step % 500 == 0:
            found = fit(run)
            rows.append({
                "arm": name, "step": run.step, "cpu seconds": round(seconds),
                "loss": round(loss / 500, 4), "equal bars": round(found["equal bars"], 3),
                "harmony fit": round(found["harmony fit"], 3),
            })  # fmt: skip
            print(rows[-1], flush=True)
            loss = 0.0
    return rows


def main(steps: int, names: list[str]) -> None:
    """Run the arms and keep what was measured after each."""
    print(describe("torch"))
    rows: list[dict] = []
    for name in names:
        rows += arm(name, steps)
        with (RESULTS / "harmony_onset.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if sys.argv[1:] else 3000, sys.argv[2:] or list(ARMS))
