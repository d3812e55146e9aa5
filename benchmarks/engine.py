"""The engine's speed against the slow path, which does what the released code does.

    python benchmarks/engine.py --rows x,small,chorales --out benchmarks/results/engine.md

Random weights of the real shapes (the embedded model's own for ``chorales``), one thread,
seconds of the process's own CPU time, the least of several tries, so that other work on the
machine disturbs less. All is timed in one run. A ratio is the slow path's seconds per patch
over the engine's seconds per patch and piece, on patches of 16 characters without an early
end. The slow path always draws 16; the engine stops when every patch has met its END, so the
last column gives the ratio for patches as long as NotaGen-X's (12.7 characters).

'Fused' is the slow path on PyTorch's fused attention and GELU, which the released code does not
have: a stricter yardstick.
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from machine import describe

from scoregate.notagen.backends import cpu
from scoregate.notagen.backends.cpu import CpuBackend
from scoregate.notagen.backends.device import Precision
from scoregate.notagen.backends.selection import cpu_backend, selected_kernels
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.reference import model_from, sample_patch
from scoregate.notagen.model.shape import PATCH_SIZE, ModelShape
from scoregate.notagen.text.patches import END, Patch
from scoregate.notagen.weights import find, open_checkpoint, release
from scoregate.sampling import Sampling

SHAPES = {"x": release("x").shape, "small": release("small").shape}
ROWS: dict[str, list[tuple[int, int]]] = {  # (context, batch)
    "x": [(1000, 1), (1000, 8)],
    "small": [(1000, 1), (1000, 16), (64, 16)],
    "chorales": [(64, 1), (64, 8), (256, 8)],
}
TARGETS = {
    ("x", 1000, 1, "fp32"): 40,
    ("x", 1000, 1, "int8"): 150,
    ("x", 1000, 8, "fp32"): 270,
    ("x", 1000, 8, "int8"): 600,
    ("small", 1000, 16, "fp32"): 400,
    ("small", 1000, 16, "int8"): 650,
    ("small", 64, 16, "fp32"): 60,
    ("small", 64, 16, "int8"): 130,
    ("chorales", 64, 8, "fp32"): 10,
}
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
# Share of the patches with 2, 3, ... 16 drawn characters, END included, in 112 published
# pieces by NotaGen-X (28,603 patches).
LENGTHS = (
    0.0333, 0.0346, 0.0263, 0.0334, 0.0258, 0.0350, 0.0303, 0.0338, 0.0370, 0.0302, 0.0288,
    0.0302, 0.0262, 0.0253, 0.5699,
)  # fmt: skip
_WTE = "char_level_decoder.base.transformer.wte.weight"


def random_tensors(shape: ModelShape) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield random weights; END is never among the likely characters."""
    generator = torch.Generator().manual_seed(1)
    for name, dims in shape.tensors().items():
        if name.endswith("lm_head.weight"):
            continue
        if ".ln_" in name:
            yield name, torch.full(dims, 1.0 if name.endswith("weight") else 0.0)
            continue
        tensor = torch.empty(dims).normal_(0, 0.02, generator=generator)
        if name == _WTE:
            tensor *= 8
            tensor[END] = 0
        yield name, tensor


def cpu_seconds(work: Callable[[], object], times: int) -> float:
    """Return the least of the process's CPU seconds for a piece of work."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


class Bandwidth:
    """The bytes per second that one thread reads; it varies with the machine's other work."""

    def __init__(self) -> None:
        self.big = torch.ones(64 * 2**20)

    def __call__(self) -> float:
        """Measure now."""
        return self.big.numel() * 4 / cpu_seconds(self.big.sum, 5)


def context_of(length: int) -> list[Patch]:
    """Return random patches."""
    tokens = np.random.RandomState(0).randint(3, 128, (length, PATCH_SIZE))
    return [tuple(row) for row in tokens.tolist()]


def slow_seconds(model: NotaGen, context: int, times: int) -> float:
    """Return the slow path's seconds for a patch."""
    patches, numbers = context_of(context), np.random.RandomState(1)

    def work() -> None:
        sample_patch(model, patches, (), numbers.random_sample(PATCH_SIZE), Sampling())

    return cpu_seconds(work, times)


class RealLengths:
    """Samples as usual, but ends patches as early as NotaGen-X does."""

    def __init__(self) -> None:
        self.sample, self.at = cpu.sample_tokens, 0
        self.random = np.random.RandomState(2)

    def __call__(self, p: np.ndarray, uniforms: np.ndarray, sampling: Sampling) -> np.ndarray:
        """Take the place of ``sample_tokens``."""
        tokens = self.sample(p, uniforms, sampling)
        self.at += 1
        if 2 <= self.at < PATCH_SIZE:
            ends = LENGTHS[self.at - 2] / sum(LENGTHS[self.at - 2 :])
            tokens[self.random.random_sample(len(tokens)) < ends] = END
        return tokens


def fast_seconds(
    model: CpuBackend, context: int, batch: int, times: int, lengths: RealLengths | None = None
) -> float:
    """Return the engine's seconds per patch and piece, its caches full up to the context.

    With real lengths the mean over many patches, which differ, and the least without.
    """
    model.open(batch)
    for cache in (*model.keys, *model.values):
        cache.normal_(0, 0.1)
    numbers, slots = np.random.RandomState(1), list(range(batch))
    patches = context_of(batch)

    def work() -> None:
        model.decode(slots, [context - 1] * batch, patches)
        uniforms = [numbers.random_sample(PATCH_SIZE) for _ in slots]
        if lengths:
            lengths.at = 0
        model.sample(slots, [()] * batch, uniforms, Sampling())

    with torch.inference_mode():
        work()
        if lengths is None:
            seconds = cpu_seconds(work, times)
        else:
            cpu.sample_tokens = lengths
            try:
                seconds = cpu_seconds(lambda: [work() for _ in range(times)], 4) / times
            finally:
                cpu.sample_tokens = lengths.sample
    model.close()
    return seconds / batch


def floor_seconds(shape: ModelShape, precision: str, batch: int, speed: float) -> float:
    """Return the seconds that reading the weights of a patch takes, per piece."""
    block = 12 * shape.hidden**2
    read = block * (shape.patch_layers + PATCH_SIZE * shape.char_layers)
    return read * BYTES[precision] / speed / batch


def measure(name: str, precisions: list[Precision], bandwidth: Bandwidth) -> Iterator[str]:
    """Yield the rows of the table for one shape."""
    if name == "chorales":
        shape, tensors = open_checkpoint(find(None)).shape, open_checkpoint(find(None)).read
    else:
        shape, tensors = SHAPES[name], lambda: random_tensors(SHAPES[name])
    contexts = sorted({context for context, _ in ROWS[name]})
    big = shape.hidden > 512
    slows: dict[bool, dict[int, float]] = {}
    for fused in (False, True):
        slow = model_from(shape, dict(tensors()), fused)
        slows[fused] = {c: slow_seconds(slow, c, 2 if c > 500 and big else 5) for c in contexts}
        del slow
        gc.collect()
    for precision in precisions:
        fast = cpu_backend(shape, tensors(), precision)
        for context, batch in ROWS[name]:
            before = bandwidth()
            seconds = fast_seconds(fast, context, batch, 8 if big else 30)
            speed = max(before, bandwidth())
            real = fast_seconds(fast, context, batch, 12, RealLengths())
            slow, fused = slows[False][context], slows[True][context]
            target = TARGETS.get((name, context, batch, precision))
            floor = floor_seconds(shape, precision, batch, speed)
            yield (
                f"| {name} | {context} | {batch} | {precision} | {slow * 1000:,.1f} "
                f"| {fused * 1000:,.1f} | {seconds * 1000:,.2f} | {slow / seconds:,.0f}x "
                f"| {f'{target}x' if target else ''} | {fused / seconds:,.0f}x "
                f"| {seconds / floor:.2f} | {speed / 1e9:.1f} | {slow / real:,.0f}x |"
            )
        del fast
        gc.collect()


def peak_of_x() -> str:
    """Load X-shaped weights in the released layout, and write, in a process of its own."""
    shape = SHAPES["x"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pth"
        state = dict(random_tensors(shape))
        state["char_level_decoder.base.lm_head.weight"] = state[_WTE]
        torch.save({"model": state, "epoch": 1}, path)
        del state
        script = (
            "import re\n"
            "from scoregate import notagen\n"
            "from scoregate.generator import Limits\n"
            # A process's ru_maxrss begins with its parent's; this doesn't.
            "peak = lambda: re.search('VmHWM: *(.*) kB', open('/proc/self/status').read())[1]\n"
            f"engine = notagen.load({str(path)!r}, threads=1)\n"
            "loaded = peak()\n"
            "engine.generate(['%a\\n'], seeds=[1], limits=Limits(max_steps=3))\n"
            "print(loaded, peak())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    loaded, written = (int(part) / 2**20 for part in done.stdout.split())
    weights = shape.parameters() * 4 / 2**30
    return (
        f"Peak memory of X in fp32 at batch 1: {loaded:.2f} GiB while loading, {written:.2f} GiB "
        f"after three patches, the interpreter and PyTorch included; the weights are {weights:.2f} "
        f"GiB, the caches of a full context {8 * 20 * 1280 * 1024 / 2**30:.2f} GiB more."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="chorales,small,x", help="of: chorales, small, x")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--memory", action="store_true", help="measure X's peak memory, too")
    parser.add_argument("--out", type=Path, help="file for the table; else it is printed only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = Bandwidth()
    lines = [
        "# The engine against the slow path",
        "",
        f"{describe('torch')}; 1 thread; "
        f"kernels: {selected_kernels()}; "
        f"one thread reads {bandwidth() / 1e9:.1f} GB/s at the beginning.",
        "",
        f"    python benchmarks/engine.py {' '.join(sys.argv[1:])}",
        "",
        "| shape | context | batch | precision | slow, ms a patch | fused, ms a patch "
        "| engine, ms a patch and piece | ratio | target | ratio to fused | of the floor "
        "| GB/s | ratio, real lengths |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for name in arguments.rows.split(","):
        for line in measure(name, arguments.precisions.split(","), bandwidth):
            print(line, flush=True)
            lines.append(line)
    lines += [
        "",
        "'Of the floor': the engine's time over the time that reading the weights of a patch "
        "alone takes at the bandwidth measured beside it (the better of before and after); at "
        "larger batches keys, values and arithmetic weigh more.",
    ]
    if arguments.memory:
        lines += ["", peak_of_x()]
        print(lines[-1])
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"peak of this run: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
