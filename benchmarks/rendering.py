"""What rendering costs a piece, stage by stage, and what a page of a run weighs.

    python benchmarks/rendering.py PATH... [--every 4] > benchmarks/results/rendering.md

Times are processor time of one process, so that what else the machine does counts for
little. Sizes are of the engraved pages as Verovio gives them and as they are archived, and
of the page of a run with all pieces in it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from machine import describe

from scoregate.abc.reader import read
from scoregate.archive.records import PieceReport, PieceRow, RunRecord
from scoregate.archive.store import Archive
from scoregate.dashboard.report import run_pages
from scoregate.render import engrave as engraving
from scoregate.render.midi import midi_of
from scoregate.render.musicxml import to_musicxml


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=4, help="take one file of so many")
    options = parser.parse_args()
    files = sorted({file for path in options.paths for file in path.rglob("*.abc")})
    files = files[:: options.every]
    print("# Rendering\n")
    print(f"`python benchmarks/rendering.py ... --every {options.every}`, {len(files)} pieces\n")
    print(describe("verovio", "pyparsing") + "\n")

    to_musicxml(files[0].read_text())  # Imports and grammars are paid once a worker.
    stages: dict[str, list[float]] = {
        "MIDI": [],
        "MusicXML": [],
        "Verovio": [],
        "own work on SVG": [],
    }
    raw_bytes = finished_bytes = pages = 0
    finish = engraving.finished_page
    spent = 0.0

    def timed(svg: str, *rest: object) -> tuple[str, int]:
        nonlocal spent, raw_bytes
        raw_bytes += len(svg)
        began = time.process_time()
        result = finish(svg, *rest)  # type: ignore[arg-type]
        spent += time.process_time() - began
        return result

    engraving.finished_page = timed
    with tempfile.TemporaryDirectory() as folder:
        store = Archive(folder)
        run = RunRecord(run_id="benchmark")
        archiving = []
        for file in files:
            text = file.read_text()
            score = read(text)
            spent, midi = 0.0, b""
            began = time.process_time()
            midi = midi_of(score)
            stages["MIDI"].append(time.process_time() - began)
            began = time.process_time()
            xml = to_musicxml(text)
            stages["MusicXML"].append(time.process_time() - began)
            began = time.process_time()
            engraved = engraving.engrave(xml)
            stages["Verovio"].append(time.process_time() - began - spent)
            stages["own work on SVG"].append(spent)
            pages += len(engraved.pages)
            finished_bytes += sum(map(len, engraved.pages))
            svgs = {f"score-{n}.svg": page for n, page in enumerate(engraved.pages, 1)}
            contents = {"score.abc": text, "score.mid": midi, "score.musicxml": xml, **svgs}
            began = time.process_time()
            entry = store.add(contents, PieceReport(status="passed"))
            archiving.append(time.process_time() - began)
            run.pieces.append(PieceRow(piece_id=entry.piece_id, status="passed"))
        stages["archiving"] = archiving
        began = time.process_time()
        page = "".join(run_pages(store, run).values())
        page_seconds = time.process_time() - began

    print("| stage | median | 95 % | most | sum |")
    print("|---|---:|---:|---:|---:|")
    for name, seconds in stages.items():
        ordered = sorted(seconds)
        print(
            f"| {name} | {1000 * statistics.median(ordered):.1f} ms "
            f"| {1000 * ordered[int(0.95 * (len(ordered) - 1))]:.0f} ms "
            f"| {1000 * ordered[-1]:.0f} ms | {sum(ordered):.2f} s |"
        )
    print(
        f"\n{pages} pages: {raw_bytes / pages / 1e3:.0f} kB a page from Verovio, "
        f"{finished_bytes / pages / 1e3:.0f} kB as archived "
        f"({finished_bytes / raw_bytes:.0%})."
    )
    print(
        f"The page of a run with these {len(files)} pieces: {len(page) / 1e6:.1f} MB, "
        f"made in {page_seconds:.2f} s."
    )


if __name__ == "__main__":
    main()
