"""Whole pieces from weights of NotaGen-X's shape, through the whole line.

    python benchmarks/x_line.py --out benchmarks/results/x_line.md

The released weights are no part of the project. Weights of their shape and in their layout are
made from the embedded model instead (:mod:`widen`): as heavy, and they write its music. They
are written as a ``.pth`` under NotaGen-X's name, checked with ``scoregate weights check``,
and ``scoregate produce`` writes a piece with them at each precision. The embedded model writes
one from the same seed beside them: in fp32 it should be the same piece, byte for byte.

It needs 2.1 GB of disk and 5 GB of memory. ``--keep FOLDER`` leaves the weights there and
takes them up again in the next call.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch
from machine import describe
from widen import widen

from scoregate.archive.records import PieceReport
from scoregate.archive.store import Archive
from scoregate.notagen.backends.selection import selected_kernels
from scoregate.notagen.model.reference import load_model
from scoregate.notagen.model.shape import PATCH_SIZE
from scoregate.notagen.text.patches import BOS_PATCH, encode_unit, units_of
from scoregate.notagen.weights import find, open_checkpoint, release

STYLE = "Baroque/Bach, Johann Sebastian/Choral"
PRECISIONS = ("fp32", "bf16", "int8")
SCOREGATE = Path(sys.executable).with_name("scoregate")


def make_weights(path: Path) -> None:
    """Write the embedded model, widened to the shape of X, as the released files lie."""
    checkpoint = open_checkpoint(find("chorales-1"))
    if shutil.disk_usage(path.parent).free < 3 * 2**30:
        raise SystemExit(f"{path.parent} has less than 3 GiB left: name another with --keep.")
    wide = widen(dict(checkpoint.read()), checkpoint.shape, release("x").shape)
    part = path.with_suffix(".part")
    torch.save({"model": wide}, part)
    part.replace(path)


def run(*words: object) -> tuple[str, float, float]:
    """Run ``scoregate``; return what it printed, its seconds and its peak memory in GiB."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen([SCOREGATE, *map(str, words)], stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            raise SystemExit(f"scoregate {words[0]} ended with {process.returncode}")
        printed.seek(0)
        return printed.read(), seconds, used.ru_maxrss / 2**20


def produce(
    weights: Path | None, precision: str, seed: int, threads: int, out: Path
) -> tuple[str, str, str]:
    """Produce a piece; return its row of the table, its text, and the text as it was written."""
    chosen = () if weights is None else ("--weights", weights)
    words = ("produce", "--style", STYLE, "--count", 1, "--rounds", 1, "--seed", seed, *chosen)
    words += ("--threads", threads, "--precision", precision)
    _, wall, peak = run(*words, "--out", out)
    store = Archive(out)
    (run_id,) = store.run_ids()
    spent = store.run(run_id).stage_seconds
    report, folder = the_piece(store, run_id)
    patches = report.provenance["steps"]
    verdict = "; ".join([report.status, *report.reasons])
    row = (
        f"{spent['load']:.1f} | {spent['generate']:.1f} | {patches} | "
        f"{1000 * spent['generate'] / patches:.0f} | {report.summary['bars']} | {wall:.0f} | "
        f"{peak:.2f} | {report.provenance['ended']} | {verdict}"
    )
    return row, (folder / "score.abc").read_text(), (folder / "raw.abc").read_text()


def the_piece(store: Archive, run_id: str) -> tuple[PieceReport, Path]:
    """Return the report and the folder of a run's only piece, wherever it was filed."""
    (piece,) = store.run(run_id).pieces
    if piece.status == "passed":
        return store.report(piece.piece_id), store.path_of(piece.piece_id)
    (report,) = store.rejected_reports(run_id)
    (text,) = (store.rejected / run_id).rglob("score.abc")
    return report, text.parent


@torch.inference_mode()
def distance(path: Path, raw: str) -> str:
    """Say how far the logits of the weights are from the embedded model's, over a piece."""
    patches = torch.tensor([[BOS_PATCH, *(p for unit in units_of(raw) for p in encode_unit(unit))]])
    logits = []
    for source in (find("chorales-1"), path):
        model = load_model(open_checkpoint(source))
        encoded = model.encode(patches[:, :-1])[0]
        logits.append(model.char_logits(encoded, patches[0, 1:, : PATCH_SIZE - 1]))
        del model
        gc.collect()
    apart = (logits[0] - logits[1]).abs().max().item()
    chances = [each.double().log_softmax(-1) for each in logits]
    kl = (chances[0].exp() * (chances[0] - chances[1])).sum(-1).mean().item()
    other = (logits[0].argmax(-1) != logits[1].argmax(-1)).sum().item()
    return (
        f"Over the {patches.shape[1] - 1} patches of that piece ({logits[0][..., 0].numel():,} "
        f"characters) the plain module's logits in fp32 are at most {apart:.1e} apart, where they "
        f"reach {logits[0].abs().max():.1f}; KL {max(kl, 0):.0e} nats; the most probable character "
        f"differs in {other} places."
    )


def lengths_of(folder: Path) -> str:
    """Say how many patches the pieces of a folder take."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.abc"))]
    counts = sorted(sum(len(encode_unit(u)) for u in units_of(text)) for text in texts)
    half, most = (counts[int(share * (len(counts) - 1))] for share in (0.5, 0.9))
    return (
        f"Of {len(counts)} published pieces by NotaGen-X half have at most {half} patches and nine "
        f"in ten at most {most}; the longest has {counts[-1]:,}."
    )


def main() -> None:
    """Make the weights, run the line, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--published", type=Path, help="folder of real pieces, to be counted")
    parser.add_argument("--keep", type=Path, help="folder for the weights, which stay there")
    parser.add_argument("--out", type=Path, help="file for the page; else it is printed only")
    options = parser.parse_args()
    machine = describe("torch")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = options.keep or scratch
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / release("x").file
        if not weights.is_file():
            # In a process of its own: a child's peak begins with its parent's.
            maker = multiprocessing.get_context("spawn").Process(
                target=make_weights, args=(weights,)
            )
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit("The weights could not be made: see above.")
        checked, check_seconds, check_peak = run("weights", "check", weights, "--json")
        found = json.loads(checked)
        run("server", "start")
        own, text, raw = produce(None, "fp32", options.seed, options.threads, scratch / "embedded")
        rows = [f"| embedded | fp32 | {own} | |"]
        for precision in options.precisions.split(","):
            row, wide, _ = produce(
                weights, precision, options.seed, options.threads, scratch / precision
            )
            rows.append(f"| X-shaped | {precision} | {row} | {'yes' if wide == text else 'no'} |")
            print(rows[-1], file=sys.stderr, flush=True)
        apart = distance(weights, raw)
    shape = ", ".join(f"{key} {value}" for key, value in found["shape"].items())
    arguments = (
        f"--seed {options.seed} --threads {options.threads} --precisions {options.precisions}"
    )
    if options.published:
        arguments += " --published FOLDER"
    lines = [
        "# Whole pieces at NotaGen-X's size",
        "",
        f"    python benchmarks/x_line.py {arguments}",
        "",
        f"{machine}; kernels: {selected_kernels()}.",
        "",
        "NotaGen-X itself is not among them: the weights are the embedded model's, widened to "
        f"its shape ({shape}; {found['parameters']:,} parameters) so that they compute the same, "
        f"in a `.pth` of {found['bytes'] / 2**30:.2f} GiB as the released ones lie. So time and "
        "memory are those of X, and the music is the embedded model's.",
        "",
        f"`scoregate weights check` reads it through in {check_seconds:.0f} s with at most "
        f"{check_peak:.2f} GiB, takes it for `{found['release']}` and lists "
        f"{len(found['styles'])} styles.",
        "",
        f"`scoregate produce --weights FILE --style '{STYLE}' --count 1 --rounds 1 "
        f"--seed {options.seed} --threads {options.threads} --precision ...`:",
        "",
        "| weights | precision | load, s | write, s | patches | ms a patch | bars | command, s "
        "| peak, GiB | ended | verdict | the embedded model's piece |",
        "|---" * 12 + "|",
        *rows,
        "",
        apart,
    ]
    if options.published:
        lines += ["", lengths_of(options.published)]
    page = "\n".join(lines) + "\n"
    print(page)
    if options.out:
        options.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
