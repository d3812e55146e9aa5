"""What lower precision does to the embedded model: its distribution, and what passes.

    python benchmarks/precision.py --pieces 40 --out benchmarks/results/precision.md

Kullback-Leibler divergence of each precision's next-character distribution from fp32's, in
nats, before truncation, at every character of pieces that fp32 wrote; and the share of raw
pieces (no line resampled) that pass every gate, with the same seeds.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from scoregate import notagen
from scoregate.generator import Limits
from scoregate.notagen.backends import cpu
from scoregate.notagen.backends.cpu import CpuBackend
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.selection import cpu_backend, selected_kernels
from scoregate.notagen.model.shape import PATCH_SIZE
from scoregate.notagen.text.patches import encode
from scoregate.notagen.weights import find, open_checkpoint
from scoregate.sampling import Sampling
from scoregate.validators.checking import check_bytes

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
PROMPT = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n"


def distributions(model: CpuBackend, text: str) -> np.ndarray:
    """Return the distribution at each character of a text: (characters, 128)."""
    patches = encode(text, finished=True)
    found: list[np.ndarray] = []
    sample_tokens = cpu.sample_tokens
    model.open(1)
    try:
        with torch.inference_mode():
            for position, (before, patch) in enumerate(pairwise(patches)):
                model.decode([0], [position], [before])
                tokens = iter(patch)

                def follow(p: np.ndarray, *_: object, tokens=tokens) -> np.ndarray:
                    found.append(p[0].copy())
                    return np.array([next(tokens)])

                cpu.sample_tokens = follow
                model.sample([0], [()], [np.zeros(PATCH_SIZE)], Sampling())
    finally:
        cpu.sample_tokens = sample_tokens
        model.close()
    return np.stack(found).astype(np.float64)


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return KL(p || q) of each row, in nats."""
    floor = 1e-12
    return (p * (np.log(p + floor) - np.log(q + floor))).sum(axis=1)


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=40, help="drawn in each precision")
    parser.add_argument("--texts", type=int, default=8, help="pieces for the divergence")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = list(range(arguments.pieces))
    sha256 = open_checkpoint(find(None)).sha256()
    lines = [
        "# Lower precision on the CPU, embedded model",
        "",
        f"Weights {sha256[:12]}, torch {torch.__version__}, kernels: {selected_kernels()} "
        f"({torch.backends.cpu.get_cpu_capability()}); {arguments.pieces} raw "
        f"pieces each, temperature 1.0, top_k 9, "
        f"top_p 0.9, seeds 0 to {arguments.pieces - 1}; divergence over {arguments.texts} pieces.",
        "",
        f"    python benchmarks/precision.py --pieces {arguments.pieces} --texts {arguments.texts}",
        "",
        "| precision | KL to fp32, mean nats | 99 % | most probable character differs "
        "| same text as fp32 | pass every gate |",
        "|---|---|---|---|---|---|",
    ]
    texts: list[str] = []
    exact: list[np.ndarray] = []
    raws: list[str] = []
    for precision in PRECISIONS:
        engine = notagen.load(precision=precision, threads=1)
        pieces = engine.generate(
            [PROMPT] * len(seeds),
            seeds=seeds,
            sampling=Sampling(temperature=1.0),
            limits=Limits(max_steps=500),
        )
        if not raws:
            raws = [piece.raw for piece in pieces]
            texts = [p.raw for p in pieces if p.ended == "finished"][: arguments.texts]
        same = sum(piece.raw == raw for piece, raw in zip(pieces, raws, strict=True))
        checked = [check_bytes(str(piece.seed), piece.raw) for piece in pieces]
        passed = sum(each.status == "passed" for each in checked)
        checkpoint = open_checkpoint(find(None))
        model = cpu_backend(checkpoint.shape, checkpoint.read(), precision)
        found = [distributions(model, text) for text in texts]
        exact = exact or found
        nats = np.concatenate([divergence(p, q) for p, q in zip(exact, found, strict=True)])
        differs = np.concatenate(
            [p.argmax(axis=1) != q.argmax(axis=1) for p, q in zip(exact, found, strict=True)]
        )
        lines.append(
            f"| {precision} | {max(nats.mean(), 0):.1e} | {max(np.quantile(nats, 0.99), 0):.1e} "
            f"| {differs.mean():.2%} | {same} of {len(seeds)} | {passed} of {len(seeds)} |"
        )
        print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
