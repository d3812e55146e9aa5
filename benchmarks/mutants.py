"""Put faults into good pieces and count which the gates find, in the right voice and bar.

    python benchmarks/mutants.py PATH... [--each 3] [--seed 1] > benchmarks/results/mutants.md

Every fault is put into pieces that pass as they are. A fault counts as found when there is a
new critical finding, and as placed when one of the new findings names the voice and the bar
that were changed. A mutant that is still valid music (a chord with a note less, an octave
slip within the instrument's range ...) can't be recognised: those are counted apart, each with
the reason, and are in no percentage.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from machine import describe
from text_mutants import FAULTS, Mutant, Piece

from scoregate.abc.reader import read
from scoregate.findings import Finding
from scoregate.validators.examination import examine


@dataclass(slots=True)
class Tally:
    """What became of the mutants of one class."""

    clear: int = 0
    found: int = 0
    placed: int = 0
    by_warning: int = 0
    ambiguous: Counter[str] = field(default_factory=Counter)
    missed: list[Mutant] = field(default_factory=list)


def _key(finding: Finding) -> tuple:
    return (finding.code, finding.severity, finding.voice, finding.bar, finding.found)


def judge(piece: Piece, mutant: Mutant, gates: tuple[str, ...], tally: Tally) -> None:
    """Examine a mutant and count what was found of it."""
    if mutant.ambiguous:
        tally.ambiguous[mutant.ambiguous] += 1
        return
    before = {_key(f) for f in examine(piece.text, gates=gates).findings}
    findings = [f for f in examine(mutant.text, gates=gates).findings if _key(f) not in before]
    critical = [finding for finding in findings if finding.severity == "critical"]
    tally.clear += 1
    tally.found += bool(critical)
    if not critical:
        tally.by_warning += bool(findings)
        tally.missed.append(mutant)
        return
    tally.placed += any(
        (mutant.voice is None or finding.voice == mutant.voice)
        and (mutant.bar is None or finding.bar == mutant.bar)
        for finding in critical
    )
    if not any(
        (mutant.voice is None or finding.voice == mutant.voice)
        and (mutant.bar is None or finding.bar == mutant.bar)
        for finding in critical
    ):
        tally.missed.append(mutant)


def good_pieces(files: list[Path]) -> list[Piece]:
    """Return the interleaved pieces among `files` that pass all four gates."""
    pieces = []
    for file in files:
        text = file.read_text(encoding="utf-8")
        seen = examine(text, gates=("syntax", "bars", "ranges", "repetition"))
        passes = seen.judged and not any(f.severity == "critical" for f in seen.findings)
        if passes and seen.score.interleaved:
            pieces.append(Piece(text, read(text)))
    return pieces


def run(pieces: list[Piece], each: int, seed: int) -> dict[str, Tally]:
    """Put every fault `each` times into every piece."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for name, (make, gates) in FAULTS.items():
        rng = random.Random(f"{seed} {name}")
        for piece in pieces:
            for _ in range(each):
                mutant = make(piece, rng)
                if mutant is not None and mutant.text != piece.text:
                    judge(piece, mutant, gates, tallies[name])
    return tallies


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print what was missed")
    options = parser.parse_args()
    files = [
        file
        for path in options.paths
        for file in (sorted(path.rglob("*.abc")) if path.is_dir() else [path])
    ]
    pieces = good_pieces(files)
    print("# Faults put into good pieces\n")
    print(f"`python benchmarks/mutants.py ... --each {options.each} --seed {options.seed}`\n")
    print(describe("symusic", "music21") + "\n")
    print(f"{len(pieces)} of {len(files)} pieces pass untouched and carry the faults.\n")
    print("| fault | mutants | found | in the right voice and bar | still valid music |")
    print("|---|---|---|---|---|")
    for name, tally in run(pieces, options.each, options.seed).items():
        still = "; ".join(f"{count} {why}" for why, count in tally.ambiguous.most_common())
        share = tally.found / tally.clear if tally.clear else float("nan")
        placed = tally.placed / tally.clear if tally.clear else float("nan")
        warned = f" (+{tally.by_warning} by a warning)" if tally.by_warning else ""
        print(f"| {name} | {tally.clear} | {share:.1%}{warned} | {placed:.1%} | {still} |")
        if options.show:
            for mutant in tally.missed[:3]:
                print(f"    {mutant.voice} {mutant.bar}")
                Path(f"/tmp/missed-{name.replace(' ', '-')}.abc").write_text(mutant.text)


if __name__ == "__main__":
    main()
