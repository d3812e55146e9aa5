"""What published pieces measure: the backdrop of the plots in a run's page.

    python benchmarks/reference_measures.py PATH... > dashboard/reference.json

For each measure the 5th percentile, the median and the 95th over all pieces below PATH.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

from scoregate.validators.examination import examine


def main() -> None:
    """Print the summary as JSON."""
    files = sorted({file for path in sys.argv[1:] for file in Path(path).rglob("*.abc")})
    values: dict[str, list[float]] = {}
    for file in files:
        for name, value in examine(file.read_text()).measures.items():
            if math.isfinite(value):
                values.setdefault(name, []).append(value)
    summary = {
        name: [round(_quantile(sorted(found), share), 4) for share in (0.05, 0.5, 0.95)]
        for name, found in sorted(values.items())
        if name.startswith(("measures.", "repetition.")) and name != "measures.notes"
    }
    source = f"{len(files)} pieces that NotaGen-X wrote, published by others"
    print(json.dumps({"source": source, "measures": summary}, indent=1))


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]


if __name__ == "__main__":
    main()
