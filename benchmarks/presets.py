"""Measure the presets that the embedded model can run, for `scoregate presets`.

    python benchmarks/presets.py --count 67

runs a sweep with three seeds, raw and judged, in out/presets (an interrupted one goes on), and
writes scoregate/presets_measured.json and benchmarks/results/presets.md. Presets whose source
speaks of styles that the embedded model does not write (Mozart, Chopin, Liszt) are left out.
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
    "bach-polyphony",
)  # fmt: skip
KEPT = ("pieces", "passed", "low", "high", "rate", "reasons", "steps_per_character",
        "seconds_per_passed")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=67, help="pieces of a cell, three cells each")
    parser.add_argument("--folder", type=Path, default=Path("out/presets"))
    parser.add_argument("--processes", type=int, default=0)
    options = parser.parse_args()
    words = ["--lines", "both", "--count", str(options.count), "--folder", str(options.folder)]
    for name in PRESETS:
        words += ["--preset", name]
    for seed in (1, 2, 3):
        words += ["--seed", str(seed)]
    if options.processes:
        words += ["--processes", str(options.processes)]
    subprocess.run([sys.executable, "-m", "scoregate.flows.cli", "sweep", *words], check=True)
    rows = json.loads((options.folder / "results.json").read_text())
    kept = [
        {
            "settings": row["settings"],
            "figures": {name: row["figures"][name] for name in KEPT},
        }
        for row in rows
    ]
    (ROOT / "scoregate" / "presets_measured.json").write_text(json.dumps(kept, indent=1) + "\n")
    table = (options.folder / "results.md").read_text().replace("# Sweep", "# Presets", 1)
    (ROOT / "benchmarks" / "results" / "presets.md").write_text(table)


if __name__ == "__main__":
    main()
