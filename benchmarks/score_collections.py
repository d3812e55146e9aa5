"""How many scores of collections that people made the gate rejects, and for what.

    python benchmarks/score_collections.py [--lieder FOLDER] > FILE

The collections are those that music21 carries (tunes in ABC, scores in MusicXML and Humdrum)
and, where its folder is named, the OpenScore Lieder Corpus. Of each the same sample is drawn at
random for the same seed; of the composers, some of each. The profile is guessed, as `scoregate
check` does it. Every rejection is printed with the text that it is about, so that each can be
read. A look at them says which are right; the table can't.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine import describe

from scoregate.convert import convert
from scoregate.errors import ScoregateError
from scoregate.findings import Status
from scoregate.tunebooks import tunes_of
from scoregate.validators.checking import Checked, check_bytes

TUNES = {
    "O'Neill": "oneills1850",
    "Ryan": "ryansMammoth",
    "Aird": "airdsAirs",
    "Nottingham": "nottingham-dataset",
    "Essen": "essenFolksong",
    "other tunes": "miscFolk",
}
"""Folders of music21's corpus with tunes in ABC."""
_SCORES = (".mxl", ".xml", ".musicxml", ".krn")
_NOT_SCORES = ("demos", "theoryExercises", "bach")
"""Folders that hold examples, and the chorales, which false_alarms.py judges."""


@dataclass(slots=True)
class Tally:
    """What became of the scores of one collection."""

    judged: int = 0
    rejected: int = 0
    unread: int = 0
    profiles: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Judge a sample of every collection and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tunes", type=int, default=200, help="of each collection of tunes")
    parser.add_argument("--scores", type=int, default=8, help="of each composer")
    parser.add_argument("--lieder", type=Path, help="folder of OpenScore Lieder")
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    # Imported here: it takes a second, and --help needs none of it.
    from music21.common.pathTools import getCorpusFilePath

    corpus = Path(getCorpusFilePath())
    draw = random.Random(options.seed)
    found: dict[str, Tally] = {}
    for name, folder in TUNES.items():
        found[name] = _judge(_tunes(corpus / folder, options.tunes, draw))
    found["other composers"] = _judge(_composers(corpus, options.scores, draw))
    if options.lieder:
        files = sorted(path for path in options.lieder.rglob("*") if path.suffix in _SCORES)
        found["OpenScore Lieder"] = _judge(_read(_sample(files, 5 * options.scores, draw)))
    _print(found)


def _sample(items: list, count: int, draw: random.Random) -> list:
    return draw.sample(items, min(count, len(items)))


def _tunes(folder: Path, count: int, draw: random.Random) -> Iterator[tuple[str, bytes, str]]:
    """Yield name, content and ending of a sample of the tunes below a folder."""
    tunes = []
    for path in sorted(folder.glob("*.abc")):
        content = path.read_bytes()
        each = tunes_of(content) or [(0, content)]
        tunes += [(f"{path.name}#{number}", tune) for number, (_, tune) in enumerate(each, 1)]
    for name, content in _sample(tunes, count, draw):
        yield name, content, ""


def _composers(corpus: Path, count: int, draw: random.Random) -> Iterator[tuple[str, bytes, str]]:
    for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
        if folder.name not in _NOT_SCORES:
            files = sorted(path for path in folder.rglob("*") if path.suffix in _SCORES)
            yield from _read(_sample(files, count, draw))


def _read(files: list[Path]) -> Iterator[tuple[str, bytes, str]]:
    for path in files:
        yield f"{path.parent.name}/{path.name}", path.read_bytes(), path.suffix


def _judge(scores: Iterator[tuple[str, bytes, str]]) -> Tally:
    tally = Tally()
    for name, content, ending in scores:
        try:
            conversion = convert(content, ending, name) if ending else None
        except ScoregateError as error:
            tally.unread += 1
            tally.lines.append(f"- {name}: {error.problem}")
            continue
        text = conversion.abc if conversion is not None else content
        started = time.process_time()
        checked = check_bytes(name, text, conversion=conversion)
        tally.seconds.append(time.process_time() - started)
        tally.judged += 1
        tally.profiles[checked.profile] += 1
        if checked.status is not Status.PASSED:
            _note(tally, checked)
    return tally


def _note(tally: Tally, checked: Checked) -> None:
    """Note why a score was rejected, with the line of ABC that it is about."""
    tally.rejected += 1
    serious = [finding for finding in checked.findings if finding.severity == "critical"]
    tally.codes.update({finding.code for finding in serious} or {checked.status.value})
    lines = checked.text.split("\n")
    if not serious:
        tally.lines.append(f"- {checked.file} ({checked.profile}): {'; '.join(checked.reasons)}")
    for finding in serious[:1]:
        tally.lines.append(f"- {checked.file} ({checked.profile}): {finding} [{finding.code}]")
        if finding.line and finding.line <= len(lines):
            tally.lines.append(f"  `{lines[finding.line - 1].strip()[:110]}`")


def _print(found: dict[str, Tally]) -> None:
    print("# Scores that people made\n")
    print("`python benchmarks/score_collections.py`\n")
    print(describe("symusic", "music21") + "\n")
    print("| collection | judged | rejected | share | judged as | rejected for |")
    print("|---|---|---|---|---|---|")
    for name, tally in found.items():
        codes = ", ".join(f"{code} {count}" for code, count in tally.codes.most_common())
        judged = ", ".join(f"{code} {count}" for code, count in tally.profiles.most_common())
        share = f"{tally.rejected / max(tally.judged, 1):.1%}"
        print(f"| {name} | {tally.judged} | {tally.rejected} | {share} | {judged} | {codes} |")
    print("\n| collection | processor time of all gates, median | 99 % |\n|---|---|---|")
    for name, tally in found.items():
        times = sorted(tally.seconds)
        if times:
            middle, last = times[len(times) // 2], times[int(0.99 * (len(times) - 1))]
            print(f"| {name} | {1000 * middle:.1f} ms | {1000 * last:.0f} ms |")
    for name, tally in found.items():
        print(f"\n{name}" + (f", {tally.unread} that do not convert" if tally.unread else "") + ":")
        print("\n".join(tally.lines) or "- none rejected")


if __name__ == "__main__":
    main()
