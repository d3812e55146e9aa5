"""What resampling refused lines does: pass rate, cost, and the music that comes out.

::

    python -m benchmarks.redrawing [--pieces 201] [--cell raw:1.0 --cell gates:1.6 ...] [--table]

A cell is a judge of lines and a temperature: ``raw`` (nothing resampled), ``gates`` (the rules of
the gates, 8 tries a line), ``counterpoint`` (those and the rules of four-part writing, 24 tries).
Each has `pieces` pieces of the embedded model with three seeds, top_p .9, top_k 9, 16 pieces side
by side, on one thread. The pieces and what was counted are kept in ``.scoregate/redrawing``; a
cell that is there is taken from there. ``--table`` writes ``benchmarks/results/redrawing.md`` of
all cells that are there.

Pass rates are those of the gates of ``scoregate produce``. The judge's share of the time is that
of the processor time of generation which is spent inside the judge's calls.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe
from benchmarks.model_comparison import CACHE as COMPARISON
from benchmarks.model_comparison import EMBEDDED, PROMPT, STYLE, show
from scoregate import notagen
from scoregate.evaluation import measure_piece, summarise
from scoregate.findings import Status
from scoregate.generator import Limits
from scoregate.intervals import wilson
from scoregate.notagen.engine import ENGINE_VERSION
from scoregate.notagen.training.corpus import bach_chorales, in_metre, split
from scoregate.sampling import Sampling
from scoregate.validators.checking import reasons
from scoregate.validators.counterpoint_judge import (
    CHORAL_RULES,
    LINE_TRIES,
    PARTIAL_VOICES,
    CounterpointJudge,
)
from scoregate.validators.examination import examine
from scoregate.validators.line_judge import judge

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".scoregate" / "redrawing"
RESULT = ROOT / "benchmarks" / "results" / "redrawing.md"
JUDGES = ("raw", "gates", "counterpoint")
TEMPERATURES = (1.0, 1.2, 1.6, 2.0)
TARGETS = {1.0: (0.99, 1.15), 1.2: (0.98, 1.3), 1.6: (0.95, 2.0), 2.0: (0.90, 4.0)}
SEEDS = (1, 2, 3)
SHOWN = {
    "parallels": "parallels per 100 chord changes",
    "direct fifths and octaves": "direct fifths and octaves per 100 chord changes",
    "unresolved sevenths": "unresolved sevenths",
    "doubled leading tones": "doubled leading tones",
    "suspensions": "suspensions per 100 quarters",
    "off-beat beats": "off-beat beats",
    "all voices together": "all voices together",
    "dotted notes": "dotted notes",
    "bass moves by step": "bass moves by step",
    "authentic last cadence": "authentic last cadence",
    "authentic cadences": "all cadences authentic",
    "half cadences": "half cadences",
    "phrases": "phrases",
    "notes a phrase": "notes a phrase",
    "phrases that return": "phrases that return",
}


class Watched:
    """A judge of lines that counts what it refuses and the time it takes."""

    def __init__(self, counterpoint: bool) -> None:
        self.counterpoint = CounterpointJudge() if counterpoint else None
        self.asked = 0
        self.refused: Counter[str] = Counter()
        self.seconds = 0.0

    def __call__(self, text_so_far: str, line: str) -> bool:
        """Judge a line as :class:`CounterpointJudge` does, or as ``accept_line``."""
        began = time.thread_time()
        judged = judge(text_so_far, line)
        rule = judged.rule
        if rule is None and self.counterpoint is not None:
            rule = self.counterpoint.broken_rule(judged, text_so_far, line)
        if rule is None:
            judged.remember()
        self.seconds += time.thread_time() - began
        self.asked += 1
        if rule is not None:
            self.refused[rule] += 1
        return rule is None

    def accept_part(self, text_so_far: str, part: str) -> bool:
        """Judge the part of a line that is there."""
        if self.counterpoint is None:
            return True
        began = time.thread_time()
        accepted = self.counterpoint.accept_part(text_so_far, part)
        self.seconds += time.thread_time() - began
        if not accepted:
            self.asked += 1
            self.refused["in part: parallels, leaps"] += 1
        return accepted


def path_of(kind: str, temperature: float, pieces: int) -> Path:
    """Return where a cell is kept; another engine, other weights or rules are another cell."""
    rules = (
        str([PARTIAL_VOICES, *((r.name, r.strength, r.per) for r in CHORAL_RULES)])
        if kind == JUDGES[2]
        else ""
    )
    digest = hashlib.sha256(EMBEDDED.read_bytes() + f"{ENGINE_VERSION} {rules}".encode())
    return CACHE / f"{kind}-{temperature}-{pieces}-{digest.hexdigest()[:12]}.json"


def draw(kind: str, temperature: float, pieces: int) -> dict[str, Any]:
    """Write and judge the pieces of a cell."""
    engine = notagen.load(EMBEDDED, device="cpu", threads=1)
    watched = Watched(kind == "counterpoint")
    tries = LINE_TRIES if kind == "counterpoint" else Limits().line_tries
    each = math.ceil(pieces / len(SEEDS))
    rows = []
    spent = 0.0
    for seed in SEEDS:
        began = time.process_time()
        written = engine.generate(
            [PROMPT] * each,
            seeds=[seed * 10_000 + i for i in range(each)],
            sampling=Sampling(temperature=temperature, top_k=9, top_p=0.9),
            limits=Limits(batch_size=16, line_tries=tries),
            accept_line=None if kind == "raw" else watched,
        )
        spent += time.process_time() - began
        for piece in written:
            seen = examine(piece.raw, style=STYLE, production=True, profile="notagen")
            verdict = seen.verdict()
            rows.append(
                {
                    "raw": piece.raw,
                    "passed": verdict.status is Status.PASSED and piece.ended == "finished",
                    "reasons": reasons(verdict, seen.outcomes),
                    **piece.as_dict(),
                }
            )
    return {
        "kind": kind, "temperature": temperature, "rows": rows, "seconds": spent,
        "asked": watched.asked, "refused": watched.refused, "judging": watched.seconds,
    }  # fmt: skip


def cell(kind: str, temperature: float, pieces: int, stored_only: bool) -> dict[str, Any] | None:
    """Return a cell from the disk, or draw it; None where it is not there and may not be drawn."""
    path = path_of(kind, temperature, pieces)
    if path.exists():
        return json.loads(path.read_text())
    if stored_only:
        return None
    found = draw(kind, temperature, pieces)
    CACHE.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def pass_row(found: dict[str, Any]) -> str:
    """Return the row of a cell in the table of pass rates."""
    rows = found["rows"]
    count, passed = len(rows), sum(row["passed"] for row in rows)
    low, high = wilson(passed, count)
    drawn = sum(row["characters_drawn"] for row in rows)
    kept = sum(row["characters_kept"] for row in rows)
    why = Counter(reason for row in rows if not row["passed"] for reason in row["reasons"])
    cells = [
        f"{found['temperature']:g}", found["kind"], str(count), f"{passed / count:.1%}",
        f"{low:.1%} to {high:.1%}", f"{drawn / kept:.2f}",
        *(f"{sum(row[name] for row in rows) / count:.2f}"
          for name in ("resampled_lines", "steps_back", "refused_lines")),
        f"{found['seconds'] / count:.2f}", f"{found['judging'] / found['seconds']:.1%}",
        ", ".join(f"{reason} {number}" for reason, number in why.most_common(4)) or "–",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def target_row(temperature: float, found: dict[str, Any]) -> str:
    """Return the row of a temperature in the table of targets."""
    rows = found["rows"]
    passes, cost = TARGETS[temperature]
    share = sum(row["passed"] for row in rows) / len(rows)
    ratio = sum(r["characters_drawn"] for r in rows) / sum(r["characters_kept"] for r in rows)
    met = "yes" if share >= passes and ratio <= cost else "no"
    return (
        f"| {temperature:g} | {passes:.0%} | {share:.1%} | {cost:g} | {ratio:.2f} | {met} |"
    )  # fmt: skip


def music(cells: list[dict[str, Any]]) -> list[str]:
    """Return the table of measures of the cells at the lowest temperature, beside Bach."""
    corpus = bach_chorales(COMPARISON / "corpus.json")
    sides = in_metre(corpus, split(corpus.texts))
    sets = {"Bach, test": [corpus.texts[name] for name in sides.test]}
    for found in cells:
        sets[found["kind"]] = [row["raw"] for row in found["rows"]]
    measured = {name: [measure_piece(text) for text in texts] for name, texts in sets.items()}
    lines = ["| | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for group in summarise(measured).values():
        for name, row in group.items():
            if name in SHOWN:
                lines.append(
                    f"| {SHOWN[name]} | " + " | ".join(show(row[key]) for key in sets) + " |"
                )
    return lines


def write(pieces: int) -> None:
    """Write the tables of all cells that are there."""
    cells = {
        (kind, temperature): found
        for temperature in TEMPERATURES
        for kind in JUDGES
        if (found := cell(kind, temperature, pieces, stored_only=True)) is not None
    }
    lines = [
        "# Redrawing: refused lines are resampled",
        "",
        f"`python -m benchmarks.redrawing --pieces {pieces}` on {describe('torch')}.",
        f"Embedded model, top_p .9, top_k 9, three seeds, {pieces} pieces a cell, 16 side by side.",
        "",
        "## Targets, judge of the gates",
        "",
        "| T | passes, target | passes | drawn per kept, target | drawn per kept | met |",
        "|---:|---:|---:|---:|---:|---|",
        *(target_row(t, cells["gates", t]) for t in TEMPERATURES if ("gates", t) in cells),
        "",
        "## Pass rate and cost",
        "",
        "Interval: Wilson's, 95 %. Lines resampled, steps back and lines that stayed although they "
        "were refused are counted a piece; seconds are processor time of generation a piece, the "
        "judge's share is part of it.",
        "",
        "| T | judge | n | passed | interval | drawn per kept | resampled | steps back | refused | "
        "s a piece | judge's share | why rejected, pieces |",
        "|---:|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---|",
        *map(pass_row, cells.values()),
        "",
        "## Why lines are refused, of 100 lines that are asked about",
        "",
    ]
    judged = [found for found in cells.values() if found["asked"]]
    names = sorted({name for found in judged for name in found["refused"]})
    lines += ["| T | judge | asked | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    for found in judged:
        shares = (f"{100 * found['refused'].get(n, 0) / found['asked']:.2f}" for n in names)
        lines.append(
            f"| {found['temperature']:g} | {found['kind']} | {found['asked']} | "
            + " | ".join(shares) + " |"
        )  # fmt: skip
    lines += [
        "",
        f"## The music at T = {TEMPERATURES[0]:g}",
        "",
        "Means over pieces with 95 % bootstrap intervals; measures as in scoregate/evaluation/.",
        "",
        *music([found for (_, t), found in cells.items() if t == TEMPERATURES[0]]),
        "",
    ]
    RESULT.write_text("\n".join(lines))
    print("\n".join(lines))


def main() -> None:
    """Draw the cells that are asked for, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=201, help="pieces a cell")
    parser.add_argument("--cell", action="append", help="judge:temperature; all by default")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.table:
        every = [f"{kind}:{temperature}" for temperature in TEMPERATURES for kind in JUDGES]
        for name in options.cell or every:
            kind, _, temperature = name.partition(":")
            found = cell(kind, float(temperature), options.pieces, stored_only=False)
            if found is not None:
                print(pass_row(found), flush=True)
    write(options.pieces)


if __name__ == "__main__":
    main()
