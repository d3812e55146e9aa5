"""Training throughput of the LSTM beside torch's bare nn.LSTM, and memory.

::

    python -m benchmarks.lstm_training [--seconds 5] [--large] [--out FILE]

The bare loop has the same embedding, ``nn.LSTM`` and projection, a batch of random words that is
made once, and nothing else: no padding, no checkpoint, no curve. The difference is what the
project's training adds. ``--large`` adds hidden 2048. One thread; peak memory is that of a
process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.machine import describe
from scoregate.lstm.training import Run, Settings, train

ROOT = Path(__file__).resolve().parent.parent
WORDS = 437
SHAPES = [(128, 8, 100), (256, 16, 200), (256, 64, 200)]
LARGE = (2048, 64, 200)


def ours(hidden: int, batch: int, length: int, seconds: float) -> float:
    """Words a processor second of the project's training, on pieces of the batch's length."""
    rng = np.random.default_rng(1)
    pieces = rng.integers(1, WORDS, (batch * 4, length + 1)).tolist()
    settings = Settings(
        hidden=hidden, batch=batch, length=length, dropout=0.0, decay=False,
        steps=0, seconds=seconds, validate_every=10**9,
    )  # fmt: skip
    run = Run(settings, WORDS)
    with tempfile.TemporaryDirectory() as folder:
        train(run, pieces, [pieces[0][:3]], Path(folder))
    return run.tokens / run.seconds


def bare(hidden: int, batch: int, length: int, seconds: float) -> float:
    """Words a processor second of a loop around torch's own layers."""
    torch.manual_seed(1)
    embedding, projection = nn.Embedding(WORDS, 128), nn.Linear(hidden, WORDS)
    lstm = nn.LSTM(128, hidden, 3, batch_first=True)
    layers = nn.ModuleList([embedding, lstm, projection])
    optimiser = torch.optim.Adam(layers.parameters(), lr=1e-3)
    words = torch.randint(1, WORDS, (batch, length + 1))
    began = time.process_time()
    for step in count(1):
        out, _ = lstm(embedding(words[:, :-1]))
        loss = nn.functional.cross_entropy(
            projection(out).reshape(-1, WORDS), words[:, 1:].reshape(-1)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimiser.step()
        spent = time.process_time() - began
        if spent >= seconds:
            return step * batch * length / spent
    raise AssertionError("unreachable")


def alone(which: str, shape: tuple[int, int, int], seconds: float) -> tuple[float, float]:
    """Run one measurement in a process of its own; return words a second and peak GiB."""
    words = [sys.executable, "-m", "benchmarks.lstm_training", "--one", which]
    words += ["--shape", *map(str, shape), "--seconds", str(seconds)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    rate, peak = json.loads(done.stdout.splitlines()[-1])
    return rate, peak / 2**20


def main() -> None:
    """Measure every shape, ours and the bare loop by turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", choices=["ours", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        import resource

        rate = {"ours": ours, "bare": bare}[options.one](*options.shape, options.seconds)
        print(json.dumps([rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
        return
    lines = [
        f"`python -m benchmarks.lstm_training` on {describe('torch')}, one thread; words a "
        "processor second, the best of "
        f"{options.repeats} turns of {options.seconds:g} s each.\n",
        "| hidden | batch | length | scoregate | bare nn.LSTM | ratio | peak GiB | bare |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape in [*SHAPES, *([LARGE] if options.large else [])]:
        turns = 1 if shape == LARGE else options.repeats
        found = {"ours": [], "bare": []}
        for _ in range(turns):
            for which in found:
                found[which].append(alone(which, shape, options.seconds))
        rate = {which: max(r for r, _ in each) for which, each in found.items()}
        peak = {which: min(p for _, p in each) for which, each in found.items()}
        lines.append(
            f"| {shape[0]} | {shape[1]} | {shape[2]} | {rate['ours']:,.0f} | {rate['bare']:,.0f} "
            f"| {rate['ours'] / rate['bare']:.2f} | {peak['ours']:.2f} | {peak['bare']:.2f} |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text("# Training throughput of the LSTM\n\n" + text)


if __name__ == "__main__":
    main()
