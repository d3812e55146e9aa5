"""Training throughput of the LSTM beside torch's bare nn.LSTM, and memory.

::

    python -m benchmarks.lstm_training [--seconds 5] [--repeats 3] [--memory] [--out FILE]

The bare loop has the same embedding, ``nn.LSTM`` and projection, a batch of random words that is
made once, and nothing else: no padding, no checkpoint, no curve. The difference is what the
project's training adds. One thread. ``--memory`` adds the peak memory of a step at hidden 2048.
"""

from __future__ import annotations

import argparse
import resource
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
SHAPES = [(128, 8, 100), (192, 16, 200)]
LARGE = [(2048, 8, 100)]


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


def peak_gib(hidden: int, batch: int, length: int) -> float:
    """Peak memory of one step of the project's training, in a process of its own, in GiB."""
    words = [sys.executable, "-m", "benchmarks.lstm_training", "--one-step"]
    words += map(str, (hidden, batch, length))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1]) / 2**20


def main() -> None:
    """Measure every shape, ours and the bare loop by turns, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one-step", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one_step:
        ours(*options.one_step, 1e-9)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    lines = [
        f"`python -m benchmarks.lstm_training` on {describe('torch')}, one thread; words a "
        f"processor second, the best of {options.repeats} turns of {options.seconds:g} s each.\n",
        "| hidden | batch | length | scoregate | bare nn.LSTM | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        found: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(options.repeats):
            found["ours"].append(ours(*shape, options.seconds))
            found["bare"].append(bare(*shape, options.seconds))
        best = {which: max(rates) for which, rates in found.items()}
        cells = [*map(str, shape), f"{best['ours']:,.0f}", f"{best['bare']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} | {best['ours'] / best['bare']:.2f} |")
    if options.memory:
        lines.append("")
        for shape in LARGE:
            hidden, batch, length = shape
            lines.append(
                f"One step at hidden {hidden}, batch {batch}, length {length}: "
                f"{peak_gib(*shape):.1f} GiB at the peak."
            )
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text("# Training throughput of the LSTM\n\n" + text)


if __name__ == "__main__":
    main()
