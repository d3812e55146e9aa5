"""How many good pieces the gate rejects: the chorales that the project itself converts.

    scoregate corpus bach-chorales --folder .scoregate/corpus
    python benchmarks/false_alarms.py .scoregate/corpus > benchmarks/results/false-alarms.md

Every critical finding of every piece is printed, so that each can be looked at.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from machine import describe

from scoregate.validators import registry
from scoregate.validators.examination import examine

STYLE = "Baroque/Bach, Johann Sebastian/Choral"


def main() -> None:
    """Examine all files under the folders named and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--style", default=STYLE)
    options = parser.parse_args()
    files = [
        file
        for path in options.paths
        for file in (sorted(path.rglob("*.abc")) if path.is_dir() else [path])
    ]
    rejected: dict[str, dict[str, list[str]]] = {
        name: defaultdict(list) for name in registry.names()
    }
    unjudged: list[str] = []
    for file in files:
        seen = examine(file.read_text(encoding="utf-8"), style=options.style)
        unjudged += [f"{file.name}: {o.reason}" for o in seen.outcomes.values() if not o.judged]
        for name, outcome in seen.outcomes.items():
            for finding in outcome.findings:
                if finding.severity == "critical":
                    rejected[name][file.name].append(f"{finding} [{finding.code}]")
    print("# False alarms\n")
    print("`python benchmarks/false_alarms.py ...`\n")
    print(describe("symusic", "music21") + "\n")
    print(f"{len(files)} pieces, {len(unjudged)} that a gate could not judge.\n")
    print("| gate | pieces rejected | share |\n|---|---|---|")
    for name, pieces in rejected.items():
        print(f"| {name} | {len(pieces)} | {len(pieces) / max(len(files), 1):.1%} |")
    for name, pieces in rejected.items():
        for piece, findings in sorted(pieces.items()):
            print(f"\n{name}, {piece}:")
            print("\n".join(f"- {text}" for text in findings[:3]))
            if len(findings) > 3:
                print(f"- and {len(findings) - 3} more")
    print("\n".join(unjudged))


if __name__ == "__main__":
    main()
