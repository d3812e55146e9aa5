"""``python -m notagen.training SETTINGS.json FOLDER``: train the embedded model.

Resumes from FOLDER/checkpoint.pt where there is one; the curve goes to FOLDER/curve.csv.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch

from notagen.training.corpus import bach_chorales, split
from notagen.training.train import Material, Run, load_settings, train


def main() -> None:
    """Train, printing one line a report."""
    settings = load_settings(Path(sys.argv[1]))
    folder = Path(sys.argv[2])
    torch.set_num_threads(1)
    corpus = bach_chorales(folder / "corpus.json")
    sides = split(corpus.texts)
    material = Material({n: corpus.texts[n] for n in sides.train}, corpus.style)
    held = Material({n: corpus.texts[n] for n in sides.validation}, corpus.style)
    validation = [held.piece(name) for name in sides.validation]
    checkpoint = folder / "checkpoint.pt"
    run = Run.load(checkpoint, settings) if checkpoint.exists() else Run(settings)
    for p in train(run, material, validation, checkpoint):
        bits = "" if p.validation is None else f"  validation {p.validation:.4f} bits/char"
        print(
            f"step {p.step}/{p.steps}  loss {p.loss:.4f}  auxiliary {p.auxiliary:.4f}{bits}"
            f"  {p.patches} patches  {p.seconds_left / 60:.0f} min left",
            flush=True,
        )
        with (folder / "curve.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(run.curve[0]))
            writer.writeheader()
            writer.writerows(run.curve)


if __name__ == "__main__":
    main()
