"""What the gates find in real pieces, in Bach's chorales, and in pieces spoilt on purpose.

``python benchmarks/calibration.py [REAL]`` prints the tables that docs/ranges.md,
docs/measures.md and docs/thresholds.md quote. REAL is a folder of pieces that NotaGen
wrote (``../shared/real-notagen`` if left out). The chorales are those that the embedded
model is trained from, converted anew. Takes a few minutes on one core.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from machine import describe

from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.notagen.training.corpus import bach_chorales
from scoregate.validators import registry
from scoregate.validators.analysis.chords import harmony_fit
from scoregate.validators.analysis.counterpoint import moments
from scoregate.validators.analysis.novelty_index import Index, index_of, longest_shared
from scoregate.validators.analysis.octave_slips import octave_slips
from scoregate.validators.analysis.shared_passages import melody, texture
from scoregate.validators.analysis.sounding import notes
from scoregate.validators.examination import examine, run_gate
from scoregate.validators.gates.repetition import check as repetition
from scoregate.validators.verdict import rules as verdict

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"
Pieces = dict[str, str]


def main() -> None:
    """Print every table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/real-notagen")
    real = {
        f"{p.parent.name}/{p.name}": p.read_text("utf-8") for p in sorted(folder.rglob("*.abc"))
    }
    written = {k: v for k, v in real.items() if k.startswith("Baroque_BachJohannSebastian_Choral")}
    bach = {name: "X:1\n" + text for name, text in sorted(bach_chorales().texts.items())}
    print("# python benchmarks/calibration.py\n")
    print(describe("numpy", "music21"))
    verdicts("Bach", bach)
    verdicts("NotaGen, Bach chorales", written)
    verdicts("NotaGen, all", real)
    chance(bach)
    for title, pieces in (("Bach", bach), ("NotaGen, all", real)):
        loops(title, pieces)
    for title, pieces in (("Bach", bach), ("NotaGen, Bach chorales", written)):
        slips(title, pieces)
    copies(bach, written)
    seconds(real)


def style_of(name: str) -> str:
    """Return the style of a piece by the name of its file."""
    return (
        CHORAL
        if "Choral" in name or "/" not in name
        else f"*/*/{name.split('/')[0].split('_')[-1]}"
    )


def quantiles(values: list[float]) -> str:
    """Return 5 %, median and 95 % as text."""
    points = np.quantile(values, [0.05, 0.5, 0.95])
    low, middle, high = (f"{point:8.3f}" for point in points)
    return f"{low} {middle} {high}   {min(values):8.3f} {max(values):8.3f}"


def verdicts(title: str, pieces: Pieces) -> None:
    """Print how many pieces pass, and why others do not."""
    print(f"\n## {title}: {len(pieces)} pieces")
    statuses: Counter[str] = Counter()
    codes: Counter[tuple[str, str]] = Counter()
    where: Counter[tuple[str, str]] = Counter()
    measures: dict[str, list[float]] = {}
    for name, text in pieces.items():
        seen = examine(text, style=style_of(name))
        (decided,) = verdict.judge(
            [verdict.row(name, seen.outcomes, style_of(name))], seen.outcomes
        )
        statuses[decided.status] += 1
        kinds = [(finding.severity, finding.code) for finding in seen.findings]
        codes.update(kinds)
        where.update(set(kinds))
        for key, value in seen.measures.items():
            if value == value:
                measures.setdefault(key, []).append(value)
    print(dict(statuses))
    for kind in sorted(codes):
        print(f"  {kind[0]:9} {kind[1]:32} {codes[kind]:5} in {where[kind]:3} pieces")
    print(f"  {'measure':32}       5 %   median     95 %        min      max")
    for key, values in measures.items():
        print(f"  {key:32} {quantiles(values)}")


def chance(bach: Pieces) -> None:
    """Print the harmony fit of the chorales with their voices shifted against each other."""
    fits = []
    for text in bach.values():
        score = read(text)
        for number, voice in enumerate(score.voices):
            events = [bar.events for bar in voice.bars]
            shift = number * len(events) // len(score.voices)
            for bar, other in zip(voice.bars, events[shift:] + events[:shift], strict=True):
                bar.events = other
        fits.append(harmony_fit(score))
    print(f"\n## Bach, voices shifted against each other: harmony fit, mean {np.mean(fits):.3f}")


def loops(title: str, pieces: Pieces) -> None:
    """Print the share of loops that are found."""
    print(f"\n## Loops put into {title}: share found (loop share .25 or more), by period")
    print("  notes changed       1     2     4     8 bars")
    chosen = list(pieces.values())[::4]
    for rate in (0.0, 0.1, 0.25, 0.5):
        shares = []
        for period in (1, 2, 4, 8):
            found = [found_loop(text, period, rate) for text in chosen]
            tried = [answer for answer in found if answer is not None]
            shares.append(sum(tried) / len(tried))
        print(f"  in {rate:4.0%} of the bars " + " ".join(f"{share:5.2f}" for share in shares))


def found_loop(text: str, period: int, rate: float) -> bool | None:
    """Put a loop into a piece; return whether it is found, None where none fits."""
    rng = random.Random(f"{len(text)} {period} {rate}")
    lines = text.rstrip("\n").split("\n")
    rows = [number for number, line in enumerate(lines) if line.startswith("[V:1]")]
    if len(rows) < period + 6:
        return None
    start = rng.randrange(2, len(rows) - period - 2)
    block = [lines[row] for row in rows[start : start + period]]
    times = max(4, int(len(rows) * 0.6 / period) + 1)
    looped = [
        changed(line, rng) if turn and rng.random() < rate else line
        for turn in range(times)
        for line in block
    ]
    rest = [lines[row] for row in rows[start + period :]]
    spoilt = "\n".join([*lines[: rows[start]], *looped, *rest]) + "\n"
    return repetition(read(spoilt)).measures["repetition.loop_share"] >= 0.25


def changed(line: str, rng: random.Random) -> str:
    """Change one note of a line."""
    letters = list(re.finditer(r"(?<![\w:\[\"!])[A-Ga-g](?=[,'0-9/ |\]])", line))
    if not letters:
        return line
    match = rng.choice(letters)
    new = rng.choice("CDEFGAB" if match[0].isupper() else "cdefgab")
    return line[: match.start()] + new + line[match.end() :]


def slips(title: str, pieces: Pieces) -> None:
    """Print the share of octave slips that are found, and false alarms."""
    rng = random.Random(1)
    false = 0
    hits: Counter[tuple[int, int]] = Counter()
    tried: Counter[tuple[int, int]] = Counter()
    for text in pieces.values():
        found = moments(read(text))
        false += bool(octave_slips(found))
        for _ in range(8):
            voice = rng.randrange(len(found.pitch))
            begin = int(rng.choice(np.flatnonzero(found.begins[voice]).tolist()))
            octave = rng.choice((12, -12))
            kept = found.pitch.copy()
            end = begin + 1
            while end < kept.shape[1] and not found.begins[voice, end]:
                end += 1
            found.pitch[voice, begin:end] += octave
            tried[voice, octave] += 1
            hits[voice, octave] += any(
                row == voice and moment == begin for row, moment, _ in octave_slips(found)
            )
            found.pitch[:] = kept
    print(f"\n## Octave slips put into {title}; {false} of {len(pieces)} pieces have one untouched")
    for key in sorted(tried):
        if key[0] < 4:
            side = "up" if key[1] > 0 else "down"
            print(
                f"  voice {key[0] + 1} {side:4} {hits[key] / tried[key]:.2f} of {tried[key]} found"
            )


def copies(bach: Pieces, written: Pieces) -> None:
    """Print the longest passages that pieces share with the chorales."""
    print("\n## Longest passage shared with another of Bach's chorales, in bars")
    print("                                   50 %   75 %   90 %   95 %    max")
    known = {name: read(text) for name, text in bach.items()}
    for kind, put in (("texture", texture), ("melody", melody)):
        rows = [put(score) for score in known.values()]
        whole = index_of(list(known), [row.symbols for row in rows])
        among = []
        for number, (score, row) in enumerate(zip(known.values(), rows, strict=True)):
            others = whole.piece != number
            rest = Index(whole.names, whole.gram[others], whole.piece[others], whole.place[others])
            among.append(longest_shared(score, row, rest).bars)
        scores = [read(text) for text in written.values()]
        from_model = [longest_shared(score, put(score), whole).bars for score in scores]
        for who, bars in (("Bach", among), ("NotaGen", from_model)):
            points = np.quantile(bars, [0.5, 0.75, 0.9, 0.95, 1])
            print(f"  {kind:8} {who:8}             " + " ".join(f"{x:6.2f}" for x in points))


def seconds(real: Pieces) -> None:
    """Print the processor time of each gate."""
    print("\n## Processor time of this process, ms a piece (abc2midi is a process of its own)")
    spent: dict[str, list[float]] = {}

    def timed(what: str, work) -> Score:
        begin = time.process_time()
        result = work()
        spent.setdefault(what, []).append(1000 * (time.process_time() - begin))
        return result

    for name, text in real.items():
        score = timed("read", lambda text=text: read(text))
        timed("notes as arrays", lambda score=score: notes(score))
        for gate in registry.names(production=True):
            run_gate(gate, score, style_of(name))  # once before, so that no import is timed
            timed(
                gate,
                lambda gate=gate, score=score, name=name: run_gate(gate, score, style_of(name)),
            )
    for what, values in spent.items():
        print(
            f"  {what:16} median {np.median(values):7.2f}   99 % {np.quantile(values, 0.99):7.2f}"
        )


if __name__ == "__main__":
    main()
