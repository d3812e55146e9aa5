"""Put wrong notes, parts and marks into good pieces, and count what is found and falsely found.

    python benchmarks/wrong_notes.py NAME=FOLDER ... [--each 1] [--seed 1] [--only TEXT]

Every fault of ``benchmarks/note_mutants.py`` is put into the pieces of each folder that have no
critical finding. A fault counts as found when a finding with one of its codes is new and has at
least its severity. The false alarms are the findings on the pieces as they are. abc2midi does not
run: it judges none of these faults.

The thresholds were chosen by the pieces with an even number (``--half fit``); ``--half check``
takes the others.
"""

from __future__ import annotations

import argparse
import random
import zlib
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from machine import describe
from note_mutants import MUTANTS, Good

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.findings import Finding
from scoregate.validators.examination import run_gate
from scoregate.validators.rewards import judge_texts

GATES = ("harmony", "parts", "marks")
_RANK = {"info": 0, "warning": 1, "critical": 2}


def findings_of(text: str) -> list[Finding]:
    """Return what all gates find in a text, without abc2midi."""
    (judgement,) = judge_texts([text], profile=None, abc2midi=False)
    return judgement.findings


def findings_on_notes(text: str) -> list[Finding]:
    """Return what the reader and the gates that judge these faults find in a text."""
    score = read(text)
    found = list(score.findings)
    for gate in ("ranges", *GATES):
        found += run_gate(gate, score, None).findings
    return found


def half_of(name: str) -> str:
    """Return the half of the pieces to which one belongs, by its name."""
    return "fit" if zlib.crc32(name.encode()) % 2 == 0 else "check"


def tried(path: Path, seed: int, only: str) -> dict:
    """Return what is found in one piece, and in its mutants."""
    text = finish(path.read_text("utf-8", "replace")).text
    clean = findings_of(text)
    alarms = {(item.severity, item.code) for item in clean if item.code.partition(".")[0] in GATES}
    result: dict = {"file": path.name, "alarms": alarms, "mutants": {}, "texts": []}
    result["texts"] = [
        str(item) for item in clean
        if item.severity == "critical" and item.code.partition(".")[0] in GATES
    ]  # fmt: skip
    rejected = {item.code for item in clean if item.severity == "critical"}
    result["rejected"] = bool(rejected)
    if rejected:
        return result
    piece = Good.of(text)
    known = Counter((item.code, item.voice) for item in clean)
    for name, (level, codes, make) in MUTANTS.items():
        if only not in name:
            continue
        spoilt = make(piece, random.Random(f"{seed} {path.name} {name}"))
        if spoilt is None:
            continue
        new = Counter(
            (item.code, item.voice)
            for item in findings_on_notes(spoilt)
            if item.code in codes and _RANK[item.severity] >= _RANK[level]
        )
        result["mutants"][name] = bool(new - known)
    return result


def main() -> None:
    """Try every fault on every piece and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help="NAME=FOLDER")
    parser.add_argument("--each", type=int, default=1, help="only every n-th piece")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--half", choices=("fit", "check", "both"), default="both")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    alarms: dict[str, Counter] = defaultdict(Counter)
    judged: Counter[str] = Counter()
    rejected: list[str] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for collection in options.collections:
            name, _, folder = collection.partition("=")
            paths = [
                path for path in sorted(Path(folder).rglob("*.abc"))
                if options.half in ("both", half_of(path.name))
            ][:: options.each]  # fmt: skip
            work = partial(tried, seed=options.seed, only=options.only)
            for result in pool.map(work, paths, chunksize=4):
                judged[name] += 1
                alarms[name].update(result["alarms"])
                rejected += [f"{name}, {result['file']}: {text}" for text in result["texts"]]
                for fault, hit in result["mutants"].items():
                    found[fault][name].append(hit)
    print("# Wrong notes, parts and marks\n")
    print(f"`python benchmarks/wrong_notes.py ... --half {options.half} --seed {options.seed}`\n")
    print(describe("numpy") + "\n")
    _print_found(found, list(judged))
    _print_alarms(alarms, judged)
    print("\n## Critical findings on the pieces as they are\n")
    print("\n".join(f"- {line}" for line in rejected) or "None.")


def _print_found(found: dict[str, dict[str, list[bool]]], names: list[str]) -> None:
    print("## Found at its severity\n")
    print("| fault | severity | n | found | " + " | ".join(names) + " |")
    print("|---|---|---|---|" + "---|" * len(names))
    for fault, (level, *_) in MUTANTS.items():
        rows = found.get(fault, {})
        every = [hit for hits in rows.values() for hit in hits]
        if not every:
            continue
        cells = [
            f"{sum(rows[name])} of {len(rows[name])}" if rows.get(name) else "" for name in names
        ]
        share = f"{sum(every) / len(every):.1%}"
        print(f"| {fault} | {level} | {len(every)} | {share} | " + " | ".join(cells) + " |")


def _print_alarms(alarms: dict[str, Counter], judged: Counter[str]) -> None:
    print("\n## Findings on the pieces as they are, share of pieces\n")
    print("| code | severity | " + " | ".join(f"{n} ({judged[n]})" for n in judged) + " |")
    print("|---|---|" + "---|" * len(judged))
    codes = sorted({key for counts in alarms.values() for key in counts}, key=lambda it: it[::-1])
    for severity, code in codes:
        cells = [f"{alarms[name][severity, code] / judged[name]:.1%}" for name in judged]
        print(f"| `{code}` | {severity} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
