"""The engine on an accelerator: does it write what the CPU writes, and how fast.

    python benchmarks/accelerator.py --out benchmarks/results/accelerator.md

First the embedded model writes on both, greedy, in fp32, and the texts are compared. Then a
step of random weights of NotaGen-X's shape is timed with its caches full up to the context, by
the clock, the device having finished: the median of several. Targets: 3 ms a patch at batch 1, and
10,000 patches a second at batch 64, in 16 bits.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from engine import SHAPES, context_of, random_tensors

from scoregate import notagen
from scoregate.errors import RequestError
from scoregate.generator import Limits
from scoregate.notagen.backends.accelerator import AcceleratorBackend
from scoregate.notagen.backends.device import choose_device
from scoregate.notagen.model.shape import PATCH_SIZE
from scoregate.sampling import Sampling

PROMPT = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n"
TARGETS = {1: "at most 3 ms", 64: "at least 10,000 patches/s"}


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def same_texts(device: str, pieces: int) -> str:
    """Compare greedy pieces of the embedded model with the CPU's."""
    prefixes = [f"K:{key}\n" for key in ("C", "G", "D", "F", "Bb", "Am", "Em", "Dm")][:pieces]
    expected, found = (
        notagen.load(device=where).generate(
            [PROMPT] * pieces,
            seeds=range(pieces),
            sampling=Sampling(top_k=1),
            limits=Limits(max_steps=200),
            prefix=prefixes,
        )
        for where in ("cpu", device)
    )
    same = sum(a.raw == b.raw for a, b in zip(expected, found, strict=True))
    return f"Greedy in fp32, embedded model: {same} of {pieces} pieces as on the CPU."


def milliseconds(
    model: AcceleratorBackend, context: int, batch: int, times: int
) -> tuple[float, float]:
    """Return the median of a step of the whole batch, and the first one's, which prepares."""
    model.open(batch)
    model.cache.normal_(0, 0.1)
    slots, patches = list(range(batch)), context_of(batch)
    random = np.random.RandomState(1)
    found = []
    with torch.inference_mode():
        for _ in range(times + 1):
            uniforms = [random.random_sample(PATCH_SIZE) for _ in slots]
            finish(model.device)
            began = time.perf_counter()
            model.decode(slots, [context - 1] * batch, patches)
            model.sample(slots, [()] * batch, uniforms, Sampling())
            finish(model.device)
            found.append((time.perf_counter() - began) * 1000)
    model.close()
    return statistics.median(found[1:]), found[0]


def name_of(device: torch.device) -> str:
    """Return the device's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def main() -> None:
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, mps; cpu for a dry run")
    parser.add_argument("--shape", default="x", choices=sorted(SHAPES))
    parser.add_argument("--precisions", default="bf16,fp16")
    parser.add_argument("--batches", default="1,8,64,256")
    parser.add_argument("--context", type=int, default=1000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--out", type=Path, help="file for the table; else it is printed only")
    arguments = parser.parse_args()
    try:
        device = torch.device(choose_device(arguments.device))
    except RequestError as error:
        parser.exit(2, f"{error}\n")
    lines = [
        "# The engine on an accelerator",
        "",
        f"{name_of(device)}; torch {torch.__version__}; shape {arguments.shape}, context "
        f"{arguments.context}, {PATCH_SIZE} characters a patch, median of {arguments.times}.",
        "",
        same_texts(str(device), 8),
        "",
        "| precision | batch | ms a step | patches/s | target | first step, ms | peak, GiB |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for precision in arguments.precisions.split(","):
        shape = SHAPES[arguments.shape]
        model = AcceleratorBackend(shape, random_tensors(shape), str(device), precision)
        for batch in map(int, arguments.batches.split(",")):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            usual, first = milliseconds(model, arguments.context, batch, arguments.times)
            peak = (
                f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f}"
                if device.type == "cuda"
                else ""
            )
            target = TARGETS.get(batch, "") if arguments.shape == "x" else ""
            lines.append(
                f"| {precision} | {batch} | {usual:.2f} | {batch / usual * 1000:,.0f} "
                f"| {target} | {first:.0f} | {peak} |"
            )
            print(lines[-1], flush=True)
        del model
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
