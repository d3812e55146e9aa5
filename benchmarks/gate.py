"""How long the gate takes a piece, gate by gate, beside abc2xml and music21; and a folk tune.

    python benchmarks/gate.py PATH... [--tunes NAME=PATH ...] [--repeats 3]

Every piece is examined `repeats` times after a first, uncounted round, and the best time
counts: other processes only ever add to it. The wall time is what a user waits for; the
processor time is what this process and abc2midi compute, whoever else is on the machine.
The comparison reads the same files with abc2xml and music21, once. Tunes are judged by the
guessed profile, one by one and as the tunes of a book, of which abc2midi hears several in one run.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from machine import describe
from truth import musicxml_of

from scoregate.abc.reader import read
from scoregate.validators import registry
from scoregate.validators.examination import TOGETHER, examine, run_gate
from scoregate.validators.rewards import judge_texts


def clock(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the best wall time and the best processor time of `repeats` runs, in ms."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), _processor_time()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(_processor_time() - processor)
    return 1000 * min(walls), 1000 * min(processors)


def _processor_time() -> float:
    """Return the seconds that this process and its children have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def texts_of(path: Path) -> list[str]:
    """Return the ABC files of a folder, or the one file."""
    files = sorted(path.rglob("*.abc")) if path.is_dir() else [path]
    return [file.read_text(encoding="utf-8", errors="replace") for file in files]


def print_tunes(collections: list[str], repeats: int) -> None:
    """Measure the tunes of each collection, NAME=PATH, and print a table."""
    print("\n## ABC tunes\n\nMilliseconds a tune, processor time in brackets.\n")
    print(
        "| collection | tunes | characters, median | one by one: median | 99 % | in a book: mean |"
    )
    print("|---|---|---|---|---|---|")
    for collection in collections:
        name, _, path = collection.partition("=")
        texts = texts_of(Path(path))
        judge_texts(texts[:TOGETHER])
        times = [clock(lambda text=text: examine(text), repeats) for text in texts]
        walls, processors = ([time[kind] for time in times] for kind in (0, 1))
        wall, processor = clock(lambda texts=texts: judge_texts(texts), repeats)
        size = statistics.median(len(text) for text in texts)
        print(
            f"| {name} | {len(texts)} | {size:.0f} "
            f"| {statistics.median(walls):.2f} ({statistics.median(processors):.2f}) "
            f"| {percentile(walls, 0.99):.2f} ({percentile(processors, 0.99):.2f}) "
            f"| {wall / len(texts):.2f} ({processor / len(texts):.2f}) |"
        )


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--tunes", nargs="+", default=[], help="NAME=PATH")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-music21", action="store_true")
    options = parser.parse_args()
    texts = [text for path in options.paths for text in texts_of(path)]
    print("# The gate's time\n")
    print(f"`python benchmarks/gate.py ... --repeats {options.repeats}`\n")
    print(describe("symusic", "music21", "numpy") + "\n")
    size = statistics.median(len(text) for text in texts)
    print(f"{len(texts)} pieces, {size:.0f} characters in the median. Milliseconds a piece.\n")
    for text in texts:
        examine(text)
    rows: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in ("read", *registry.names(), "all together")
    }
    for text in texts:
        _note(rows["read"], clock(lambda text=text: read(text), options.repeats))
        for name in registry.names():
            scores = iter([read(text) for _ in range(options.repeats)])
            once = clock(lambda name=name, scores=scores: run_gate(name, next(scores), None),
                         options.repeats)  # fmt: skip
            _note(rows[name], once)
        _note(rows["all together"], clock(lambda text=text: examine(text), options.repeats))
    print("| | wall, median | wall, 99 % | processor, median | processor, 99 % |")
    print("|---|---|---|---|---|")
    for name, (walls, processors) in rows.items():
        cells = (
            statistics.median(walls), percentile(walls, 0.99),
            statistics.median(processors), percentile(processors, 0.99),
        )  # fmt: skip
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    if not options.without_music21:
        from music21 import converter

        theirs = [
            clock(lambda text=text: converter.parse(musicxml_of(text), format="musicxml"), 1)
            for text in texts
        ]
        for index, kind in enumerate(("wall", "processor")):
            ours = sum(rows["all together"][index]) / 1000
            slow = sum(times[index] for times in theirs) / 1000
            print(
                f"\nAll {len(texts)} pieces, {kind} time: {ours:.2f} s by the gate, {slow:.1f} s "
                f"by abc2xml and music21, which only read them: {slow / ours:.0f} times as long."
            )
    if options.tunes:
        print_tunes(options.tunes, options.repeats)


def _note(row: tuple[list[float], list[float]], times: tuple[float, float]) -> None:
    row[0].append(times[0])
    row[1].append(times[1])


if __name__ == "__main__":
    main()
