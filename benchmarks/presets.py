"""Measure every preset with the embedded model, for `scoregate presets`.

    python benchmarks/presets.py --count 34 --judged 17

runs two sweeps with three seeds, raw and judged, in out/presets (interrupted ones go on), and
writes scoregate/presets_measured.json and benchmarks/results/presets.md. The embedded model writes
Bach chorales: the presets for Mozart, Chopin and Liszt are measured as settings, not in their
styles, and the style stands beside each figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRESETS = (
    "default", "as-trained", "careful", "bold", "conservative", "general", "experimental",
    "bach-polyphony", "mozart-sonata", "chopin-nocturne", "liszt-showpiece",
)  # fmt: skip
SEEDS = (1, 2, 3)
KEPT = ("pieces", "passed", "low", "high", "rate", "reasons", "steps_per_character",
        "seconds_per_passed")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=67, help="raw pieces of a cell")
    parser.add_argument("--judged", type=int, default=67, help="judged pieces of a cell")
    parser.add_argument("--folder", type=Path, default=Path("out/presets"))
    parser.add_argument("--processes", type=int, default=0)
    options = parser.parse_args()
    kept, tables = [], ["# Presets\n"]
    for lines, count in (("raw", options.count), ("judged", options.judged)):
        folder = options.folder / lines
        sweep(lines, count, folder, options.processes)
        for row in json.loads((folder / "results.json").read_text()):
            figures = {name: row["figures"][name] for name in KEPT}
            kept.append({"settings": row["settings"], "figures": figures})
        tables.append((folder / "results.md").read_text().replace("# Sweep", f"## {lines}", 1))
    (ROOT / "scoregate" / "presets_measured.json").write_text(json.dumps(kept, indent=1) + "\n")
    (ROOT / "benchmarks" / "results" / "presets.md").write_text("\n".join(tables))


def sweep(lines: str, count: int, folder: Path, processes: int) -> None:
    """Measure all presets, in three cells each."""
    words = ["--lines", lines, "--count", str(count), "--folder", str(folder)]
    for name in PRESETS:
        words += ["--preset", name]
    for seed in SEEDS:
        words += ["--seed", str(seed)]
    if processes:
        words += ["--processes", str(processes)]
    subprocess.run([sys.executable, "-m", "scoregate.flows.cli", "sweep", *words], check=True)


if __name__ == "__main__":
    main()
